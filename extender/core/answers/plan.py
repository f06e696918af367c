"""A plan as a report for people and programs: its fields are a stable format, see `docs/reference/drift-plan.md`."""

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from extender.core.answers.scope import EVERYWHERE, Scope
from extender.core.drift.history import History
from extender.core.drift.moves import DriftPlan, Move, OffTarget, Stay, WorkloadRef
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.state.state import ClusterState


class WorkloadName(Struct, frozen=True, order=True):
    """A workload."""

    namespace: str
    kind: str
    name: str


class Why(Struct, frozen=True, omit_defaults=True):
    """A reason with its text; `detail` names the object that is in the way."""

    reason: Reason
    text: str
    detail: str = ""


class EvictionVerdict(Struct, frozen=True):
    """What the API server says to a dry run of an eviction: `answer` is one word for it, `status` the HTTP status."""

    answer: str
    status: int
    text: str


class PlannedMove(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A pod that would be evicted now; `audit` when its workload is in audit mode, so that it would not."""

    pod: PodId
    workload: WorkloadName
    node: str
    source: str = field(name="from")
    destination: str = field(name="to")
    target: str
    why: Why
    audit: bool = False
    verdict: EvictionVerdict | None = None


class PlannedStay(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A surplus pod that stays. Without `to` no class has a seat for it."""

    pod: PodId
    workload: WorkloadName
    node: str
    source: str = field(name="from")
    why: Why
    destination: str = field(name="to", default="")
    verdict: EvictionVerdict | None = None


class OngoingMove(Struct, frozen=True, rename="camel"):
    """A pod that was evicted at `since` (seconds since the epoch), and whose replacement is not Ready yet."""

    pod: PodId
    workload: WorkloadName
    source: str = field(name="from")
    destination: str = field(name="to")
    since: float


class Imbalance(Struct, frozen=True, rename="camel"):
    """A revision off its split; counts are by class."""

    workload: WorkloadName
    replicas: int
    wanted: Mapping[str, int]
    actual: Mapping[str, int]
    surplus: int
    missing: int


class DriftReport(Struct, frozen=True, rename="camel"):
    """What a plan says, for people and programs.

    `at` is when it was made (seconds since the epoch); `paused` says why nothing is moved at all.
    """

    at: float
    paused: Why | None
    moves: tuple[PlannedMove, ...]
    stays: tuple[PlannedStay, ...]
    in_flight: tuple[OngoingMove, ...]
    off_target: tuple[Imbalance, ...]


def why(reason: Reason, detail: str = "") -> Why:
    """A reason for a report."""
    return Why(reason, reason.text, detail)


def report(
    state: ClusterState, plan: DriftPlan, history: History, now: float, scope: Scope = EVERYWHERE
) -> DriftReport:
    """The report of a plan.

    Args:
        state: the cluster.
        plan: of the whole of it.
        history: moves that are in flight.
        now: seconds since the epoch.
        scope: the workloads to tell of.
    """

    def told(subject: WorkloadRef) -> bool:
        return scope.has(state, subject.namespace, subject.uid)

    ongoing = sorted(history.in_flight(), key=lambda entry: (entry.at, entry.move.pod.uid))
    return DriftReport(
        now,
        why(plan.paused) if plan.paused is not None else None,
        tuple(_move(move) for move in plan.moves if told(move.workload)),
        tuple(_stay(stay) for stay in plan.stays if told(stay.workload)),
        tuple(
            OngoingMove(entry.move.pod, _name(entry.move.workload), entry.move.source, entry.move.destination, entry.at)
            for entry in ongoing
            if told(entry.move.workload)
        ),
        tuple(sorted((_imbalance(each) for each in plan.off_target if told(each.workload)), key=lambda i: i.workload)),
    )


def doubted(report: DriftReport) -> tuple[PodId, ...]:
    """The pods on whose eviction the API server has a say: those that would move, and those that a budget keeps."""
    kept = (stay.pod for stay in report.stays if stay.why.reason in _OF_BUDGETS)
    return (*(move.pod for move in report.moves), *kept)


def with_verdicts(report: DriftReport, verdicts: Mapping[PodId, EvictionVerdict]) -> DriftReport:
    """A report with what the API server says."""
    return replace(
        report,
        moves=tuple(replace(move, verdict=verdicts.get(move.pod)) for move in report.moves),
        stays=tuple(replace(stay, verdict=verdicts.get(stay.pod)) for stay in report.stays),
    )


_OF_BUDGETS = frozenset({Reason.BUDGET, Reason.BUDGET_STALE, Reason.BUDGETS})


def _name(subject: WorkloadRef) -> WorkloadName:
    return WorkloadName(subject.namespace, subject.kind, subject.name)


def _move(move: Move) -> PlannedMove:
    return PlannedMove(
        move.pod,
        _name(move.workload),
        move.node,
        move.source,
        move.destination,
        move.target,
        why(move.reason),
        audit=move.dry,
    )


def _stay(stay: Stay) -> PlannedStay:
    reason = why(stay.reason, stay.detail)
    return PlannedStay(stay.pod, _name(stay.workload), stay.node, stay.source, reason, stay.destination)


def _imbalance(off: OffTarget) -> Imbalance:
    return Imbalance(_name(off.workload), off.replicas, off.target, off.actual, off.surplus, off.missing)
