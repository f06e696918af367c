"""What only the replica does that decides: it writes on pods, wakes and moves them, and posts Events."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from extender.core.placement.controller import Action, PlacementController
from extender.runtime.drive import Drive

Work = Callable[[], Coroutine[Any, Any, None]]
"""Goes on until cancelled."""


class Duties:
    """All that the deciding replica does beside answering.

    Args:
        placement: says which pods are to be tried again.
        wakes: has them tried again.
        work: what else there is to do, by the name of its task.
    """

    def __init__(self, placement: PlacementController, wakes: Drive[Action], work: Mapping[str, Work]) -> None:
        self._placement = placement
        self._wakes = wakes
        self._work = work

    async def perform(self) -> None:
        """Perform them until cancelled."""
        self._placement.take_over(time.time())
        self._wakes.hasten()
        try:
            async with asyncio.TaskGroup() as group:
                for name, work in self._work.items():
                    group.create_task(work(), name=name)
                await asyncio.Event().wait()
        finally:
            self._placement.stop()
