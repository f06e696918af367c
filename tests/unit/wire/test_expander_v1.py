"""What cluster-autoscaler asks its expander: read as the messages made of the proto files say, and never more of it."""

import contextlib
from collections.abc import Generator
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.expander import CLASS_KEY, node, pb, pod, request

from extender.core.model.errors import BusyError, WireError
from extender.core.placement.node_groups import NodeGroup, Wanting
from extender.wire import expander_v1
from extender.wire.expander_v1 import Reader, answer_of

T = TypeVar("T")


def end_of(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made


def read(message: Any) -> list[NodeGroup]:
    return list(read_bytes(message.SerializeToString()))


def read_bytes(data: bytes) -> list[NodeGroup]:
    reader = Reader(data)
    return list(end_of(reader.groups(end_of(reader.question()), CLASS_KEY)))


def answered(message: Any) -> Any:
    question = end_of(Reader(message.SerializeToString()).question())
    return pb.BestOptionsResponse.FromString(answer_of(question.options))


@pytest.mark.parametrize("before_135", [True, False])
def test_pods_and_nodes_are_read_in_either_form(before_135: bool) -> None:
    pods = [pod("p1", "rs-1", "spot"), pod("p2", "rs-1", "spot"), pod("p3", "rs-2"), pod("p4")]
    asked = request(
        {"g1": pods, "g2": [], "g3": pods[:1]}, {"g1": node(a="b", c=""), "g2": node()}, before_135=before_135
    )
    first = {Wanting("rs-1", "spot"), Wanting("rs-2", ""), Wanting("", "")}
    assert read(asked) == [
        NodeGroup("g1", {"a": "b", "c": ""}, first),
        NodeGroup("g2", {}, set()),
        NodeGroup("g3", None, {Wanting("rs-1", "spot")}),
    ]


def test_where_both_forms_are_given_the_newer_one_counts() -> None:
    option = pb.Option(nodeGroupId="g", pod=[pod("p", "old")], podBytes=[pod("p", "new")])
    asked = pb.BestOptionsRequest(options=[option], nodeMap={"g": node(a="old")}, nodeBytesMap={"g": node(a="new")})
    assert read(asked) == [NodeGroup("g", {"a": "new"}, {Wanting("new", "")})]


def test_an_answer_has_what_the_autoscaler_said_of_a_group_and_no_pods() -> None:
    asked = request({"g1": [pod("p")], "g2": [pod("p")]}, {})
    asked.options[1].nodeCount = -1
    expected = pb.BestOptionsResponse(
        options=[
            pb.Option(nodeGroupId="g1", nodeCount=1, debug="about g1"),
            pb.Option(nodeGroupId="g2", nodeCount=-1, debug="about g2"),
        ]
    )
    assert answered(asked) == expected
    assert answered(pb.BestOptionsRequest()) == pb.BestOptionsResponse()


text = st.text(max_size=200)


@given(
    st.lists(st.tuples(text, st.integers(-(2**31), 2**31 - 1), text, st.binary(max_size=300)), max_size=5),
    st.dictionaries(text, st.dictionaries(text, text, max_size=3), max_size=3),
)
def test_any_request_is_read_as_its_messages_say(
    said: list[tuple[str, int, str, bytes]], labels: dict[str, dict[str, str]]
) -> None:
    options = [pb.Option(nodeGroupId=name, nodeCount=count, debug=debug) for name, count, debug, _ in said]
    nodes = {name: node(**some) for name, some in labels.items()}
    asked = pb.BestOptionsRequest(options=options, nodeBytesMap=nodes)
    assert read(asked) == [NodeGroup(name, labels.get(name), set()) for name, *_ in said]
    assert answered(asked) == pb.BestOptionsResponse(options=options)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError, BusyError):
        read_bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x0a", "has no end"),
        (b"\x0a\x05ab", "5 bytes where 2 are left"),
        (b"\xff" * 20, "has no end"),
        (b"\x0b\x00", "wire type 3"),
        (b"\x02\x00", "field 0"),
        (b"\x08\x01", "is the number 1"),
        (b"\x0a\x03\x0a\x01\xff", "not UTF-8"),
        (b"\x09\x00", "8 bytes where 1 are left"),
    ],
)
def test_what_is_no_message_is_named(data: bytes, said: str) -> None:
    with pytest.raises(WireError, match=said):
        read_bytes(data)


def test_a_pod_or_a_node_that_is_malformed_leaves_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in (request({"g": [b"\x0a\x09x"]}, {}), request({"g": []}, {"g": b"\x0a\x09x"})):
        reader = Reader(asked.SerializeToString())
        question = end_of(reader.question())
        assert [option.group for option in question.options] == ["g"]
        with pytest.raises(WireError):
            end_of(reader.groups(question, CLASS_KEY))
    monkeypatch.setattr(expander_v1, "MOST_FIELDS", 100)
    reader = Reader(request({"g": [pod(f"p{number}") for number in range(50)]}, {}).SerializeToString())
    question = end_of(reader.question())
    with pytest.raises(BusyError, match="more than 100 fields"):
        end_of(reader.groups(question, CLASS_KEY))


def test_what_would_take_very_much_once_decoded_is_refused_early() -> None:
    with pytest.raises(BusyError, match="more than 200000 fields"):
        end_of(Reader(b"\x0a\x00" * 16_000_000).question())


def test_a_pod_in_the_options_of_many_groups_is_read_once() -> None:
    pods = [pod(f"p{number}", "rs") for number in range(100)]
    reader = Reader(request({f"g{number}": pods for number in range(50)}, {}).SerializeToString())
    steps = sum(1 for _ in reader.groups(end_of(reader.question()), CLASS_KEY))
    # One for each group, and two for the pods.
    assert steps == 52
