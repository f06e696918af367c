"""Why a pod is where it is, or waits: what would be decided on it now, and all that the decision rests on.

Nothing here decides: seats, classes, nodes and scores are asked of the functions that place, move and count pods.
"""

from collections.abc import Generator

from msgspec import Struct
from msgspec.structs import replace

from extender.core.answers.nodes import ClassVerdict, Verdicts, verdicts_in_steps
from extender.core.answers.pod_parts import (
    ExpectedDecision,
    Held,
    NodeScore,
    OnPod,
    PodPlace,
    Seat,
    Surplus,
    Waits,
    gated_by,
    held_by,
    node_score,
    on_pod,
    place_of,
    waits_of,
)
from extender.core.answers.seats import RunsOf, SeatsOf, Subject, runs_of, seat_numbers, seats_of, subject_of
from extender.core.capacity.fit import Needs
from extender.core.drift.surplus import drift_of
from extender.core.model.steps import run_steps
from extender.core.placement.decide import PodView
from extender.core.placement.enforcement import Enforced, enforced_for, is_written
from extender.core.placement.limits import limits_told
from extender.core.placement.score import score_nodes
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.policy import Problem
from extender.core.policy.provenance import (
    Setting,
    Unmanaged,
    problems_of,
    settings_in_force,
    standing_of_policy,
    why_unmanaged,
)
from extender.core.scalein.costs import BEYOND
from extender.core.state.controllers import size_of_workload
from extender.core.state.counting import count_of, open_seats
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState

SCORES = 5
"""Nodes whose scores are given, beside the pod's own."""


class PodExplanation(Struct, frozen=True, rename="camel"):
    """Why a pod is where it is, or waits.

    `outcome` is None for a pod that nobody manages: then `unmanaged` says why. `replicas` is T, None where nobody knows
    it. `policy` is what `standing_of_policy` says. `held` and `waits` are what a running service holds for it.
    `limits` are those of its namespace that keep it from classes now, as sentences with what is used.
    `counted` is a line about the workloads that it is counted with, whose seats `seats` are then; empty where it is
    counted alone. `unmodelled` are the fields for which it is never moved: see `modelled`.
    """

    pod: Subject
    revision: Subject | None
    terminating: bool
    place: PodPlace | None
    workload: Subject | None = None
    unmanaged: Unmanaged | None = None
    outcome: ExpectedDecision | None = None
    mode: str = ""
    policy: str = ""
    replicas: int | None = None
    seat: Seat | None = None
    seats: tuple[SeatsOf, ...] = ()
    surplus: Surplus | None = None
    held: Held | None = None
    waits: Waits | None = None
    classes: tuple[ClassVerdict, ...] = ()
    scores: tuple[NodeScore, ...] = ()
    settings: tuple[Setting, ...] = ()
    problems: tuple[Problem, ...] = ()
    unmodelled: tuple[str, ...] = ()
    on_pod: OnPod | None = None
    enforcement: Enforced | None = None
    counted: str = ""
    limits: tuple[str, ...] = ()
    runs: RunsOf | None = None


def explain_pod(state: ClusterState, record: PodRecord, now: float) -> PodExplanation:
    """Explain a pod of the state at `now` (seconds since the epoch)."""
    return run_steps(explain_pod_in_steps(state, record, now))


def explain_pod_in_steps(state: ClusterState, record: PodRecord, now: float) -> Generator[None, None, PodExplanation]:
    """As `explain_pod`, with a pause after every few nodes, for whoever has other things to do.

    The state may change during a pause: see `verdicts_in_steps`.
    """
    namespace, revision = record.namespace, record.revision
    ref = revision.owner if revision is not None else None
    explained = PodExplanation(
        Subject("Pod", namespace, record.name, record.uid),
        Subject(ref.kind, namespace, ref.name, ref.uid) if ref is not None else None,
        record.terminating,
        place_of(state, record, now),
        unmodelled=record.constraints.unmodelled,
        on_pod=on_pod(state, record, now),
    )
    owner = state.workloads.resolve(namespace, ref)
    if owner is None or revision is None:
        return replace(explained, unmanaged=why_unmanaged(state.workloads, namespace, ref))
    found = yield from verdicts_in_steps(state, record, view_of(record), owner, now)
    yield
    explained = replace(
        explained,
        outcome=_gated(state, record, found) if record.gates else _outcome(found),
        held=held_by(revision.reservations.get(record.uid)),
        waits=waits_of(state.waiting.get(record.uid)),
        classes=found.classes,
        limits=limits_told(state, namespace, record.uid, found.decision.limited),
    )
    return explained if isinstance(owner, Missing) else _of_managed(state, record, owner, found, explained, now)


def _of_managed(  # noqa: PLR0917 - what is known so far, each of a type of its own
    state: ClusterState,
    record: PodRecord,
    owner: Managed,
    found: Verdicts,
    explained: PodExplanation,
    now: float,
) -> PodExplanation:
    workload, wanted = owner.workload, found.decision.wanted
    how = enforced_for(state, workload)
    count = count_of(state, owner, record.revision)
    return replace(
        explained,
        workload=subject_of(workload),
        mode=workload.policy.mode,
        policy=standing_of_policy(workload),
        replicas=owner.revision.replicas,
        seat=_seat(state, record, owner, wanted),
        seats=seats_of(count),
        surplus=_surplus(state, record, owner),
        scores=_scores(state, record, found, wanted, now),
        settings=settings_in_force(state.workloads, workload, on_pods=is_written(how)),
        problems=problems_of(state.workloads, workload, size_of_workload(state, workload)),
        enforcement=how,
        counted=count.fleet.text if count.fleet is not None else "",
        runs=runs_of(state, owner),
    )


def _outcome(found: Verdicts) -> ExpectedDecision:
    decision = found.decision
    return ExpectedDecision(
        decision.reason,
        decision.wanted,
        decision.capacity_class,
        len(found.passing),
        decision.waiting.wake_at if decision.waiting is not None else 0.0,
    )


def _gated(state: ClusterState, record: PodRecord, found: Verdicts) -> ExpectedDecision:
    """No scheduler asks about a pod before its gates are gone."""
    return ExpectedDecision(gated_by(state, record), found.decision.wanted, "", 0, 0.0)


def _scores(state: ClusterState, record: PodRecord, found: Verdicts, wanted: str, now: float) -> tuple[NodeScore, ...]:
    names = found.passing
    own = (record.node.name,) if record.node is not None else ()
    scored = score_nodes(state, record.revision, wanted, dict.fromkeys((*names, *own)), now)
    best = sorted(names, key=lambda name: (-scored[name].total, name))[:SCORES]
    return tuple(node_score(name, scored[name]) for name in dict.fromkeys((*best, *own)))


def view_of(record: PodRecord) -> PodView:
    """A pod of the state as the scheduler would show it; one without a node has been looked for since it was made."""
    return PodView(
        record.uid,
        record.namespace,
        record.name,
        record.revision.owner if record.revision is not None else None,
        "",
        record.created if record.node is None else None,
        lambda: Needs(record.requests, record.constraints),
    )


def _seat(state: ClusterState, record: PodRecord, owner: Managed, wanted: str) -> Seat | None:
    """The seat that a pod sits on, or would take."""
    revision = record.revision
    if revision is None or owner.workload.policy.fleet is not None:
        return None
    count = count_of(state, owner, revision)
    if count.settled and record.counted:
        return None
    number = seat_numbers(revision, owner).get(record.uid) if record.counted else None
    if number is None:
        number = count.own_seat(record.name)
        if number is None and not record.counted:
            number = count.seats.seat_of(wanted, open_seats(state, owner, record.uid).taken.get(wanted, 0) + 1)
    if number is None or number >= BEYOND:
        return None
    beyond = count.replicas is not None and number > count.replicas and not owner.runs
    return Seat(number, count.seats.class_at(number), beyond=beyond)


def _surplus(state: ClusterState, record: PodRecord, owner: Managed) -> Surplus | None:
    revision = record.revision
    if revision is None or not record.counted:
        return None
    drift = drift_of(state, count_of(state, owner, revision), owner, revision, frozenset())
    for excess in drift.excess if drift is not None else ():
        if record in excess.pods:
            wanting = (excess.destination,) if excess.destination else tuple(sorted(drift.wanting if drift else ()))
            return Surplus(excess.count, len(excess.pods), wanting)
    return None
