"""Work that is done in steps, so that whoever drives it can do something else in between."""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def run_steps(steps: Generator[None, None, T]) -> T:
    """Take all steps one right after another; what the generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made
