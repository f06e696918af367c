"""What the explanation of a pod is made of: where it is, the seat it has or waits for, and scores of nodes."""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.model.reasons import Reason
from extender.core.placement.gates import gate_name
from extender.core.placement.score import Parts
from extender.core.state.records import PodRecord, Reservation, place_of_pool
from extender.core.state.state import ClusterState
from extender.core.state.waiting import Waiting


class PodPlace(Struct, frozen=True, gc=False, rename="camel"):
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


class OnPod(Struct, frozen=True, gc=False, rename="camel"):
    """What of placement is on the pod itself: scheduling gates that it still has, and the class that was written.

    `created` is when the pod was (seconds since the epoch). While it waits for a node, `coming` says by what an
    autoscaler brings one, and `refused` why it brings none, as far as it said so.
    """

    gates: tuple[str, ...]
    capacity_class: str
    created: float
    coming: str = ""
    refused: str = ""


class ExpectedDecision(Struct, frozen=True, gc=False, rename="camel"):
    """What would be decided now. `wake_at` is when a pod that waits may fall back (seconds since the epoch), or 0."""

    reason: Reason
    wanted: str
    given: str
    passing: int
    wake_at: float = 0.0


def place_of(state: ClusterState, record: PodRecord, now: float) -> PodPlace | None:
    """Where a pod is at `now` (seconds since the epoch); None for one without a node."""
    node = record.node
    if node is None:
        return None
    facts = node.facts
    return PodPlace(
        node.name,
        facts.capacity_class if facts is not None else "",
        *node.place,
        going_away=facts.going_away if facts is not None else "",
        counted=bool(record.counted),
        interruptions=state.interruptions.of(node.pool, now),
    )


def on_pod(state: ClusterState, record: PodRecord, now: float) -> OnPod | None:
    """What is on a pod at `now`; None where nothing is."""
    if record.gates:
        return OnPod(record.gates, "", record.created)
    if not record.written:
        return None
    waits, said = record.node is None, state.autoscaling
    coming = said.coming(record.uid, now) if waits else ""
    refused = said.refused(record.uid) if waits else ""
    return OnPod((), record.written, record.created, coming, refused)


def gated_by(state: ClusterState, record: PodRecord) -> Reason:
    """Whose gate has to go next from a gated pod."""
    ours = record.gates == (gate_name(state.workloads.rules.prefixes),)
    return Reason.GATED if ours else Reason.GATED_BY_OTHERS


def held_by(reservation: Reservation | None) -> Held | None:
    """The seat that a reservation holds, for people."""
    if reservation is None:
        return None
    pool = place_of_pool(reservation.pool or ("", ""))
    return Held(reservation.capacity_class, reservation.at, reservation.stand_in, *pool)


def waits_of(waiting: Waiting | None) -> Waits | None:
    """What a pod waits for, for people."""
    if waiting is None:
        return None
    return Waits(waiting.reason, waiting.capacity_class, waiting.since, waiting.wake_at, waiting.node)


def node_score(node: str, parts: Parts) -> NodeScore:
    """The score of a node by its parts, for people."""
    by_name = {"class": parts.capacity_class, "pool": parts.pool, "node": parts.node, "health": parts.health}
    return NodeScore(node, parts.total, by_name)
