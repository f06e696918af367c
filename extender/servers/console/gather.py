"""Asks the core for what pages show, in steps between which the extender gets its turn, and keeps it for a moment.

However many browsers look, an overview is made at most every other second, and a plan likewise.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

from msgspec import Struct

from extender.core.drift.moves import DriftPlan
from extender.core.drift.plan import plan
from extender.core.overview import Overview, WorkloadRow, overview_in_steps
from extender.core.workloads import Managed
from extender.servers.console.ports import Sources

KEEP = 2.0
"""How long an answer is shown to others who ask (seconds)."""

MOST_PLANNED = 100
"""Workloads that are planned for at once: some 10 ms, as the drift loop itself takes between two turns."""

T = TypeVar("T")


class Planned(Struct, frozen=True):
    """A plan for `planned` workloads, of `off` that have pods to move. `at` is in seconds since the epoch.

    Those with pods on a node that is about to be taken away come first, then the furthest off.
    """

    at: float
    plan: DriftPlan
    planned: int
    off: int


class Kept(Generic[T]):
    """An answer that is made when it is asked for, once for all who ask at the same time, and kept for a moment.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._made: tuple[float, T] | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> T:
        """The answer."""
        async with self._lock:
            clock = asyncio.get_running_loop().time
            if self._made is None or clock() - self._made[0] > KEEP:
                made = await self._make()
                self._made = clock(), made
            return self._made[1]


class Gather:
    """See the module.

    Args:
        sources: what there is to show.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._overview = Kept(self._make_overview)
        self._plan = Kept(self._make_plan)

    async def overview(self) -> Overview:
        """The cluster, at most a moment ago."""
        return await self._overview.get()

    async def plan(self) -> Planned:
        """What the drift loop would do, at most a moment ago."""
        return await self._plan.get()

    def plan_for(self, *workloads: str) -> DriftPlan:
        """What the drift loop would do now with these workloads (UIDs)."""
        return self._planned(list(workloads))

    async def _make_overview(self) -> Overview:
        steps = overview_in_steps(self._sources.state, self._sources.now())
        while True:
            try:
                next(steps)
            except StopIteration as end:
                made: Overview = end.value
                return made
            await asyncio.sleep(0)

    async def _make_plan(self) -> Planned:
        off = sorted((row for row in (await self.overview()).workloads if row.surplus), key=_badness)
        uids = list(dict.fromkeys((*self._interrupted(), *(row.uid for row in off))))
        first = uids[:MOST_PLANNED]
        await asyncio.sleep(0)
        return Planned(self._sources.now(), self._planned(first), len(first), len(uids))

    def _interrupted(self) -> Iterator[str]:
        """UIDs of the workloads with pods on a node that is about to be taken away."""
        state = self._sources.state
        for node in state.nodes.values():
            if node.facts is not None and node.facts.interrupted:
                for pod in node.pods:
                    owner = pod.revision.owner if pod.revision is not None else None
                    managed = state.workloads.resolve(pod.namespace, owner)
                    if isinstance(managed, Managed):
                        yield managed.workload.uid

    def _planned(self, workloads: list[str]) -> DriftPlan:
        drifting = self._sources.drifting
        return plan(
            self._sources.state,
            drifting.history(),
            drifting.rules,
            self._sources.now(),
            only=workloads,
            current=drifting.current(),
        )


def _badness(row: WorkloadRow) -> tuple[float, str, str]:
    return -row.surplus / max(1, row.replicas), row.namespace, row.name
