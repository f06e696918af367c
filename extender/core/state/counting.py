"""What the seats of a pod are counted over: who sits on them, and how many replicas there are to be.

The one place that says so. Placement asks which seats are left to a pod, drift and answers who has too many of which
class. A revision is counted alone; one whose workload is of a fleet with all pods of that, and no ordinal says a seat.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct

from extender.core.model.classes import ON_DEMAND
from extender.core.model.objects import Owner
from extender.core.policy.floored import floored, lowest, own_seats
from extender.core.policy.managed import Managed
from extender.core.policy.ordinals import seat_of_ordinal
from extender.core.policy.seats import Seats, TwoClassSeats, first_unfilled
from extender.core.policy.target import target_of
from extender.core.state.fleets import ByClass, Fleet, FleetKey, key_of
from extender.core.state.records import PodRecord, Reservation, Revision
from extender.core.state.state import ClusterState

_NONE: Mapping[str, int] = {}
_ON_DEMAND = TwoClassSeats()


class Count(Struct, eq=False):
    """Who sits on the seats that the pods of a revision are counted on, pods that leave soon included.

    Attributes:
        seats: the seats.
        owner: the controller of the pods.
        replicas: T; None where nobody says.
        filled: pods that hold a seat, by class.
        bound: those of them that are on a node.
        reserved: seats held for pods not seen bound yet, by class.
        fleet: of the pods, where they are counted with those of others: all of the above is the fleet's then.
        settled: whether pods are where they are to be, wherever they are.
    """

    seats: Seats
    owner: Owner
    replicas: int | None
    filled: Mapping[str, int]
    bound: Mapping[str, int]
    reserved: Mapping[str, int]
    settled: bool = False
    fleet: Fleet | None = None

    @property
    def target(self) -> Mapping[str, int]:
        """How many of each class there are to be; see `target_of`."""
        if self.fleet is not None:
            return self.seats.target(self.fleet.replicas)
        return target_of(self.seats, self.owner, self.filled, self.reserved if self.settled else None)

    @property
    def by_ordinal(self) -> bool:
        """Whether each pod has a seat of its own, by its name."""
        return self.owner.kind == "StatefulSet" and self.fleet is None

    def own_seat(self, pod: str) -> int | None:
        """The seat of a pod by its name, where it is told by that."""
        return seat_of_ordinal(self.owner, pod) if self.fleet is None else None


class OpenSeats(Struct, eq=False):
    """The seats that are left to a pod: those that `taken` pods of each class do not sit on, of `replicas`.

    Of the workloads of a fleet some have a floor of their own. The seats that others need to theirs are taken; `owed`
    are the on-demand pods that this pod's workload lacks, so that it takes such a seat whatever is free.
    """

    seats: Seats
    taken: dict[str, int]
    replicas: int | None
    owed: int = 0

    def take(self, capacity_class: str, *, mine: bool = True) -> None:
        """Somebody takes a seat of a class; `mine` says that it is of the pod's own workload."""
        self.taken[capacity_class] = self.taken.get(capacity_class, 0) + 1
        if mine and self.owed and capacity_class == ON_DEMAND:
            self.owed -= 1

    def choose(self, kept: str = "") -> str:
        """The class of the first one.

        A pod's own earlier choice (`kept`, or empty) stands while that class still has such a seat within `replicas`.
        """
        if self.owed:
            return ON_DEMAND
        seat, capacity_class = first_unfilled(self.seats, self.taken, self.replicas)
        if kept and kept != capacity_class and self.replicas is not None:
            own = self.seats.seat_of(kept, self.taken.get(kept, 0) + 1)
            if own is not None and seat <= own <= self.replicas:
                return kept
        return capacity_class


def count_alone(managed: Managed, revision: Revision | None) -> Count:
    """What a revision comes to by itself, whatever the state says of others; None where it has no pods."""
    owner, seats = managed.revision, managed.workload.policy.seats
    if revision is None:
        return Count(seats, owner, owner.replicas, _NONE, _NONE, _NONE, managed.settled)
    return Count(seats, owner, owner.replicas, revision.filled, revision.bound, revision.reserved, managed.settled)


def count_of(state: ClusterState, managed: Managed, revision: Revision | None) -> Count:
    """What the pods of a revision are counted over."""
    fleet = state.fleets.of(managed)
    if fleet is None:
        return count_alone(managed, revision)
    seats = floored(managed.workload.policy.seats, fleet.floor)
    return Count(seats, managed.revision, fleet.replicas, fleet.filled, fleet.bound, fleet.reserved, fleet=fleet)


def open_seats(state: ClusterState, managed: Managed, pod: str) -> OpenSeats:
    """The seats that are left to a pod (UID): bound pods, and the reservations of others, sit on the rest.

    A new pod takes over what was reserved for a replacement. Runs go on for ever. All that is left to a Job that was
    interrupted too often is on-demand.
    """
    revision = state.revisions.get(managed.revision.uid)
    taken = _taken(state, revision, pod)
    fleet = state.fleets.of(managed)
    if state.losses.goes_on_demand(managed):
        return OpenSeats(_ON_DEMAND, taken, managed.revision.replicas)
    if managed.runs:
        return OpenSeats(managed.workload.policy.seats, state.runs.taken(managed.runs, pod), None)
    if fleet is None:
        return OpenSeats(managed.workload.policy.seats, taken, managed.revision.replicas)
    return _open_in_fleet(fleet, managed, taken)


def claims_for(state: ClusterState, managed: Managed, owner: str) -> Mapping[str, Reservation]:
    """The provisional seats, by pod, that count for a pod that is not known.

    Args:
        state: the cluster.
        managed: whose the pod is.
        owner: the UID of its controller, as the request names it.
    """
    found = state.provisional.of(owner)
    if managed.runs:
        return {held.pod: held for held in state.provisional.all() if _is_run(state, managed.runs, held)}
    key = key_of(managed.workload.policy)
    if key is None or len(state.provisional) == len(found):
        return found
    return {pod: held for other in state.provisional.owners() for pod, held in _of_fleet(state, key, other)}


def seated(state: ClusterState, count: Count, revision: Revision, leaving: AbstractSet[str]) -> dict[str, int]:
    """Pods that hold a seat and do not leave (UIDs), by class."""
    held = {name: filled for name, filled in count.filled.items() if filled}
    if not leaving:
        return held
    if count.fleet is None:
        gone = [pod.counted for pod in revision.pods if pod.counted and pod.uid in leaving]
    else:
        gone = [pod.counted for uid in leaving if (pod := state.pods.get(uid)) and _is_in(state, count.fleet, pod)]
    for name in gone:
        held[name] = held.get(name, 0) - 1
    return held


def _is_run(state: ClusterState, policy: str, held: Reservation) -> bool:
    managed = state.workloads.resolve(held.namespace, held.owner)
    return isinstance(managed, Managed) and managed.runs == policy


def _of_fleet(state: ClusterState, key: FleetKey, owner: str) -> Iterable[tuple[str, Reservation]]:
    held = state.provisional.of(owner)
    first = next(iter(held.values()))
    managed = state.workloads.resolve(first.namespace, first.owner)
    return held.items() if isinstance(managed, Managed) and key_of(managed.workload.policy) == key else ()


def _is_in(state: ClusterState, fleet: Fleet, pod: PodRecord) -> bool:
    owner = pod.revision.owner if pod.revision is not None and pod.counted else None
    managed = state.workloads.resolve(pod.namespace, owner)
    return isinstance(managed, Managed) and managed.workload.uid in fleet.parts


def _open_in_fleet(fleet: Fleet, managed: Managed, taken: Mapping[str, int]) -> OpenSeats:
    """`taken` are the seats of the pod's own revision that others sit on."""
    workload, own = managed.workload, managed.revision.uid
    part = fleet.parts[workload.uid]
    policy = workload.policy
    mine, rest = ByClass(), ByClass()
    for sums, revisions in ((mine, part.newest), (rest, part.older)):
        for revision in revisions:
            if revision.owner.uid == own:
                sums.add(taken)
            else:
                sums.add(revision.filled)
                sums.add(revision.reserved)
    if rest:
        # The pod itself takes the place of one.
        mine.add(lowest(own_seats(policy), rest, part.replicas - sum(mine.values()) - 1))
    others = ByClass(fleet.filled)
    others.add(fleet.reserved)
    others.add(part.filled, -1)
    others.add(part.reserved, -1)
    others.add({ON_DEMAND: fleet.owed - part.owed})
    owed = min(part.membership.floor, max(part.replicas, sum(mine.values()) + 1)) - mine.get(ON_DEMAND, 0)
    others.add(mine)
    return OpenSeats(floored(policy.seats, fleet.floor), others, fleet.replicas, max(0, owed))


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
