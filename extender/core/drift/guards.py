"""Why a pod is not moved, one small function for each reason.

A guard returns a `Refusal` or None. They are asked in an order that names the most telling reason first: what a person
has to put right, then what passes with time, then budgets. `workload_refusal` holds for every pod of a workload,
`share_refusal` for all but those that the pod's own guards (`pod_refusal`) keep anyway.
"""

from collections.abc import Callable

from msgspec import Struct

from extender.core.drift.history import WorkloadHistory
from extender.core.drift.ledger import Availability
from extender.core.drift.rules import DriftRules
from extender.core.drift.surplus import Drift
from extender.core.model.objects import Protection
from extender.core.model.reasons import Reason, Refusal
from extender.core.policy.policy import Policy
from extender.core.policy.schedule import window_open
from extender.core.policy.workload import Workload
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState

WAVE = 900.0
"""How long a node counts as one that is being lost (seconds): by then its pods have been given up and replaced."""


class Case(Struct, eq=False):
    """What the guards of a workload look at. `brought` says that nodes may be brought for its pods."""

    drift: Drift
    availability: Availability
    history: WorkloadHistory | None
    rules: DriftRules
    now: float
    brought: bool = False

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.drift.managed.workload.policy


Guard = Callable[[Case], Refusal | None]


# The loop as a whole


def cluster_refusal(state: ClusterState, rules: DriftRules, now: float, *, current: bool) -> Reason | None:
    """Why nothing is moved at all.

    In a wave of nodes that are lost it is not known what comes next. Nodes that are going away are expected to be not
    Ready before long. What was lost longer than `WAVE` ago is how the cluster is now, and what an autoscaler has just
    brought has yet to come: they count neither way.
    """
    if not current:
        return Reason.STALE
    lost = ready = 0
    for node in state.nodes.values():
        facts = node.facts
        if facts is None:
            continue
        if facts.ready or facts.going_away:
            ready += 1
        elif not facts.starting and (not facts.since or now - facts.since < WAVE):
            lost += 1
    return Reason.NODES_NOT_READY if lost * 100 > rules.not_ready * (lost + ready) else None


# A workload: what is settled before any of its pods is looked at


def policy_fault(case: Case) -> Refusal | None:
    """Somebody is about to put it right, and what it will say is not known."""
    parsed = case.drift.managed.workload.parsed
    if parsed.valid:
        return None
    return Refusal(Reason.POLICY_FAULT, next(problem.key for problem in parsed.problems if not problem.warning))


def runs_to_completion(case: Case) -> Refusal | None:
    """A Job's pods lose their work; a CronJob's are a Job's."""
    return Refusal(Reason.RUNS_TO_COMPLETION) if case.drift.managed.revision.kind == "Job" else None


def size_unknown(case: Case) -> Refusal | None:
    """Without T there is no telling how many seats there are."""
    return None if case.drift.sized else Refusal(Reason.SIZE_UNKNOWN)


def singleton(case: Case) -> Refusal | None:
    """The only replica of a workload."""
    alone = case.drift.replicas <= 1 and case.availability.replicas <= 1
    return Refusal(Reason.SINGLETON) if alone and not case.rules.singletons else None


def circuit_open(case: Case) -> Refusal | None:
    """Several moves were in vain."""
    history = case.history
    is_open = history is not None and history.is_open(case.policy, case.rules, case.now)
    return Refusal(Reason.CIRCUIT_OPEN) if is_open else None


def rollout(case: Case) -> Refusal | None:
    """Its controller says so, or more than one revision has or wants pods; one that was stopped half-way is at rest."""
    availability = case.availability
    between = availability.revisions > 1 and not availability.resting
    return Refusal(Reason.ROLLOUT) if availability.rolling or between else None


def window(case: Case) -> Refusal | None:
    """Outside of the disruption schedule."""
    policy = case.policy
    if not policy.disruption_schedule or window_open(
        policy.disruption_schedule, policy.disruption_duration, policy.timezone, case.now
    ):
        return None
    return Refusal(Reason.WINDOW, policy.disruption_schedule)


# A workload: its share


def _is_full(case: Case) -> bool:
    return case.availability.unavailable + 1 > case.rules.unavailable_limit(case.availability.replicas)


def held_up(case: Case) -> Refusal | None:
    """A pod does not end, and nobody forces it to: what it takes of the budget stays taken."""
    return Refusal(Reason.HELD_UP, case.availability.stuck) if case.availability.stuck and _is_full(case) else None


def unavailable(case: Case) -> Refusal | None:
    """As many pods are unavailable as may be, the move included."""
    return Refusal(Reason.UNAVAILABLE, case.availability.culprit) if _is_full(case) else None


def in_flight(case: Case) -> Refusal | None:
    """As many moves are in flight as may be."""
    availability = case.availability
    full = availability.in_flight >= case.rules.in_flight_limit(availability.replicas)
    return Refusal(Reason.IN_FLIGHT, availability.astray) if full else None


def hourly_budget(case: Case) -> Refusal | None:
    """The owner's own limit."""
    spent = case.availability.moved >= case.policy.max_moves_per_hour
    return Refusal(Reason.HOURLY_BUDGET) if spent else None


def back_off(case: Case, source: str, destination: str) -> Refusal | None:
    """The last move in this direction was in vain."""
    history = case.history
    waits = history is not None and history.backs_off(source, destination, case.now)
    return Refusal(Reason.BACK_OFF) if waits else None


# A pod


def protection_of(record: PodRecord, workload: Workload, now: float) -> Protection | None:
    """What forbids to move a pod at `now`, on itself or on its workload; None when nothing does."""
    if record.protection is not None and record.protection.holds(now):
        return record.protection
    protection = workload.opt_out.of_pod(record.created) if workload.opt_out is not None else None
    return protection if protection is not None and protection.holds(now) else None


def protected(pod: PodRecord, workload: Workload, now: float) -> Refusal | None:
    """An opt-out of the pod or its workload, for ever or for a while; one that cannot be read protects for ever."""
    protection = protection_of(pod, workload, now)
    if protection is None:
        return None
    reason = Reason.PROTECTION_MALFORMED if protection.malformed else Reason.PROTECTED
    return Refusal(reason, f"{protection.key}={protection.value}")


def on_bad_node(pod: PodRecord) -> Refusal | None:
    """A node that somebody drains is left to them; on one that is not Ready nothing ends."""
    facts = pod.node.facts if pod.node is not None else None
    if facts is None:
        return None
    if facts.unschedulable or facts.going_away:
        return Refusal(Reason.DRAINED, facts.name)
    return None if facts.ready else Refusal(Reason.NODE_NOT_READY, facts.name)


def pending(pod: PodRecord) -> Refusal | None:
    """No budget covers a pod whose phase is Pending."""
    return Refusal(Reason.PENDING) if pod.pending else None


def young(pod: PodRecord, rules: DriftRules, now: float) -> Refusal | None:
    """It may not have settled."""
    return Refusal(Reason.YOUNG) if now - pod.created < rules.min_age else None


_SETTLED: tuple[Guard, ...] = (
    policy_fault,
    runs_to_completion,
    size_unknown,
    singleton,
    circuit_open,
    window,
    rollout,
)
_SHARE: tuple[Guard, ...] = (held_up, in_flight, unavailable, hourly_budget)


def workload_refusal(case: Case) -> Refusal | None:
    """Why no pod of a workload is moved, whichever it is."""
    return next(filter(None, (guard(case) for guard in _SETTLED)), None)


def share_refusal(case: Case) -> Refusal | None:
    """Why no further pod of a workload is moved now."""
    return next(filter(None, (guard(case) for guard in _SHARE)), None)


def pod_refusal(pod: PodRecord, case: Case) -> Refusal | None:
    """Why this pod is not moved, whatever its workload and its budgets allow."""
    return (
        protected(pod, case.drift.managed.workload, case.now)
        or on_bad_node(pod)
        or pending(pod)
        or young(pod, case.rules, case.now)
    )
