"""The overview and the plan, made once for all who ask, whether in a browser or through the API.

However many ask, each is made at most every other second; one that takes long is shown for longer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from extender.core.answers.overview import Overview, overview_in_steps
from extender.core.drift.moves import DriftPlan
from extender.core.drift.preview import paused_by, preview
from extender.core.model.steps import run_steps
from extender.servers.answers.pace import Pace, in_turns
from extender.servers.answers.sources import Sources

KEEP = 2.0
"""How long an answer is shown to others who ask (seconds)."""

LONGER = 4.0
"""An answer is shown for so many times the time that it took to make, if that is longer."""

T = TypeVar("T")


class ClusterPlan(Struct, frozen=True):
    """What the drift loop would do for every workload, of which `off` have pods to move.

    `at` is in seconds since the epoch.
    """

    at: float
    plan: DriftPlan
    off: int


class KeptAnswer(Generic[T]):
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


class SharedAnswers:
    """Gives the overview and the plan, at most a moment old; one is for the console and the API together.

    Args:
        sources: what there is to tell of.

    Attributes:
        sources: as given.
        pace: says whose answer is made next.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.pace = Pace()
        self._overview = KeptAnswer(self._make_overview)
        self._plan = KeptAnswer(self._make_plan)

    async def overview(self) -> Overview:
        """The cluster, at most a moment ago."""
        return await self._overview.get()

    async def plan(self) -> ClusterPlan:
        """What the drift loop would do, at most a moment ago."""
        made = await self._plan.get()
        return replace(made, plan=paused_by(made.plan, self.sources.drifting.paused()))

    def plan_for(self, *workloads: str) -> DriftPlan:
        """What the drift loop would do now with these workloads (UIDs)."""
        sources, drifting = self.sources, self.sources.drifting
        made = run_steps(preview(sources.state, drifting.known(), sources.now(), workloads))
        return paused_by(made, drifting.paused())

    async def _make_overview(self) -> Overview:
        return await in_turns(overview_in_steps(self.sources.state, self.sources.now()))

    async def _make_plan(self) -> ClusterPlan:
        sources, now = self.sources, self.sources.now()
        made = await in_turns(preview(sources.state, sources.drifting.known(), now))
        off = {move.workload.uid for move in made.moves} | {stay.workload.uid for stay in made.stays}
        return ClusterPlan(now, made, len(off))
