"""Where pods come to be under a supposed change: who leaves, who is made, and which node each of them gets.

Classes are those of seats, and room is that of the drift loop's plans; all that is taken is deducted. The state is read
alone.
"""

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from msgspec import Struct, field
from msgspec.structs import replace

from extender.core.decide import free_class, ordinal_of, stand_ins
from extender.core.drift.candidates import deletion_cost
from extender.core.drift.history import History
from extender.core.drift.moves import Refusal
from extender.core.drift.room import Room
from extender.core.drift.rules import DriftRules
from extender.core.drift.seating import Seating
from extender.core.drift.surplus import Drift
from extender.core.objects import Owner, OwnerRef, Requests
from extender.core.outlook import Bystanders
from extender.core.policy import Policy
from extender.core.reasons import Reason
from extender.core.records import NodeRecord, PodRecord, Revision, tally
from extender.core.seatcost import costs_to_write
from extender.core.state import ClusterState
from extender.core.supposing import Part, policy_of
from extender.core.workloads import NEVER_MANAGED, Managed

STEP = 5
"""Pods that are placed between two pauses, or workloads that are looked at: a few milliseconds."""

LOOKS = 2_000_000
"""Nodes that are looked at in vain at most, shared among the revisions: some seconds."""


class Crew(Struct, eq=False):
    """The pods of one controller as they come to stand.

    Attributes:
        part: the controller.
        policy: what steers its pods, None when nothing does.
        size: how many it wants.
        revision: the pods that hold a seat in the end, counted as a state counts them.
        lost, removed, made: how many go with their nodes, are scaled away, are new.
        pending: those without a node, by reason and the class of their seat (empty when nothing steers them).
        stand_ins: how many are on another class than that of their seat.
        held: seats taken by class, those included that pending pods wait for.
        waiting: pods that wait for a node or are new.
    """

    part: Part
    policy: Policy | None
    size: int
    revision: Revision
    held: dict[str, int]
    drift: Drift | None = None
    lost: int = 0
    removed: int = 0
    made: int = 0
    pending: Counter[tuple[Reason, str]] = field(default_factory=Counter)
    stand_ins: int = 0
    waiting: deque[PodRecord] = field(default_factory=deque)

    @property
    def actual(self) -> Mapping[str, int]:
        """The pods that hold a seat, by class."""
        return self.revision.filled


class Settled(Struct, eq=False):
    """What came of it: the crews by the UID of their workload, the room left, and pods that nobody manages."""

    crews: dict[str, list[Crew]]
    room: Room
    bystanders: Bystanders


def settle(
    state: ClusterState,
    touched: Mapping[str, Sequence[Part]],
    lost: Mapping[str, NodeRecord],
    rules: DriftRules,
    now: float,
) -> Generator[None, None, Settled]:
    """Let all come to rest, with a pause after every few pods.

    Args:
        state: the cluster.
        touched: the parts of each workload to look at, by the workload's UID, in the order of their turns.
        lost: the nodes that are gone, by name.
        rules: of the drift loop.
        now: seconds since the epoch.
    """
    settler = _Settler(state, lost, rules, now)
    crews: dict[str, list[Crew]] = {}
    for number, (uid, parts) in enumerate(touched.items()):
        crews[uid] = [settler.enlist(part, parts) for part in parts]
        if number % STEP == STEP - 1:
            yield
    yield
    strangers, gone = yield from settler.strangers(touched)
    every = [crew for part in crews.values() for crew in part]
    settler.make_room({part.revision for parts in touched.values() for part in parts if part.revision is not None})
    yield
    settler.room.expect(len(every) + len(strangers))
    yield from settler.seat([*every, *strangers])
    pending = sum((Counter({reason: n for (reason, _), n in crew.pending.items()}) for crew in strangers), Counter())
    placed = sum(sum(crew.actual.values()) for crew in strangers)
    return Settled(crews, settler.room, Bystanders(placed, dict(pending), gone))


class _Settler:
    def __init__(self, state: ClusterState, lost: Mapping[str, NodeRecord], rules: DriftRules, now: float) -> None:
        self._state, self._lost, self._now = state, lost, now
        self._leaving = {pod.uid for node in lost.values() for pod in node.pods}
        self._left: list[tuple[PodRecord, NodeRecord]] = []
        self.room = Room(state, self._leaving, rules, now, lost=lost, looks=LOOKS)

    # Who is there, leaves, and is made

    def enlist(self, part: Part, parts: Sequence[Part]) -> Crew:
        """The pods of a controller that stay and those that are to be placed."""
        owner, revision = part.owner, part.revision
        everyone = revision.pods if revision is not None else set[PodRecord]()
        stay = [pod for pod in everyone if pod.counted and pod.uid not in self._leaving]
        unbound = [pod for pod in everyone if pod.node is None and not pod.terminating]
        lost = sum(pod.uid in self._leaving and not pod.terminating for pod in everyone)
        for pod in everyone:
            # What is about to end, wherever it is, leaves its room to others.
            if pod.node is not None and not pod.counted and pod.uid not in self._leaving:
                self._leave(pod, pod.node)
        size = owner.replicas if owner.replicas is not None else sum(not pod.terminating for pod in everyone)
        crew = Crew(part, policy_of(part), size, _revision(owner, revision), {}, lost=lost)
        removed = self._surplus(crew, stay, unbound)
        crew.removed = len(removed)
        for pod in removed:
            if pod.node is not None:
                self._leave(pod, pod.node)
        gone = {pod.uid for pod in removed}
        for pod in stay:
            if pod.uid not in gone:
                crew.revision.pods.add(pod)
                tally(crew.revision.filled, pod.counted, 1)
        waiting = sorted((pod for pod in unbound if pod.uid not in gone), key=lambda pod: (pod.created, pod.uid))
        self._hold(crew, waiting)
        crew.waiting.extend(self._unbound(pod) for pod in waiting)
        made = list(self._made(crew, parts, [*crew.revision.pods, *waiting]))
        crew.made = len(made)
        crew.waiting.extend(made)
        if part.workload is not None and crew.policy is not None:
            managed = Managed(part.workload, owner)
            crew.drift = Drift(managed, crew.revision, size, {}, {}, (), {}, 0, owner.replicas is not None)
        return crew

    def _hold(self, crew: Crew, waiting: Iterable[PodRecord]) -> None:
        """The seats that are taken: those of pods on nodes, and those that a running service holds for pods to come."""
        crew.held = dict(crew.revision.filled)
        reservations = crew.part.revision.reservations if crew.part.revision is not None else {}
        for pod in waiting:
            reserved = reservations.get(pod.uid)
            if reserved is not None:
                tally(crew.held, reserved.capacity_class, 1)

    def _leave(self, pod: PodRecord, node: NodeRecord) -> None:
        self._leaving.add(pod.uid)
        self._left.append((pod, node))

    def _surplus(self, crew: Crew, stay: Sequence[PodRecord], unbound: Sequence[PodRecord]) -> list[PodRecord]:
        """The pods that their controller removes.

        Source: `ActivePodsWithRanks` in `pkg/controller/controller_utils.go` of Kubernetes 1.36.
        """
        owner, live = crew.part.owner, [*stay, *unbound]
        if owner.kind == "StatefulSet":
            ordinals = range(owner.first_ordinal, owner.first_ordinal + crew.size)
            return [pod for pod in live if (ordinal := ordinal_of(pod.name)) is not None and ordinal not in ordinals]
        if len(live) <= crew.size:
            return []
        costs: dict[str, int] = {}
        if crew.policy is not None:
            seated = Revision(crew.revision.owner, crew.revision.namespace, set(stay), {}, {}, {})
            costs = {pod.uid: cost for pod, cost in costs_to_write(seated, crew.policy.seats)}
        beside = Counter(pod.node.name for pod in stay if pod.node is not None)
        live.sort(
            key=lambda pod: (
                pod.node is not None,
                not pod.pending,
                pod.ready,
                costs.get(pod.uid, deletion_cost(pod.cost)),
                -beside[pod.node.name] if pod.node is not None else 0,
                -pod.created,
                pod.uid,
            )
        )
        return live[: len(live) - crew.size]

    def _made(self, crew: Crew, parts: Sequence[Part], live: Sequence[PodRecord]) -> Iterator[PodRecord]:
        """The pods that their controller makes, in the order of their seats."""
        owner = crew.part.owner
        missing = crew.size - len(live)
        if missing <= 0:
            return
        like = self._like(crew.part, parts)
        if owner.kind == "StatefulSet":
            taken = {ordinal_of(pod.name) for pod in live}
            ordinals = range(owner.first_ordinal, owner.first_ordinal + crew.size)
            names = [f"{owner.name}-{ordinal}" for ordinal in ordinals if ordinal not in taken]
        else:
            names = [f"{owner.name}-{number}" for number in range(missing)]
        for name in names:
            yield self._new(like, name, f"{owner.uid}/{name}")

    def _like(self, part: Part, parts: Sequence[Part]) -> PodRecord:
        """A pod to make others by: the youngest of its own, else of the workload."""
        for revision in (part.revision, *(each.revision for each in parts)):
            if revision is not None and revision.pods:
                return max(revision.pods, key=lambda pod: (pod.created, pod.uid))
        return PodRecord("", part.owner.namespace, "", None, None, Requests(), self._now)

    def _new(self, like: PodRecord, name: str, uid: str) -> PodRecord:
        constraints = like.constraints
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
            terminating=False,
            ready=True,
            pending=False,
            due=0.0,
            constraints=constraints,
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

    def strangers(self, touched: Mapping[str, Sequence[Part]]) -> Generator[None, None, tuple[list[Crew], int]]:
        """The pods on lost nodes whose workload is not looked at, as they are made anew; and how many are not."""
        known, crews, gone = self._state.workloads, dict[str, Crew](), 0
        mine = {part.owner.uid for parts in touched.values() for part in parts}
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
                crew = crews.get(owner.uid)
                if crew is None:
                    found = known.owners.get(owner.uid) or _unknown(owner, pod.namespace)
                    part = Part(found, pod.revision, None, owner.uid)
                    crew = crews[owner.uid] = Crew(part, None, 0, _revision(found, None), {})
                crew.waiting.append(self._new(pod, pod.name, pod.uid))
                crew.made += 1
        return list(crews.values()), gone

    # Who goes where

    def make_room(self, revisions: AbstractSet[Revision]) -> None:
        """Give back the room of those that leave, and deduct what others take that wait for a node already."""
        for pod, node in self._left:
            self.room.stock.leave(pod, node)
        Seating(self._state, History(), self.room).seat(without=revisions)

    def seat(self, crews: Sequence[Crew]) -> Generator[None, None, None]:
        """Find nodes: first for the pods that wait, by age, then for the new ones in turns; last for those that fall
        back after a time.
        """
        later: list[tuple[Crew, PodRecord, str, Refusal]] = []
        for number, (crew, pod) in enumerate(_in_turn(crews)):
            self._place(crew, pod, later)
            if number % STEP == STEP - 1:
                yield
        for number, (crew, pod, wanted, refusal) in enumerate(later):
            tally(crew.held, wanted, -1)
            self._stand_in(crew, pod, wanted, refusal)
            if number % STEP == STEP - 1:
                yield

    def _place(self, crew: Crew, pod: PodRecord, later: list[tuple[Crew, PodRecord, str, Refusal]]) -> None:
        policy = crew.policy
        if policy is None:
            self._anywhere(crew, pod)
            return
        wanted = self._wanted(crew, policy, pod)
        found = self.room.find(pod, wanted, crew.drift, dwell=False)
        if isinstance(found, NodeRecord):
            self._take(crew, pod, found, wanted)
        elif policy.fallback_after and stand_ins(policy, wanted):
            tally(crew.held, wanted, 1)
            later.append((crew, pod, wanted, found))
        else:
            self._stand_in(crew, pod, wanted, found)

    def _wanted(self, crew: Crew, policy: Policy, pod: PodRecord) -> str:
        """The class of a pod's seat, as `decide` chooses it."""
        owner = crew.part.owner
        revision = crew.part.revision
        reserved = revision.reservations.get(pod.uid) if revision is not None else None
        if reserved is not None:
            tally(crew.held, reserved.capacity_class, -1)
        ordinal = ordinal_of(pod.name) if owner.kind == "StatefulSet" else None
        if ordinal is not None and ordinal >= owner.first_ordinal:
            return policy.seats.class_at(ordinal - owner.first_ordinal + 1)
        kept = reserved.capacity_class if reserved is not None and not reserved.stand_in else ""
        return free_class(policy.seats, crew.held, kept, owner.replicas)

    def _stand_in(self, crew: Crew, pod: PodRecord, wanted: str, refusal: Refusal) -> None:
        for other in stand_ins(crew.policy, wanted) if crew.policy is not None else ():
            found = self.room.find(pod, other, crew.drift, dwell=False)
            if isinstance(found, NodeRecord):
                crew.stand_ins += 1
                self._take(crew, pod, found, other)
                return
        tally(crew.held, wanted, 1)
        crew.pending[refusal.reason, wanted] += 1

    def _anywhere(self, crew: Crew, pod: PodRecord) -> None:
        """Nothing steers the pod: it goes where most is to spare."""
        found = [self.room.find(pod, name) for name in sorted(self._state.placeable)]
        nodes = [node for node in found if isinstance(node, NodeRecord)]
        if nodes:
            node = max(nodes, key=lambda node: (self.room.stock.spare_cpu(node), node.name))
            self._take(crew, pod, node, node.facts.capacity_class if node.facts is not None else "")
            return
        reasons = [refusal.reason for refusal in found if isinstance(refusal, Refusal)]
        # That of the class that came furthest says most.
        crew.pending[max(reasons, key=_telling, default=Reason.NO_NODE), ""] += 1

    def _take(self, crew: Crew, pod: PodRecord, node: NodeRecord, capacity_class: str) -> None:
        self.room.take(pod, node, crew.revision if crew.drift is not None else None)
        pod.node, pod.counted = node, capacity_class
        tally(crew.held, capacity_class, 1)
        crew.revision.pods.add(pod)
        tally(crew.revision.filled, capacity_class, 1)


_TELLING = (Reason.NO_NODE, Reason.NOT_ADMITTED, Reason.NO_ROOM)


def _telling(reason: Reason) -> int:
    return _TELLING.index(reason) if reason in _TELLING else len(_TELLING)


def _in_turn(crews: Iterable[Crew]) -> Iterator[tuple[Crew, PodRecord]]:
    """The pods of all crews: those that are there already by age, then the new ones, of every crew one."""
    old: list[tuple[float, str, Crew]] = []
    left: list[Crew] = []
    for crew in crews:
        if crew.waiting:
            left.append(crew)
            waited = islice(crew.waiting, len(crew.waiting) - crew.made)
            old += [(pod.created, pod.uid, crew) for pod in waited]
    for _, _, crew in sorted(old, key=lambda each: each[:2]):
        yield crew, crew.waiting.popleft()
    while left:
        for crew in left:
            if crew.waiting:
                yield crew, crew.waiting.popleft()
        left = [crew for crew in left if crew.waiting]


def _revision(owner: Owner, revision: Revision | None) -> Revision:
    ref = revision.owner if revision is not None else OwnerRef(owner.uid, owner.api_version, owner.kind, owner.name)
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
