"""Seats as deletion costs: says which are to be written, once a revision has come to rest.

While a burst is being placed every pod would be patched in the middle of it, at the API server's and the scheduler's
expense, and for nothing: the costs are needed when the revision is scaled in. A workload that is managed no more gets
its pods' costs taken back.

Ownership of a cost is recorded by the API server (`metadata.managedFields`); we learn of it when it refuses one of
ours. The pod is then left alone until the value on it changes, so that a refusal is never met with the same request
again.
"""

from itertools import islice

from msgspec import Struct

from extender.core.model.control import NEVER
from extender.core.model.objects import PodId
from extender.core.policy.floored import own_seats
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.workload import Workload
from extender.core.scalein.costs import costs_to_write, is_foreign
from extender.core.state.records import PodRecord, Revision
from extender.core.state.state import ClusterState

PATIENCE = 10
"""A revision that never rests is written all the same after this many times the settling time."""

BATCH = 50
"""Revisions that are given at once: others have their turn between two batches."""

KEPT_MORE = 1000
"""What is remembered of pods that are gone is dropped when this many entries have come since the last time."""


class WriteCosts(Struct, frozen=True, gc=False):
    """Set the deletion costs of pods of a revision (by UID); None takes ours back.

    `foreign` is the name of a pod whose cost somebody else set, empty where there is none that is known of; `workload`
    is whose it is, None of one that is not managed.
    """

    revision: str
    costs: tuple[tuple[PodId, int | None], ...]
    workload: Workload | None = None
    foreign: str = ""


class Unseated(Struct, frozen=True, gc=False):
    """A workload's costs cannot be said: it met a fault of our own, whose text is `error`."""

    workload: Workload
    error: str


class _Change(Struct, frozen=True, gc=False):
    """When a revision changed: first since its costs were written, and last."""

    first: float
    last: float


class SeatController:
    """A `Controller`; see the module.

    Args:
        state: the cluster; its outbox names the revisions that changed.
        settle: seconds a revision must be unchanged.

    Attributes:
        kept: values that look like ours and are not, by the UID of their pod.
        next_at: see `Controller`.
    """

    def __init__(self, state: ClusterState, settle: float) -> None:
        self._state = state
        self._settle = settle
        self._changed: dict[str, _Change] = {}
        self._written: dict[str, _Change] = {}
        self._limit = KEPT_MORE
        self.kept: dict[str, str] = {}
        self.next_at = NEVER

    def go_by(self, settle: float) -> None:
        """Wait for so long from now on; as of the class."""
        self._settle = settle

    def observe(self, now: float) -> None:
        """Something was taken into the state: note which revisions changed by it."""
        if not self._state.outbox.reseat:
            return
        for revision in self._state.outbox.take_reseat():
            if revision.owner.kind == "ReplicaSet":
                uid = revision.owner.uid
                known = self._changed.get(uid)
                self._changed[uid] = _Change(known.first if known is not None else now, now)
        if self._changed and self.next_at == NEVER:
            self.next_at = now + self._settle

    def refused(self, pod: str) -> PodRecord | None:
        """The API server says that the cost on a pod is somebody else's; the pod, if its cost is known.

        While the watch is behind the value is not known; when that comes, we are refused once more at most.
        """
        record = self._state.pods.get(pod)
        if record is None or record.cost is None:
            return None
        self.kept[pod] = record.cost
        if len(self.kept) > self._limit:
            self.kept = {uid: cost for uid, cost in self.kept.items() if uid in self._state.pods}
            self._limit = len(self.kept) + KEPT_MORE
        return record

    def due(self, now: float) -> list[WriteCosts | Unseated]:
        """The costs to be written now (seconds, of the clock of `observe`), by revision."""
        if now < self.next_at:
            return []
        settle = self._settle
        rested = [
            uid
            for uid, change in sorted(self._changed.items())
            if now - change.last >= settle or now - change.first >= PATIENCE * settle
        ]
        actions: list[WriteCosts | Unseated] = []
        for uid in islice(rested, BATCH):
            change = self._changed.pop(uid)
            try:
                action = self._costs(uid)
            except Exception as error:  # noqa: BLE001 - a bug that one workload meets is its own alone
                actions += self._faulty(uid, error)
                continue
            if action is not None:
                self._written[uid] = change
                actions.append(action)
        self.next_at = now if len(rested) > BATCH else now + settle / 4 if self._changed else NEVER
        return actions

    def done(self, action: WriteCosts, *, taken: bool, now: float) -> None:
        """The costs will be written, or there was no room for some of them: then they come again, a little later."""
        change = self._written.pop(action.revision)
        if not taken:
            self._changed.setdefault(action.revision, change)
            self.next_at = min(self.next_at, now + self._settle / 4)

    def _faulty(self, uid: str, error: Exception) -> list[Unseated]:
        revision = self._state.revisions.get(uid)
        managed = self._state.workloads.resolve(revision.namespace, revision.owner) if revision is not None else None
        return [Unseated(managed.workload, repr(error))] if isinstance(managed, Managed) else []

    def _costs(self, uid: str) -> WriteCosts | None:
        revision = self._state.revisions.get(uid)
        if revision is None:
            return None
        managed = self._state.workloads.resolve(revision.namespace, revision.owner)
        if isinstance(managed, Missing):
            return None
        if managed is None:
            ours = (pod for pod in revision.pods if pod.cost is not None and not is_foreign(pod, self.kept))
            taken_back = tuple((_id_of(pod), None) for pod in sorted(ours, key=lambda pod: pod.uid))
            return WriteCosts(uid, taken_back) if taken_back else None
        policy = managed.workload.policy
        if policy.mode != "enforce":
            return None
        costs = ((_id_of(pod), cost) for pod, cost in costs_to_write(revision, own_seats(policy), self.kept))
        in_order = tuple(sorted(costs, key=lambda each: each[0].uid))
        foreign = self._foreign_in(revision)
        return WriteCosts(uid, in_order, managed.workload, foreign) if in_order or foreign else None

    def _foreign_in(self, revision: Revision) -> str:
        found = (pod.name for pod in revision.pods if not pod.terminating and is_foreign(pod, self.kept))
        return next(found, "")


def _id_of(pod: PodRecord) -> PodId:
    return PodId(pod.namespace, pod.name, pod.uid)
