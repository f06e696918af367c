"""Statuses of policy objects: says which are to be written, and when.

A status is written when it says something else than the object has, at most once in `PAUSE` for each object, and at a
steady pace for all of them: a cluster with a thousand policies that all change at once is told of in some seconds, and
nothing is written while nothing changes. Workloads are counted a few at a time.
"""

from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from extender.core.answers.limits import limit_uses
from extender.core.model.control import NEVER
from extender.core.model.policies import PlacementPolicy, PolicyStatus
from extender.core.policy.managed import Managed
from extender.core.policystatus.counts import Share, Sums, share_of, with_fleets
from extender.core.policystatus.status import status_of
from extender.core.state.state import ClusterState

PAUSE = 5.0
"""Between two statuses of one object (seconds)."""

SPACING = 1 / 40
"""Between two statuses of any objects (seconds): at most 50 come in any second, however late some of them are."""

BEHIND = 0.05
"""How soon it is looked again while owners are being judged anew (seconds)."""

COUNTED = 50
"""Workloads that are counted, and statuses that are made, in one step."""


class WriteStatus(Struct, frozen=True, gc=False):
    """Write the status of a policy object."""

    policy: PlacementPolicy
    status: PolicyStatus


class PolicyStatusController:
    """A `Controller`; see the module.

    Args:
        state: the cluster; its outbox names the revisions to count anew.

    Attributes:
        next_at: see `Controller`.
    """

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._uncounted: dict[str, None] = {}
        self._shares: dict[str, Share] = {}
        self._sums: dict[str, Sums] = {}
        self._due: dict[str, None] = {}
        self._given: dict[str, float] = {}
        self._under_way: set[str] = set()
        self._free_at = 0.0
        self.next_at = NEVER

    def take_over(self, now: float) -> None:
        """This replica writes from now on (seconds since the epoch): everything is counted and compared."""
        workloads = self._state.workloads
        self._uncounted.update(dict.fromkeys((*workloads.assignments.of_workload, *self._shares)))
        self._due.update(dict.fromkeys(workloads.objects.by_uid))
        self._under_way.clear()
        self.next_at = now

    def observe(self, now: float) -> None:
        """Something was taken into the state."""
        assignments, outbox = self._state.workloads.assignments, self._state.outbox
        if not self._shares and not self._state.workloads.objects.by_uid:
            outbox.recount.clear()
        runs, losses = self._state.runs, self._state.losses
        counted = runs.changed or runs.is_behind or losses.changed or self._state.holdings.changed
        if outbox.recount or assignments.moved or assignments.changed or counted:
            self.next_at = min(self.next_at, now)

    def due(self, now: float) -> list[WriteStatus]:
        """The statuses to be written now (seconds since the epoch)."""
        if self._state.workloads.is_behind:
            # What a policy speaks for is not known yet: to say so would be untrue a moment later.
            self.next_at = now + BEHIND
            return []
        self._take_news()
        for uid in list(islice(self._uncounted, COUNTED)):
            del self._uncounted[uid]
            self._count(uid)
        if self._uncounted:
            self.next_at = now
            return []
        # Its table has grown to all that were counted at once.
        self._uncounted.clear()
        actions = self._statuses(now)
        self.next_at = self._next(now)
        return actions

    def done(self, action: WriteStatus, *, written: bool, now: float) -> None:
        """A status was written, or could not be: then it is tried again."""
        uid = action.policy.uid
        self._under_way.discard(uid)
        if not written:
            self._due[uid] = None
        if uid in self._due:
            self.next_at = min(self.next_at, max(now, self._ready_at(uid)))

    def _take_news(self) -> None:
        workloads, outbox = self._state.workloads, self._state.outbox
        assignments = workloads.assignments
        self._due.update(dict.fromkeys(sorted(assignments.changed)))
        assignments.changed.clear()
        self._state.runs.settle()
        state = self._state
        for changed in (state.holdings.changed, state.runs.changed, state.losses.changed):
            self._due.update(dict.fromkeys(sorted(changed)))
            changed.clear()
        self._uncounted.update(dict.fromkeys(sorted(assignments.moved)))
        assignments.moved.clear()
        for _ in range(min(COUNTED, len(outbox.recount))):
            revision = outbox.recount.pop()
            managed = workloads.resolve(revision.namespace, revision.owner)
            if isinstance(managed, Managed):
                self._uncounted[managed.workload.uid] = None

    def _count(self, uid: str) -> None:
        old = self._shares.pop(uid, None)
        try:
            new = share_of(self._state, uid)
        except Exception:  # noqa: BLE001 - a bug that one workload meets is its own alone; whoever counts it tells of it
            new = None
        if new == old:
            if new is not None:
                self._shares[uid] = new
                # What it adds to a fleet is not all of it.
                self._due.update(dict.fromkeys((new.fleet,) if new.fleet else ()))
            return
        if old is not None:
            self._add(old, -1)
        if new is not None:
            self._add(new, +1)
            self._shares[uid] = new

    def _add(self, share: Share, sign: int) -> None:
        for policy in share.policies:
            self._sums.setdefault(policy, Sums()).add(share, sign, counted=policy != share.fleet)
            self._due[policy] = None

    def _statuses(self, now: float) -> list[WriteStatus]:
        workloads = self._state.workloads
        actions: list[WriteStatus] = []
        ready = (uid for uid in list(self._due) if uid not in self._under_way and self._ready_at(uid) <= now)
        for uid in islice(ready, COUNTED):
            thing = workloads.objects.by_uid.get(uid)
            if thing is None:
                self._forget(uid)
                continue
            if thing.policy.namespace and workloads.outside(thing.policy.namespace) is not None:
                # Nothing of it counts, and nothing is written outside of the namespaces that are managed.
                del self._due[uid]
                continue
            lost = workloads.assignments.lost.get(uid, {})
            fleets = self._state.fleets.of_policy(uid)
            uses = limit_uses(self._state, uid) if thing.limits else ()
            sums = with_fleets(self._sums.get(uid) or Sums(), fleets)
            status = status_of(thing, sums, lost, workloads, uses, now)
            spec = thing.policy.spec
            if thing.acts and spec.count == "Runs":
                status = replace(status, runs=self._state.runs.status(uid))
            if thing.acts and spec.on_demand_after is not None:
                status = replace(status, lost=self._state.losses.status(uid))
            if _is_same(status, thing.policy.status):
                del self._due[uid]
                continue
            if self._free_at > now:
                break
            del self._due[uid]
            self._free_at = max(self._free_at, now - SPACING) + SPACING
            self._given[uid] = now
            self._under_way.add(uid)
            actions.append(WriteStatus(thing.policy, status))
        return actions

    def _forget(self, uid: str) -> None:
        """A policy object is gone."""
        del self._due[uid]
        self._given.pop(uid, None)
        if uid in self._sums and not self._sums[uid].names:
            del self._sums[uid]

    def _ready_at(self, uid: str) -> float:
        return self._given.get(uid, -PAUSE) + PAUSE

    def _next(self, now: float) -> float:
        if self._uncounted or self._state.outbox.recount:
            return now
        ready = (self._ready_at(uid) for uid in self._due if uid not in self._under_way)
        return max(min(ready, default=NEVER), self._free_at)


def _is_same(one: PolicyStatus, other: PolicyStatus) -> bool:
    """Whether two statuses say the same; server-side apply may keep an order of classes that was there before."""
    first, second = ({each.name: each for each in status.classes} for status in (one, other))
    return first == second and replace(one, classes=()) == replace(other, classes=())
