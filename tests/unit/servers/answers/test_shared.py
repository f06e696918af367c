"""One overview and one plan are made for the console and the API together, and shown for a moment."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from support.api import ApiBench, stub
from support.console import off_target

from extender.core.model.reasons import Reason
from extender.servers.answers import shared
from spotmix.placement.v1 import placement_pb2 as pb


def off_its_split() -> ApiBench:
    bench = ApiBench()
    bench.world.nodes(spot=2, on_demand=1)
    bench.world.now = 10_000.0
    off_target(bench)
    return bench


async def test_browsers_and_callers_are_shown_one_overview_and_one_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, made = off_its_split(), Counter[str]()

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(shared, name)

        def make(*given: Any) -> Any:
            made[name] += 1
            return real(*given)

        return make

    for name in ("overview_in_steps", "preview"):
        monkeypatch.setattr(shared, name, counted(name))
    async with bench.served() as channel:
        for _ in range(2):
            assert (await bench.get("/console")).status == 200
            assert (await stub(channel).ListWorkloads(pb.ListWorkloadsRequest())).total_size == 1
            assert (await bench.get("/console/plan")).status == 200
            assert (await stub(channel).PlanDrift(pb.PlanDriftRequest())).off == 1
    assert made == {"overview_in_steps": 1, "preview": 1}


async def test_a_pause_is_told_at_once_and_then_every_pod_stays() -> None:
    bench = off_its_split()
    before = (await bench.shared.plan()).plan
    assert before.moves
    bench.paused = Reason.MEMORY
    after = (await bench.shared.plan()).plan
    assert (after.moves, after.paused) == ((), Reason.MEMORY)
    assert len(after.stays) == len(before.moves) + len(before.stays)
    (workload,) = bench.world.state.workloads.by_uid
    assert bench.shared.plan_for(workload).moves == ()
