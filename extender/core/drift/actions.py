"""What the drift controller wants done. `DriftController.done` takes the answers; what only tells has none."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from extender.core.drift.history import Judgement
from extender.core.drift.moves import Move, PlanFault
from extender.core.drift.turns import slices


class Freshness(Struct, frozen=True):
    """How well the cluster is followed: which resources are not, and why, by key; whether anything may be moved."""

    stale: Mapping[str, str] = {}
    current: bool = True


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

    def slices(self) -> Iterator[Sequence[str]]:
        """The workloads, as many at a time as are planned for at once."""
        return slices(self.workloads)


class Evict(Struct, frozen=True):
    """Evict a pod, once `DriftController.confirm` has had a last look at it.

    `dry` has the API server check the eviction, and change nothing.
    """

    move: Move
    dry: bool = False

    @property
    def recorded(self) -> bool:
        """Whether the history has it: pods that leave a node which is lost anyway, and dry runs, are not for it."""
        return self.move.recorded and not self.dry


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


Action = OpenStore | SaveStore | Cycle | Evict | Judged | PlanFault | Swept
