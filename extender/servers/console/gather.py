"""Asks the core for what pages show, in steps between which the extender gets its turn, and keeps it for a moment.

However many browsers look, an overview is made at most every other second, and a plan likewise; one that takes long is
shown for longer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from extender.core.answers.overview import Overview, WorkloadRow, overview_in_steps
from extender.core.drift.drain import threatened
from extender.core.drift.history import History
from extender.core.drift.moves import DriftPlan, Move, OffTarget, Stay
from extender.core.drift.plan import plan
from extender.core.model.reasons import Reason
from extender.servers.console.sources import Sources
from extender.servers.pace import in_turns

KEEP = 2.0
"""How long an answer is shown to others who ask (seconds)."""

LONGER = 4.0
"""An answer is shown for so many times the time that it took to make, if that is longer."""

SLICE = 100
"""Workloads that are planned for at once: some 10 ms, as the drift loop itself takes between two turns."""

SOME = 2_000
"""Pods that are looked through at once."""

T = TypeVar("T")


class Planned(Struct, frozen=True):
    """What the drift loop would do for every workload, of which `off` have pods to move.

    First come those with pods on a node that is about to be taken away, then those furthest off. `at` is in seconds
    since the epoch.
    """

    at: float
    plan: DriftPlan
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
            if self._made is None or clock() > self._made[0]:
                began = clock()
                made = await self._make()
                ended = clock()
                self._made = ended + max(KEEP, LONGER * (ended - began)), made
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
        return self._planned(list(workloads), self._sources.drifting.history())

    async def _make_overview(self) -> Overview:
        return await in_turns(overview_in_steps(self._sources.state, self._sources.now()))

    async def _make_plan(self) -> Planned:
        """Plan for some workloads after others, as the drift loop does: what is moved for some is not there for others.

        The state may change in between; each part is right for the moment it was made in.
        """
        off = sorted((row for row in (await self.overview()).workloads if row.surplus), key=_badness)
        threatening = threatened(self._sources.state)
        uids = list(dict.fromkeys((*(each.managed.workload.uid for each in threatening), *(row.uid for row in off))))
        history = self._sources.drifting.history().fork()
        moves: list[Move] = []
        stays: list[Stay] = []
        off_target: list[OffTarget] = []
        paused: Reason | None = None
        for start in range(0, len(uids), SLICE):
            await asyncio.sleep(0)
            made = self._planned(uids[start : start + SLICE], history)
            for move in made.moves:
                if not move.dry and move.reason is not Reason.INTERRUPTED:
                    history.started(move, self._sources.state, self._sources.now())
            moves += made.moves
            stays += made.stays
            off_target += made.off_target
            paused = made.paused or paused
        await asyncio.sleep(0)
        made = DriftPlan(tuple(moves), tuple(stays), tuple(off_target), paused)
        return Planned(self._sources.now(), made, len(uids))

    def _planned(self, workloads: list[str], history: History) -> DriftPlan:
        drifting = self._sources.drifting
        return plan(
            self._sources.state,
            history,
            drifting.rules,
            self._sources.now(),
            only=workloads,
            current=drifting.current(),
        )


async def some_of(items: Sequence[T], wanted: Callable[[T], bool]) -> list[T]:
    """Those that are wanted of many, with a pause after some of them."""
    found: list[T] = []
    for start in range(0, len(items), SOME):
        if start:
            await asyncio.sleep(0)
        found += filter(wanted, items[start : start + SOME])
    return found


def _badness(row: WorkloadRow) -> tuple[float, str, str]:
    return -row.surplus / max(1, row.replicas), row.namespace, row.name
