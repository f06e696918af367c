"""Revisions, their counts, and the seats that are reserved in them."""

from collections.abc import Iterator
from sys import intern

from extender.core.model.objects import OwnerRef
from extender.core.state.outbox import Outbox
from extender.core.state.records import PodRecord, Reservation, Revision, is_replacing
from extender.core.state.waiting import WaitingPods


class Revisions:
    """The part of the cluster state that counts pods.

    Attributes:
        revisions: by the controller's UID.
        waiting: pods that filter rejected.
        outbox: what others have to do about what happened.
    """

    def __init__(self) -> None:
        self.revisions: dict[str, Revision] = {}
        self.waiting = WaitingPods()
        self.outbox = Outbox()
        self._reserved: dict[str, Revision] = {}

    def revision(self, owner: OwnerRef, namespace: str) -> Revision:
        """The revision of the pods that `owner` controls, made when met for the first time."""
        revision = self.revisions.get(owner.uid)
        if revision is None:
            revision = self.revisions[owner.uid] = Revision(owner, intern(namespace), set(), {}, {}, {})
        return revision

    def _drop_if_empty(self, revision: Revision) -> None:
        if not revision.pods and not revision.reservations:
            self.revisions.pop(revision.owner.uid, None)
            self.outbox.forget(revision)

    def _recount(self, record: PodRecord) -> None:
        """Count the pod under the class of its node, or not at all; a pod that is counted needs no reservation."""
        revision, node = record.revision, record.node
        if record.terminating or (node is not None and node.facts is not None):
            self._release(record.uid)
        if revision is None:
            return
        counted = ""
        if node is not None and node.placeable and not record.terminating:
            counted = node.facts.capacity_class if node.facts else ""
        if counted != record.counted:
            filled = revision.filled
            if record.counted:
                filled[record.counted] -= 1
            if counted:
                filled[counted] = filled.get(counted, 0) + 1
            if revision.spread is not None and node is not None and bool(counted) != bool(record.counted):
                revision.spread.add(node, 1 if counted else -1)
            record.counted = counted
            self.outbox.reseat.add(revision)
            self.outbox.touched.add(revision)

    # Reservations

    @property
    def reserved(self) -> int:
        """The number of live reservations."""
        return len(self._reserved)

    def reserved_classes(self) -> Iterator[str]:
        """The class of each live reservation."""
        return (revision.reservations[pod].capacity_class for pod, revision in self._reserved.items())

    def reserved_since(self, start: float) -> list[str]:
        """The pods whose live reservation was made, or made anew, at `start` (seconds) or later."""
        return [
            pod
            for pod, revision in self._reserved.items()
            if revision.reservations[pod].at >= start and not is_replacing(pod)
        ]

    def _reserve(self, reservation: Reservation) -> None:
        pod = reservation.pod
        new = pod not in self._reserved
        # First, since giving an earlier one back may leave its revision empty and drop it.
        self._release(pod)
        revision = self.revision(reservation.owner, reservation.namespace)
        revision.reservations[pod] = reservation
        revision.reserved[reservation.capacity_class] = revision.reserved.get(reservation.capacity_class, 0) + 1
        self._reserved[pod] = revision
        if is_replacing(pod):
            revision.replacing = (*revision.replacing, pod)
        elif new and revision.replacing:
            # This is the pod that the oldest of them was for.
            self._release(revision.replacing[0])

    def _release(self, pod: str) -> None:
        revision = self._reserved.pop(pod, None)
        if revision is not None:
            reservation = revision.reservations.pop(pod)
            revision.reserved[reservation.capacity_class] -= 1
            if is_replacing(pod):
                revision.replacing = tuple(each for each in revision.replacing if each != pod)
            self._drop_if_empty(revision)
