"""What waits to be written is written by a replica that decides, and by no other."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import World, make_pod
from support.doubles_kube import KubeClient, StoredObjects

from extender.core.answers.decisions import DecisionLog
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.core.placement.controller import Annotate, PlacementController
from extender.core.state.events import Upsert
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
