"""Where a pod may go: the decision of filter.

`decide` is pure. What it returns has to be applied to the state, by `apply_decision`, before the next decision is made:
a reservation counts from the moment it is made, whether or not the watch has delivered its pod yet.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from itertools import chain, islice
from zlib import crc32

from msgspec import Struct

from extender.core.capacity.fit import Needs
from extender.core.model.classes import ON_DEMAND
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.core.placement.limits import limit_on
from extender.core.placement.nominate import choose_node
from extender.core.placement.score import best_nodes, spread_over
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.stand_ins import stand_ins
from extender.core.policy.workload import Workload
from extender.core.state.counting import claims_for, count_of, open_seats
from extender.core.state.records import NodeRecord, Pool, Reservation, tally
from extender.core.state.state import ClusterState, Released
from extender.core.state.waiting import Waiting

MIN_SAMPLE = 100
"""The scheduler never samples fewer feasible nodes (`minFeasibleNodesToFind`): fewer offered are all there are."""

REFUSALS = 3
"""Nominated nodes that the scheduler may refuse before a class counts as having no room."""

REFUSED_FOR = 60.0
"""Seconds after which refused nodes are tried again."""


_NONE: Mapping[str, Reservation] = {}


class PodView(Struct, frozen=True):
    """A pod as the scheduler shows it.

    `unscheduled_since` is when PodScheduled last became False (seconds), or None. `needs` decodes the rest of the pod,
    which most decisions never look at.
    """

    uid: str
    namespace: str
    name: str
    owner: OwnerRef | None
    nominated: str
    unscheduled_since: float | None
    needs: Callable[[], Needs]


class Decision(Struct, frozen=True):
    """The outcome for one pod.

    `nodes` are the names that pass; None passes all that were offered, an empty tuple rejects them all with
    `reason.text`. `wanted` is the class of the pod's seat, `capacity_class` the one it was given, empty when none.
    `offered` is how many nodes were looked at; none are of an unmanaged pod's. `limited` are the classes that a limit
    of its namespace kept it from. What the state has to know: the `reservation` of a seat for the pod, that it is
    `waiting` for its class, or that it is `released` from both.
    """

    reason: Reason
    nodes: Sequence[str] | None = None
    workload: Workload | None = None
    wanted: str = ""
    capacity_class: str = ""
    offered: int = 0
    limited: tuple[str, ...] = ()
    reservation: Reservation | None = None
    waiting: Waiting | None = None
    released: Released | None = None


def apply_decision(state: ClusterState, decision: Decision, now: float) -> None:
    """Have the state know what was decided; `now` is the time that the decision was made with (seconds)."""
    if decision.reservation is not None:
        state.apply(decision.reservation, now)
    if decision.waiting is not None:
        state.apply(decision.waiting, now)
    if decision.released is not None:
        state.apply(decision.released, now)


def written_class(state: ClusterState, pod: str) -> str:
    """The class that is written on a pod, or is being written: its scheduler may see that before our watch does.

    Empty when none is.
    """
    record = state.pods.get(pod)
    if record is None or record.written:
        return record.written if record is not None else ""
    if not record.gates or record.revision is None:
        return ""
    reservation = record.revision.reservations.get(pod)
    return reservation.capacity_class if reservation is not None and reservation.written else ""


def may_nominate(state: ClusterState) -> bool:
    """Whether a node may be nominated for a pod: to autoscalers such a pod has a node, and they launch none for it."""
    return not state.autoscalers


def _claims(state: ClusterState, pod: PodView) -> Mapping[str, Reservation]:
    """The provisional seats that count for a pod: none for one that is known, else those of its revision, by pod."""
    return state.provisional.of(pod.owner.uid) if pod.owner is not None and pod.uid not in state.pods else _NONE


def _why(state: ClusterState, managed: Managed) -> Reason:
    """Why a pod that has no seat by its name has the one that it has."""
    if state.losses.goes_on_demand(managed):
        return Reason.INTERRUPTED_BEFORE
    return Reason.RUN if managed.runs else Reason.SEAT


def wanted_class(state: ClusterState, managed: Managed, pod: PodView) -> tuple[str, Reason]:
    """The class of the seat that is a pod's own, and why."""
    revision = state.revisions.get(managed.revision.uid)
    count = count_of(state, managed, revision)
    own_seat = count.own_seat(pod.name)
    if own_seat is not None:
        return count.seats.class_at(own_seat), Reason.ORDINAL
    seats = open_seats(state, managed, pod.uid)
    earlier = revision.reservation(pod.uid) if revision is not None else None
    if pod.owner is not None and pod.uid not in state.pods and state.provisional:
        claims = claims_for(state, managed, pod.owner.uid)
        earlier = claims.get(pod.uid, earlier)
        for uid, held in claims.items():
            if uid != pod.uid:
                seats.take(held.capacity_class, mine=held.owner.uid == pod.owner.uid)
    kept = earlier.capacity_class if earlier is not None and not earlier.stand_in else ""
    return seats.choose(kept), _why(state, managed)


class _Offer:
    """What the scheduler offers, seen by class; knows how to cut a class's nodes to what is asked for."""

    def __init__(
        self,
        state: ClusterState,
        offered: Sequence[str],
        managed: Managed,
        pod: PodView,
        limit: int,
        *,
        best: bool,
    ) -> None:
        self.state = state
        self.offered = offered
        self.policy = managed.workload.policy
        self.revision = state.revisions.get(managed.revision.uid)
        self.replicas = managed.revision.replicas
        self.pod = pod
        self.limit, self.best = limit, best
        self.pool_full = False
        self._held: dict[str, dict[Pool, int]] = {}

    def nodes(self, capacity_class: str, now: float) -> tuple[Sequence[str], Pool | None]:
        """The offered nodes of a class that are left; and the one pool they are in when the policy caps pools."""
        known: Mapping[str, NodeRecord] = self.state.placeable.get(capacity_class, {})
        if not known:
            return (), None
        if self.policy.pool_cap(capacity_class) is not None:
            return self._in_best_pool(capacity_class, known, now)
        if not self.limit or len(self.offered) <= self.limit:
            if self.best:
                found = list(filter(None, map(known.get, self.offered)))
                return best_nodes(self.state, self.revision, found, 0, now), None
            # Thousands of names: a comprehension takes a fifth longer.
            return list(filter(known.__contains__, self.offered)), None
        # Twice the limit is enough to choose from: the scheduler offers zones in turn. Where to start differs from pod
        # to pod.
        start = crc32(self.pod.uid.encode()) % len(self.offered)
        turned = chain(self.offered[start:], self.offered[:start])
        found = list(islice(filter(None, map(known.get, turned)), 2 * self.limit))
        if self.best:
            return best_nodes(self.state, self.revision, found, self.limit, now), None
        if len(found) <= self.limit:
            return [record.name for record in found], None
        return spread_over(self.state, self.revision, found, self.limit, now), None

    def _in_best_pool(
        self, capacity_class: str, known: Mapping[str, NodeRecord], now: float
    ) -> tuple[Sequence[str], Pool | None]:
        pools: dict[Pool, list[NodeRecord]] = {}
        for name in self.offered:
            node = known.get(name)
            if node is not None:
                pools.setdefault(node.pool, []).append(node)
        free = [pool for pool in pools if self._pool_takes(capacity_class, pool)]
        self.pool_full = bool(pools) and not free
        if not free:
            return (), None
        held = self._pods_by_pool(capacity_class)
        best = min(free, key=lambda p: (held.get(p, 0), self.state.interruptions.of(p, now), p))
        if self.best:
            return best_nodes(self.state, self.revision, pools[best], self.limit, now), best
        return [node.name for node in islice(pools[best], self.limit or None)], best

    def _pods_by_pool(self, capacity_class: str) -> dict[Pool, int]:
        """How many other pods of the revision each pool of a class holds, seen or reserved."""
        held = self._held.get(capacity_class)
        if held is None:
            held = self._held[capacity_class] = {}
            if self.revision is not None:
                for record in self.revision.pods:
                    if record.counted == capacity_class and record.node is not None and record.uid != self.pod.uid:
                        tally(held, record.node.pool, 1)
                self._tally(capacity_class, self.revision.reservations, held)
            self._tally(capacity_class, _claims(self.state, self.pod), held)
        return held

    def _tally(self, capacity_class: str, reservations: Mapping[str, Reservation], held: dict[Pool, int]) -> None:
        for uid, reservation in reservations.items():
            if reservation.pool is not None and reservation.capacity_class == capacity_class and uid != self.pod.uid:
                tally(held, reservation.pool, 1)

    def _pool_takes(self, capacity_class: str, pool: Pool) -> bool:
        cap = self.policy.pool_cap(capacity_class)
        return cap is None or self._pods_by_pool(capacity_class).get(pool, 0) < cap.limit(self.replicas or 1)

    def takes(self, capacity_class: str, node: NodeRecord) -> bool:
        """Whether the pool cap, if there is one, lets the pod go to a node of the class."""
        return self._pool_takes(capacity_class, node.pool)

    def pool_of(self, capacity_class: str, node: str) -> Pool | None:
        """The pool of a node, if it is of the class and counts towards the pool cap."""
        record = self.state.placeable.get(capacity_class, {}).get(node)
        return record.pool if record is not None and self.policy.pool_cap(capacity_class) is not None else None

    def elsewhere(self, capacity_class: str, refused: Container[str]) -> str:
        """A node of the class that would fit and was not offered; empty if there is none, or all were offered."""
        if len(self.offered) < MIN_SAMPLE:
            return ""
        known = self.state.placeable.get(capacity_class, {})
        nodes = (node for node in known.values() if self.takes(capacity_class, node))
        record = self.state.pods.get(self.pod.uid)
        needs = Needs(record.requests, record.constraints) if record is not None else self.pod.needs()
        return choose_node(self.state, nodes, set(self.offered), refused, needs)


def _held(state: ClusterState, pod: PodView, owner: OwnerRef, offered: Sequence[str], now: float) -> Decision:
    """Hold a pod on-demand whose owner is not known: its namespace and name may yet say that it is managed."""
    known = state.placeable.get(ON_DEMAND, {})
    limited = (ON_DEMAND,) if limit_on(state, pod.namespace, pod.uid, ON_DEMAND) is not None else ()
    nodes = [name for name in offered if name in known] if not limited else []
    reservation = Reservation(pod.uid, pod.namespace, owner, ON_DEMAND, now, waits=not nodes)
    reason = Reason.OWNER_UNKNOWN
    if nodes:
        return Decision(reason, nodes, None, ON_DEMAND, ON_DEMAND, len(offered), reservation=reservation)
    wake_at = now if limited and pod.uid not in state.pods else 0.0
    waiting = Waiting(pod.uid, pod.namespace, pod.name, owner.uid, ON_DEMAND, reason, now, wake_at, limited=limited)
    return Decision(reason, (), None, ON_DEMAND, "", len(offered), limited, reservation, waiting)


def decide(  # noqa: PLR0917 - inputs, each of a type of its own
    state: ClusterState,
    pod: PodView,
    owner: Managed | Missing | None,
    offered: Sequence[str],
    now: float,
    limit: int = 0,
    *,
    best: bool = False,
) -> Decision:
    """Choose the nodes a pod may go to.

    Args:
        state: the cluster, with every earlier decision applied.
        pod: the pod.
        owner: what `Workloads.resolve` says of it.
        offered: names of the nodes that passed the scheduler's own filters.
        now: seconds, of the clock of `ClusterState.apply`.
        limit: most nodes to pass; 0 passes all of the class.
        best: pass those alone that score highest (`placement.score`).
    """
    if owner is None or pod.owner is None:
        return Decision(Reason.UNMANAGED)
    if isinstance(owner, Missing):
        return _held(state, pod, pod.owner, offered, now)
    workload = owner.workload
    policy = workload.policy
    written = written_class(state, pod.uid)
    if written:
        # Whoever wrote it has counted it: the scheduler offers nodes of this class alone.
        return Decision(Reason.WRITTEN, None, workload, written, written, len(offered))
    wanted, reason = wanted_class(state, owner, pod)
    if policy.mode == "audit":
        # Enforced until a moment ago, it may hold a seat or wait.
        return Decision(Reason.AUDIT, None, workload, wanted, offered=len(offered), released=Released(pod.uid))
    if workload.held:
        reason = Reason.POLICY_INVALID
    offer = _Offer(state, offered, owner, pod, limit, best=best)
    return _Placement(state, pod, owner, offer, now).choose(wanted, reason)


class _Placement:
    """One pod's way through wanted class, nodes that were not offered, stand-ins and waiting."""

    def __init__(self, state: ClusterState, pod: PodView, managed: Managed, offer: _Offer, now: float) -> None:
        self.pod, self.managed, self.offer, self.now = pod, managed, offer, now
        self.policy = managed.workload.policy
        self.before = state.waiting.get(pod.uid)
        self.limited: list[str] = []

    def _nodes(self, capacity_class: str) -> tuple[Sequence[str], Pool | None]:
        """As `_Offer.nodes`; none are of a class that a limit keeps the pod from."""
        if limit_on(self.offer.state, self.pod.namespace, self.pod.uid, capacity_class) is not None:
            self.limited.append(capacity_class)
            return (), None
        return self.offer.nodes(capacity_class, self.now)

    def choose(self, wanted: str, reason: Reason) -> Decision:
        nodes, pool = self._nodes(wanted)
        if nodes:
            return self._pass(nodes, wanted, wanted, reason, pool)
        if self.limited and self.pod.uid not in self.offer.state.pods:
            # The watch is about to deliver it: then is the time to ask again.
            return self._reject(wanted, Reason.LIMIT_REACHED, "", self.now)
        if len(self.offer.offered) == 1 and self.pod.nominated == self.offer.offered[0]:
            # A nominated node is offered alone; the others follow if it is rejected.
            return self._reject(wanted, Reason.WAIT_NOMINATED, self.before.node if self.before else "")
        pool_full = self.offer.pool_full
        node = self._nominee(wanted)
        if node:
            return self._reject(wanted, Reason.WAIT_SAMPLE, node)
        waits_until = self._since(wanted) + self.policy.fallback_after
        others = stand_ins(self.policy, wanted)
        if others and self.now < waits_until:
            return self._reject(wanted, Reason.LIMIT_REACHED if self.limited else Reason.WAIT_FALLBACK, "", waits_until)
        for stand_in in others:
            nodes, pool = self._nodes(stand_in)
            if nodes:
                return self._pass(nodes, wanted, stand_in, Reason.FALLBACK, pool)
            node = self._nominee(stand_in)
            if node:
                return self._reject(wanted, Reason.WAIT_SAMPLE, node)
        if self.limited:
            return self._reject(wanted, Reason.LIMIT_REACHED, "")
        return self._reject(wanted, Reason.POOL_FULL if pool_full else Reason.WAIT_CLASS, "")

    def _since(self, wanted: str) -> float:
        """When the pod first lacked its class; what the scheduler wrote on the pod outlives a restart of ours."""
        if self.before is not None and self.before.capacity_class == wanted:
            return self.before.since
        if self.before is None and self.pod.unscheduled_since is not None:
            return min(self.pod.unscheduled_since, self.now)
        return self.now

    def _refused(self) -> frozenset[str]:
        before = self.before
        if before is None or not before.node:
            return before.refused if before is not None and self.now < before.refused_until else frozenset()
        refused = before.refused if self.now < before.refused_until else frozenset()
        if self.pod.nominated == before.node or not may_nominate(self.offer.state):
            # The scheduler tried it first, and it did not even come to us; or was to find it by itself, and did not.
            refused |= {before.node}
        return refused

    def _nominee(self, capacity_class: str) -> str:
        refused = self._refused()
        if len(refused) >= REFUSALS or capacity_class in self.limited:
            return ""
        before = self.before
        if before is not None and before.node and before.node not in refused and before.node not in self.offer.offered:
            record = self.offer.state.placeable.get(capacity_class, {}).get(before.node)
            if record is not None and self.offer.takes(capacity_class, record):
                return before.node
        return self.offer.elsewhere(capacity_class, refused)

    def _pass(
        self, nodes: Sequence[str], wanted: str, capacity_class: str, reason: Reason, pool: Pool | None
    ) -> Decision:
        return Decision(
            reason,
            nodes,
            self.managed.workload,
            wanted,
            capacity_class,
            len(self.offer.offered),
            tuple(self.limited),
            self._reservation(capacity_class, pool, stand_in=capacity_class != wanted),
        )

    def _reject(self, wanted: str, reason: Reason, node: str, wake_at: float = 0.0) -> Decision:
        pod = self.pod
        refused = self._refused()
        before = self.before
        until = before.refused_until if before is not None and refused == before.refused else self.now + REFUSED_FOR
        waiting = Waiting(
            pod.uid,
            pod.namespace,
            pod.name,
            self.managed.revision.uid,
            wanted,
            reason,
            self._since(wanted),
            # Nobody else tells when the refused nodes may be tried again.
            wake_at or (until if refused and not node else 0.0),
            node,
            refused,
            until if refused else 0.0,
            tuple(self.limited),
        )
        return Decision(
            reason,
            (),
            self.managed.workload,
            wanted,
            "",
            len(self.offer.offered),
            tuple(self.limited),
            self._reservation(wanted, self.offer.pool_of(wanted, node), waits=True),
            waiting,
        )

    def _reservation(
        self, capacity_class: str, pool: Pool | None, *, stand_in: bool = False, waits: bool = False
    ) -> Reservation:
        pod = self.pod
        owner = pod.owner
        if owner is None:  # `decide` lets no such pod come here
            raise AssertionError("a managed pod has an owner")
        return Reservation(pod.uid, pod.namespace, owner, capacity_class, self.now, pool, stand_in, waits=waits)
