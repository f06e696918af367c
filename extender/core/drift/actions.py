"""What the drift controller wants done. `DriftController.done` takes the answers; what only tells has none."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from extender.core.drift.history import Judgement
from extender.core.drift.moves import Move
from extender.core.model.reasons import Reason

SLICE = 100
"""Workloads planned for between two looks at what else there is to do: the scheduler's requests come first."""


class OpenStore(Struct, frozen=True):
    """Take the store over, and read the history that it holds."""


class SaveStore(Struct, frozen=True):
    """Store what has changed of the history; with `review`, heed then what a person did to the store."""

    review: bool = False


class Cycle(Struct, frozen=True):
    """Plan for these workloads (UIDs), slice by slice: see `DriftController.plan`.

    `current` is whether the cluster is followed well enough to move anything; `stale` says by key which resources are
    not, and why.
    """

    workloads: tuple[str, ...]
    current: bool = True
    stale: Mapping[str, str] = {}

    def slices(self) -> Iterator[tuple[str, ...]]:
        """The workloads, `SLICE` at a time."""
        for start in range(0, len(self.workloads), SLICE):
            yield self.workloads[start : start + SLICE]


class Evict(Struct, frozen=True):
    """Evict a pod, once `DriftController.confirm` has had a last look at it.

    `dry` has the API server check the eviction, and change nothing.
    """

    move: Move
    dry: bool = False

    @property
    def recorded(self) -> bool:
        """Whether the history has it: pods that leave a node which is lost anyway, and dry runs, are not for it."""
        return not self.dry and self.move.reason is not Reason.INTERRUPTED


class Judged(Struct, frozen=True):
    """Tell what became of a move.

    `until` is when the next such move of its workload may be made (seconds since the epoch), 0 for at once; `opened`
    whether that was the last one for a long time.
    """

    verdict: Judgement
    until: float
    opened: bool


class Swept(Struct, frozen=True):
    """All workloads are looked at: forget what was told of those that are gone."""


Action = OpenStore | SaveStore | Cycle | Evict | Judged | Swept
