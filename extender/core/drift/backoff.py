"""When a workload may be tried again whose move the API server refused."""

from collections.abc import Callable

from msgspec import Struct

from extender.core.drift.eviction import Result

# Seconds before the next attempt; doubled by each further one in a row, and up to half as much again by chance.
BASE = {"blocked": 10.0, "refused": 15.0, "changed": 2.0, "unanswered": 15.0}
LONGEST = 300.0
LONGEST_WHEN_DRAINED = 3.0
"""The longest wait for a pod that has to leave a node: a budget's status lags behind, and a notice is two minutes."""
JITTER = 1.5


class _Wait(Struct):
    until: float
    refusals: int
    over: bool = False


class WorkloadBackoff:
    """Who waits, and how long. Others go on meanwhile.

    Args:
        clock: seconds.
        uniform: draws from [a, b].
        longest: the longest wait before chance has its part, unless the server asks for more (seconds).
    """

    def __init__(
        self, clock: Callable[[], float], uniform: Callable[[float, float], float], longest: float = LONGEST
    ) -> None:
        self._clock = clock
        self._uniform = uniform
        self._longest = longest
        self._waits: dict[str, _Wait] = {}

    def refused(self, workload: str, result: Result, retry_after: float | None) -> float:
        """A move was refused; the seconds that its workload waits, never less than the server asked for."""
        before = self._waits.get(workload)
        refusals = before.refusals + 1 if before is not None else 1
        least = min(self._longest, BASE.get(result, 0.0) * 2.0 ** min(refusals - 1, 30))
        delay = max(least, retry_after or 0.0) * self._uniform(1.0, JITTER)
        self._waits[workload] = _Wait(self._clock() + delay, refusals)
        return delay

    def accepted(self, workload: str) -> None:
        """A move was not refused."""
        self._waits.pop(workload, None)

    def waits(self, workload: str) -> bool:
        """Whether it is too early for another attempt."""
        wait = self._waits.get(workload)
        return wait is not None and self._clock() < wait.until

    def over(self) -> set[str]:
        """Workloads that need not wait any more since the last call."""
        now = self._clock()
        found = set()
        for workload, wait in list(self._waits.items()):
            if now >= wait.until:
                if not wait.over:
                    wait.over = True
                    found.add(workload)
                elif now - wait.until > self._longest:
                    # It was not refused again: the next refusal is a first one.
                    del self._waits[workload]
        return found
