"""Lets answers to people be made without holding up the extender, which shares the event loop with them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from typing import TypeVar

T = TypeVar("T")

SOME = 2_000
"""Things that are looked through at once."""


class Pace:
    """One answer is made at a time, and after each there is a pause as long as it took: the extender comes first.

    Attributes:
        waiting: answers that are being made or wait for their turn.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._turn = asyncio.Lock()
        self._free_at = 0.0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Enter when it is one's turn."""
        clock = asyncio.get_running_loop().time
        self.waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(max(0.0, self._free_at - clock()))
                started = clock()
                try:
                    yield
                finally:
                    ended = clock()
                    self._free_at = ended + (ended - started)
        finally:
            self.waiting -= 1


async def in_turns(steps: Generator[None, None, T]) -> T:
    """What a generator returns; the extender has its turn after each step."""
    try:
        while True:
            try:
                next(steps)
            except StopIteration as end:
                made: T = end.value
                return made
            await asyncio.sleep(0)
    finally:
        steps.close()


async def some_of(items: Sequence[T], wanted: Callable[[T], bool]) -> list[T]:
    """Those that are wanted of many; the extender has its turn after some of them."""
    found: list[T] = []
    for start in range(0, len(items), SOME):
        if start:
            await asyncio.sleep(0)
        found += filter(wanted, items[start : start + SOME])
    return found
