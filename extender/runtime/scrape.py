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
from extender.telemetry.workloads import Sums, WorkloadText, invalid_series, oldest

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
        self._sums = Sums()
        metrics.registry.register(Readings(self._readings))

    def go_by(self, limit: int) -> None:
        """Have so many workloads have series from now on; as of the class."""
        self._limit = limit

    async def render(self) -> tuple[Sequence[bytes], bytes]:
        """The exposition in pieces, and its content type."""
        found: dict[Name, Standing] = {}
        wrong: list[tuple[Name, str]] = []
        sums = Sums()
        async for workload in _in_turns(list(self._state.workloads.by_uid.values())):
            if not workload.parsed.valid:
                sums.invalid += 1
                name = name_of(self._state, workload)
                wrong += ((name, problem.key) for problem in workload.parsed.problems if not problem.warning)
            standing = self._standing_of(workload)
            if standing is not None:
                # One for each name: the Jobs of a CronJob together, and namesakes, of which one is about to go.
                known = found.setdefault(standing.name, standing)
                if known is not standing:
                    known.replicas.add(standing.replicas)
        standings = list(found.values())
        async for standing in _in_turns(standings):
            sums.add(standing)
        sums.unlisted = max(0, len(standings) - self._limit)
        parts: list[bytes] = []
        if self._limit:
            text = WorkloadText()
            async for standing in _in_turns(oldest(standings, self._limit), text.flush):
                text.write(standing)
            parts = [*text.parts(), invalid_series(wrong, self._limit)]
        # Written and read without an await in between, so that no other scrape gets these.
        self._sums = sums
        body, content_type = self._metrics.render()
        return [body, *parts], content_type

    def _standing_of(self, workload: Workload) -> Standing | None:
        try:
            return standing_of(self._state, workload)
        except Exception as error:  # noqa: BLE001 - a bug that one workload meets is its own alone
            self._faulty(workload, repr(error))
            return None

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
