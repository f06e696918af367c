"""Pods leave interrupted nodes, in virtual time."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.doubles import ON_DEMAND, SPOT, make_budget, make_node, make_pod, selector
from support.doubles_drift import DriftRoom
from support.doubles_kube import refusal
from support.doubles_servers import run_virtually

from extender.core.drift.backoff import BASE, JITTER, LONGEST_WHEN_DRAINED
from extender.core.drift.turns import SLICE
from extender.core.model.reasons import Reason

Check = Callable[[DriftRoom], Awaitable[None]]
STARTED = {"result": "started", "reason": "interrupted", "mode": "enforce"}


def virtually(check: Check, **settings: Any) -> None:
    """Run a check on two nodes of each class, with a loop that looks at everything once an hour."""

    async def main() -> None:
        room = DriftRoom(**{"interval": "1h", **settings})
        room.world.nodes(spot=2, on_demand=2)
        await check(room)

    run_virtually(main)


def interrupt(room: DriftRoom) -> None:
    room.world.up(make_node("spot-0", going_away="notice", interrupted=True))


def spot_0(room: DriftRoom) -> int:
    return sum(not pod.terminating for pod in room.world.state.nodes["spot-0"].pods)


def test_pods_leave_as_their_replacements_come_and_nothing_of_it_is_remembered() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted(on_demand=5, spot=5)
        room.cluster.start = 3.0
        async with room.running():
            await room.after(2)
            interrupt(room)
            await room.after(1.5)
            # No budget covers them, and a quarter of 10 are 2.
            assert room.cluster.granted == ["web-1-5", "web-1-6"]
            await room.after(20)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
            assert spot_0(room) == 0
        assert room.cluster.granted == [f"web-1-{number}" for number in range(5, 10)]
        assert len(room.cluster.evictions) == 5
        assert (list(room.drift.memory.history.in_flight()), room.stored) == ([], {})
        assert room.metric("moves_total", **STARTED) == 5
        assert room.events("MoveStarted") == []
        lost = "spot node spot-0 is about to be taken away (notice)"
        assert sorted(room.events("InterruptionHandled")) == [
            *[f"Evicted early, as its {lost}; its replacement goes to spot"] * 5,
            f"Its {lost}: pods leave it early, their replacements go to spot",
        ]

    virtually(check)


def test_a_pod_that_takes_its_time_to_end_is_evicted_once() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=5, spot=5)
        room.cluster.grace = 1000.0
        interrupt(room)
        async with room.running():
            await room.after(600)
        assert room.cluster.granted == ["web-1-5", "web-1-6"]
        assert len(room.cluster.evictions) == 2

    virtually(check)


def test_a_notice_that_is_withdrawn_before_the_eviction_is_a_false_alarm() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted(on_demand=5, spot=5)
        interrupt(room)

        def before(method: str, path: str) -> None:
            if method == "GET" and "/pods/" in path:
                room.world.up(make_node("spot-0"))

        room.cluster.before = before
        async with room.running():
            await room.after(60)
        assert room.cluster.evictions == []
        assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
        assert room.metric("moves_total", result="changed", reason="interrupted", mode="enforce") == 2

    virtually(check)


def test_a_budget_that_allows_more_is_used_at_once() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=5, spot=5)
        room.world.up(make_budget("web", selector(), allowed=0))
        interrupt(room)

        def before(_method: str, path: str) -> None:
            if path.endswith("/eviction"):
                room.world.up(make_budget("web", selector(), allowed=0))

        room.cluster.before = before
        async with room.running():
            await room.after(5)
            assert room.cluster.evictions == []
            # The status of a budget touches no workload.
            room.world.up(make_budget("web", selector(), allowed=1))
            await room.after(1.5)
            assert room.cluster.granted == ["web-1-5"]
            room.world.up(make_budget("web", selector(), allowed=1))
            await room.after(1.5)
            assert room.cluster.granted == ["web-1-5", "web-1-6"]

    virtually(check)


def test_a_workload_whose_pods_cannot_leave_is_told_of_once_with_what_keeps_them() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=5, spot=5)
        room.world.up(make_budget("web", selector(), allowed=0))
        interrupt(room)
        async with room.running():
            await room.after(30)
        assert room.cluster.evictions == []
        text = "A pod stays on spot node spot-0, which is about to be taken away: "
        assert room.events("InterruptionBlocked") == [
            f"{text}{Reason.BUDGET.text} (web); it is replaced when it is lost"
        ]

    virtually(check)


def test_pods_that_wait_for_their_turn_to_leave_are_not_blocked() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=5, spot=5)
        room.cluster.start = 3.0
        async with room.running():
            await room.after(2)
            interrupt(room)
            await room.after(30)
        assert len(room.cluster.granted) == 5
        assert room.events("InterruptionBlocked") == []

    virtually(check)


def test_of_very_many_workloads_some_are_looked_at_after_others() -> None:
    async def check(room: DriftRoom) -> None:
        count = 2 * SLICE + 50
        for number in range(count):
            name = f"web-{number}"
            owner = room.world.deployment(name, 1, spot_percentage=100)
            room.world.pods(owner, 1, "spot-0")
            room.cluster.show(make_pod(f"{name}-1-0", owner, "spot-0"))
        room.world.up(make_budget("all", selector(), allowed=0))
        interrupt(room)
        async with room.running():
            await room.after(5)
            assert room.cluster.evictions == []
            room.world.up(make_budget("all", selector(), allowed=count))
            await room.after(1)
            assert 0 < len(room.cluster.granted) <= 2 * SLICE
            await room.after(1)
            assert len(set(room.cluster.granted)) == len(room.cluster.granted) == count

    virtually(check)


def test_moves_that_were_refused_keep_no_pod_on_an_interrupted_node() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=7, spot=3)
        fault = refusal(429)
        fault.retry_after = 3600.0
        for number in range(7):
            room.cluster.faults[f"web-1-{number}"] = [fault]
        async with room.running():
            await room.after(5)
            assert len(room.cluster.evictions) == 1
            interrupt(room)
            await room.after(20)
            assert sorted(room.cluster.granted) == ["web-1-7", "web-1-8", "web-1-9"]
            await room.after(600)
            assert len(room.cluster.granted) == 3

    virtually(check)


@pytest.mark.parametrize(("status", "result"), [(429, "blocked"), (500, "refused")])
def test_a_pod_that_was_refused_is_tried_again_within_the_notice(status: int, result: str) -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=1, spot=1)
        room.cluster.faults["web-1-1"] = [refusal(status) for _ in range(3)]
        interrupt(room)
        async with room.running():
            await room.after(120)
        first, *others = (at for _, at, _ in room.cluster.evictions)
        assert room.cluster.granted == ["web-1-1"]
        assert len(others) == 3
        assert others[0] - first >= min(BASE[result], LONGEST_WHEN_DRAINED)
        assert others[2] - others[1] <= LONGEST_WHEN_DRAINED * JITTER + 1.1
        assert room.metric("moves_total", result=result, reason="interrupted", mode="enforce") == 3

    virtually(check)


def test_a_dry_run_says_once_what_would_leave() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=5, spot=5)
        interrupt(room)
        async with room.running():
            await room.after(60)
        assert [(name, dry) for name, _, dry in room.cluster.evictions] == [("web-1-5", True), ("web-1-6", True)]
        assert room.cluster.granted == []
        assert room.metric("moves_total", result="would-move", reason="interrupted", mode="dry_run") == 2

    virtually(check, read_only=True)


def test_nothing_leaves_when_that_is_switched_off() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=5, spot=5)
        interrupt(room)
        async with room.running():
            await room.after(60)
        assert room.cluster.evictions == []

    virtually(check, drain_on_interruption=False)
