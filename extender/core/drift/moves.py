"""What a plan says: moves, pods that stay, workloads off their split."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason


class WorkloadRef(Struct, frozen=True, gc=False):
    """The workload that a move is about; `revision` is the UID of the controller that will replace the pod."""

    uid: str
    kind: str
    namespace: str
    name: str
    revision: str


class Move(Struct, frozen=True, gc=False):
    """Evict `pod` from `node`, so that its replacement goes from class `source` to `destination`.

    `target` is a node that has room for it, found by the plan; the scheduler is free to choose another. `reason` is
    SURPLUS or INTERRUPTED. `dry` when the workload is in audit mode.
    """

    pod: PodId
    node: str
    workload: WorkloadRef
    source: str
    destination: str
    target: str
    reason: Reason
    dry: bool = False

    @property
    def recorded(self) -> bool:
        """Whether the history takes it in: it is to be made, and is voluntary."""
        return not self.dry and self.reason is not Reason.INTERRUPTED


class Stay(Struct, frozen=True, gc=False):
    """A surplus pod, or one on an interrupted node, that is not moved, and why.

    `detail` names the object that is in the way, if one is.
    """

    pod: PodId
    node: str
    workload: WorkloadRef
    source: str
    destination: str
    reason: Reason
    detail: str = ""


Place = tuple[str, str]
"""A revision, by the UID of its controller, and a capacity class."""


class Wish(Struct, frozen=True, gc=False):
    """A pod that would go to a class if a node of it had room."""

    pod: PodId
    workload: WorkloadRef
    capacity_class: str

    @property
    def place(self) -> Place:
        """Any pod of its revision that goes to the class can take the room that is made."""
        return self.workload.revision, self.capacity_class


class Spent(Struct, frozen=True, gc=False):
    """The room that a placeholder (UID) keeps is for the replacement of a pod (UID)."""

    placeholder: str
    pod: str


class OffTarget(Struct, frozen=True):
    """A revision off its split: seats and seated pods by class, and how many pods too many there are in all.

    `replicas` is what its controller wants. `missing` counts the pods it does not have yet, or that hold no seat.
    """

    workload: WorkloadRef
    replicas: int
    target: Mapping[str, int]
    actual: Mapping[str, int]
    surplus: int
    missing: int = 0


class PlanFault(Struct, frozen=True, gc=False):
    """A fault of our own that a workload met, whose pods or moves were left alone for it; `text` is the error."""

    workload: WorkloadRef
    text: str


class DriftPlan(Struct, frozen=True):
    """What to do now.

    `moves` are in the order in which they are to be made. Every surplus pod, and every managed one on an
    interrupted node, is in `moves` or in `stays`. `paused` says why nothing is moved at all. `faults` are told of
    workloads that could not be planned for. `wishes` are pods that stay for want of room alone; `spent` is the room
    that moves take from placeholders.
    """

    moves: tuple[Move, ...] = ()
    stays: tuple[Stay, ...] = ()
    off_target: tuple[OffTarget, ...] = ()
    paused: Reason | None = None
    faults: tuple[PlanFault, ...] = ()
    wishes: tuple[Wish, ...] = ()
    spent: tuple[Spent, ...] = ()


def by_workload(wishes: Iterable[Wish]) -> dict[str, list[Wish]]:
    """Wishes by the UID of their workload."""
    found: dict[str, list[Wish]] = {}
    for wish in wishes:
        found.setdefault(wish.workload.uid, []).append(wish)
    return found
