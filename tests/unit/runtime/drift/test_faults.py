"""A bug in one part of the drift loop is told of and counted, and ends no other part, in virtual time."""

from typing import Any

import pytest
from support.doubles import ON_DEMAND, SPOT
from support.doubles_drift import DriftRoom, virtually

from extender.core.drift import controller, under_way
from extender.core.drift.last_look import last_look
from extender.core.model.reasons import Reason

BUG = RuntimeError("bug")


def fails_at_first(real: Any, times: int) -> Any:
    """A function that raises so many times before it does what `real` does."""
    calls = 0

    def call(*args: Any, **given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise BUG
        return real(*args, **given)

    return call


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [
        (controller, "plan", "a plan for 1 workloads met a fault: RuntimeError('bug')"),
        (under_way, "judge", "it cannot be said what is due: RuntimeError('bug')"),
    ],
)
def test_what_fails_in_one_look_is_done_in_a_later_one(
    module: Any, name: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(room: DriftRoom) -> None:
        monkeypatch.setattr(module, name, fails_at_first(getattr(module, name), 2))
        owner = room.drifted()
        async with room.running():
            await room.after(20)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
        assert room.reports == [told] * 2
        assert room.metric("cycle_faults_total") == 2

    virtually(check)


def test_a_bug_in_one_move_is_told_and_the_move_is_judged_by_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(room: DriftRoom) -> None:
        monkeypatch.setattr(under_way, "last_look", fails_at_first(last_look, 1))
        broken, other = room.drifted("a"), room.drifted("b")
        async with room.running():
            await room.after(10)
            assert room.split(broken) == {SPOT: 4, ON_DEMAND: 6}
            assert room.split(other) == {SPOT: 5, ON_DEMAND: 5}
            assert len(list(room.drift.memory.history.in_flight())) == 1
            await room.after(120)
            assert room.split(broken) == {SPOT: 5, ON_DEMAND: 5}
        (told,) = room.reports
        assert told.startswith("the move of shop/a-1-")
        assert told.endswith("met a fault: RuntimeError('bug')")
        assert room.metric("moves_total", result="unanswered", reason="surplus", mode="enforce") == 1
        # Nothing was sent that the API server could have answered.
        assert room.metric("evictions_total", outcome="unanswered", mode="enforce") == 0

    virtually(check)


def test_a_bug_while_the_store_is_read_moves_nothing_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(room: DriftRoom) -> None:
        monkeypatch.setattr(room.drift.memory, "open", fails_at_first(room.drift.memory.open, 1))
        owner = room.drifted()
        async with room.running():
            await room.after(2)
            assert room.cluster.evictions == []
            assert room.drift.view.paused is Reason.MEMORY
            await room.after(10)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
        assert room.reports == ["the store met a fault: RuntimeError('bug')"]

    virtually(check)
