"""Runs: the pods of batch jobs, one after another, which sit on one sequence of seats.

A pod is a run once it has a node, and counts by the class of that for ever, once for its UID. What was counted is in
the status of the policy object, and nowhere else: the counts, and which pods they are of. So every replica comes to the
same numbers from the status and from the pods that it knows beyond it, whoever wrote the status, and as often as it is
told of a pod: after a restart the pods that are still there are told of again.

Which pods were counted is told by a second, up to which all that were bound are, and by the UIDs of those bound later.
That second stays behind the newest by `WITHIN`, since several API servers have several clocks.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from extender.core.model.objects import OwnerRef, Pod
from extender.core.model.policies import RunCounts
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.owners import KEEPERS
from extender.core.policy.workloads import Workloads
from extender.core.state.records import NodeRecord, PodRecord, Revision, tally

WITHIN = 60
"""How far apart the clocks of API servers may be (seconds)."""

LISTED = 1_000
"""UIDs that a status has at most: of more the second is later."""

KEPT = 10_000
"""Pods that are remembered until the status has them, of each policy, and until it is known whose they are."""


class Run(Struct, frozen=True, gc=False):
    """A pod that got a node, in the second `bound` (since the epoch); its class is empty while that is not known.

    `written` is the class that was written on it.
    """

    namespace: str
    owner: OwnerRef
    node: str
    written: str
    bound: int
    capacity_class: str = ""


class Book(Struct, eq=False):
    """The runs of a policy: `told` is what its status says, `more` are the pods beyond that by UID, `counts` are all.

    `listed` are those of `told` by UID.
    """

    told: RunCounts
    listed: dict[str, int]
    more: dict[str, Run]
    counts: dict[str, int]

    def has(self, uid: str, bound: int) -> bool:
        """Whether a pod is in the status."""
        return bound <= self.told.until or uid in self.listed


class Runs:
    """The runs of all policies that count them.

    Args:
        workloads: say whose a pod is, and hold the policy objects with their statuses.
        nodes: by name.
        reserved: the revision of each live reservation, by pod.
        decided: pods without a node on which their class is written, by UID.

    Attributes:
        changed: UIDs of policies whose counts are others than before. Who tells of them takes them out.
    """

    def __init__(
        self,
        workloads: Workloads,
        nodes: Mapping[str, NodeRecord],
        reserved: Mapping[str, Revision],
        decided: Mapping[str, PodRecord],
    ) -> None:
        self.changed: set[str] = set()
        self._workloads, self._nodes, self._reserved, self._decided = workloads, nodes, reserved, decided
        self._books: dict[str, Book] = {}
        self._unsettled: dict[str, Run] = {}
        self._synced = self._stirred = False

    # What happens

    def met(self, pod: Pod) -> None:
        """A pod got its node, or was met with one."""
        owner = pod.owner
        if owner is None or owner.kind in KEEPERS or (self._synced and not self._workloads.objects.by_uid):
            return
        run = Run(pod.namespace, owner, pod.node, pod.written, int(pod.bound))
        if self._is_open(pod.uid, run):
            self._unsettled[pod.uid] = run
            if len(self._unsettled) > 2 * KEPT:
                newest = sorted(self._unsettled.items(), key=lambda each: each[1].bound)[-KEPT:]
                self._unsettled = dict(newest)

    def synced(self) -> None:
        """All that there is was delivered: what is in no policy's runs by now is in none."""
        self._synced = self._stirred = True
        self.settle()

    def stir(self) -> None:
        """An owner, a node or a policy was met: it may be what is not known of a pod."""
        self._stirred = True

    def forget(self, policy: str) -> None:
        """A policy object is gone."""
        self._books.pop(policy, None)
        self.changed.discard(policy)

    def settle(self) -> None:
        """Count the pods of which it is known by now whose they are."""
        if self._stirred and self._unsettled:
            self._unsettled = {uid: run for uid, run in self._unsettled.items() if self._is_open(uid, run)}
        self._stirred = False

    def _is_open(self, uid: str, run: Run) -> bool:
        """Whether it is not known yet what a pod counts as; counts it where it is."""
        managed = self._workloads.resolve(run.namespace, run.owner)
        if isinstance(managed, Missing):
            return True
        policy = managed.runs if managed is not None else ""
        if not policy:
            return not self._synced
        book = self._book(policy)
        if uid in book.more or book.has(uid, run.bound):
            return False
        node = self._nodes.get(run.node)
        facts = node.facts if node is not None else None
        # What is written on a pod kept it off all other nodes.
        known = facts.capacity_class if facts is not None else run.written
        if not known:
            return True
        book.more[uid] = Run(run.namespace, run.owner, run.node, run.written, run.bound, known)
        tally(book.counts, known, 1)
        if len(book.more) > KEPT:
            tally(book.counts, book.more.pop(next(iter(book.more))).capacity_class, -1)
        self.changed.add(policy)
        return False

    # Questions

    @property
    def is_behind(self) -> bool:
        """Whether `settle` may have something to do."""
        return self._stirred and bool(self._unsettled)

    def counts(self, policy: str) -> Mapping[str, int]:
        """The runs of a policy (UID) so far, by class."""
        self.settle()
        return self._book(policy).counts

    def taken(self, policy: str, pod: str) -> dict[str, int]:
        """The seats of a policy's sequence, by class, on which runs sit, and pods that will be some, save one (UID)."""
        taken = dict(self.counts(policy))
        for name in self._about_to_be(policy, pod):
            taken[name] = taken.get(name, 0) + 1
        return taken

    def _about_to_be(self, policy: str, pod: str) -> Iterator[str]:
        """The class of each pod that holds a seat and has no node."""
        owned: dict[Revision, bool] = {}

        def is_of(revision: Revision) -> bool:
            found = owned.get(revision)
            if found is None:
                managed = self._workloads.resolve(revision.namespace, revision.owner)
                found = owned[revision] = isinstance(managed, Managed) and managed.runs == policy
            return found

        for uid, revision in self._reserved.items():
            if uid != pod and is_of(revision):
                yield revision.reservations[uid].capacity_class
        for uid, record in self._decided.items():
            if uid != pod and record.counted and record.revision is not None and is_of(record.revision):
                yield record.counted

    def status(self, policy: str) -> RunCounts:
        """What the status of a policy has to say of its runs."""
        self.settle()
        book = self._book(policy)
        told = book.told
        if not book.more:
            return told
        pods = {**book.listed, **{uid: run.bound for uid, run in book.more.items()}}
        seconds = sorted(pods.values())
        until = max(told.until, seconds[-1] - WITHIN)
        if len(seconds) > LISTED:
            until = max(until, seconds[-LISTED - 1])
        later = sorted((bound, uid) for uid, bound in pods.items() if bound > until)
        counts = tuple(sorted((name, count) for name, count in book.counts.items() if count))
        return RunCounts(counts, until, tuple((uid, bound) for bound, uid in later))

    def _book(self, policy: str) -> Book:
        thing = self._workloads.objects.by_uid.get(policy)
        told = thing.policy.status.runs if thing is not None else None
        book = self._books.get(policy)
        if told is None:
            # What was there before the policy is none of its runs.
            told = book.told if book is not None else RunCounts(until=int(thing.policy.created) - 1 if thing else -1)
        if book is None or book.told is not told:
            book = self._books[policy] = _opened(told, book.more if book is not None else {})
        return book


def _opened(told: RunCounts, more: Mapping[str, Run]) -> Book:
    """The book of a status, with the pods of `more` that it does not have."""
    book = Book(told, dict(told.pods), {}, dict(told.counts))
    for uid, run in more.items():
        if not book.has(uid, run.bound):
            book.more[uid] = run
            tally(book.counts, run.capacity_class, 1)
    return book
