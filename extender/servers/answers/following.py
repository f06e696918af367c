"""Decisions as they are made, to those who follow them: the console's readers and the API's callers alike.

One that does not keep up loses the oldest and is told how many; nobody waits for it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator

from extender.core.answers.decisions import Batch, DecisionLog, Filter, Subscription

AT_ONCE = 100
"""Decisions in one message."""

CHECK = 5.0
"""How often it is asked anew whether a follower may still follow (seconds)."""

PATIENCE = 30.0
"""How long a follower may take nothing before it is given up (seconds)."""


class Follower:
    """One who follows decisions.

    Args:
        subscription: what it is given.
        wake: set when there is something to do.
    """

    def __init__(self, subscription: Subscription, wake: asyncio.Event) -> None:
        self._subscription = subscription
        self._wake = wake

    def wake(self) -> None:
        """End its sleep."""
        self._wake.set()

    async def sleep(self, seconds: float) -> None:
        """Return when there is something to do, and after so many seconds at the latest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    def take(self) -> Batch:
        """The decisions that wait for it."""
        return self._subscription.take()

    @staticmethod
    async def give(sending: Awaitable[object]) -> None:
        """Wait until it has taken a message.

        Raises:
            TimeoutError: it takes none.
        """
        async with asyncio.timeout(PATIENCE):
            await sending


class Followers:
    """All who follow a log of decisions in one way.

    Args:
        log: of decisions.

    Attributes:
        stopping: whether all of them are to be let go.
    """

    def __init__(self, log: DecisionLog) -> None:
        self._log = log
        self._wakes: set[asyncio.Event] = set()
        self.stopping = False

    def __len__(self) -> int:
        return len(self._wakes)

    def stop(self) -> None:
        """Let all go."""
        self.stopping = True
        for wake in self._wakes:
            wake.set()

    @contextlib.contextmanager
    def joined(self, wants: Filter) -> Iterator[Follower]:
        """Follow the decisions that `wants` says yes to; from here on none is missed."""
        wake = asyncio.Event()
        subscription = self._log.subscribe(wants, wake.set)
        self._wakes.add(wake)
        try:
            yield Follower(subscription, wake)
        finally:
            self._log.unsubscribe(subscription)
            self._wakes.discard(wake)
