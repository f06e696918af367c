"""How long tests wait. Limits are seconds of an ordinary machine with nothing else to do; a slower one gets more.

Slow is a machine whose processor is slow, or whose processors are shared by more than they can serve at once.
"""

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_POLL = 0.1
_LONGEST_POLL = 1.0
_REST = 4.0
"""How many times as long as a check takes the pause after it lasts: looking shall not slow down what is looked at."""
_ROUNDS = 500_000
_ORDINARY = 0.03
"""Seconds of processor time that the rounds take on an ordinary machine."""


@functools.cache
def _processor() -> float:
    """How much slower the processor is than an ordinary one; at least 1."""
    began = time.thread_time()
    sum(number * number for number in range(_ROUNDS))
    return max(1.0, (time.thread_time() - began) / _ORDINARY)


def slowness() -> float:
    """How much longer something takes here and now than on an ordinary machine with nothing else to do; at least 1."""
    waiting, _, _ = os.getloadavg()
    return _processor() * max(1.0, waiting / (os.cpu_count() or 1))


def stretched(seconds: float) -> float:
    """A limit for what counts seconds by itself, in seconds of this machine as it is now."""
    return seconds * slowness()


class Patience:
    """A limit in seconds of an ordinary machine; what has passed is counted by how slow this one was meanwhile."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left = seconds
        self._at = time.monotonic()

    def left(self) -> float:
        """Seconds that are left, of an ordinary machine; none are when it is not positive."""
        now = time.monotonic()
        self._left -= (now - self._at) / slowness()
        self._at = now
        return self._left


async def eventually(
    check: Callable[[], Awaitable[T]], good: Callable[[T], bool], what: str, seconds: float = 60.0
) -> T:
    """Poll `check` until `good`; at the limit the last value seen is the failure's text."""
    patience = Patience(seconds)
    while True:
        began = time.monotonic()
        value = await check()
        if good(value):
            return value
        assert patience.left() > 0, f"{what}: not within {seconds:.0f} s, last seen {value!r}"
        await asyncio.sleep(min(max(_POLL, _REST * (time.monotonic() - began)), _LONGEST_POLL))


@contextlib.asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError if the block takes longer."""
    patience = Patience(seconds)

    async def watch() -> None:
        while patience.left() > 0:  # noqa: ASYNC110 - time is what is waited for
            await asyncio.sleep(_POLL)
        limit.reschedule(0.0)

    async with asyncio.timeout(None) as limit:
        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
