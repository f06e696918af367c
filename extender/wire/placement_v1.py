"""Structs of the core to messages of the API, and back, by one rule: a field goes by its name in JSON.

None is a field that is not set. A member of an enum goes by its label, in capitals and behind the enum's name
(`wait-class` of Reason is REASON_WAIT_CLASS), and by the label itself as key of a map. What a message may hold is said
in proto/; that every Struct has its message, and every field of it its field, is a test's to say.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar

import msgspec
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from msgspec import Struct

from extender.core.answers import decisions, nodes, overview, plan, pod, pod_parts, seats, workload
from extender.core.answers.overview import Condition
from extender.core.model import objects
from extender.core.model.classes import SPOT
from extender.core.model.errors import WireError
from extender.core.model.reasons import Reason
from extender.core.placement import enforcement
from extender.core.policy import policy, provenance
from extender.core.whatif import outlook
from spotmix.placement.v1 import placement_pb2 as pb

E = TypeVar("E", bound=Enum)
S = TypeVar("S", bound=Struct)

INT32 = 2**31 - 1
"""The greatest number that a field may hold."""

Descriptor = Any
"""protobuf's descriptors have a class for each of its implementations."""

MESSAGES: Mapping[type[Struct], type[Message]] = {
    decisions.Entry: pb.Decision,
    workload.PodRow: pb.PodRow,
    workload.RevisionRow: pb.RevisionRow,
    workload.WorkloadExplanation: pb.WorkloadExplanation,
    pod.PodExplanation: pb.PodExplanation,
    pod_parts.OnPod: pb.OnPod,
    objects.PodId: pb.PodId,
    outlook.Bystanders: pb.Bystanders,
    outlook.Change: pb.Change,
    outlook.LostNodes: pb.LostNodes,
    outlook.LostPool: pb.LostPool,
    outlook.LostWorkload: pb.LostWorkload,
    outlook.MoveForecast: pb.Moves,
    outlook.Outlook: pb.Outlook,
    outlook.PolicyForecast: pb.PolicyForecast,
    outlook.WhatIf: pb.WhatIf,
    outlook.WorkloadChange: pb.WorkloadChange,
    overview.Overview: pb.Overview,
    overview.PoolRow: pb.PoolRow,
    overview.Totals: pb.Totals,
    overview.WorkloadRow: pb.WorkloadRow,
    policy.Problem: pb.Problem,
    provenance.Setting: pb.Setting,
    provenance.Unmanaged: pb.Unmanaged,
    plan.DriftReport: pb.DriftReport,
    plan.Imbalance: pb.Imbalance,
    plan.OngoingMove: pb.OngoingMove,
    plan.PlannedMove: pb.PlannedMove,
    plan.PlannedStay: pb.PlannedStay,
    plan.EvictionVerdict: pb.EvictionVerdict,
    plan.Why: pb.Why,
    plan.WorkloadName: pb.WorkloadName,
    enforcement.Enforced: pb.Enforced,
    nodes.ClassVerdict: pb.ClassVerdict,
    nodes.JudgedNodes: pb.NodeGroup,
    pod_parts.Held: pb.Held,
    pod_parts.NodeScore: pb.NodeScore,
    pod_parts.ExpectedDecision: pb.Outcome,
    pod_parts.PodPlace: pb.Place,
    pod_parts.Seat: pb.Seat,
    seats.SeatsOf: pb.SeatsOf,
    seats.RunsOf: pb.RunsOf,
    seats.Subject: pb.Subject,
    pod_parts.Surplus: pb.Surplus,
    pod_parts.Waits: pb.Waits,
}
"""The message of each Struct."""

ENUMS: Mapping[type[Enum], EnumDescriptor] = {
    Condition: pb.DESCRIPTOR.enum_types_by_name["Condition"],
    Reason: pb.DESCRIPTOR.enum_types_by_name["Reason"],
}
"""The enum of the API that each of the core's is."""


def _numbers() -> dict[Enum, int]:
    numbers: dict[Enum, int] = {}
    for enum, descriptor in ENUMS.items():
        known = {value.name: value.number for value in descriptor.values}
        for member in enum:
            label = str(member.value).replace("-", "_")
            numbers[member] = known[f"{descriptor.name}_{label}".upper()]
    return numbers


NUMBERS: Mapping[Enum, int] = _numbers()
"""The number of each member of those enums."""

# protobuf's maps have no order, and columns of tables need one: spot first, labels in the order of their enum, the rest
# by name.
_RANKS = {SPOT: 0, **{str(member.value): NUMBERS[member] for enum in (Reason, Condition) for member in enum}}

_LABELS = {(ENUMS[type(member)].full_name, number): str(member.value) for member, number in NUMBERS.items()}


def number_of(member: Enum | None) -> Any:
    """The number of an enum's member, for a field; 0, which is unspecified, for None."""
    return NUMBERS[member] if member is not None else 0


def member_of(enum: type[E], number: int) -> E | None:
    """The member of an enum with this number; None where there is none."""
    return next((member for member in enum if NUMBERS[member] == number), None)


def to_message(value: Struct) -> Any:
    """The message of a Struct."""
    cls, names = _plan(type(value))
    fields = {}
    for attribute, name in names:
        found = getattr(value, attribute)
        if found is not None:
            fields[name] = _to_field(found)
    try:
        return cls(**fields)
    except ValueError:
        # A size on paper, or a sum of them, may be any number: one that a field cannot hold costs the others nothing.
        return cls(**{name: _bounded(found) for name, found in fields.items()})


def from_message(message: Message, struct: type[S]) -> S:
    """The Struct of a message.

    Raises:
        WireError: the message holds something that this version does not know.
    """
    try:
        return msgspec.convert(_tree(message), struct)
    except msgspec.ValidationError as error:
        name = message.DESCRIPTOR.name
        raise WireError(
            f"{name} from the service: {error}; use the version of spotmix that the service is of"
        ) from error


@cache
def _plan(struct: type[Struct]) -> tuple[type[Message], tuple[tuple[str, str], ...]]:
    """The message of a Struct, and of each field the attribute and its name in the message."""
    cls = MESSAGES[struct]
    names = {field.json_name: field.name for field in cls.DESCRIPTOR.fields}
    return cls, tuple((field.name, names[field.encode_name]) for field in msgspec.structs.fields(struct))


def _to_field(value: Any) -> Any:
    if isinstance(value, Struct):
        return to_message(value)
    if isinstance(value, Enum):
        return NUMBERS[value]
    if isinstance(value, tuple | list):
        return [_to_field(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key.value) if isinstance(key, Enum) else key: _to_field(each) for key, each in value.items()}
    return value


def _bounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _bounded(each) for key, each in value.items()}
    return max(-INT32 - 1, min(value, INT32)) if type(value) is int else value


def _tree(message: Message) -> dict[str, Any]:
    """A message as JSON would have it, save that None stands where nothing is set, and an enum is its label."""
    return {name: read(message) for name, read in _readers(message.DESCRIPTOR)}


@cache
def _readers(descriptor: Descriptor) -> tuple[tuple[str, Callable[[Message], Any]], ...]:
    return tuple((field.json_name, _reader(field)) for field in descriptor.fields)


def _rank(entry: tuple[str, Any]) -> tuple[int, str]:
    return _RANKS.get(entry[0], len(_RANKS)), entry[0]


def _reader(field: Descriptor) -> Callable[[Message], Any]:
    name, of = field.name, _value_reader(field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        of = _value_reader(field.message_type.fields_by_name["value"])
        return lambda message: {key: of(value) for key, value in sorted(getattr(message, name).items(), key=_rank)}
    if field.is_repeated:
        return lambda message: [of(value) for value in getattr(message, name)]
    if field.has_presence:
        return lambda message: of(getattr(message, name)) if message.HasField(name) else None
    return lambda message: of(getattr(message, name))


def _value_reader(field: Descriptor) -> Callable[[Any], Any]:
    if field.message_type is not None:
        return _tree
    enum = field.enum_type
    if enum is not None:
        return lambda number: _LABELS.get((enum.full_name, number), f"number {number}") if number else None
    return lambda value: value
