"""Waits, for a moment, for owners and pods that the watch has not delivered yet."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from extender.core.model.objects import OwnerRef
from extender.core.policy.managed import Missing
from extender.core.state.events import Event, Upsert

_REMEMBERED = 4096
_FORGET_AFTER = 10.0

EARLY = 0.25
"""How long a decision waits for its pod (seconds): the scheduler's watch is ahead of ours by milliseconds, and by some
more where the machine is busy."""


class Awaited:
    """Lets a decision wait for an object, once: while it stays away, later decisions on it do not wait again.

    Args:
        patience: seconds a decision waits at most.
        clock: monotonic seconds.
    """

    def __init__(self, patience: float, clock: Callable[[], float]) -> None:
        self._patience = patience
        self._clock = clock
        self._asked: OrderedDict[str, float] = OrderedDict()
        self._arrived: dict[str, asyncio.Event] = {}

    def go_by(self, patience: float) -> None:
        """Wait so long at most from now on; as of the class."""
        self._patience = patience

    async def wait(self, uid: str) -> bool:
        """Return true when the state may know the object now, false when it is not worth waiting any longer."""
        now = self._clock()
        asked = self._asked.get(uid)
        if asked is None or now - asked > _FORGET_AFTER:
            self._asked[uid] = asked = now
            if len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)
        left = asked + self._patience - now
        if left <= 0:
            return False
        arrived = self._arrived.setdefault(uid, asyncio.Event())
        try:
            async with asyncio.timeout(left):
                await arrived.wait()
        except TimeoutError:
            self._arrived.pop(uid, None)
            return False
        return True

    def arrived(self, uid: str) -> None:
        """The watch delivered an object."""
        if self._arrived:
            event = self._arrived.pop(uid, None)
            if event is not None:
                event.set()

    def open(self) -> None:
        """What is waited for may never come: let every decision look again."""
        for event in self._arrived.values():
            event.set()
        self._arrived.clear()


class AwaitedOwners(Awaited):
    """Waits for owners, and sees to it that they can come.

    Args:
        ensure: sees to it that owners of this kind are watched.
        patience: seconds a decision waits at most.
        clock: monotonic seconds.
    """

    def __init__(self, ensure: Callable[[OwnerRef], None], patience: float, clock: Callable[[], float]) -> None:
        super().__init__(patience, clock)
        self._ensure = ensure

    async def arrival(self, missing: Missing) -> bool:
        """See `Owners.arrival`."""
        self._ensure(missing.ref)
        return await self.wait(missing.ref.uid)


class AwaitedPods(Awaited):
    """Waits for pods that the scheduler asks about before the watch has delivered them."""

    def observe(self, event: Event, _now: float) -> None:
        """Something was taken into the state."""
        if self._arrived and isinstance(event, Upsert):
            self.arrived(event.object.uid)
