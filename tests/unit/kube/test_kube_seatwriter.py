"""Seats are written when a revision has come to rest, and none is lost."""

from typing import Any

import pytest
from support.doubles import World, make_pod

from extender.core.objects import OwnerRef
from extender.core.seatcost import cost_of
from extender.kube.patches import PodKey
from extender.kube.seatwriter import PATIENCE, SeatWriter

SETTLE = 2.0


class Queue:
    """Takes `room` costs and no more."""

    def __init__(self) -> None:
        self.room = 1000
        self.costs: dict[str, int | None] = {}

    def set_deletion_cost(self, pod: PodKey, cost: int | None) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.costs[pod.name] = cost
        return True


class Setting:
    """A workload with pods, and a writer on a clock of the test's."""

    def __init__(self, pods: int, **policy: Any) -> None:
        self.world = World()
        self.world.nodes(spot=1, on_demand=1)
        self.owner = self.world.deployment("web", pods, **{"spot_percentage": 50, **policy})
        self.now = 0.0
        self.naps = 0
        self.queue = Queue()
        self.writer = SeatWriter(self.world.state, self.queue, SETTLE, lambda: self.now, self._nap)

    async def _nap(self, _seconds: float) -> None:
        self.naps += 1

    def bind(self, number: int, owner: OwnerRef | None = None) -> None:
        node = "spot-0" if number % 2 else "on-demand-0"
        self.world.up(make_pod(f"p{number}", owner or self.owner, node))

    async def at(self, now: float) -> dict[str, int | None]:
        self.now = now
        await self.writer.write_settled()
        return self.queue.costs


async def test_nothing_is_written_before_the_revision_rests() -> None:
    setting = Setting(4)
    for moment in range(4):
        setting.bind(moment)
        assert await setting.at(float(moment)) == {}
    assert await setting.at(3.0 + SETTLE) == {f"p{n}": cost_of(n + 1) for n in range(4)}


async def test_a_revision_that_never_rests_is_written_in_the_end() -> None:
    setting = Setting(40)
    moments = int(PATIENCE * SETTLE)
    for moment in range(moments):
        setting.bind(moment)
        assert await setting.at(float(moment)) == {}
    setting.bind(moments)
    assert len(await setting.at(float(moments))) == moments + 1


async def test_what_the_queue_has_no_room_for_comes_later() -> None:
    setting = Setting(4)
    for number in range(4):
        setting.bind(number)
    await setting.at(0.0)
    setting.queue.room = 2
    assert len(await setting.at(SETTLE)) == 2
    setting.queue.room = 1000
    assert len(await setting.at(SETTLE + 0.1)) == 4
    setting.queue.costs.clear()
    assert await setting.at(100.0) == {}


@pytest.mark.parametrize("policy", [{"mode": "audit"}])
async def test_audit_writes_nothing(policy: dict[str, str]) -> None:
    setting = Setting(2, **policy)
    setting.bind(0)
    await setting.at(0.0)
    assert await setting.at(SETTLE) == {}


async def test_the_event_loop_is_looked_at_between_many_revisions() -> None:
    setting = Setting(1)
    for number in range(120):
        setting.bind(number, setting.world.deployment(f"web-{number}", 1, spot_percentage=50))
    await setting.at(0.0)
    assert len(await setting.at(SETTLE)) == 120
    assert setting.naps >= 2
