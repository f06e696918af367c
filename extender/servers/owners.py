"""Waits, for a moment, for owners that the watch has not delivered yet."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from extender.core.model.objects import OwnerRef
from extender.core.policy.workloads import Missing

_REMEMBERED = 4096
_FORGET_AFTER = 10.0


class AwaitedOwners:
    """Lets a decision wait for its owner, once: while an owner stays away, later decisions on it do not wait again.

    Args:
        ensure: sees to it that owners of this kind are watched.
        patience: seconds a decision waits at most.
        clock: monotonic seconds.
    """

    def __init__(self, ensure: Callable[[OwnerRef], None], patience: float, clock: Callable[[], float]) -> None:
        self._ensure = ensure
        self._patience = patience
        self._clock = clock
        self._asked: OrderedDict[str, float] = OrderedDict()
        self._arrived: dict[str, asyncio.Event] = {}

    async def arrival(self, missing: Missing) -> bool:
        """See `Owners.arrival`."""
        uid = missing.ref.uid
        self._ensure(missing.ref)
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
        """The watch delivered an owner."""
        if self._arrived:
            event = self._arrived.pop(uid, None)
            if event is not None:
                event.set()

    def open(self) -> None:
        """What is waited for may never come: let every decision look again."""
        for event in self._arrived.values():
            event.set()
        self._arrived.clear()
