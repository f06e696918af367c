"""Requests of the scheduler that are read, in any casing and however damaged, and answers to them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rare import Met

from extender.core.capacity.fit import Needs
from extender.core.model.constraints import Constraints
from extender.core.model.errors import WireError
from extender.core.model.objects import OwnerRef, Requests
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Toleration
from extender.wire.extender_v1 import MAX_POD, ExtenderArgs, decode_args, encode_error, encode_scores

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "rs", "controller": True}
POD: dict[str, Any] = {
    "metadata": {"name": "web-1-a", "namespace": "shop", "uid": "u1", "ownerReferences": [OWNER]},
    "spec": {},
    "status": {},
}
NODES: dict[str, Any] = {
    "metadata": {},
    "items": [{"metadata": {"name": name}, "spec": {"x": name}} for name in ("n1", "n2")],
}


def decode(**args: Any) -> ExtenderArgs:
    return decode_args(json.dumps(args).encode())


def with_pod(**parts: Any) -> ExtenderArgs:
    return decode(Pod={**POD, **parts}, NodeNames=["n1"])


@pytest.mark.parametrize(
    "args",
    [
        {"Pod": POD, "Nodes": None, "NodeNames": ["n1", "n2"]},
        {"pod": POD, "nodes": None, "nodeNames": ["n1", "n2"]},
        {"pod": POD, "nodenames": ["n1", "n2"]},
        {"Pod": POD, "nodeNames": ["n1", "n2"]},
        {"pod": POD, "NodeNames": ["n1", "n2"], "Pod": None},
    ],
)
def test_names_in_any_casing(args: dict[str, Any]) -> None:
    decoded = decode(**args)
    assert decoded.offered() == ["n1", "n2"]
    assert decoded.pod.owner == OwnerRef("rs", "apps/v1", "ReplicaSet", "web-1")
    assert json.loads(decoded.all_pass()) == {"NodeNames": ["n1", "n2"]}
    assert json.loads(decoded.some_pass(["n2"])) == {"NodeNames": ["n2"]}
    assert json.loads(decoded.none_pass("why")) == {
        "NodeNames": [],
        "FailedAndUnresolvableNodes": {"n1": "why", "n2": "why"},
    }


@pytest.mark.parametrize("keys", [("Pod", "Nodes", "NodeNames"), ("pod", "nodes", "nodeNames")])
def test_whole_nodes_come_back_as_they_came(keys: tuple[str, str, str]) -> None:
    decoded = decode(**dict(zip(keys, (POD, NODES, None), strict=True)))
    assert decoded.offered() == ["n1", "n2"]
    assert json.loads(decoded.all_pass()) == {"Nodes": NODES}
    assert json.loads(decoded.some_pass(["n2"])) == {"Nodes": {"items": [NODES["items"][1]]}}
    assert json.loads(decoded.none_pass("why")) == {
        "Nodes": {"items": []},
        "FailedAndUnresolvableNodes": {"n1": "why", "n2": "why"},
    }


def test_no_nodes_at_all() -> None:
    assert decode(Pod=POD, NodeNames=[]).offered() == []
    assert decode(Pod=POD, Nodes={"items": None}).offered() == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "does not decode"),
        (b"null", "does not decode"),
        (b"[]", "does not decode"),
        (b"{}", "no Pod"),
        (b"[" * 100_000, "does not decode"),
        (b'{"Pod":' + b'{"a":' * 100_000, "does not decode"),
        (b'{"Pod":null,"NodeNames":["n1"]}', "no Pod"),
        (b'{"Pod":{},"NodeNames":["n1"]}', "metadata"),
        (b'{"Pod":{"metadata":{}},"NodeNames":["n1"]}', "no name or no uid"),
        (b'{"Pod":{"metadata":{"name":null,"uid":null}},"NodeNames":["n1"]}', "no name or no uid"),
        (b'{"Pod":{"metadata":{"name":7,"uid":"u"}},"NodeNames":["n1"]}', "Pod.metadata.name"),
        (json.dumps({"Pod": POD}).encode(), "neither NodeNames nor Nodes"),
        (json.dumps({"Pod": POD, "NodeNames": None, "Nodes": None}).encode(), "neither NodeNames nor Nodes"),
        (json.dumps({"Pod": POD, "NodeNames": "n1"}).encode(), "NodeNames is not a list"),
        (json.dumps({"Pod": POD, "Nodes": ["n1"]}).encode(), "Nodes is not a NodeList"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, named: str) -> None:
    with pytest.raises(WireError) as caught:
        decode_args(body)
    assert str(caught.value).startswith("spotmix: ")
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({"NodeNames": ["n1", 2]}, "NodeNames"),
        ({"NodeNames": [None]}, "NodeNames"),
        ({"Nodes": {"items": [None]}}, "Nodes"),
        ({"Nodes": {"items": [{}]}}, "Nodes"),
        ({"Nodes": {"items": {}}}, "Nodes"),
    ],
)
def test_wrong_nodes_are_named_when_they_are_looked_at(args: dict[str, Any], named: str) -> None:
    decoded = decode(Pod=POD, **args)
    with pytest.raises(WireError, match=f"{named} does not decode"):
        decoded.offered()


@given(st.binary())
def test_garbage_is_a_wire_error(body: bytes) -> None:
    with pytest.raises(WireError):
        decode_args(body)


VALID = json.dumps({"Pod": POD, "Nodes": None, "NodeNames": ["n1"]}).encode()


def is_refused(body: bytes) -> bool:
    """Whether a request is no request; what is taken can be used."""
    try:
        args = decode_args(body)
        offered = args.offered()
        args.pod.needs()
    except WireError:
        return True
    assert json.loads(args.none_pass("why"))["FailedAndUnresolvableNodes"] == dict.fromkeys(offered, "why")
    assert isinstance(json.loads(args.all_pass().decode()), dict)
    assert isinstance(json.loads(args.some_pass(offered).decode()), dict)
    return False


def test_damaged_bytes_never_raise_anything_else() -> None:
    met = Met()

    @given(st.integers(0, len(VALID) - 1), st.binary(max_size=3))
    def holds(at: int, damage: bytes) -> None:
        refused = is_refused(VALID[:at] + damage + VALID[at + 1 :])
        met.example(refused=refused, taken=not refused)

    holds()
    met.at_least(refused=10, taken=1)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xc0\xaf"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"Pod":%b,"Nodes":null,"NodeNames":["n1","n@"]}',
        b'{"Pod":%b,"NodeNames":["n@"],"Nodes":null}',
        b'{"Pod":%b,"Nodes":{"items":[{"metadata":{"name":"n1","labels":{"a":"@"}}}]},"NodeNames":null}',
        b'{"pod":%b,"nodes":{"items":[{"metadata":{"name":"n1"},"x":"@"}]}}',
        b'{"Pod":%b,"Other":"@","NodeNames":["n1"]}',
    ],
)
def test_what_is_no_text_is_not_given_back(body: bytes, bad: bytes) -> None:
    whole = body % json.dumps(POD).encode()
    assert decode_args(whole.replace(b"@", "\u00e9".encode())).all_pass().decode()
    with pytest.raises(WireError, match="is not UTF-8: byte 0x"):
        decode_args(whole.replace(b"@", bad)).all_pass()
    with pytest.raises(WireError):
        decode_args(whole.replace(b"@", bad)).offered()
    # An escape of half a character is no text either.
    assert is_refused(whole.replace(b"@", b"\\ud800"))


@pytest.mark.parametrize(
    ("field", "most"),
    [
        ("uid", 253),
        ("name", 253),
        ("namespace", 63),
        ("ref.uid", 253),
        ("ref.name", 253),
        ("ref.kind", 63),
        ("ref.apiVersion", 317),
        ("nominatedNodeName", 253),
    ],
)
def test_what_is_kept_is_as_long_as_kubernetes_lets_it_be(field: str, most: int) -> None:
    def sent(length: int) -> bytes:
        ref = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "r", "controller": True}
        metadata: dict[str, Any] = {**POD["metadata"], "ownerReferences": [ref]}
        status: dict[str, Any] = {}
        place = {"ref": ref, "nominatedNodeName": status}.get(field.partition(".")[0], metadata)
        place[field.rpartition(".")[2]] = "x" * length
        return json.dumps({"Pod": {**POD, "metadata": metadata, "status": status}, "NodeNames": ["n1"]}).encode()

    assert decode_args(sent(most))
    for length in (most + 1, 2_000_000):
        with pytest.raises(WireError) as caught:
            decode_args(sent(length))
        assert len(str(caught.value)) < 300


def test_a_pod_larger_than_any_is_not_even_decoded() -> None:
    large = {**POD, "metadata": {**POD["metadata"], "annotations": {"a": "x" * MAX_POD}}}
    offers: list[dict[str, Any]] = [{"NodeNames": ["n1"]}, {"Nodes": {"items": []}}]
    for names in offers:
        with pytest.raises(WireError, match=f"does not begin with a Pod of at most {MAX_POD} bytes"):
            decode(Pod=large, **names)
    many = ["n" * 100] * 40_000
    assert decode(Pod=POD, NodeNames=many).pod.name == "web-1-a"
    with pytest.raises(WireError, match="does not begin with a Pod"):
        decode(NodeNames=many, Pod=POD)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def test_wrong_types_never_raise_anything_else() -> None:
    met = Met()

    @given(st.sampled_from(["metadata", "spec", "status"]), JSON, st.sampled_from(["NodeNames", "Nodes"]), JSON)
    def holds(part: str, value: Any, nodes: str, offered: Any) -> None:
        refused = is_refused(json.dumps({"Pod": {**POD, part: value}, nodes: offered}).encode())
        met.example(refused=refused, taken=not refused)

    holds()
    met.at_least(refused=10, taken=1)


def test_nulls_are_as_good_as_nothing() -> None:
    metadata = {**POD["metadata"], "namespace": None, "ownerReferences": None, "labels": None}
    args = with_pod(metadata=metadata, spec=None, status=None)
    view = args.pod
    assert (view.namespace, view.owner, view.nominated, view.unscheduled_since) == ("", None, "", None)
    assert view.needs() == Needs()
    container = {"name": "c", "resources": {"requests": None}}
    spec: dict[str, Any] = {"containers": [container, {"resources": None}], "initContainers": None, "tolerations": None}
    spec |= {"nodeSelector": None, "affinity": {"nodeAffinity": None}, "overhead": None, "resources": None}
    assert with_pod(spec=spec).pod.needs() == Needs()


def test_only_the_controller_is_the_owner() -> None:
    other = {**OWNER, "uid": "other", "controller": None}
    metadata = {**POD["metadata"], "ownerReferences": [other, OWNER]}
    owner = with_pod(metadata=metadata).pod.owner
    assert owner is not None
    assert owner.uid == "rs"


def test_since_when_it_was_unschedulable() -> None:
    condition = {"type": "PodScheduled", "status": "False", "lastTransitionTime": "2026-01-01T00:00:10Z"}
    status = {"nominatedNodeName": "n1", "conditions": [{"type": "Ready", "status": "False"}, condition]}
    view = with_pod(status=status).pod
    assert (view.nominated, view.unscheduled_since) == ("n1", 1767225610.0)
    condition["status"] = "True"
    assert with_pod(status=status).pod.unscheduled_since is None


def test_what_a_pod_needs() -> None:
    term = {
        "matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}],
        "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}],
    }
    required = {"nodeSelectorTerms": [term, {"matchExpressions": None}]}
    spec = {
        "containers": [{"resources": {"requests": {"cpu": "250m", "memory": "1Gi"}}}],
        "nodeSelector": {"disk": "ssd"},
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        "tolerations": [{"key": "spot", "operator": "Exists"}, {"key": "db", "value": "x", "effect": "NoSchedule"}],
    }
    wanted = Needs(
        Requests(250, 1 << 30),
        Constraints(
            (("disk", "ssd"),),
            (
                (Requirement("zone", "In", ("a", "b")), Requirement("metadata.name", "In", ("n1",), field=True)),
                (),
            ),
            (Toleration("spot", "Exists"), Toleration("db", "Equal", "x", "NoSchedule")),
        ),
    )
    assert with_pod(spec=spec).pod.needs() == wanted
    assert decode(pod={**POD, "spec": spec}, nodeNames=["n1"]).pod.needs() == wanted


def test_a_wrong_spec_is_told_when_it_is_looked_at() -> None:
    view = with_pod(spec={"containers": [{"resources": {"requests": {"cpu": "lots"}}}]}).pod
    with pytest.raises(WireError, match=r"Pod\.spec does not decode: 'lots' is not a resource quantity"):
        view.needs()


def test_large_requests() -> None:
    names = [f"node-{number:05}" for number in range(20_000)]
    args = decode(Pod=POD, NodeNames=names)
    assert args.offered() == names
    assert json.loads(args.all_pass())["NodeNames"] == names


def test_answers_as_go_reads_them() -> None:
    assert json.loads(encode_error('a "quoted" fault')) == {"Error": 'a "quoted" fault'}
    assert encode_scores([("n1", 7), ("n2", 10)]) == b'[{"Host":"n1","Score":7},{"Host":"n2","Score":10}]'
    assert encode_scores([]) == b"[]"
