"""How long a workload waits whose move was refused."""

import pytest

from extender.core.drift.backoff import BASE, LONGEST, LONGEST_WHEN_DRAINED, WorkloadBackoff
from extender.core.drift.eviction import Result
from extender.core.model.control import NEVER


def lowest(low: float, _high: float) -> float:
    return low


def test_refusals_in_a_row_are_waited_for_ever_longer_and_no_longer_than_that() -> None:
    backoff = WorkloadBackoff(lowest)
    waits = [backoff.refused("w", "blocked", None, 0.0) for _ in range(8)]
    assert waits[:3] == [BASE["blocked"], 2 * BASE["blocked"], 4 * BASE["blocked"]]
    assert waits[-1] == LONGEST
    assert backoff.waits("w", 0.0)
    assert not backoff.waits("other", 0.0)
    backoff.accepted("w")
    assert not backoff.waits("w", 0.0)
    assert backoff.refused("w", "changed", None, 0.0) == BASE["changed"]


def test_statement_12_what_the_server_asks_for_is_the_least() -> None:
    assert WorkloadBackoff(lowest).refused("w", "blocked", 1000.0, 0.0) == 1000.0
    jittered = WorkloadBackoff(lambda _low, high: high)
    assert jittered.refused("w", "blocked", 20.0, 0.0) == 30.0


def test_who_need_not_wait_any_more_is_told_once() -> None:
    backoff = WorkloadBackoff(lowest)
    assert backoff.next_over == NEVER
    backoff.refused("w", "changed", None, 0.0)
    assert backoff.over(0.0) == set()
    assert backoff.next_over == BASE["changed"]
    now = BASE["changed"]
    assert backoff.over(now) == {"w"}
    assert backoff.next_over == NEVER
    assert backoff.over(now) == set()
    # A refusal long after is a first one.
    now += LONGEST + 1
    backoff.over(now)
    assert backoff.refused("w", "changed", None, now) == BASE["changed"]


def test_a_clock_that_was_set_back_makes_no_wait_longer() -> None:
    backoff = WorkloadBackoff(lowest)
    backoff.refused("w", "blocked", None, 1000.0)
    assert not backoff.waits("w", 900.0)
    assert backoff.over(900.0) == {"w"}


@pytest.mark.parametrize(
    ("result", "seconds"), [("blocked", 10.0), ("refused", 15.0), ("changed", 2.0), ("unanswered", 15.0)]
)
def test_the_first_wait_is_as_the_reference_says(result: Result, seconds: float) -> None:
    assert WorkloadBackoff(lowest).refused("w", result, None, 0.0) == seconds


def test_the_longest_waits_are_as_the_reference_says() -> None:
    assert (LONGEST, LONGEST_WHEN_DRAINED) == (300.0, 3.0)
    assert WorkloadBackoff(lowest, LONGEST_WHEN_DRAINED).refused("w", "blocked", None, 0.0) == 3.0


def test_any_number_of_refusals_in_a_row_can_be_waited_for() -> None:
    backoff = WorkloadBackoff(lowest)
    assert {backoff.refused("w", "changed", None, 0.0) for _ in range(2000)} >= {2.0, 256.0, LONGEST}


def test_chance_adds_half_at_most() -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return low

    WorkloadBackoff(uniform).refused("w", "blocked", None, 0.0)
    assert bounds == [(1.0, 1.5)]
