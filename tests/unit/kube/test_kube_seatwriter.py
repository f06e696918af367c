"""Seats are written when a revision has come to rest, and none is lost."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from support.doubles import World, make_owner, make_pod
from support.doubles_kube import KubeClient, StoredObjects

from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import OwnerRef, PodId
from extender.core.scalein.controller import KEPT_MORE, PATIENCE, SeatController
from extender.core.scalein.costs import cost_of
from extender.kube.foreigncosts import ForeignCosts
from extender.kube.recorder import EventRecorder
from extender.kube.seatwriter import SeatWriter
from extender.runtime.drive import Drive

SETTLE = 2.0


class Queue:
    """Takes `room` costs and no more."""

    def __init__(self) -> None:
        self.room = 1000
        self.costs: dict[str, int | None] = {}

    def set_deletion_cost(self, pod: PodId, cost: int | None) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.costs[pod.name] = cost
        return True


class Setting:
    """A workload with pods, and what writes their seats on a clock of the test's."""

    def __init__(self, pods: int, **policy: Any) -> None:
        self.world = World()
        self.world.nodes(spot=1, on_demand=1)
        self.owner = self.world.deployment("web", pods, **{"spot_percentage": 50, **policy})
        self.now = 0.0
        self.queue = Queue()
        self.objects = StoredObjects()
        self.recorder = EventRecorder(KubeClient(self.objects), lambda _name, _text: None)
        self.outcomes: Counter[str] = Counter()
        self.seats = SeatController(self.world.state, SETTLE)
        self.foreign = ForeignCosts(
            self.world.state, self.seats, self.recorder, lambda outcome: self.outcomes.update([outcome])
        )
        writer = SeatWriter(self.seats, self.queue, self.foreign, clock=lambda: self.now)
        self.faults: list[str] = []
        self.drive = Drive(
            "seats", self.seats, writer.perform, lambda _, text: self.faults.append(text), now=lambda: self.now
        )

    def bind(self, number: int, owner: OwnerRef | None = None, **fields: Any) -> None:
        node = "spot-0" if number % 2 else "on-demand-0"
        self.world.up(make_pod(f"p{number}", owner or self.owner, node, **fields))

    async def notes(self) -> list[str]:
        self.recorder.start()
        assert await self.recorder.drain(10) == 0
        events = self.objects.stored.values()
        return [event["note"] for event in events if event["reason"] == EventReason.FOREIGN_COST.value]

    async def at(self, now: float) -> dict[str, int | None]:
        self.now = now
        self.seats.observe(now)
        while self.seats.next_at <= now:
            await self.drive.step()
        assert self.faults == []
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
    assert len(await setting.at(setting.seats.next_at)) == 4
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
    written = []

    async def others() -> None:
        while len(setting.queue.costs) < 120:
            written.append(len(setting.queue.costs))
            await asyncio.sleep(0)

    await asyncio.gather(setting.at(SETTLE), others())
    assert len(setting.queue.costs) == 120
    assert len(written) >= 2


def key(number: int) -> PodId:
    return PodId("shop", f"p{number}", f"p{number}")


async def test_a_refused_cost_is_sent_again_only_when_the_value_changes() -> None:
    setting = Setting(4)
    for number in range(4):
        # Somebody else's, and in our band by chance.
        setting.bind(number, cost=str(cost_of(50)) if number == 1 else None)
    await setting.at(0.0)
    assert set(await setting.at(SETTLE)) == {"p0", "p1", "p2", "p3"}
    setting.foreign.told(key(1), "foreign", '"batch"')
    for number in (0, 2, 3):
        setting.foreign.told(key(number), "written", "")
        setting.bind(number, cost=str(setting.queue.costs[f"p{number}"]))
    setting.queue.costs.clear()
    assert await setting.at(10.0) == {}
    assert await setting.at(10.0 + SETTLE) == {}
    assert setting.outcomes == {"foreign": 1, "written": 3}
    (note,) = await setting.notes()
    assert "pod p1 " in note
    assert '(field manager "batch")' in note
    setting.bind(1, cost=str(cost_of(60)))
    await setting.at(20.0)
    assert set(await setting.at(20.0 + SETTLE)) == {"p1"}
    setting.foreign.told(key(1), "foreign", "")
    assert len(await setting.notes()) == 1


async def test_a_refusal_before_the_watch_is_tried_once_more_with_the_value_that_came() -> None:
    setting = Setting(1)
    setting.bind(0)
    await setting.at(0.0)
    await setting.at(SETTLE)
    setting.foreign.told(key(0), "foreign", "")
    assert await setting.notes() == []
    setting.bind(0, cost=str(cost_of(7)))
    setting.queue.costs.clear()
    await setting.at(5.0)
    assert await setting.at(5.0 + SETTLE) == {"p0": cost_of(1)}
    setting.foreign.told(key(0), "foreign", "")
    assert setting.seats.kept == {"p0": str(cost_of(7))}


async def test_a_cost_out_of_the_band_is_told_of_once_and_never_written_over() -> None:
    setting = Setting(2)
    setting.bind(0, cost="-100")
    setting.bind(1, cost="5")
    await setting.at(0.0)
    assert await setting.at(SETTLE) == {}
    assert len(await setting.notes()) == 1
    setting.bind(1, cost="6")
    await setting.at(10.0)
    assert await setting.at(10.0 + SETTLE) == {}
    assert len(await setting.notes()) == 1


async def test_a_workload_that_opts_out_gets_its_costs_taken_back() -> None:
    setting = Setting(2)
    setting.bind(0, cost=str(cost_of(1)))
    setting.bind(1, cost="17")
    await setting.at(0.0)
    assert await setting.at(SETTLE) == {}
    setting.world.up(make_owner("Deployment", "web", 2, uid=setting.world.workload(setting.owner).uid))
    await setting.at(10.0)
    assert await setting.at(10.0 + SETTLE) == {"p0": None}


async def test_what_is_remembered_of_gone_pods_is_dropped() -> None:
    setting = Setting(1)
    for number in range(KEPT_MORE + 1):
        setting.bind(number, cost=str(cost_of(500)))
        setting.foreign.told(key(number), "foreign", "")
        setting.world.gone("pods", f"p{number}")
    assert len(setting.seats.kept) < 5
