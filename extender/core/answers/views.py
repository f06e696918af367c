"""What explanations of pods and workloads are made of: facts of the state in the words that people are shown."""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.model.reasons import Reason
from extender.core.placement.score import Parts
from extender.core.policy.ordinals import seat_of_ordinal
from extender.core.policy.workload import Workload
from extender.core.policy.workloads import Managed
from extender.core.scalein.costs import costs_to_write, seat_in
from extender.core.state.records import PodRecord, Reservation, Revision
from extender.core.state.state import ClusterState
from extender.core.state.waiting import Waiting


class Subject(Struct, frozen=True, gc=False, rename="camel"):
    """An object, for people."""

    kind: str
    namespace: str
    name: str
    uid: str


class Place(Struct, frozen=True, gc=False, rename="camel"):
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


class SeatsOf(Struct, frozen=True, gc=False, rename="camel"):
    """The seats of a class in a revision: how many the policy gives it at T, and how many are taken.

    `filled` by pods on nodes, `reserved` by decisions whose pods are not seen bound yet.
    """

    capacity_class: str
    target: int
    filled: int
    reserved: int


class Seat(Struct, frozen=True, gc=False, rename="camel"):
    """The pod's own seat: counted from 1, of a class; `beyond` when it is none of the first T. T is `replicas`."""

    number: int
    capacity_class: str
    beyond: bool


class Surplus(Struct, frozen=True, gc=False, rename="camel"):
    """It is one of `pods` of its class, of which `count` are too many; `wanting` are the classes that lack pods."""

    count: int
    pods: int
    wanting: tuple[str, ...]


class NodeScore(Struct, frozen=True, rename="camel"):
    """A node's score, 0-10, and what it is made of: class, pool, node, health (see `core.score`)."""

    node: str
    total: int
    parts: Mapping[str, int]


class Held(Struct, frozen=True, gc=False, rename="camel"):
    """The seat that a running service holds for the pod since `since` (seconds); `stand_in` marks a fallback."""

    capacity_class: str
    since: float
    stand_in: bool
    instance_type: str = ""
    zone: str = ""


class Waits(Struct, frozen=True, gc=False, rename="camel"):
    """Since when a running service has the pod wait, why, and for what (seconds since the epoch; 0 for never).

    `wake_at` is when it is tried again at the latest, `nominee` the node it is nominated to, if to one.
    """

    reason: Reason
    capacity_class: str
    since: float
    wake_at: float
    nominee: str


class Outcome(Struct, frozen=True, gc=False, rename="camel"):
    """What would be decided now. `wake_at` is when a pod that waits may fall back (seconds since the epoch), or 0."""

    reason: Reason
    wanted: str
    given: str
    passing: int
    wake_at: float = 0.0


def subject_of(workload: Workload) -> Subject:
    """A workload, for people."""
    return Subject(workload.kind, workload.namespace, workload.name, workload.uid)


def place_of(state: ClusterState, record: PodRecord, now: float) -> Place | None:
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


def held_by(reservation: Reservation | None) -> Held | None:
    if reservation is None:
        return None
    pool = reservation.pool or ("", "")
    return Held(reservation.capacity_class, reservation.at, reservation.stand_in, *pool)


def waits_of(waiting: Waiting | None) -> Waits | None:
    if waiting is None:
        return None
    return Waits(waiting.reason, waiting.capacity_class, waiting.since, waiting.wake_at, waiting.node)


def node_score(node: str, parts: Parts) -> NodeScore:
    by_name = {"class": parts.capacity_class, "pool": parts.pool, "node": parts.node, "health": parts.health}
    return NodeScore(node, parts.total, by_name)


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
        by_ordinal = ((pod, seat_of_ordinal(owner, pod.name)) for pod in revision.pods if pod.counted)
        return {pod.uid: seat for pod, seat in by_ordinal if seat is not None}
    numbers = {pod.uid: seat for pod in revision.pods if pod.counted and (seat := seat_in(pod.cost)) is not None}
    for pod, cost in costs_to_write(revision, managed.workload.policy.seats):
        seat = seat_in(str(cost))
        if seat is not None:
            numbers[pod.uid] = seat
    return numbers
