"""What owners are told of surplus pods that stay: when it has lasted, once for each reason, and while it lasts."""

import pytest
from support.doubles import ON_DEMAND, SPOT, make_budget, make_node, selector
from support.doubles_drift import DriftRoom, virtually
from support.doubles_kube import refusal

from extender.core.drift.blocked import FIXES, LASTING, PASSING, TOLD_AT_ONCE, most_telling, text_of
from extender.core.drift.moves import Move, Stay, WorkloadRef
from extender.core.model.objects import PodId
from extender.core.model.reasons import OF_STAYS, Reason
from extender.kube.occurrences import RETELL
from extender.kube.recorder import SERIES_DELAY
from extender.runtime.drift.blocked import BlockedReports
from extender.runtime.drift.reminders import Reminders

PATIENCE = 300.0
SUBJECT = WorkloadRef("w", "Deployment", "shop", "web", "r")


def stay(reason: Reason, detail: str = "", uid: str = "p") -> Stay:
    return Stay(PodId("shop", uid, uid), "n1", SUBJECT, ON_DEMAND, SPOT, reason, detail)


def test_every_reason_to_stay_passes_or_has_a_fix_or_an_event_of_its_own() -> None:
    sorts = (set(FIXES) - {Reason.REFUSED}, PASSING, TOLD_AT_ONCE)
    assert set[Reason]().union(*sorts) == set(OF_STAYS)
    assert sum(map(len, sorts)) == len(OF_STAYS)


@pytest.mark.parametrize("reason", [reason for reason in (*OF_STAYS, Reason.REFUSED) if reason not in TOLD_AT_ONCE])
def test_the_text_says_what_stays_why_and_what_to_do(reason: Reason) -> None:
    text = text_of(stay(reason, "the-object"))
    assert text.startswith(f"A pod on on-demand belongs on spot and is not moved: {reason.text} (the-object); ")
    assert len(text.encode()) < 400
    assert text.endswith(FIXES.get(reason, "how it stands"))


def test_what_a_person_can_act_on_is_told_before_what_passes() -> None:
    found = [stay(r) for r in (Reason.YOUNG, Reason.BUDGETS, Reason.NO_ROOM, Reason.BUDGET)]
    told = most_telling(found)
    assert told is not None
    assert told.reason is Reason.BUDGET
    assert most_telling([stay(Reason.POLICY_FAULT)]) is None


def test_what_goes_away_or_moves_on_is_no_news() -> None:
    blocked_reports = BlockedReports(PATIENCE)

    def look(now: float, *stays: Stay, moving: tuple[str, ...] = ()) -> int:
        return len(blocked_reports.planned(["w"], stays, moving, now))

    budget = stay(Reason.BUDGET)
    assert look(0.0, budget) == look(PATIENCE - 1, budget) == 0
    assert look(PATIENCE, budget) == 1
    assert look(PATIENCE + 1, budget) == 0
    # One that was dropped is told at the next look.
    (told,) = blocked_reports.planned(["w"], [stay(Reason.SPREAD)], (), PATIENCE + 1)
    blocked_reports.dropped(told)
    assert look(PATIENCE + 2, stay(Reason.SPREAD)) == 1
    # One that is moved at last starts the time anew.
    blocked_reports.moved("w")
    assert look(2 * PATIENCE, budget) == look(3 * PATIENCE - 1, budget) == 0
    assert look(3 * PATIENCE - 1) == 0
    assert len(blocked_reports) == 0
    assert look(3 * PATIENCE, budget) == 0
    # Another reason is news; what passes is, when it lasts.
    young = stay(Reason.YOUNG)
    assert look(4 * PATIENCE, budget) == 1
    assert look(4 * PATIENCE, stay(Reason.NO_ROOM)) == 1
    assert look(5 * PATIENCE, young) == 0
    assert look(3 * PATIENCE + LASTING * PATIENCE, young) == 1
    blocked_reports.keep(())
    assert len(blocked_reports) == 0


def test_moves_that_the_api_refuses_are_told_of_when_that_lasts() -> None:
    blocked_reports = BlockedReports(PATIENCE)
    move = Move(PodId("shop", "p", "p"), "n1", SUBJECT, ON_DEMAND, SPOT, "n2", Reason.SURPLUS)
    assert blocked_reports.planned(["w"], (), {"w"}, 0.0) == []
    assert blocked_reports.refused(move, "403 forbidden", 1.0) is None
    assert blocked_reports.planned(["w"], (), {"w"}, 100.0) == []
    told = blocked_reports.refused(move, "403 forbidden", PATIENCE)
    assert told is not None
    assert told.text.endswith(f"{Reason.REFUSED.text} (403 forbidden); {FIXES[Reason.REFUSED]}")


def series(room: DriftRoom) -> list[int]:
    """Of each `MoveBlocked`, how often it was told."""
    events = (body for path, body in room.objects.stored.items() if "/events/" in path)
    return [event.get("series", {}).get("count", 1) for event in events if event["reason"] == "MoveBlocked"]


def test_a_budget_in_the_way_is_told_after_a_while_once_and_kept_while_it_lasts() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=8, spot=2)
        room.world.up(make_budget("web", selector(), allowed=0))
        async with room.running():
            await room.after(PATIENCE - 10)
            assert room.events("MoveBlocked") == []
            await room.after(60)
            (note,) = room.events("MoveBlocked")
            assert note == (
                "A pod on on-demand belongs on spot and is not moved: its PodDisruptionBudget allows no disruption now "
                f"(web); {FIXES[Reason.BUDGET]}"
            )
            await room.after(RETELL + 2 * SERIES_DELAY + 60)
            assert series(room) == [2]
            room.world.up(make_budget("web", selector(), allowed=5))
            await room.after(300)
        assert len(room.cluster.granted) == 3
        assert room.events("MoveBlocked") == [note]

    virtually(check)


def test_refusals_of_the_api_server_are_told_of() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=8, spot=2)

        def before(_method: str, path: str) -> None:
            if path.endswith("/eviction"):
                raise refusal(403, "may not")

        room.cluster.before = before
        async with room.running():
            await room.after(PATIENCE + 600)
            (note,) = room.events("MoveBlocked")
        assert "the API server refused the eviction" in note
        assert "may not" in note

    virtually(check)


def test_pods_that_are_moved_one_after_another_are_not_blocked() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=10, spot=0, policy={"max_moves_per_hour": 1000})
        room.cluster.start = 200.0
        async with room.running():
            await room.after(2000)
        assert len(room.cluster.granted) == 5
        assert room.events("MoveBlocked") == []

    virtually(check)


def test_what_keeps_pods_on_an_interrupted_node_is_not_told_twice() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=5, spot=5)
        room.world.up(make_budget("web", selector(), allowed=0))
        room.world.up(make_node("spot-0", going_away="notice", interrupted=True))
        async with room.running():
            await room.after(2 * PATIENCE)
        assert len(room.events("InterruptionBlocked")) == 1
        assert room.events("MoveBlocked") == []

    virtually(check)


def test_what_lasts_is_told_again_in_time_and_what_comes_back_is_news() -> None:
    told = Reminders()

    def look(now: float, *what: str) -> list[str]:
        due = [each for each in what if told.is_due("w", each, now)]
        told.end(["w"])
        return due

    assert look(0.0, "a", "a", "b") == ["a", "b"]
    assert look(1.0, "a", "b", "c") == ["c"]
    assert look(RETELL, "a", "c") == ["a"]
    assert look(RETELL + 1, "a", "b", "c") == ["b", "c"]
    # A look at others says nothing of it.
    told.end(["other"])
    assert look(RETELL + 2, "a") == []
    told.keep(())
    assert look(RETELL + 3, "a") == ["a"]
