"""What waits to be written is written by a replica that decides, and by no other."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import World, make_pod
from support.doubles_kube import KubeClient, StoredObjects

from extender.core.answers.decisions import DecisionLog
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.placement.controller import Annotate, PlacementController
from extender.core.state.events import Upsert
from extender.core.state.intake import Intake
from extender.core.state.records import Reservation
from extender.core.state.waiting import Waiting
from extender.kube.regarding import Regarding
from extender.runtime.writers import WAITING, Writers
from extender.settings import Settings
from extender.telemetry.metrics import Metrics

POD = PodId("shop", "web-0", "uid-0")


@pytest.mark.parametrize("decides", [True, False])
async def test_a_replica_that_lost_the_lease_writes_nothing_at_all(decides: bool) -> None:
    client: Any = KubeClient(StoredObjects())
    client.objects.put("/api/v1/namespaces/shop/pods/web-0", {"metadata": {"name": "web-0", "uid": "uid-0"}})
    leads = True
    placement = PlacementController(World().state, 0)
    writers = Writers(Settings(), client, placement, Metrics(), lambda _name, _text: None, lambda: leads)
    writers.recorder.emit(Regarding.pod(POD), EventReason.MOVED, "Evict", "it was moved")
    writers.wakes._perform(Annotate(POD))
    writers._costs.set_deletion_cost(POD, 7)
    # All of it waits: nothing has been sent yet.
    leads = decides
    writers.start()
    await writers.drain()
    assert sorted({path.rpartition("/")[2] for _, path in client.seen}) == (["events", "web-0"] if decides else [])


class Gated:
    """Gated pods, and what writes their class."""

    def __init__(self, settings: Settings, *pods: str) -> None:
        self.world, self.client, self.log, self.metrics = World(), KubeClient(StoredObjects()), DecisionLog(), Metrics()
        client: Any = self.client
        placement = PlacementController(self.world.state, 0)
        self.writers = Writers(settings, client, placement, self.metrics, lambda *_: None, lambda: True, self.log)
        self.owner = self.world.deployment("web", len(pods), spot_percentage=50)
        for name in pods:
            self.client.objects.put(f"/api/v1/namespaces/shop/pods/{name}", {"metadata": {"name": name, "uid": name}})
            self.see(name, gates=("spotmix.io/placement",))

    def see(self, name: str, **fields: Any) -> None:
        pod = make_pod(name, self.owner, **fields)
        self.world.up(pod)
        self.writers.gate_watch.observe(Upsert(pod), self.world.now)


@pytest.mark.parametrize("reason", [Reason.SEAT, Reason.WAIT_CLASS, Reason.WRITTEN])
@pytest.mark.parametrize("leads", [True, False])
def test_the_time_until_a_pod_has_a_node_is_counted_once_by_why_it_waited(reason: Reason, leads: bool) -> None:
    world, metrics = World(), Metrics()
    client: Any = KubeClient(StoredObjects())
    placement = PlacementController(world.state, 0)
    writers = Writers(Settings(), client, placement, metrics, lambda *_: None, lambda: leads)
    intake = Intake(world.state, [], [writers.observe])
    owner = world.deployment("web", 3, spot_percentage=100)
    (node,) = world.nodes(spot=1)
    written = "spot" if reason is Reason.WRITTEN else ""
    intake.take(Upsert(make_pod("web-0", owner, created=world.now, written=written)), world.now)
    if not written:
        world.state.apply(Reservation("web-0", "shop", owner, "spot", world.now), world.now)
    if reason is Reason.WAIT_CLASS:
        world.state.apply(Waiting("web-0", "shop", "web-0", owner.uid, "spot", reason, world.now), world.now)
    # Pods that nobody decided on, and those that had a node when they were first seen, do not count.
    intake.take(Upsert(make_pod("alone", None, created=world.now)), world.now)
    intake.take(Upsert(make_pod("early", owner, node, created=world.now)), world.now)
    bound = make_pod("web-0", owner, node, created=world.now, written=written)
    for event in (Upsert(bound), Upsert(make_pod("alone", None, node, created=world.now)), Upsert(bound)):
        intake.take(event, world.now + 7)
    name, labels = "spotmix_placing_duration_seconds", {"capacity_class": "spot", "reason": str(reason)}
    assert metrics.registry.get_sample_value(f"{name}_sum", labels) == (7 if leads else 0)
    assert sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"{name}_count"
    ) == int(leads)


async def test_a_release_is_timed_and_its_decision_kept() -> None:
    gated = Gated(Settings(), "web-0")
    await gated.writers._gate_drive.step()
    gated.writers.start()
    await gated.writers.drain()
    assert gated.client.seen == [("PATCH", "/api/v1/namespaces/shop/pods/web-0")]
    assert gated.metrics.registry.get_sample_value("spotmix_release_duration_seconds_count") == 1
    gated.see("web-0", written="on-demand")
    await gated.writers.gate_news.step()
    assert [(entry.pod, entry.given) for entry in gated.log.latest(9)] == [("web-0", "on-demand")]


async def test_releases_in_flight_bound_how_many_wait_to_be_sent() -> None:
    settings = Settings()
    placement = replace(settings.placement, releases_in_flight=1)
    gated = Gated(replace(settings, placement=placement), *(f"web-{n}" for n in range(WAITING + 3)))
    await gated.writers._gate_drive.step()
    assert (gated.writers._releases.pending, gated.world.state.reserved) == (WAITING, WAITING)
