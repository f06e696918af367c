"""What each node is to a pod, in groups: those that would pass now, and why the others would not.

The scheduler's own filters are asked as far as the drift loop knows them (`drift.room`); what passes them is offered to
`decide`, which alone says what passes then.
"""

from collections.abc import Callable, Generator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from extender.core.capacity.fit import selected, tolerated
from extender.core.capacity.room import Hurdle, Room
from extender.core.model.objects import Node
from extender.core.model.reasons import Reason
from extender.core.model.steps import run_steps
from extender.core.placement.decide import Decision, PodView, decide
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.stand_ins import stand_ins
from extender.core.state.records import NodeRecord, PodRecord, Pool
from extender.core.state.state import ClusterState

STEP = 250
"""Nodes that are looked at between two pauses: some milliseconds."""
MANY = 2000
"""As `STEP`, where a node takes a microsecond."""

EXAMPLES = 3
"""Names of nodes that a group gives."""

Role = str
WANTED, STAND_IN, UNUSED = "wanted", "stand-in", ""
"""What a class is to the pod: that of its seat, one that may stand in for it, or neither."""

_STEPS = {
    Hurdle.ROOM: Reason.FULL,
    Hurdle.VOLUME: Reason.NO_VOLUME,
    Hurdle.HOST_PORT: Reason.PORT_TAKEN,
    Hurdle.AFFINITY: Reason.NOT_BESIDE,
    Hurdle.SPREAD: Reason.SKEWED,
}

Cause = tuple[Reason, str]


class JudgedNodes(Struct, frozen=True, gc=False, rename="camel"):
    """Nodes of a class with one verdict. `detail` is the taint or marker that makes it; `examples` are some names."""

    reason: Reason
    detail: str
    count: int
    examples: tuple[str, ...]


class ClassVerdict(Struct, frozen=True, rename="camel"):
    """The nodes of a class, the largest group first. `given` when its nodes would pass."""

    capacity_class: str
    role: Role
    given: bool
    nodes: int
    groups: tuple[JudgedNodes, ...]


class Verdicts(Struct, frozen=True, rename="camel"):
    """What would be decided now, the classes in the order wanted, standing in, others, and the nodes that fit."""

    decision: Decision
    classes: tuple[ClassVerdict, ...]
    fitting: tuple[str, ...]

    @property
    def passing(self) -> Sequence[str]:
        """The names of the nodes that would pass."""
        return self.fitting if self.decision.nodes is None else self.decision.nodes


def verdicts(
    state: ClusterState, record: PodRecord, view: PodView, owner: Managed | Missing | None, now: float
) -> Verdicts:
    """What would be decided on a pod at `now` (seconds since the epoch), were the scheduler to ask.

    A pod that is on a node is looked at as if it were to be placed once more; its own node has room for it.
    """
    return run_steps(verdicts_in_steps(state, record, view, owner, now))


def verdicts_in_steps(
    state: ClusterState, record: PodRecord, view: PodView, owner: Managed | Missing | None, now: float
) -> Generator[None, None, Verdicts]:
    """As `verdicts`, with a pause after every few nodes, for whoever has other things to do.

    The state may change during a pause: nodes are judged as they were when their turn came.
    """
    return _Judge(state, record, view, owner, now).judge()


class _Judge:
    def __init__(
        self, state: ClusterState, record: PodRecord, view: PodView, owner: Managed | Missing | None, now: float
    ) -> None:
        self.state, self.record, self.view, self.owner, self.now = state, record, view, owner, now
        self.nodes = {name: node for name, node in sorted(state.nodes.items()) if node.facts is not None}
        self.known = {name: node.facts for name, node in self.nodes.items() if node.facts is not None}
        self.pools: dict[tuple[str, Pool], Reason] = {}

    def judge(self) -> Generator[None, None, Verdicts]:
        step = Room(self.state, frozenset({self.record.uid}), self.now).steps(self._probe())
        yield
        causes: dict[str, Cause | None] = {}
        for number, (name, facts) in enumerate(self.known.items()):
            causes[name] = self._obstacle(self.nodes[name], facts, step)
            if number % STEP == STEP - 1:
                yield
        fitting = tuple(name for name, cause in causes.items() if cause is None and name in self.state.nodes)
        decision = decide(self.state, self.view, self.owner, fitting, self.now)
        yield
        roles = self._roles(decision)
        passing = frozenset(fitting if decision.nodes is None else decision.nodes)
        by_class: dict[str, dict[Cause, list[str]]] = {}
        for number, (name, facts) in enumerate(self.known.items()):
            if number % MANY == MANY - 1:
                yield
            capacity_class = facts.capacity_class
            role = roles.get(capacity_class, UNUSED)
            if name in passing:
                cause: Cause = (Reason.FITS, "")
            elif role == UNUSED or (role == STAND_IN and decision.capacity_class == decision.wanted):
                cause = (Reason.OTHER_CLASS, "")
            else:
                cause = causes[name] or self._decided_against(name, decision, role)
            by_class.setdefault(capacity_class, {}).setdefault(cause, []).append(name)
        for name in roles:
            by_class.setdefault(name, {})
        order = {WANTED: 0, STAND_IN: 1, UNUSED: 2}
        classes = [_class_verdict(name, roles.get(name, UNUSED), passing, groups) for name, groups in by_class.items()]
        classes.sort(key=lambda each: (order[each.role], each.capacity_class))
        return Verdicts(decision, tuple(classes), fitting)

    def _probe(self) -> PodRecord:
        """The pod without claims that no volume is bound to: one is made where the pod goes."""
        record = self.record
        bound = tuple(
            claim
            for claim in record.constraints.claims
            if (found := self.state.claims.get((record.namespace, claim))) is not None and found.volume
        )
        return replace(record, constraints=replace(record.constraints, claims=bound))

    def _obstacle(self, node: NodeRecord, facts: Node, step: Callable[[NodeRecord], Hurdle]) -> Cause | None:
        """What keeps the pod off a node, whatever its class; None when nothing does."""
        if facts.going_away:
            return Reason.GOING_AWAY, facts.going_away
        if node is self.record.node:
            return None
        reached = step(node)
        if reached is Hurdle.END:
            return None
        constraints = self.record.constraints
        if reached is not Hurdle.ADMISSION:
            return _STEPS[reached], ""
        if not selected(facts, constraints):
            return Reason.NOT_SELECTED, ""
        taint = next((t for t in facts.taints if not tolerated(replace(facts, taints=(t,)), constraints)), None)
        if taint is None or taint.key == "node.kubernetes.io/unschedulable":
            return Reason.CORDONED, ""
        return Reason.TAINTED, taint.key

    def _roles(self, decision: Decision) -> dict[str, Role]:
        if not decision.wanted:
            return {}
        policy = decision.workload.policy if decision.workload is not None else None
        others = stand_ins(policy, decision.wanted) if policy is not None else ()
        return {decision.wanted: WANTED, **dict.fromkeys(others, STAND_IN)}

    def _decided_against(self, name: str, decision: Decision, role: Role) -> Cause:
        """Why a node that fits would not pass: the class waits its turn, a limit, or the owner's pool cap."""
        if self.known[name].capacity_class in decision.limited:
            return Reason.LIMIT_REACHED, ""
        if role == STAND_IN and decision.reason is Reason.WAIT_FALLBACK:
            return Reason.WAIT_FALLBACK, ""
        node = self.nodes[name]
        key = (self.known[name].capacity_class, node.pool)
        if key not in self.pools:
            alone = decide(self.state, self.view, self.owner, (name,), self.now)
            self.pools[key] = Reason.OTHER_POOL if alone.nodes else Reason.NODE_POOL_FULL
        return self.pools[key], "/".join(filter(None, node.pool))


def _class_verdict(name: str, role: Role, passing: frozenset[str], groups: dict[Cause, list[str]]) -> ClassVerdict:
    found = [
        JudgedNodes(reason, detail, len(names), tuple(names[:EXAMPLES])) for (reason, detail), names in groups.items()
    ]
    found.sort(key=lambda group: (group.reason is not Reason.FITS, -group.count, group.reason.value, group.detail))
    given = any(each in passing for names in groups.values() for each in names)
    return ClassVerdict(name, role, given, sum(group.count for group in found), tuple(found))
