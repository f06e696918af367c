"""Carries deletion costs to the queue that writes them, and what became of them back."""

import time
from collections.abc import Callable
from typing import Protocol

from extender.core.model.objects import PodId
from extender.core.policy.workload import Workload
from extender.core.scalein.controller import SeatController, Unseated, WriteCosts
from extender.kube.foreigncosts import ForeignCosts


class CostQueue(Protocol):
    """Takes costs to be written; `PatchQueue` is one."""

    def set_deletion_cost(self, pod: PodId, cost: int | None) -> bool:
        """Set the deletion cost, or take ours back (None); False when there is no room."""
        ...


class SeatWriter:
    """Puts deletion costs into the queue, and hears what became of them.

    Args:
        seats: says what is to be written.
        queue: sends the patches.
        foreign: tells of costs that are not ours.
        faulty: tells of a workload, and what it met.
        clock: seconds, of the clock of `seats`.
    """

    def __init__(
        self,
        seats: SeatController,
        queue: CostQueue,
        foreign: ForeignCosts,
        faulty: Callable[[Workload, str], None] = lambda _workload, _error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seats = seats
        self._queue = queue
        self._foreign = foreign
        self._faulty = faulty
        self._clock = clock

    def perform(self, action: WriteCosts | Unseated) -> None:
        """Hand the costs of a revision to the queue, or tell why there are none."""
        if isinstance(action, Unseated):
            self._faulty(action.workload, action.error)
            return
        if action.workload is not None and action.foreign:
            self._foreign.seen(action.workload, action.foreign)
        taken = all(self._queue.set_deletion_cost(pod, cost) for pod, cost in action.costs)
        self._seats.done(action, taken=taken, now=self._clock())
