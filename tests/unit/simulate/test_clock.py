"""The virtual clock: calls in the order of their time, and keys that are handled once."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from extender.simulate.clock import Clock, Worker


@given(st.lists(st.integers(0, 20), max_size=30))
def test_calls_are_made_in_the_order_of_their_time_then_of_their_planning(times: Sequence[int]) -> None:
    clock, made = Clock(100.0), list[tuple[float, int]]()
    for number, when in enumerate(times):
        clock.after(when, lambda number=number: made.append((clock.now, number)))  # type: ignore[misc]
    clock.run(110.0)
    wanted = sorted((100.0 + when, number) for number, when in enumerate(times))
    assert made == [each for each in wanted if each[0] <= 110.0]
    assert clock.now == 110.0
    clock.run(120.0)
    assert made == wanted


def test_a_cancelled_call_is_not_made_and_a_past_time_is_now() -> None:
    clock, made = Clock(50.0), list[float]()
    clock.after(1.0, lambda: made.append(-1.0)).cancel()
    timer = clock.at(10.0, lambda: made.append(clock.now))
    assert timer.pending
    clock.run(60.0)
    assert (made, timer.pending) == ([50.0], False)


def test_a_key_is_handled_once_for_all_that_asked_meanwhile() -> None:
    clock, handled = Clock(), list[tuple[float, str]]()
    worker = Worker(clock, 1.0, lambda key: handled.append((clock.now, key)))
    for when in (0.0, 0.5, 0.9, 1.5):
        clock.at(when, lambda: worker.ask("a"))
    clock.at(0.2, lambda: worker.ask("b"))
    worker.ask("c", 5.0)
    clock.run(10.0)
    assert handled == [(1.0, "a"), (1.2, "b"), (2.5, "a"), (6.0, "c")]
