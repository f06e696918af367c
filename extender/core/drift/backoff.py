"""When a workload may be tried again whose move the API server refused."""

from collections.abc import Callable

from msgspec import Struct

from extender.core.drift.eviction import Result
from extender.core.model.control import NEVER

# Seconds before the next attempt; doubled by each further one in a row, and up to half as much again by chance.
BASE = {"blocked": 10.0, "refused": 15.0, "changed": 2.0, "unanswered": 15.0}
LONGEST = 300.0
LONGEST_WHEN_DRAINED = 3.0
"""The longest wait for a pod that has to leave a node: a budget's status lags behind, and a notice is two minutes."""
JITTER = 1.5


class _Wait(Struct):
    since: float
    until: float
    refusals: int
    over: bool = False

    def holds(self, now: float) -> bool:
        # A clock that was set back does not make it longer.
        return self.since <= now < self.until


class WorkloadBackoff:
    """Who waits, and how long. Others go on meanwhile. All times are seconds of one clock.

    Args:
        uniform: draws from [a, b].
        longest: the longest wait before chance has its part, unless the server asks for more (seconds).
    """

    def __init__(self, uniform: Callable[[float, float], float], longest: float = LONGEST) -> None:
        self._uniform = uniform
        self._longest = longest
        self._waits: dict[str, _Wait] = {}

    def refused(self, workload: str, result: Result, retry_after: float | None, now: float) -> float:
        """A move was refused; the seconds that its workload waits, never less than the server asked for."""
        before = self._waits.get(workload)
        refusals = before.refusals + 1 if before is not None else 1
        least = min(self._longest, BASE.get(result, 0.0) * 2.0 ** min(refusals - 1, 30))
        delay = max(least, retry_after or 0.0) * self._uniform(1.0, JITTER)
        self._waits[workload] = _Wait(now, now + delay, refusals)
        return delay

    def accepted(self, workload: str) -> None:
        """A move was not refused."""
        self._waits.pop(workload, None)

    def waits(self, workload: str, now: float) -> bool:
        """Whether it is too early for another attempt."""
        wait = self._waits.get(workload)
        return wait is not None and wait.holds(now)

    def over(self, now: float) -> set[str]:
        """Workloads that need not wait any more since the last call."""
        found = set()
        for workload, wait in list(self._waits.items()):
            if not wait.holds(now):
                if not wait.over:
                    wait.over = True
                    found.add(workload)
                elif now - wait.until > self._longest:
                    # It was not refused again: the next refusal is a first one.
                    del self._waits[workload]
        return found

    @property
    def next_over(self) -> float:
        """When `over` has something to say next; NEVER where nobody waits."""
        return min((wait.until for wait in self._waits.values() if not wait.over), default=NEVER)
