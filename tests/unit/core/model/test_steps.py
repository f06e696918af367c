"""Work in steps is done to its end, and its fault is the caller's."""

from collections.abc import Generator

import pytest

from extender.core.model.steps import run_steps


def test_all_steps_are_taken_and_the_end_is_what_they_return() -> None:
    taken: list[int] = []

    def steps() -> Generator[None, None, str]:
        for number in range(3):
            taken.append(number)
            yield
        return "done"

    assert run_steps(steps()) == "done"
    assert taken == [0, 1, 2]


def test_a_fault_of_a_step_is_raised() -> None:
    def steps() -> Generator[None, None, str]:
        yield
        raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"):
        run_steps(steps())
