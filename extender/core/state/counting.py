"""What the seats of a pod are counted over: who sits on them, and how many replicas there are to be.

The one place that says so. Placement asks which seats are left to a pod, drift and answers who has too many of which
class. Whoever counts over more than one revision changes this module, and none of those.
"""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.model.objects import Owner
from extender.core.policy.ordinals import seat_of_ordinal
from extender.core.policy.seats import Seats, first_unfilled
from extender.core.policy.target import target_of
from extender.core.policy.workloads import Managed
from extender.core.state.records import Revision
from extender.core.state.state import ClusterState

_NONE: Mapping[str, int] = {}


class Count(Struct, eq=False):
    """Who sits on the seats that the pods of a revision are counted on, pods that leave soon included.

    Attributes:
        seats: the seats.
        owner: the controller of the pods.
        replicas: T; None where nobody says.
        filled: pods that hold a seat, by class.
        bound: those of them that are on a node.
        reserved: seats held for pods not seen bound yet, by class.
    """

    seats: Seats
    owner: Owner
    replicas: int | None
    filled: Mapping[str, int]
    bound: Mapping[str, int]
    reserved: Mapping[str, int]

    @property
    def target(self) -> Mapping[str, int]:
        """How many of each class there are to be; see `target_of`."""
        return target_of(self.seats, self.owner, self.filled)

    @property
    def by_ordinal(self) -> bool:
        """Whether each pod has a seat of its own, by its name."""
        return self.owner.kind == "StatefulSet"

    def own_seat(self, pod: str) -> int | None:
        """The seat of a pod by its name, where it is told by that."""
        return seat_of_ordinal(self.owner, pod)


class OpenSeats(Struct, eq=False):
    """The seats that are left to a pod: those that `taken` pods of each class do not sit on, of `replicas`."""

    seats: Seats
    taken: dict[str, int]
    replicas: int | None

    def take(self, capacity_class: str) -> None:
        """Somebody takes a seat of a class."""
        self.taken[capacity_class] = self.taken.get(capacity_class, 0) + 1

    def first(self) -> tuple[int, str]:
        """The first one, and its class."""
        return first_unfilled(self.seats, self.taken, self.replicas)

    def choose(self, kept: str = "") -> str:
        """The class of the first one.

        A pod's own earlier choice (`kept`, or empty) stands while that class still has such a seat within `replicas`.
        """
        seat, capacity_class = self.first()
        if kept and kept != capacity_class and self.replicas is not None:
            own = self.seats.seat_of(kept, self.taken.get(kept, 0) + 1)
            if own is not None and seat <= own <= self.replicas:
                return kept
        return capacity_class


def count_alone(managed: Managed, revision: Revision | None) -> Count:
    """What a revision comes to by itself, whatever the state says of others; None where it has no pods."""
    owner, seats = managed.revision, managed.workload.policy.seats
    if revision is None:
        return Count(seats, owner, owner.replicas, _NONE, _NONE, _NONE)
    return Count(seats, owner, owner.replicas, revision.filled, revision.bound, revision.reserved)


def count_of(state: ClusterState, managed: Managed, revision: Revision | None) -> Count:  # noqa: ARG001
    """What the pods of a revision are counted over."""
    return count_alone(managed, revision)


def open_seats(state: ClusterState, managed: Managed, pod: str) -> OpenSeats:
    """The seats that are left to a pod (UID): bound pods, and the reservations of others, sit on the rest.

    A new pod takes over what was reserved for a replacement.
    """
    revision = state.revisions.get(managed.revision.uid)
    return OpenSeats(managed.workload.policy.seats, _taken(state, revision, pod), managed.revision.replicas)


def _taken(state: ClusterState, revision: Revision | None, pod: str) -> dict[str, int]:
    if revision is None:
        return {}
    filled = dict(revision.filled)
    for capacity_class, count in revision.reserved.items():
        filled[capacity_class] = filled.get(capacity_class, 0) + count
    own = revision.reservation(pod)
    if own is not None:
        filled[own.capacity_class] -= 1
    record = state.pods.get(pod)
    if record is not None and record.counted and record.revision is revision:
        filled[record.counted] -= 1
    return filled
