"""Structs to messages and back: nothing is lost, and JSON is what commands print."""

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, get_type_hints

import msgspec
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, inspect
from support.doubles import World, make_pod

from extender.core.answers.overview import Condition, Overview, Totals, overview
from extender.core.answers.pod import PodExplanation, explain_pod
from extender.core.answers.pod_parts import ExpectedDecision
from extender.core.model.errors import WireError
from extender.core.model.reasons import Reason
from extender.core.whatif.outlook import WhatIf
from extender.wire.placement_v1 import ENUMS, MESSAGES, NUMBERS, from_message, number_of, to_message
from spotmix.placement.v1 import placement_pb2 as pb

SCALARS: Mapping[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.BoolType: st.booleans(),
    inspect.IntType: st.integers(-(2**31), 2**31 - 1),
    inspect.FloatType: st.floats(allow_nan=False, allow_infinity=False),
    inspect.StrType: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    inspect.NoneType: st.none(),
}


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Whatever a field of this type may hold."""
    match kind:
        case inspect.EnumType():
            return st.sampled_from(list(kind.cls))
        case inspect.VarTupleType():
            return st.lists(values(kind.item_type), max_size=2).map(tuple)
        case inspect.DictType():
            return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=2)
        case inspect.UnionType():
            return st.one_of(*(values(each) for each in kind.types))
        case inspect.StructType():
            return st.builds(kind.cls, **{field.name: values(field.type) for field in kind.fields})
    return SCALARS[type(kind)]


def kinds() -> st.SearchStrategy[Struct]:
    return st.sampled_from(list(MESSAGES)).flatmap(lambda struct: values(inspect.type_info(struct)))


@given(value=kinds())
def test_nothing_is_lost_on_the_way(value: Struct) -> None:
    message = to_message(value)
    sent = type(message).FromString(message.SerializeToString())
    assert from_message(sent, type(value)) == value


@pytest.mark.parametrize("struct", list(MESSAGES), ids=lambda struct: struct.__name__)
def test_a_message_has_the_fields_of_its_struct(struct: type[Struct]) -> None:
    fields = {field.json_name for field in MESSAGES[struct].DESCRIPTOR.fields}
    assert fields == {field.encode_name for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize("struct", [Overview, PodExplanation, WhatIf])
def test_every_struct_within_has_its_message(struct: type[Struct]) -> None:
    for hint in get_type_hints(struct).values():
        for each in (hint, *getattr(hint, "__args__", ())):
            if isinstance(each, type) and issubclass(each, Struct):
                assert each in MESSAGES


def explained() -> PodExplanation:
    world = World()
    world.nodes(spot=2, on_demand=1)
    owner = world.deployment("web", 4, spot_percentage=50, min_on_demand=1)
    world.up(make_pod("pod-0", owner, "spot-0"))
    return explain_pod(world.state, world.state.pods["pod-0"], world.now)


def in_json(message: Message) -> Any:
    """A message's JSON with the labels of enums, and without what protobuf leaves out."""
    labels = {
        value.name: str(member.value)
        for enum, descriptor in ENUMS.items()
        for member in enum
        for value in descriptor.values
        if value.number == NUMBERS[member]
    }
    tree = json.loads(json_format.MessageToJson(message))

    def labelled(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: labelled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [labelled(each) for each in value]
        return labels.get(value, value) if isinstance(value, str) else value

    return labelled(tree)


def without_defaults(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: without_defaults(each) for key, each in value.items() if each or isinstance(each, Mapping)}
    return [without_defaults(each) for each in value] if isinstance(value, list) else value


def test_json_is_what_commands_print() -> None:
    value = explained()
    printed = json.loads(msgspec.json.encode(value))
    assert printed["outcome"]["reason"] == "seat"
    assert without_defaults(in_json(to_message(value))) == without_defaults(printed)


def test_an_overview_survives() -> None:
    world = World()
    world.nodes(spot=1)
    world.deployment("web", 4, spot_percentage=50)
    seen = overview(world.state, world.now)
    message: pb.Overview = to_message(seen)
    assert message.totals.conditions["incomplete"] == 1
    assert message.workloads[0].conditions == [pb.CONDITION_INCOMPLETE]
    assert from_message(message, Overview) == seen


def test_maps_come_in_one_order_though_the_wire_has_none() -> None:
    classes = {"spot": 1, "a": 2, "on-demand": 3, "z": 4}
    conditions = {condition.value: 1 for condition in Condition}
    pools = {f"spot/{number}": 1 for number in range(9)}
    for backwards in (False, True):
        maps = [dict(sorted(each.items(), reverse=backwards)) for each in (classes, conditions, pools)]
        message = pb.Totals(wanted=maps[0], conditions=maps[1], nodes=maps[2])
        sent = from_message(pb.Totals.FromString(message.SerializeToString()), Totals)
        assert list(sent.wanted) == ["spot", "a", "on-demand", "z"]
        assert list(sent.conditions) == list(Condition)
        assert list(sent.nodes) == sorted(pools)


def test_a_reason_of_a_later_version_is_told() -> None:
    message = pb.Outcome(reason=999, wanted="spot")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(WireError, match=r"Outcome from the service: .*999.*use the version of spotmix"):
        from_message(message, ExpectedDecision)


def test_numbers() -> None:
    assert number_of(None) == 0
    assert number_of(Reason.SEAT) == pb.REASON_SEAT
    assert all(isinstance(member, Enum) and number > 0 for member, number in NUMBERS.items())


def test_a_sum_that_a_field_cannot_hold_costs_the_others_nothing() -> None:
    totals = Totals(2, 0, {}, 2**33, {"spot": 2**33, "on-demand": 1}, {}, 0, 2**33, 0, 0, {})
    message = to_message(totals)
    assert (message.workloads, message.replicas, message.missing) == (2, 2**31 - 1, 2**31 - 1)
    assert dict(message.wanted) == {"spot": 2**31 - 1, "on-demand": 1}
