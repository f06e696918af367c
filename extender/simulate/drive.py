"""Drives a controller of the core by the virtual clock: the same actions as in the service, in virtual time."""

from collections.abc import Callable
from typing import Generic, TypeVar

from extender.core.model.control import NEVER, Controller
from extender.simulate.clock import Clock, Timer

A = TypeVar("A")


class VirtualDrive(Generic[A]):
    """Runs one controller by virtual time.

    Args:
        clock: virtual time.
        controller: says what is due.
        perform: carries an action out, at once or by the clock, and answers the controller.
    """

    def __init__(self, clock: Clock, controller: Controller[A], perform: Callable[[A], None]) -> None:
        self._clock = clock
        self._controller = controller
        self._perform = perform
        self._timer = Timer(None)
        self._at = NEVER

    def wake(self) -> None:
        """Something happened: ask the controller what is due, and when it has to be asked again."""
        for action in self._controller.due(self._clock.now):
            self._perform(action)
        self._plan()

    def hasten(self) -> None:
        """Something happened that may have brought `next_at` forward: ask no later than then."""
        if self._controller.next_at < self._at:
            self._plan()

    def _plan(self) -> None:
        at = self._controller.next_at
        if self._timer.pending and at == self._at:
            return
        self._timer.cancel()
        self._at = at
        if at < NEVER:
            self._timer = self._clock.at(at, self.wake)
