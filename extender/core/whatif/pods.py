"""Who is there under a supposed change: the pods of each controller that stay, leave, wait for a node, or are made.

Nothing here is placed: see `placing`. The state is read alone.
"""

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct, field
from msgspec.structs import replace

from extender.core.capacity.room import Group
from extender.core.model.objects import Owner, OwnerRef, Requests
from extender.core.model.reasons import Reason
from extender.core.placement.enforcement import enforced, is_written
from extender.core.placement.written import own_demands
from extender.core.policy.floored import own_seats
from extender.core.policy.ordinals import ordinal_of
from extender.core.policy.owners import NEVER_MANAGED
from extender.core.policy.policy import Policy
from extender.core.policy.values import MAX_REPLICAS
from extender.core.scalein.costs import costs_to_write
from extender.core.scalein.removal_order import removal_order
from extender.core.state.counting import OpenSeats
from extender.core.state.records import NodeRecord, PodRecord, PodTraits, Revision, tally
from extender.core.state.state import ClusterState
from extender.core.whatif.change import SupposedController, policy_of

STEP = 5
"""Pods that are placed between two pauses, or workloads that are looked at: a few milliseconds."""


class FutureRevision(Struct, eq=False):
    """The pods of one controller under the supposed change: those on nodes, and those that have none yet.

    Attributes:
        controller: what controls them, as supposed.
        policy: what steers its pods, None when nothing does.
        group: its pods, for a search of room; None when nothing steers them.
        size: how many it wants.
        revision: the pods that hold a seat in the end, counted as a state counts them.
        lost, removed, made: how many go with their nodes, are scaled away, are new.
        pending: those without a node, by reason and the class of their seat (empty when nothing steers them).
        stand_ins: how many are on another class than that of their seat.
        held: seats taken by class, those included that pending pods wait for.
        waiting: pods that wait for a node or are new.
        written: whether classes are written on its new pods.
        counted: the seats of the workloads that it is counted with, which share `held`; None where it is counted alone.
    """

    controller: SupposedController
    policy: Policy | None
    size: int
    revision: Revision
    held: dict[str, int]
    group: Group | None = None
    lost: int = 0
    removed: int = 0
    made: int = 0
    pending: Counter[tuple[Reason, str]] = field(default_factory=Counter)
    stand_ins: int = 0
    waiting: deque[PodRecord] = field(default_factory=deque)
    written: bool = False
    counted: OpenSeats | None = None

    @property
    def actual(self) -> Mapping[str, int]:
        """The pods that hold a seat, by class."""
        return self.revision.filled


class PodForecast:
    """Tells which pods of each controller stay, leave, wait for a node, or are made.

    Args:
        state: the cluster.
        lost: the nodes that are gone, by name.
        now: seconds since the epoch.

    Attributes:
        leaving: UIDs of pods that leave, wherever they are; those on lost nodes from the start.
        left: the pods that leave their nodes, and these nodes, which are not lost.
    """

    def __init__(self, state: ClusterState, lost: Mapping[str, NodeRecord], now: float) -> None:
        self._state, self._lost, self._now = state, lost, now
        self.leaving = {pod.uid for node in lost.values() for pod in node.pods}
        self.left: list[tuple[PodRecord, NodeRecord]] = []

    def revision(self, controller: SupposedController, controllers: Sequence[SupposedController]) -> FutureRevision:
        """The pods of a controller that stay and those that are to be placed."""
        owner, revision = controller.owner, controller.revision
        everyone = revision.pods if revision is not None else set[PodRecord]()
        stay = [pod for pod in everyone if pod.counted and pod.node is not None and pod.uid not in self.leaving]
        unbound = [pod for pod in everyone if pod.node is None and not pod.terminating]
        lost = sum(pod.uid in self.leaving and not pod.terminating for pod in everyone)
        for pod in everyone:
            # What is about to end, wherever it is, leaves its room to others.
            if pod.node is not None and not pod.counted and pod.uid not in self.leaving:
                self._leave(pod, pod.node)
        size = owner.replicas if owner.replicas is not None else sum(not pod.terminating for pod in everyone)
        future = FutureRevision(controller, policy_of(controller), size, _revision(owner, revision), {}, lost=lost)
        removed = self._surplus(future, controllers, stay, unbound)
        future.removed = len(removed)
        for pod in removed:
            if pod.node is not None:
                self._leave(pod, pod.node)
        gone = {pod.uid for pod in removed}
        for pod in stay:
            if pod.uid not in gone:
                future.revision.pods.add(pod)
                tally(future.revision.filled, pod.counted, 1)
        waiting = sorted((pod for pod in unbound if pod.uid not in gone), key=lambda pod: (pod.created, pod.uid))
        self._hold(future, waiting)
        future.waiting.extend(self._unbound(pod) for pod in waiting)
        made = list(self._made(future, controllers, [*future.revision.pods, *waiting]))
        future.made = len(made)
        future.waiting.extend(made)
        if future.policy is not None:
            # A class that is written on pods has no pools.
            how = enforced(self._state, future.policy, revision.scheduler if revision is not None else "")
            future.written = is_written(how)
            future.group = Group(future.revision, {} if future.written else future.policy.pool_limits(size))
        return future

    def _hold(self, future: FutureRevision, waiting: Iterable[PodRecord]) -> None:
        """The seats that are taken: those of pods on nodes, those of pods on which their class is written, and those
        that a running service holds for others.
        """
        future.held = dict(future.revision.filled)
        reservations = future.controller.revision.reservations if future.controller.revision is not None else {}
        for pod in waiting:
            reserved = reservations.get(pod.uid)
            held = pod.counted or (reserved.capacity_class if reserved is not None else "")
            if held:
                tally(future.held, held, 1)

    def _leave(self, pod: PodRecord, node: NodeRecord) -> None:
        self.leaving.add(pod.uid)
        self.left.append((pod, node))

    def _surplus(
        self,
        future: FutureRevision,
        controllers: Sequence[SupposedController],
        stay: Sequence[PodRecord],
        unbound: Sequence[PodRecord],
    ) -> list[PodRecord]:
        """The pods that their controller removes."""
        owner, live = future.controller.owner, [*stay, *unbound]
        if owner.kind == "StatefulSet":
            ordinals = range(owner.first_ordinal, owner.first_ordinal + future.size)
            return [pod for pod in live if (ordinal := ordinal_of(pod.name)) is not None and ordinal not in ordinals]
        if len(live) <= future.size:
            return []
        costs: dict[str, int] = {}
        if future.policy is not None:
            seated = Revision(future.revision.owner, future.revision.namespace, set(stay), {}, {}, {})
            costs = {pod.uid: cost for pod, cost in costs_to_write(seated, own_seats(future.policy))}
        related = [
            pod
            for controller in controllers
            if controller.revision is not None and owner.owner is not None
            for pod in controller.revision.pods
            if pod.counted and pod.node_name not in self._lost
        ]
        return removal_order(live, related, self._now, costs)[: len(live) - future.size]

    def _made(
        self, future: FutureRevision, controllers: Sequence[SupposedController], live: Sequence[PodRecord]
    ) -> Iterator[PodRecord]:
        """The pods that their controller makes, in the order of their seats."""
        owner = future.controller.owner
        missing = future.size - len(live)
        if missing <= 0:
            return
        like = self._like(future.controller, controllers)
        if owner.kind == "StatefulSet":
            taken = {ordinal_of(pod.name) for pod in live}
            ordinals = range(owner.first_ordinal, owner.first_ordinal + future.size)
            names = (f"{owner.name}-{ordinal}" for ordinal in ordinals if ordinal not in taken)
        else:
            names = (f"{owner.name}-{number}" for number in range(missing))
        # A workload may be of any size on paper.
        for name in islice(names, MAX_REPLICAS):
            yield self._new(like, name, f"{owner.uid}/{name}")

    def _like(self, controller: SupposedController, controllers: Sequence[SupposedController]) -> PodRecord:
        """A pod to make others by: the youngest of its own, else of the workload."""
        for revision in (controller.revision, *(each.revision for each in controllers)):
            if revision is not None and revision.pods:
                return max(revision.pods, key=lambda pod: (pod.created, pod.uid))
        return PodRecord("", controller.owner.namespace, "", None, None, Requests(), self._now)

    def _new(self, like: PodRecord, name: str, uid: str) -> PodRecord:
        constraints = like.constraints
        if like.written:
            constraints = own_demands(self._state.workloads.rules.classes, constraints)
        if constraints.claims:
            claims = (_claim(claim, like.name, name) for claim in constraints.claims)
            constraints = replace(constraints, claims=tuple(each for each in claims if self._is_bound(like, each)))
        return replace(
            like,
            uid=f"supposed/{uid}",
            name=name,
            node=None,
            created=self._now,
            counted="",
            cost=None,
            ready=True,
            constraints=constraints,
            traits=PodTraits(protection=like.protection),
        )

    def _unbound(self, pod: PodRecord) -> PodRecord:
        """A pod that waits, as it is once it is placed; a claim without a volume gets one where its pod goes."""
        demands = pod.constraints
        if not demands.claims:
            return replace(pod)
        claims = tuple(claim for claim in demands.claims if self._is_bound(pod, claim))
        return replace(pod, constraints=replace(demands, claims=claims))

    def _is_bound(self, pod: PodRecord, claim: str) -> bool:
        found = self._state.claims.get((pod.namespace, claim))
        return found is not None and bool(found.volume)

    def bystanders(
        self, touched: Mapping[str, Sequence[SupposedController]]
    ) -> Generator[None, None, tuple[list[FutureRevision], int]]:
        """The pods on lost nodes whose workload is not looked at, as they are made anew; and how many are not."""
        known, futures, gone = self._state.workloads, dict[str, FutureRevision](), 0
        mine = {controller.owner.uid for controllers in touched.values() for controller in controllers}
        for number, node in enumerate(self._lost.values()):
            if number % STEP == STEP - 1:
                yield
            for pod in sorted(node.pods, key=lambda pod: pod.uid):
                owner = pod.revision.owner if pod.revision is not None else None
                if pod.terminating or (owner is not None and owner.uid in mine):
                    continue
                if owner is None or pod.revision is None or owner.kind in NEVER_MANAGED:
                    gone += 1
                    continue
                future = futures.get(owner.uid)
                if future is None:
                    found = known.owners.get(owner.uid) or _unknown(owner, pod.namespace)
                    controller = SupposedController(found, pod.revision, None, owner.uid)
                    future = futures[owner.uid] = FutureRevision(controller, None, 0, _revision(found, None), {})
                future.waiting.append(self._new(pod, pod.name, pod.uid))
                future.made += 1
        return list(futures.values()), gone


def _revision(owner: Owner, revision: Revision | None) -> Revision:
    ref = revision.owner if revision is not None else owner.ref
    return Revision(ref, owner.namespace, set(), {}, {}, {})


def _unknown(owner: OwnerRef, namespace: str) -> Owner:
    return Owner(owner.uid, "", owner.api_version, owner.kind, namespace, owner.name, None, {}, {})


def _claim(claim: str, like: str, name: str) -> str:
    """The claim of a new pod for one of the pod that it is like: a StatefulSet's, and an ephemeral volume's, are named
    after their pods.
    """
    if claim.endswith(f"-{like}"):
        return claim.removesuffix(like) + name
    return name + claim.removeprefix(like) if claim.startswith(f"{like}-") else claim
