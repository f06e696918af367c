"""What the drift loop stores of a workload: its history as JSON text, and the body of an eviction.

The format is versioned and ours alone. Times are seconds since the epoch, rounded to milliseconds. Fields that are not
known are passed over, so that an older replica reads what a newer one wrote; an entry of another version, or of a bad
shape, is an error, since to forget moves would be worse than to make none.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from extender.core.drift.history import DEFAULT_GRACE, DirectionBackoff, InFlight, WorkloadHistory
from extender.core.drift.moves import Move, WorkloadRef
from extender.core.model.errors import WireError
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.state.interruptions import Interruption

VERSION = 1
INTERRUPTIONS = "interruptions"
"""The one key of the store that is no workload's UID."""

_Seconds = Annotated[float, Meta(ge=0)]


class _PodId(Struct, frozen=True):
    namespace: str
    name: str
    uid: str


class _Subject(Struct, frozen=True):
    uid: str
    kind: str
    namespace: str
    name: str
    revision: str


class _InFlight(Struct, frozen=True, rename="camel", omit_defaults=True):
    pod: _PodId
    node: str
    workload: _Subject
    source: str
    destination: str
    target: str
    at: _Seconds
    newest: _Seconds
    siblings: tuple[str, ...] = ()
    grace: _Seconds = DEFAULT_GRACE
    stuck: bool = False


class _BackOff(Struct, frozen=True):
    failures: Annotated[int, Meta(ge=1)]
    until: _Seconds


class _Entry(Struct, frozen=True, rename="camel", omit_defaults=True):
    version: int
    in_flight: tuple[_InFlight, ...] = ()
    moved: tuple[_Seconds, ...] = ()
    back_off: dict[str, _BackOff] = {}
    vain: tuple[_Seconds, ...] = ()
    opened: _Seconds = 0.0
    judged_by: str = ""


_decoder = msgspec.json.Decoder(_Entry)


def encode_history(history: WorkloadHistory) -> str:
    """The history of a workload as text."""
    entry = _Entry(
        VERSION,
        tuple(_in_flight(each) for each in history.in_flight),
        tuple(_time(at) for at in history.moved),
        {key: _BackOff(each.failures, _time(each.until)) for key, each in history.back_off.items()},
        tuple(_time(at) for at in history.vain),
        _time(history.opened),
        history.judged_by,
    )
    return msgspec.json.encode(entry).decode()


def decode_history(text: str) -> WorkloadHistory:
    """The history of a workload from text.

    Raises:
        WireError: the text is none, or of another version; it says which field is wrong.
    """
    try:
        entry = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise WireError(f"the history of a workload does not decode: {error}") from error
    if entry.version != VERSION:
        raise WireError(f"the history of a workload is of version {entry.version}; this is version {VERSION}")
    return WorkloadHistory(
        [_to_in_flight(each) for each in entry.in_flight],
        list(entry.moved),
        {key: DirectionBackoff(each.failures, each.until) for key, each in entry.back_off.items()},
        list(entry.vain),
        entry.opened,
        entry.judged_by,
    )


class _Interruption(Struct, frozen=True, rename="camel", omit_defaults=True):
    node: str
    type: str
    zone: str
    at: _Seconds
    marker: bool = False


class _Interruptions(Struct, frozen=True):
    version: int
    interruptions: tuple[_Interruption, ...] = ()


_interruptions_decoder = msgspec.json.Decoder(_Interruptions)


def encode_interruptions(interruptions: Mapping[str, Interruption]) -> str:
    """Interruptions as text, by the UID of the node."""
    each = (_Interruption(node, *known.pool, _time(known.at), known.marker) for node, known in interruptions.items())
    return msgspec.json.encode(_Interruptions(VERSION, tuple(each))).decode()


def decode_interruptions(text: str) -> list[tuple[str, Interruption]]:
    """Interruptions from text.

    Raises:
        WireError: the text is none, or of another version; it says which field is wrong.
    """
    try:
        stored = _interruptions_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise WireError(f"interruptions do not decode: {error}") from error
    if stored.version != VERSION:
        raise WireError(f"interruptions are of version {stored.version}; this is version {VERSION}")
    return [(each.node, Interruption((each.type, each.zone), each.at, each.marker)) for each in stored.interruptions]


def eviction(namespace: str, name: str, uid: str) -> Mapping[str, Any]:
    """The body of an eviction of one pod, and of no namesake of it.

    Without a grace period: the pod's own holds.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": namespace, "name": name},
        "deleteOptions": {"preconditions": {"uid": uid}},
    }


class _Spec(Struct, frozen=True, rename="camel"):
    termination_grace_period_seconds: float | None = None


class _Pod(Struct, frozen=True):
    spec: _Spec = _Spec()


_pod_decoder = msgspec.json.Decoder(_Pod)


def grace_period(body: bytes) -> float:
    """How long a pod may take to end, in seconds.

    Raises:
        WireError: the body is no pod.
    """
    try:
        grace = _pod_decoder.decode(body).spec.termination_grace_period_seconds
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"the pod does not decode: {error}") from error
    return DEFAULT_GRACE if grace is None else grace


def _time(seconds: float) -> float:
    return round(seconds, 3)


def _in_flight(entry: InFlight) -> _InFlight:
    move, pod, workload = entry.move, entry.move.pod, entry.move.workload
    return _InFlight(
        _PodId(pod.namespace, pod.name, pod.uid),
        move.node,
        _Subject(workload.uid, workload.kind, workload.namespace, workload.name, workload.revision),
        move.source,
        move.destination,
        move.target,
        _time(entry.at),
        _time(entry.newest),
        entry.siblings,
        entry.grace,
        entry.stuck,
    )


def _to_in_flight(entry: _InFlight) -> InFlight:
    pod, workload = entry.pod, entry.workload
    move = Move(
        PodId(pod.namespace, pod.name, pod.uid),
        entry.node,
        WorkloadRef(workload.uid, workload.kind, workload.namespace, workload.name, workload.revision),
        entry.source,
        entry.destination,
        entry.target,
        Reason.SURPLUS,
    )
    return InFlight(move, entry.at, entry.newest, entry.siblings, entry.grace, entry.stuck)
