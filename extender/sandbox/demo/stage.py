"""What the acts play on: the cluster's controls, the observer and the pace."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from extender.sandbox.demo.acts import Row, Settling
from extender.sandbox.demo.environment import Environment
from extender.sandbox.demo.facts import Look, SplitState, WorkloadView, find, view_workloads
from extender.sandbox.demo.observe import Observer
from extender.sandbox.demo.samples import SampleWorkload
from extender.sandbox.demo.show import Show
from extender.sandbox.demo.words import split_words

STRATEGIC_PATCH = "application/strategic-merge-patch+json"
SETTLE_SECONDS = 45.0
"""How long a split may take to settle, whatever the pace; a workload that has not by then is off."""


class Stage:
    """What an act can do to the cluster, and see of it.

    Attributes:
        rows: the rows of all acts so far.
        api: a client with all rights.
        observer: what is seen of the cluster.
        show: where it is shown.
    """

    def __init__(self, environment: Environment, observer: Observer, show: Show, speed: float) -> None:
        """Take what has been started; nothing is owned."""
        self.rows: list[Row] = []
        self.api = environment.api
        self.observer = observer
        self.show = show
        self._environment = environment
        self._speed = speed

    async def pause(self, seconds: float) -> None:
        """Give the audience time, less of it at a higher speed."""
        await asyncio.sleep(self.paced(seconds))
        self._environment.check()

    def paced(self, seconds: float) -> float:
        """A duration at the demo's pace."""
        return seconds / self._speed

    async def create(self, part: SampleWorkload) -> None:
        """Create a workload."""
        await self.api.request("POST", part.path.rpartition("/")[0], body=part.body())

    async def patch(self, part: SampleWorkload, patch: dict[str, Any]) -> None:
        """Change a workload by a strategic merge patch."""
        await self.api.request("PATCH", part.path, body=patch, content_type=STRATEGIC_PATCH)

    async def look(self) -> Look:
        """The cluster as it is now or later."""
        return await self.observer.after(time.monotonic())

    async def until(
        self, good: Callable[[Look], bool], seconds: float, seen: Callable[[Look], None] | None = None
    ) -> bool:
        """Look at the cluster until it is good, for some seconds at most; whether it was."""
        deadline = time.monotonic() + seconds
        snapshot = await self.look()
        while True:
            self._environment.check()
            if seen is not None:
                seen(snapshot)
            if good(snapshot):
                return True
            if snapshot.began > deadline:
                return False
            snapshot = await self.observer.after(snapshot.began)

    async def settle(
        self,
        act: str,
        parts: Iterable[SampleWorkload],
        *,
        began: float,
        ready: Callable[[Look], bool] = lambda _: True,
        seen: Callable[[Look], None] | None = None,
    ) -> list[Row]:
        """End an act: wait until the splits have settled, tell of each as it does, and keep the rows.

        Args:
            act: name for the rows.
            parts: the workloads that the act is about.
            began: when it was triggered, on the monotonic clock.
            ready: what has to have come beside the splits.
            seen: is given each look.
        """
        names = [part.name for part in parts]
        settling = Settling(names, began)
        told: set[str] = set()

        def settled(snapshot: Look) -> bool:
            views = view_workloads(snapshot)
            if ready(snapshot):
                for name in names:
                    view = find(views, name)
                    if name not in told and view is not None and view.verdict.settled:
                        told.add(name)
                        self.show.log(_settled_words(view, snapshot.began - began))
            return settling.see(views, snapshot.began, ready=ready(snapshot))

        if not await self.until(settled, SETTLE_SECONDS, seen):
            self.show.log(f"{act}: not settled after {SETTLE_SECONDS:.0f} s")
        rows = settling.rows(act, time.monotonic())
        self.rows += rows
        return rows


def _settled_words(view: WorkloadView, seconds: float) -> str:
    now = view.newest
    said = f"{view.name}: {split_words(now.counts)}, {view.verdict.value}, after {seconds:.1f} s"
    if view.verdict is SplitState.OFF:
        return f"{said} (wanted {split_words(view.wanted)})"
    if now.waiting:
        return f"{said} ({sum(now.waiting.values())} waiting)"
    return said
