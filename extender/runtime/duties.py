"""What only the replica does that decides: it writes on pods, wakes and moves them, and posts Events."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from extender.core.placement.controller import Action, PlacementController
from extender.runtime.drift import DriftLoop
from extender.runtime.drive import Drive
from extender.runtime.nodes import NodeReports
from extender.runtime.policies import PolicyReports
from extender.runtime.reach import ReachReports


class Duties:
    """All that the deciding replica does beside answering.

    Args:
        placement: says which pods are to be tried again.
        wakes: has them tried again.
        policies: tells of policies that are wrong.
        reach: tells of policies that cannot be had at a workload's size.
        write_seats: writes deletion costs, until cancelled.
        release: takes gates off pods, until cancelled.
        drift: moves pods; None when none is to be moved.
        nodes: tells of nodes whose class is in doubt.
    """

    def __init__(
        self,
        placement: PlacementController,
        wakes: Drive[Action],
        policies: PolicyReports,
        reach: ReachReports,
        *,
        write_seats: Callable[[], Coroutine[Any, Any, None]],
        release: Callable[[], Coroutine[Any, Any, None]],
        drift: DriftLoop | None,
        nodes: NodeReports | None = None,
    ) -> None:
        self._placement = placement
        self._wakes = wakes
        self._policies = policies
        self._reach = reach
        self._write_seats = write_seats
        self._release = release
        self._drift = drift
        self._nodes = nodes

    async def perform(self) -> None:
        """Perform them until cancelled."""
        self._placement.take_over(time.time())
        self._wakes.hasten()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._policies.run(), name="policies")
                group.create_task(self._reach.run(), name="reach")
                group.create_task(self._write_seats(), name="seats")
                if self._nodes is not None:
                    group.create_task(self._nodes.run(), name="nodes")
                group.create_task(self._release(), name="gates")
                if self._drift is not None:
                    group.create_task(self._drift.run(), name="drift")
                await asyncio.Event().wait()
        finally:
            self._placement.stop()
