"""When to tell of what lasts: when it is first seen, and again often enough that its Event is not forgotten."""

import math
from collections.abc import Container, Hashable, Iterable

from extender.kube.occurrences import RETELL


class Reminders:
    """What is told of each workload (by UID). Workloads are looked at in rounds: `is_due` for all there is, `end`."""

    def __init__(self) -> None:
        self._told: dict[str, dict[Hashable, float]] = {}
        self._seen: dict[str, dict[Hashable, float]] = {}

    def is_due(self, workload: str, what: Hashable, now: float) -> bool:
        """Whether to tell of something that is so at `now` (seconds)."""
        seen = self._seen.setdefault(workload, {})
        if what in seen:
            return False
        at = self._told.get(workload, {}).get(what, -math.inf)
        due = now - at >= RETELL
        seen[what] = now if due else at
        return due

    def end(self, looked_at: Iterable[str]) -> None:
        """These workloads were looked at: what was not seen is no more, and news when it is back."""
        for uid in looked_at:
            self._told.pop(uid, None)
        self._told.update(self._seen)
        self._seen = {}

    def keep(self, known: Container[str]) -> None:
        """Forget workloads that are not among `known`."""
        self._told = {uid: told for uid, told in self._told.items() if uid in known}
