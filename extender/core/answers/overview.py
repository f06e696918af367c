"""The cluster on one page: every workload wanted against actual, worst first, totals, and the node pools.

One answer serves the command line, the API and the console. Replicas are counted by `replicas`.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from extender.core.answers.pod_parts import gated_by
from extender.core.answers.replicas import Name, Replicas, Standing, name_of, standing_of, unnamed_classes
from extender.core.answers.scope import EVERYWHERE, Scope
from extender.core.model.reasons import Reason
from extender.core.model.steps import run_steps
from extender.core.placement.enforcement import Enforced, enforced_in_all
from extender.core.policy.managed import Managed
from extender.core.policy.provenance import HELD, LAST_VALID, SPLIT_KEPT, speaking_for, standing_of_policy
from extender.core.policy.workload import Workload
from extender.core.state.records import NodeRecord, Revision
from extender.core.state.state import ClusterState

T = TypeVar("T")

FAULT = "fault"
"""In place of what is in force of a policy: counting the workload met a fault of our own."""

STEP = 100
"""Workloads that are looked at between two pauses: a millisecond or two."""


class Condition(Enum):
    """What is to be said about a workload, worst first; a workload may have several, or none."""

    FLOOR_BREACHED = "floor-breached"
    HELD_ON_DEMAND = "held-on-demand"
    POLICY_INVALID = "policy-invalid"
    OFF_TARGET = "off-target"
    WAITING = "waiting"
    INCOMPLETE = "incomplete"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _ORDER[self]

    def __str__(self) -> str:
        """As people see it."""
        return self.value.replace("-", " ")


_ORDER = {condition: rank for rank, condition in enumerate(Condition)}

OFF = frozenset(
    {
        Condition.FLOOR_BREACHED,
        Condition.HELD_ON_DEMAND,
        Condition.POLICY_INVALID,
        Condition.OFF_TARGET,
    }
)
"""Conditions of a workload that is not as its owner asked for; the others pass as its pods start."""


class WorkloadRow(Struct, frozen=True, rename="camel"):
    """One workload; a CronJob's Jobs go together by its name.

    Attributes:
        uid: of the object that carries the policy; of a CronJob that of one of its Jobs.
        policy: valid, last-valid, split-kept or held-on-demand, see `provenance`; or FAULT.
        replicas: what its revisions want in all.
        wanted, actual: seats, and pods that hold one, by class.
        reserved: seats held for pods not seen bound yet, by class; a running service alone holds any.
        surplus: pods on another class than their seats.
        missing: replicas that hold no seat.
        below_floor: replicas missing to the floors of their classes.
        pending: its pods that have no node.
        waiting: those that filter rejected, by reason; a running service alone knows. Also those that are gated, and
            those on which their class is written.
        problems: wrong keys and warnings.
        policies: the policy objects that speak for it, such as `PlacementPolicy shop/web`, the more specific first.
        counted: a line about the workloads that its replicas are counted with, empty where they are counted alone: else
            `wanted` are those that it has, and `surplus` is theirs.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    mode: str
    policy: str
    conditions: tuple[Condition, ...]
    replicas: int
    wanted: Mapping[str, int]
    actual: Mapping[str, int]
    reserved: Mapping[str, int]
    surplus: int
    missing: int
    below_floor: int
    pending: int
    waiting: Mapping[Reason, int]
    problems: int
    policies: tuple[str, ...] = ()
    counted: str = ""


class PoolRow(Struct, frozen=True, gc=False, rename="camel"):
    """The nodes of a class, instance type and zone: how many, of these going away, cordoned and not ready.

    `pods` are all pods on them. `interruptions` are decayed, `interrupted` counts all since the service started.
    `doubtful` are nodes whose class is in doubt, `doubt` says why of one. `unnamed` where no policy names the class.
    """

    capacity_class: str
    instance_type: str
    zone: str
    nodes: int
    going_away: int
    cordoned: int
    not_ready: int
    pods: int
    interruptions: float
    interrupted: int
    doubtful: int = 0
    doubt: str = ""
    unnamed: bool = False


class Totals(Struct, frozen=True, rename="camel"):
    """Sums over the workloads shown; `conditions` counts workloads, `nodes` those of each class that take pods."""

    workloads: int
    audited: int
    conditions: Mapping[Condition, int]
    replicas: int
    wanted: Mapping[str, int]
    actual: Mapping[str, int]
    surplus: int
    missing: int
    below_floor: int
    pending: int
    nodes: Mapping[str, int]


class Overview(Struct, frozen=True, rename="camel"):
    """Every workload, worst first, their totals, and the node pools. `at` is in seconds since the epoch.

    `enforcement` is how classes are enforced where workloads say nothing of it; a running service alone knows.
    """

    at: float
    totals: Totals
    workloads: tuple[WorkloadRow, ...]
    pools: tuple[PoolRow, ...]
    enforcement: tuple[Enforced, ...] = ()


def overview(state: ClusterState, now: float, scope: Scope = EVERYWHERE) -> Overview:
    """The cluster at `now` (seconds since the epoch); of workloads those of `scope`."""
    return run_steps(overview_in_steps(state, now, scope))


def overview_in_steps(state: ClusterState, now: float, scope: Scope = EVERYWHERE) -> Generator[None, None, Overview]:
    """As `overview`, with a pause after every few workloads, for whoever has other things to do.

    The state may change during a pause: each row is right for the moment it was made in.
    """
    standings: dict[Name, Standing] = {}
    for part in _batched(list(state.workloads.by_uid.values())):
        for workload in part:
            if scope.has(state, workload.namespace, workload.uid):
                standing = _standing_of(state, workload)
                if standing is not None:
                    _add(standings, standing)
        yield
    unseated = _unseated(state)
    rows: list[WorkloadRow] = []
    for named in _batched(list(standings.items())):
        rows += [_row(state, standing, unseated.get(name, _NOBODY)) for name, standing in named]
        yield
    rows.sort(key=_badness)
    yield
    totals = totals_of(rows, {name: len(nodes) for name, nodes in sorted(state.placeable.items())})
    yield
    return Overview(now, totals, tuple(rows), tuple(pools(state, now)), tuple(enforced_in_all(state)))


def narrowed(seen: Overview, rows: Sequence[WorkloadRow]) -> Overview:
    """An overview as one of some of its workloads; the nodes and pools stay."""
    return replace(seen, totals=totals_of(rows, seen.totals.nodes), workloads=tuple(rows))


def _standing_of(state: ClusterState, workload: Workload) -> Standing | None:
    try:
        return standing_of(state, workload)
    except Exception:  # noqa: BLE001 - a bug that one workload meets is its own alone; whoever counts it tells of it
        return Standing(workload, name_of(state, workload), faulty=True)


def _batched(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Some of them at a time."""
    for start in range(0, len(items), STEP):
        yield items[start : start + STEP]


def rows_of(state: ClusterState, standings: Iterable[Standing]) -> list[WorkloadRow]:
    """A row for each name, worst first."""
    unseated = _unseated(state)
    by_name: dict[Name, Standing] = {}
    for standing in standings:
        _add(by_name, standing)
    rows = (_row(state, standing, unseated.get(name, _NOBODY)) for name, standing in by_name.items())
    return sorted(rows, key=_badness)


def _add(by_name: dict[Name, Standing], standing: Standing) -> None:
    """The Jobs of a CronJob go by one name."""
    known = by_name.setdefault(standing.name, standing)
    if known is not standing:
        known.replicas.add(standing.replicas)


def _badness(row: WorkloadRow) -> tuple[int, float, str, str, str]:
    worst = row.conditions[0].rank if row.conditions else len(Condition)
    return worst, -(row.surplus + row.missing) / max(1, row.replicas), row.namespace, row.name, row.kind


class _Unseated:
    """The pods of a workload that are on no node, and the seats held for some of them."""

    def __init__(self) -> None:
        self.pending = 0
        self.reserved: Counter[str] = Counter()
        self.waiting: Counter[Reason] = Counter()


_NOBODY = _Unseated()


def _unseated(state: ClusterState) -> dict[Name, _Unseated]:
    """By name of the workload; few revisions have such pods at any time."""
    found: dict[Name, _Unseated] = {}

    def of(revision: Revision | None) -> _Unseated | None:
        owner = state.workloads.resolve(revision.namespace, revision.owner) if revision is not None else None
        return found.setdefault(name_of(state, owner.workload), _Unseated()) if isinstance(owner, Managed) else None

    for pod in state.unbound.values():
        unseated = of(pod.revision)
        if unseated is not None:
            unseated.pending += 1
            if pod.gates:
                unseated.waiting[gated_by(state, pod)] += 1
            elif pod.counted:
                unseated.waiting[Reason.WRITTEN] += 1
    for revision in state.revisions.values():
        unseated = of(revision) if revision.reservations else None
        if unseated is not None:
            unseated.reserved.update({name: count for name, count in revision.reserved.items() if count})
    for waiting in state.waiting.all():
        unseated = of(state.revisions.get(waiting.revision))
        if unseated is not None:
            unseated.waiting[waiting.reason] += 1
    return found


def _row(state: ClusterState, standing: Standing, unseated: _Unseated) -> WorkloadRow:
    workload, name, replicas = standing.workload, standing.name, standing.replicas
    policy = FAULT if standing.faulty else standing_of_policy(workload)
    return WorkloadRow(
        name.kind,
        name.namespace,
        name.name,
        workload.uid,
        workload.policy.mode,
        policy,
        tuple(_conditions(standing, policy, unseated)),
        sum(replicas.wanted.values()),
        replicas.wanted,
        replicas.actual,
        dict(unseated.reserved),
        replicas.surplus,
        replicas.missing,
        replicas.below_floor,
        unseated.pending,
        dict(unseated.waiting),
        len(workload.parsed.problems),
        speaking_for(state.workloads, workload.uid),
        standing.fleet.text if standing.fleet is not None else "",
    )


def _conditions(standing: Standing, policy: str, unseated: _Unseated) -> Iterator[Condition]:
    replicas = standing.replicas
    if replicas.below_floor:
        yield Condition.FLOOR_BREACHED
    if policy == HELD:
        yield Condition.HELD_ON_DEMAND
    if policy in (LAST_VALID, SPLIT_KEPT):
        yield Condition.POLICY_INVALID
    if standing.is_off:
        yield Condition.OFF_TARGET
    if unseated.pending:
        yield Condition.WAITING
    if replicas.missing > unseated.pending or standing.faulty:
        yield Condition.INCOMPLETE


def totals_of(rows: Sequence[WorkloadRow], nodes: Mapping[str, int]) -> Totals:
    """Sums over these workloads; `nodes` are those that take pods, by class."""
    counts = Counter(condition for row in rows for condition in row.conditions)
    return Totals(
        len(rows),
        sum(row.mode == "audit" for row in rows),
        {condition: counts[condition] for condition in Condition},
        sum(row.replicas for row in rows),
        _sum(row.wanted for row in rows),
        _sum(row.actual for row in rows),
        sum(row.surplus for row in rows),
        sum(row.missing for row in rows),
        sum(row.below_floor for row in rows),
        sum(row.pending for row in rows),
        nodes,
    )


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Replicas().wanted
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def pools(state: ClusterState, now: float) -> Iterator[PoolRow]:
    """The node pools by class, instance type and zone."""
    unnamed = unnamed_classes(state)
    by_pool: dict[tuple[str, str, str], list[NodeRecord]] = {}
    for node in state.nodes.values():
        if node.facts is not None:
            by_pool.setdefault((node.facts.capacity_class, *node.place), []).append(node)
    for (capacity_class, instance_type, zone), nodes in sorted(by_pool.items()):
        facts = [node.facts for node in nodes if node.facts is not None]
        lost_together = {node.pool for node in nodes} if facts[0].interruptible else set()
        yield PoolRow(
            capacity_class,
            instance_type,
            zone,
            len(nodes),
            sum(bool(each.going_away) for each in facts),
            sum(each.unschedulable for each in facts),
            sum(not each.ready for each in facts),
            sum(len(node.pods) for node in nodes),
            sum(state.interruptions.of(pool, now) for pool in lost_together),
            sum(state.interruptions.counts.get(pool, 0) for pool in lost_together),
            sum(bool(each.doubt) for each in facts),
            next((each.doubt for each in facts if each.doubt), ""),
            capacity_class in unnamed,
        )
