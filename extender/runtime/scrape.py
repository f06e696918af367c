"""One scrape: what was counted, what is read off the process, and how every workload stands.

At 10,000 workloads that is some tenth of a second of work. It is done in slices, between which the scheduler's requests
are answered.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from extender.core.answers.replicas import Name, Standing, name_of, standing_of
from extender.core.policy.workload import Workload
from extender.core.state.state import ClusterState
from extender.telemetry.metrics import Metrics
from extender.telemetry.readings import Reading, Readings
from extender.telemetry.workloads import WorkloadSums, WorkloadText, invalid_series, oldest_first

SLICE = 50
"""Workloads looked at in one go: about a millisecond."""

T = TypeVar("T")


class Scrapes:
    """Answers /metrics.

    Args:
        state: the cluster.
        metrics: what was counted.
        read: reads all that is not about workloads.
        limit: most workloads that have series of their own.
        faulty: is told of a workload that cannot be counted, and why.
    """

    def __init__(
        self,
        state: ClusterState,
        metrics: Metrics,
        read: Callable[[], Iterable[Reading]],
        limit: int,
        faulty: Callable[[Workload, str], None] = lambda _workload, _error: None,
    ) -> None:
        self._state = state
        self._metrics = metrics
        self._read = read
        self._limit = limit
        self._faulty = faulty
        self._sums = WorkloadSums()
        metrics.registry.register(Readings(self._readings))

    def go_by(self, limit: int) -> None:
        """Have so many workloads have series from now on; as of the class."""
        self._limit = limit

    async def render(self) -> tuple[Sequence[bytes], bytes]:
        """The exposition in pieces, and its content type."""
        # One for each name: the Jobs of a CronJob together, and namesakes, of which one is about to go.
        named: dict[Name, list[Workload]] = {}
        wrong: list[tuple[Name, str]] = []
        sums = WorkloadSums()
        async for workload in _in_turns(list(self._state.workloads.by_uid.values())):
            name = name_of(self._state, workload)
            named.setdefault(name, []).append(workload)
            if not workload.parsed.valid:
                sums.invalid += 1
                wrong += ((name, problem.key) for problem in workload.parsed.problems if not problem.warning)
        limit, text = self._limit, WorkloadText()
        listed = 0
        # Each is forgotten once it is written: 10,000 of them weigh as many MB.
        async for name in _in_turns(oldest_first(named, limit), text.flush):
            standing = await self._standing_of(named[name])
            if standing is None:
                continue
            sums.add(standing)
            if listed < limit:
                text.write(standing)
                listed += 1
            else:
                sums.unlisted += 1
        parts = [*text.parts(), invalid_series(wrong, limit)] if limit else []
        # Written and read without an await in between, so that no other scrape gets these.
        self._sums = sums
        body, content_type = self._metrics.render()
        return [body, *parts], content_type

    async def _standing_of(self, namesakes: Sequence[Workload]) -> Standing | None:
        """How all of one name stand together; a CronJob may have any number of Jobs."""
        found: Standing | None = None
        async for workload in _in_turns(namesakes):
            try:
                standing = standing_of(self._state, workload)
            except Exception as error:  # noqa: BLE001 - a bug that one workload meets is its own alone
                self._faulty(workload, repr(error))
                continue
            if found is None:
                found = standing
            elif standing is not None:
                found.replicas.add(standing.replicas)
        return found

    def _readings(self) -> Iterator[Reading]:
        yield from self._read()
        yield from self._sums.readings()


async def _in_turns(things: Sequence[T], then: Callable[[], None] = lambda: None) -> AsyncIterator[T]:
    """After each `SLICE` of them, and after the last, do `then` and let others run."""
    for number, thing in enumerate(things, start=1):
        yield thing
        if number % SLICE == 0:
            then()
            await asyncio.sleep(0)
    then()
