"""Why a pod is where it is, or waits: what would be decided on it now, and all that the decision rests on.

Nothing here decides: seats, classes, nodes and scores are asked of the functions that place, move and count pods.
"""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from extender.core.decide import PodView, filled_seats, ordinal_of
from extender.core.drift.surplus import Sequences, drift_of
from extender.core.fit import Needs
from extender.core.policy import Problem
from extender.core.provenance import Setting, Unmanaged, problems_of, settings_in_force, why_unmanaged
from extender.core.reasons import Reason
from extender.core.records import PodRecord, Reservation, Revision, Workload
from extender.core.score import Parts, score_nodes
from extender.core.seatcost import BEYOND, costs_to_write, seat_in
from extender.core.state import ClusterState
from extender.core.verdicts import ClassVerdict, Verdicts, verdicts
from extender.core.waiting import Waiting
from extender.core.workloads import Managed, Missing

SCORES = 5
"""Nodes whose scores are given, beside the pod's own."""

VALID, LAST_VALID, HELD = "valid", "last-valid", "held-on-demand"
"""What is in force: the policy as written; the last that was valid; everything on-demand."""


class Subject(Struct, frozen=True, gc=False):
    """An object, for people."""

    kind: str
    namespace: str
    name: str
    uid: str


class Place(Struct, frozen=True, gc=False):
    """The node a pod is on. `capacity_class` is empty while the node is not known.

    `counted` says whether the pod holds a seat there. `interruptions` are those of its pool, decayed.
    """

    node: str
    capacity_class: str
    instance_type: str
    zone: str
    going_away: str
    counted: bool
    interruptions: float


class SeatsOf(Struct, frozen=True, gc=False):
    """The seats of a class in a revision: how many the policy gives it at T, and how many are taken.

    `filled` by pods on nodes, `reserved` by decisions whose pods are not seen bound yet.
    """

    capacity_class: str
    target: int
    filled: int
    reserved: int


class Seat(Struct, frozen=True, gc=False):
    """The pod's own seat: counted from 1, of a class; `beyond` when it is none of the first T. T is `replicas`."""

    number: int
    capacity_class: str
    beyond: bool


class Surplus(Struct, frozen=True, gc=False):
    """It is one of `pods` of its class, of which `count` are too many; `wanting` are the classes that lack pods."""

    count: int
    pods: int
    wanting: tuple[str, ...]


class NodeScore(Struct, frozen=True, gc=False):
    """A node's score among those that would pass, by part."""

    node: str
    parts: Parts


class Outcome(Struct, frozen=True, gc=False):
    """What would be decided now. `wake_at` is when a pod that waits may fall back (seconds since the epoch), or 0."""

    reason: Reason
    wanted: str
    given: str
    passing: int
    wake_at: float = 0.0


class PodExplanation(Struct, frozen=True):
    """See the module.

    `outcome` is None for a pod that nobody manages: then `unmanaged` says why. `replicas` is T, None where nobody knows
    it. `policy` is one of VALID, LAST_VALID, HELD. `reservation` and `waits` are what a running service holds for it.
    """

    pod: Subject
    revision: Subject | None
    terminating: bool
    place: Place | None
    workload: Subject | None = None
    unmanaged: Unmanaged | None = None
    outcome: Outcome | None = None
    mode: str = ""
    policy: str = ""
    replicas: int | None = None
    seat: Seat | None = None
    seats: tuple[SeatsOf, ...] = ()
    surplus: Surplus | None = None
    reservation: Reservation | None = None
    waits: Waiting | None = None
    classes: tuple[ClassVerdict, ...] = ()
    scores: tuple[NodeScore, ...] = ()
    settings: tuple[Setting, ...] = ()
    problems: tuple[Problem, ...] = ()


def explain_pod(state: ClusterState, record: PodRecord, now: float) -> PodExplanation:
    """Explain a pod of the state at `now` (seconds since the epoch)."""
    namespace, revision = record.namespace, record.revision
    ref = revision.owner if revision is not None else None
    explained = PodExplanation(
        Subject("Pod", namespace, record.name, record.uid),
        Subject(ref.kind, namespace, ref.name, ref.uid) if ref is not None else None,
        record.terminating,
        _place(state, record, now),
    )
    owner = state.workloads.resolve(namespace, ref)
    if owner is None or revision is None:
        return replace(explained, unmanaged=why_unmanaged(state.workloads, namespace, ref))
    found = verdicts(state, record, view_of(record), owner, now)
    explained = replace(
        explained,
        outcome=_outcome(found),
        reservation=revision.reservations.get(record.uid),
        waits=state.waiting.get(record.uid),
        classes=found.classes,
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
    return replace(
        explained,
        workload=subject_of(workload),
        mode=workload.policy.mode,
        policy=standing_of_policy(workload),
        replicas=owner.revision.replicas,
        seat=_seat(state, record, owner, wanted),
        seats=seats_of(record.revision, owner),
        surplus=_surplus(record, owner),
        scores=_scores(state, record, found, wanted, now),
        settings=settings_in_force(state.workloads, workload),
        problems=problems_of(state.workloads, workload),
    )


def subject_of(workload: Workload) -> Subject:
    """A workload, for people."""
    return Subject(workload.kind, workload.namespace, workload.name, workload.uid)


def standing_of_policy(workload: Workload) -> str:
    """VALID, LAST_VALID or HELD."""
    if workload.parsed.valid:
        return VALID
    return HELD if workload.held else LAST_VALID


def _outcome(found: Verdicts) -> Outcome:
    decision = found.decision
    waiting = next((event for event in decision.events if isinstance(event, Waiting)), None)
    return Outcome(
        decision.reason,
        decision.wanted,
        decision.capacity_class,
        len(found.passing),
        waiting.wake_at if waiting is not None else 0.0,
    )


def _place(state: ClusterState, record: PodRecord, now: float) -> Place | None:
    node = record.node
    if node is None:
        return None
    facts = node.facts
    return Place(
        node.name,
        facts.capacity_class if facts is not None else "",
        *node.pool,
        going_away=facts.going_away if facts is not None else "",
        counted=bool(record.counted),
        interruptions=state.interruptions(node.pool, now),
    )


def _scores(state: ClusterState, record: PodRecord, found: Verdicts, wanted: str, now: float) -> tuple[NodeScore, ...]:
    names = found.passing
    own = (record.node.name,) if record.node is not None else ()
    scored = score_nodes(state, record.revision, wanted, dict.fromkeys((*names, *own)), now)
    best = sorted(names, key=lambda name: (-scored[name].total, name))[:SCORES]
    return tuple(NodeScore(name, scored[name]) for name in dict.fromkeys((*best, *own)))


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


def seats_of(revision: Revision | None, managed: Managed) -> tuple[SeatsOf, ...]:
    """The seats of each class; without a size, those that are taken are all there are."""
    seats = managed.workload.policy.seats
    filled = {name: count for name, count in revision.filled.items() if count} if revision is not None else {}
    reserved = {name: count for name, count in revision.reserved.items() if count} if revision is not None else {}
    replicas = managed.revision.replicas
    target = seats.target(sum(filled.values()) if replicas is None else replicas)
    names = dict.fromkeys((*seats.classes, *sorted(filled), *sorted(reserved)))
    return tuple(SeatsOf(name, target.get(name, 0), filled.get(name, 0), reserved.get(name, 0)) for name in names)


def seat_numbers(revision: Revision, managed: Managed) -> dict[str, int]:
    """The seat of each pod that holds one, by UID: of its ordinal, else as deletion costs say or are about to."""
    owner = managed.revision
    if owner.kind == "StatefulSet":
        return dict(_by_ordinal(revision, owner.first_ordinal))
    numbers = {pod.uid: seat for pod in revision.pods if pod.counted and (seat := seat_in(pod.cost)) is not None}
    for pod, cost in costs_to_write(revision, managed.workload.policy.seats):
        seat = seat_in(str(cost))
        if seat is not None:
            numbers[pod.uid] = seat
    return numbers


def _by_ordinal(revision: Revision, first: int) -> Iterator[tuple[str, int]]:
    for pod in revision.pods:
        ordinal = ordinal_of(pod.name)
        if pod.counted and ordinal is not None and ordinal >= first:
            yield pod.uid, ordinal - first + 1


def _seat(state: ClusterState, record: PodRecord, owner: Managed, wanted: str) -> Seat | None:
    """The seat that a pod sits on, or would take."""
    revision, seats = record.revision, owner.workload.policy.seats
    if revision is None:
        return None
    number = seat_numbers(revision, owner).get(record.uid) if record.counted else None
    if number is None:
        ordinal = ordinal_of(record.name) if owner.revision.kind == "StatefulSet" else None
        if ordinal is not None and ordinal >= owner.revision.first_ordinal:
            number = ordinal - owner.revision.first_ordinal + 1
        elif not record.counted:
            number = seats.seat_of(wanted, filled_seats(state, revision, record.uid).get(wanted, 0) + 1)
    if number is None or number >= BEYOND:
        return None
    replicas = owner.revision.replicas
    return Seat(number, seats.class_at(number), beyond=replicas is not None and number > replicas)


def _surplus(record: PodRecord, owner: Managed) -> Surplus | None:
    revision = record.revision
    drift = drift_of(owner, revision, frozenset(), Sequences()) if record.counted and revision is not None else None
    for excess in drift.excess if drift is not None else ():
        if record in excess.pods:
            wanting = (excess.destination,) if excess.destination else tuple(sorted(drift.wanting if drift else ()))
            return Surplus(excess.count, len(excess.pods), wanting)
    return None
