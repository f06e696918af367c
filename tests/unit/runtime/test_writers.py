"""What waits to be written is written by a replica that decides, and by no other."""

from typing import Any

import pytest
from support.doubles import World
from support.doubles_kube import KubeClient, StoredObjects

from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.core.placement.controller import Annotate, PlacementController
from extender.kube.regarding import Regarding
from extender.runtime.writers import Writers
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
