"""What a new leader does about pods and policies that its predecessor left."""

import asyncio
from typing import Any

from support.doubles import ENABLED, World, keys, make_owner, make_pod
from support.doubles_kube import KubeClient, StoredObjects

from extender.core.model.objects import PodId
from extender.core.placement.controller import PlacementController
from extender.core.state.events import Gone, Upsert
from extender.core.state.intake import Intake
from extender.kube.patches import PodPatches
from extender.kube.queue import PatchQueue
from extender.kube.recorder import EventRecorder
from extender.kube.waker import Waker
from extender.runtime.drive import Drive
from extender.runtime.duties import Duties
from extender.runtime.policies import PolicyReports
from extender.runtime.reach import ReachReports


def unscheduled(uid: str, owner: Any, **fields: Any) -> Any:
    return make_pod(uid, owner, unscheduled=True, **fields)


async def test_pods_that_were_rejected_are_tried_again_and_faults_are_told_again() -> None:
    world, client, reports = World(), KubeClient(StoredObjects()), list[str]()
    web, plain = world.deployment("web", 9), world.deployment("plain", 9, labels={})
    world.up(make_owner("Deployment", "bad", 1, labels=ENABLED, annotations=keys(spot_percentage="most")))
    queue = PatchQueue(PodPatches(client), lambda _name, text: reports.append(text))
    recorder = EventRecorder(client, lambda _name, text: reports.append(text))
    woken: list[str] = []
    waker = Waker(queue, "spotmix.io/wake", woken.append, lambda: 0.0)
    placement = PlacementController(world.state, 0)
    intake = Intake(world.state, [placement.observe], [placement.observe])
    wakes = Drive("placement", placement, waker.perform, lambda _name, text: reports.append(text))
    pods = [
        unscheduled("waits", web),
        unscheduled("placed-since", web),
        unscheduled("deleted-since", web),
        unscheduled("ends", web, terminating=True),
        make_pod("queued", web),
        unscheduled("unmanaged", plain),
        unscheduled("bare", None),
    ]
    for pod in pods:
        client.objects.put(f"/api/v1/namespaces/shop/pods/{pod.uid}", {"metadata": {"name": pod.uid, "uid": pod.uid}})
        intake.take(Upsert(pod), world.now)
    intake.take(Upsert(make_pod("placed-since", web, "n1", unscheduled=True)), world.now)
    intake.take(Gone("pods", "deleted-since"), world.now)
    decides = False
    policies = PolicyReports(world.state.workloads, recorder, lambda: decides)
    reach = ReachReports(world.state, recorder)
    duties = Duties(placement, wakes, {"policies": policies.run, "reach": reach.run})
    task = asyncio.create_task(duties.perform())
    queue.start()
    recorder.start()
    await asyncio.sleep(0)
    await wakes.step()
    assert (await queue.drain(10), await recorder.drain(10)) == (0, 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [path for method, path in client.seen if method == "PATCH"] == ["/api/v1/namespaces/shop/pods/waits"]
    assert woken == ["annotate"]
    (event,) = (o for path, o in client.objects.stored.items() if "/events/" in path)
    assert (event["reason"], event["regarding"]["name"]) == ("PolicyInvalid", "bad")
    assert set(placement.unscheduled.values()) == {PodId("shop", uid, uid) for uid in ("waits", "unmanaged", "bare")}
    assert reports == []
