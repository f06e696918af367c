"""What the last plans said of each workload, added up for the metrics."""

from collections import Counter
from collections.abc import Iterable

from extender.core.drift.moves import DriftPlan
from extender.core.model.reasons import Reason


class LastPlans:
    """The last plan's word on each workload.

    Attributes:
        off_target: UIDs of workloads that are off their split.
        paused: why nothing is moved at all; None while something may be.
    """

    def __init__(self) -> None:
        self.off_target: set[str] = set()
        self.paused: Reason | None = None
        self._stays: dict[str, Counter[Reason]] = {}

    def put(self, looked_at: Iterable[str], plan: DriftPlan) -> None:
        """Take in a plan for the workloads `looked_at` (UIDs), in place of what was said of them before.

        One of them may be gone by now: whatever is off its split is looked at until it is right, or is no more.
        """
        for uid in looked_at:
            self.off_target.discard(uid)
            self._stays.pop(uid, None)
        for each in plan.off_target:
            self.off_target.add(each.workload.uid)
        for stay in plan.stays:
            self._stays.setdefault(stay.workload.uid, Counter())[stay.reason] += 1

    @property
    def stays(self) -> Counter[Reason]:
        """Surplus pods that stay, by why."""
        total: Counter[Reason] = Counter()
        for counts in self._stays.values():
            total.update(counts)
        return total
