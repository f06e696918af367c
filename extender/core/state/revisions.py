"""Revisions: who holds a seat in each, and the seats that are reserved in them."""

from collections.abc import Callable, Iterator
from sys import intern

from extender.core.model.objects import OwnerRef
from extender.core.state.outbox import Outbox
from extender.core.state.records import PodRecord, Reservation, Revision, is_replacing


class Revisions:
    """The part of the cluster state that counts pods.

    Args:
        outbox: is told of revisions whose counts change.

    Attributes:
        by_uid: the revisions by the UID of their controller; one without pods and reservations is dropped.
        changed: revisions that came or went, or whose controller is a pod that did; the state takes them.
        changes: revisions whose pods or reservations count otherwise, for who takes them; None while nobody does.
        released: is told of each reservation that is no more.
        held: the revision of each live reservation, by pod.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.by_uid: dict[str, Revision] = {}
        self.held: dict[str, Revision] = {}
        self._outbox = outbox
        self.changed: list[Revision] = []
        self.changes: set[Revision] | None = None
        self.released: Callable[[Reservation], None] = lambda _reservation: None

    def of(self, owner: OwnerRef, namespace: str) -> Revision:
        """The revision of the pods in a namespace that `owner` controls, made when met for the first time."""
        revision = self.by_uid.get(owner.uid)
        if revision is not None and revision.namespace != namespace:
            owner = owner.within(namespace)
            revision = self.by_uid.get(owner.uid)
        if revision is None:
            revision = self.by_uid[owner.uid] = Revision(owner, intern(namespace), set(), {}, {}, {})
            self.changed.append(revision)
        return revision

    def is_of(self, revision: Revision | None, owner: OwnerRef | None) -> bool:
        """Whether pods that `owner` controls are of a revision."""
        if revision is None or owner is None:
            return revision is None and owner is None
        return revision.owner.uid in (owner.uid, owner.within(revision.namespace).uid)

    def add(self, record: PodRecord) -> None:
        """A pod of `record.revision` was met for the first time."""
        self.touch_controlled(record.uid)
        revision = record.revision
        if revision is not None:
            revision.pods.add(record)
            self._outbox.touch(revision)

    def touch_controlled(self, pod: str) -> None:
        """A pod came or changed: it may control others."""
        controlled = self.by_uid.get(pod)
        if controlled is not None:
            self.changed.append(controlled)

    def remove(self, record: PodRecord) -> None:
        """A pod is gone, and is of no revision any more."""
        revision = record.revision
        if revision is not None:
            revision.pods.discard(record)
            record.revision = None
            self._outbox.touch(revision)
            self._drop_if_empty(revision)

    def _drop_if_empty(self, revision: Revision) -> None:
        if not revision.pods and not revision.reservations:
            if self.by_uid.pop(revision.owner.uid, None) is not None:
                self.changed.append(revision)
            self._outbox.forget(revision)

    def recount(self, record: PodRecord) -> None:
        """Count the pod under the class of its node, or not at all; a pod that is counted needs no reservation."""
        revision, node = record.revision, record.node
        if record.terminating or (node is not None and node.facts is not None):
            self.release(record.uid)
        if revision is None:
            return
        counted = ""
        if node is not None and node.placeable and not record.terminating:
            counted = node.facts.capacity_class if node.facts else ""
        elif record.written and not (record.terminating or record.gates) and (node is None or node.facts is None):
            # It can go nowhere else: it holds its seat before it is bound, or before its node is known.
            counted = record.written
            self.release(record.uid)
        if self.changes is not None:
            self.changes.add(revision)
        revision.lacks_node(record.uid, counted if node is None or node.facts is None else "")
        if counted != record.counted:
            filled = revision.filled
            if record.counted:
                filled[record.counted] -= 1
            if counted:
                filled[counted] = filled.get(counted, 0) + 1
            if revision.spread is not None and node is not None and bool(counted) != bool(record.counted):
                revision.spread.add(node, 1 if counted else -1)
            record.counted = counted
            self._outbox.reseat.add(revision)
            self._outbox.touch(revision)

    # Reservations

    @property
    def reserved(self) -> int:
        """The number of live reservations."""
        return len(self.held)

    def reserved_classes(self) -> Iterator[str]:
        """The class of each live reservation."""
        return (revision.reservations[pod].capacity_class for pod, revision in self.held.items())

    def reserved_since(self, start: float) -> list[str]:
        """The pods whose live reservation was made, or made anew, at `start` (seconds) or later."""
        return [
            pod
            for pod, revision in self.held.items()
            if revision.reservations[pod].at >= start and not is_replacing(pod)
        ]

    def reservations(self) -> list[Reservation]:
        """The live reservations."""
        return [revision.reservations[pod] for pod, revision in self.held.items()]

    def reservation(self, pod: str) -> Reservation | None:
        """The seat that is held for a pod."""
        revision = self.held.get(pod)
        return revision.reservations[pod] if revision is not None else None

    def reserve(self, reservation: Reservation) -> None:
        """Hold a seat for a pod, in place of the one that was held for it."""
        pod = reservation.pod
        new = pod not in self.held
        # First, since giving an earlier one back may leave its revision empty and drop it.
        self.release(pod)
        revision = self.of(reservation.owner, reservation.namespace)
        revision.reservations[pod] = reservation
        revision.reserved[reservation.capacity_class] = revision.reserved.get(reservation.capacity_class, 0) + 1
        self.held[pod] = revision
        if self.changes is not None:
            self.changes.add(revision)
        if is_replacing(pod):
            revision.replacing = (*revision.replacing, pod)
        elif new and revision.replacing:
            # This is the pod that the oldest of them was for.
            self.release(revision.replacing[0])

    def release(self, pod: str) -> None:
        """Give back the seat that is held for a pod, if one is."""
        revision = self.held.pop(pod, None)
        if revision is not None:
            reservation = revision.reservations.pop(pod)
            revision.reserved[reservation.capacity_class] -= 1
            if self.changes is not None:
                self.changes.add(revision)
            if is_replacing(pod):
                revision.replacing = tuple(each for each in revision.replacing if each != pod)
            self.released(reservation)
            self._drop_if_empty(revision)
