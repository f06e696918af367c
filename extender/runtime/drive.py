"""Drives a controller of the core by asyncio: does what is due, then sleeps until more is, or something happens."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from extender.core.model.control import NEVER, Controller
from extender.kube.seams import Report, Timing

A = TypeVar("A")

SHORTEST, LONGEST = 0.01, 60.0
"""Bounds of a sleep (seconds): for a controller that is wrong about `next_at`, and for a clock that was set."""


class Drive(Generic[A]):
    """Runs one controller by asyncio.

    Args:
        name: of the controller, for the report.
        controller: says what is due.
        perform: carries an action out and answers the controller, or starts what will. It returns soon.
        report: told of faults. A bug met by one action must not end the others.
        timing: where time comes from.
        now: seconds since the epoch, the controller's clock.
    """

    def __init__(
        self,
        name: str,
        controller: Controller[A],
        perform: Callable[[A], None],
        report: Report,
        *,
        timing: Timing | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._controller = controller
        self._perform = perform
        self._report = report
        self._timing = timing or Timing()
        self._now = now
        self._woken = asyncio.Event()
        self._until = 0.0

    def wake(self) -> None:
        """Something happened: ask the controller what is due."""
        self._woken.set()

    def hasten(self) -> None:
        """Something happened that may have brought `next_at` forward: ask no later than then."""
        if self._controller.next_at < self._until:
            self._woken.set()

    async def run(self) -> None:
        """Drive until cancelled."""
        while True:
            self._woken.clear()
            self._until = NEVER
            await self.step()
            now = self._now()
            self._until = min(now + LONGEST, self._controller.next_at)
            if not self._woken.is_set():
                await self._wait(self._until - now)

    async def step(self) -> None:
        """Carry out all that is due. After each action the event loop gets its turn: other requests come first."""
        while actions := self._due():
            for action in actions:
                try:
                    self._perform(action)
                except Exception as error:  # noqa: BLE001 - a bug in one action must not end the others
                    self._report(self._name, f"{type(action).__name__} met a fault: {error!r}")
                await asyncio.sleep(0)

    def _due(self) -> list[A]:
        try:
            return list(self._controller.due(self._now()))
        except Exception as error:  # noqa: BLE001 - a bug here must not end the leader's other work
            self._report(self._name, f"it cannot be said what is due: {error!r}")
            return []

    async def _wait(self, seconds: float) -> None:
        """Sleep, but not longer than until something happens."""
        woken = asyncio.ensure_future(self._woken.wait())
        slept = asyncio.ensure_future(self._timing.sleep(max(seconds, SHORTEST)))
        try:
            await asyncio.wait((woken, slept), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (woken, slept):
                task.cancel()
            await asyncio.gather(woken, slept, return_exceptions=True)
