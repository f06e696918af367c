"""Seats what is about to come before any move is planned: Pending pods, and replacements of moves in flight.

As the scheduler would: a managed pod goes to the class of its reservation or of its seat, else to one that stands in;
any other pod to the node that fits it with most to spare. A pod that fits nowhere takes nothing, nor does one that
has a scheduling gate or waits for a scheduler that places none.
"""

from collections.abc import Container, Iterable, Sequence

from msgspec.structs import replace

from extender.core.capacity.room import Room
from extender.core.drift.history import History, InFlight
from extender.core.drift.replacement import Replacements
from extender.core.model.constraints import Constraints
from extender.core.policy.managed import Managed
from extender.core.policy.stand_ins import stand_ins
from extender.core.state.counting import OpenSeats, count_of, open_seats
from extender.core.state.records import NodeRecord, PodRecord, Revision
from extender.core.state.state import ClusterState


class Arrivals:
    """Takes from the room what Pending pods and replacements on their way will need.

    Args:
        state: the cluster.
        history: of moves in flight.
        room: what is taken from.
        placeholders: UIDs of pods that give way to any other, and are left out.
        coming: UIDs of pods that are to come, although it is not known whether their scheduler places any.
    """

    def __init__(
        self,
        state: ClusterState,
        history: History,
        room: Room,
        placeholders: Container[str] = (),
        coming: Container[str] = (),
    ) -> None:
        self._state, self._history, self._room = state, history, room
        self._placeholders, self._coming = placeholders, coming
        self._replacements = Replacements(state)
        self._seats: dict[str, OpenSeats] = {}

    def deduct(self, without: Container[Revision] = ()) -> None:
        """Deduct all that is about to come, save the pods of some revisions."""
        unbound = [
            pod
            for pod in self._state.unbound.values()
            if pod.revision not in without and self._is_coming(pod) and pod.uid not in self._placeholders
        ]
        self._room.expect(len(unbound))
        for pod in sorted(unbound, key=lambda pod: (pod.created, pod.uid)):
            like = self._counted_alone(pod)
            node = self._named(like) or self._first(like, self._choices(pod))
            if node is not None:
                self._room.occupy(pod, node, _counted(pod))
        by_revision: dict[str, list[InFlight]] = {}
        for entry in self._history.in_flight():
            by_revision.setdefault(entry.move.workload.revision, []).append(entry)
        for uid, entries in sorted(by_revision.items()):
            self._replace(self._state.revisions.get(uid), entries)

    def _is_coming(self, pod: PodRecord) -> bool:
        return pod.uid in self._coming or self._state.is_coming(pod)

    def _counted_alone(self, pod: PodRecord) -> PodRecord:
        """The pod without the demands that are not counted, unless its scheduler found no node for it because of them,
        or of others.
        """
        demands = pod.constraints
        if not demands.unmodelled or self._state.was_refused(pod.uid):
            return pod
        return replace(pod, constraints=demands.counted)

    def _replace(self, revision: Revision | None, entries: Sequence[InFlight]) -> None:
        """Seat the replacements that are not there yet: as many as the revision lacks pods, of its moves."""
        owner = self._state.workloads.owners.get(revision.owner.uid) if revision is not None else None
        if revision is None or owner is None or not revision.pods:
            return
        leaving = {entry.move.pod.uid for entry in entries}
        live = sum(not pod.terminating and pod.uid not in leaving for pod in revision.pods)
        like = min(revision.pods, key=lambda pod: (pod.uid not in leaving, pod.uid))
        # Those that were sent first have a replacement first.
        latest = sorted(entries, key=lambda entry: (-entry.at, entry.move.pod.uid))
        for entry in latest[: max(0, (owner.replicas or 0) - live)]:
            target = self._state.nodes.get(entry.move.target)
            new = self._replacements.of(like, entry.move.destination)
            if target is None or not self._room.fits(new, target):
                target = self._first(new, [(entry.move.destination,)])
            if target is not None:
                self._room.occupy(new, target, None if revision.replacing else revision)

    def _first(self, pod: PodRecord, choices: Iterable[Sequence[str]]) -> NodeRecord | None:
        """The node with most to spare among the first of `choices`, which are classes, that has one for a pod."""
        for classes in choices:
            found = [self._room.find(pod, name) for name in classes]
            nodes = [node for node in found if isinstance(node, NodeRecord)]
            if nodes:
                return max(nodes, key=lambda node: (self._room.stock.spare_cpu(node), node.name))
        return None

    def _named(self, pod: PodRecord) -> NodeRecord | None:
        """The node that a pod is for, if it is for one alone, as a DaemonSet's are, and fits it."""
        name = _only_node(pod.constraints)
        node = self._state.nodes.get(name) if name else None
        return node if node is not None and self._room.fits(pod, node) else None

    def _choices(self, pod: PodRecord) -> Iterable[Sequence[str]]:
        if _only_node(pod.constraints):
            return ()
        owner = pod.revision.owner if pod.revision is not None else None
        managed = self._state.workloads.resolve(pod.namespace, owner)
        if not isinstance(managed, Managed) or managed.workload.policy.mode == "audit" or pod.revision is None:
            return (tuple(sorted(self._state.placeable)),)
        policy = managed.workload.policy
        wanted = self._wanted(pod, pod.revision, managed)
        return [(name,) for name in (wanted, *stand_ins(policy, wanted))]

    def _wanted(self, pod: PodRecord, revision: Revision, managed: Managed) -> str:
        """The class of a Pending pod: as written or decided, else as it will be."""
        if pod.written:
            return pod.written
        reservation = revision.reservation(pod.uid)
        if reservation is not None:
            return reservation.capacity_class
        count = count_of(self._state, managed, revision)
        own_seat = count.own_seat(pod.name)
        if own_seat is not None:
            return count.seats.class_at(own_seat)
        uid = managed.runs or managed.revision.uid
        seats = self._seats.get(uid)
        if seats is None:
            seats = self._seats[uid] = open_seats(self._state, managed, pod.uid)
        name = seats.choose()
        seats.take(name)
        return name


def _counted(pod: PodRecord) -> Revision | None:
    """The revision whose pool cap a Pending pod counts towards, unless its reservation does already."""
    revision = pod.revision
    return revision if revision is not None and pod.uid not in revision.reservations else None


def _only_node(constraints: Constraints) -> str:
    """The name of the node that a pod's required affinity asks for, if every term asks for it and no other."""
    names = {
        each.values
        for term in constraints.node_terms or ()
        for each in term
        if each.field and each.key == "metadata.name" and each.operator == "In"
    }
    terms = constraints.node_terms or ()
    asks = all(any(each.field and each.operator == "In" for each in term) for term in terms)
    return next(iter(names))[0] if asks and len(names) == 1 and len(next(iter(names))) == 1 else ""
