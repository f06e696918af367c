"""Requests and answers of a scheduler extender (`k8s.io/kube-scheduler/extender/v1`, Kubernetes 1.36).

The Go structs have no json tags, so keys are capitalised; Go decodes any casing, and the casings in use are accepted
here. An answer carries what the scheduler needs and no more: absent keys decode to nil there.
"""

import re
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from extender.core.capacity.fit import Needs
from extender.core.model.constraints import Constraints
from extender.core.model.errors import WireError
from extender.core.model.objects import OwnerRef
from extender.core.placement.decide import PodView
from extender.wire.kube_v1 import Metadata, OwnerReference, TimedCondition, controller_of
from extender.wire.podspec_v1 import Affinity, RawToleration
from extender.wire.requests_v1 import PodSpec, pod_requests

# What is kept of a request is no longer than Kubernetes lets it be.
MAX_NAME = 253
"""Characters of a name or a UID."""
MAX_LABEL = 63
"""Characters of a namespace or a kind."""
_Name = Annotated[str, Meta(max_length=MAX_NAME)]
_Label = Annotated[str, Meta(max_length=MAX_LABEL)]
MAX_POD = 3 * 1024 * 1024
"""Bytes of a pod; the API server takes no larger request."""


class _Meta(Struct, frozen=True, rename="camel"):
    name: _Name | None = None
    namespace: _Label | None = None
    uid: _Name | None = None
    owner_references: list[OwnerReference] | None = None


class _Status(Struct, frozen=True, rename="camel"):
    nominated_node_name: _Name | None = None
    conditions: list[TimedCondition] | None = None


class _Pod(Struct, frozen=True):
    metadata: _Meta
    status: _Status | None = None


_NO_STATUS = _Status()
_ABSENT = Raw()


class _Args(Struct, frozen=True, rename={"pod": "Pod", "nodes": "Nodes", "names": "NodeNames"}):
    pod: _Pod | None = None
    nodes: Raw = _ABSENT
    names: Raw = _ABSENT


class _LowerArgs(Struct, frozen=True, rename={"names": "nodeNames", "names_lower": "nodenames"}):
    pod: _Pod | None = None
    nodes: Raw = _ABSENT
    names: Raw = _ABSENT
    names_lower: Raw = _ABSENT


class _HostPriority(Struct, frozen=True, gc=False, rename={"host": "Host", "score": "Score"}):
    host: str
    score: int


class _NamedNode(Struct, frozen=True):
    metadata: Metadata


class _NodeList(Struct, frozen=True):
    items: list[Raw] | None = None


class _FullSpec(PodSpec, frozen=True, rename="camel"):
    node_selector: dict[str, str] | None = None
    affinity: Affinity | None = None
    tolerations: list[RawToleration] | None = None


class _FullPod(Struct, frozen=True):
    spec: _FullSpec | None = None


class _FullArgs(Struct, frozen=True, rename={"pod": "Pod", "lower": "pod"}):
    pod: _FullPod | None = None
    lower: _FullPod | None = None


_NAMES_KEY = b'"NodeNames":['
# What follows the pod. A map of the pod's that has such a key has text below it.
_AFTER_POD = re.compile(rb',\s*(?="(?:(?:Nodes|nodes)"\s*:\s*\{|(?:NodeNames|nodeNames|nodenames)"\s*:\s*\[))')
_BEGINS_POD = re.compile(rb'\s*\{\s*"[Pp]od"')

_args = msgspec.json.Decoder(_Args)
_lower_args = msgspec.json.Decoder(_LowerArgs)
_full_args = msgspec.json.Decoder(_FullArgs)
_names = msgspec.json.Decoder(list[str])
_node_list = msgspec.json.Decoder(_NodeList)
_named_node = msgspec.json.Decoder(_NamedNode)
_encode = msgspec.json.Encoder().encode


class ExtenderArgs:
    """A decoded request. Names and nodes stay raw until they are asked for: an unmanaged pod's never are."""

    def __init__(self, pod: PodView, names: Raw | None, nodes: Raw | None) -> None:
        self.pod = pod
        self._raw_names = names
        self._raw_nodes = nodes
        self._items: dict[str, Raw] = {}

    def offered(self) -> Sequence[str]:
        """The names of the offered nodes.

        Raises:
            WireError: NodeNames or Nodes.items are not what the contract says.
        """
        try:
            if self._raw_names is not None:
                return _names.decode(self._raw_names)
            if self._raw_nodes is not None:
                items = _node_list.decode(self._raw_nodes).items or []
                self._items = {_named_node.decode(item).metadata.name: item for item in items}
        except ValueError as error:
            raise WireError(f"spotmix: {_where(self._raw_names)} does not decode: {error}") from error
        return list(self._items)

    def all_pass(self) -> bytes:
        """The answer that gives every offered node back as it came.

        Raises:
            WireError: a name is not UTF-8.
        """
        if self._raw_names is not None:
            names = bytes(self._raw_names)
            _expect_text(names)
            return b'{"NodeNames":%b}' % names
        return b'{"Nodes":%b}' % bytes(self._raw_nodes or b"null")

    def some_pass(self, names: Sequence[str]) -> bytes:
        """The answer that lets these nodes pass. The others are in no map: the scheduler takes them as unresolvable."""
        if self._raw_names is not None:
            return b'{"NodeNames":%b}' % _encode(names)
        return b'{"Nodes":{"items":[%b]}}' % b",".join(bytes(self._items[name]) for name in names)

    def none_pass(self, text: str) -> bytes:
        """The answer that lets none pass, each for the same constant reason."""
        failed = _encode(dict.fromkeys(self.offered(), text))
        empty = b'"NodeNames":[]' if self._raw_names is not None else b'"Nodes":{"items":[]}'
        return b'{%b,"FailedAndUnresolvableNodes":%b}' % (empty, failed)


def _where(names: Raw | None) -> str:
    return "NodeNames" if names is not None else "Nodes"


def _present(*raws: Raw) -> Raw | None:
    """The first that is there and not null; msgspec does not decode `Raw | None`."""
    return next((raw for raw in raws if memoryview(raw) and bytes(memoryview(raw)[:4]) != b"null"), None)


def _apart(body: bytes | bytearray) -> tuple[bytes | bytearray, memoryview | None]:
    """What comes before the names, closed, and the names: nine tenths of a request need be read only once.

    Go writes NodeNames last. The key cannot stand in a string of the pod, whose quotes would be escaped, and no name
    has a bracket; whatever looks otherwise is left whole.
    """
    at = body.find(_NAMES_KEY)
    if at > 0:
        end = body.find(b"]", at)
        if body[end:].rstrip() == b"]}":
            return body[:at] + b'"NodeNames":null}', memoryview(body)[at + len(_NAMES_KEY) - 1 : end + 1]
    return body, None


def decode_front(begun: bytes | bytearray) -> tuple[PodView | None, int]:
    """The pod of a request of which only the first part is there, and where what comes after it begins.

    None when the part does not hold it, or not before the nodes.

    Raises:
        WireError: the pod is invalid.
    """
    _expect_pod_in_bounds(begun)
    found = _AFTER_POD.search(begun, 0, MAX_POD)
    if found is None:
        return None, 0
    front = bytes(begun[: found.start()]) + b"}"
    try:
        args = _lower_args.decode(front)
        pod = args.pod or _args.decode(front).pod
    except (ValueError, RecursionError) as error:
        raise WireError(f"spotmix: the request does not decode: {error}") from error
    return (_pod_view(pod, front) if pod is not None else None), found.end()


def _expect_text(body: bytes | bytearray) -> None:
    """Refuse what could not be given back: JSON is UTF-8, and texts that nobody looks at are not decoded."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        at, seen = error.start, error.object[error.start]
        raise WireError(f"spotmix: the request is not UTF-8: byte {seen:#04x} at {at}") from error


def _expect_pod_in_bounds(body: bytes | bytearray) -> None:
    if len(body) > MAX_POD and not (_BEGINS_POD.match(body) and _AFTER_POD.search(body, 0, MAX_POD)):
        raise WireError(f"spotmix: the request does not begin with a Pod of at most {MAX_POD} bytes")


def decode_args(body: bytes | bytearray) -> ExtenderArgs:
    """Decode the request of filter and prioritize.

    Raises:
        WireError: the body is not an ExtenderArgs; the text names the field.
    """
    if len(body) > MAX_POD:
        _expect_pod_in_bounds(body)
    head, last = _apart(body)
    # Names that stand apart are looked at when they are decoded or given back.
    _expect_text(head)
    try:
        args = _args.decode(head)
        if last is not None and args.pod is not None:
            return ExtenderArgs(_pod_view(args.pod, head), Raw(last), None)
        pod, names, nodes = args.pod, _present(args.names), _present(args.nodes)
        if pod is None or (names is None and nodes is None):
            lower = _lower_args.decode(body)
            pod = pod or lower.pod
            names = names if names is not None else _present(lower.names, lower.names_lower)
            nodes = nodes if nodes is not None else _present(lower.nodes)
    except (ValueError, RecursionError) as error:
        raise WireError(f"spotmix: the request does not decode: {error}") from error
    if pod is None:
        raise WireError("spotmix: the request has no Pod; is this a scheduler's ExtenderArgs?")
    if names is None and nodes is None:
        raise WireError("spotmix: the request has neither NodeNames nor Nodes; is this a scheduler's ExtenderArgs?")
    # What passes untouched is given back as it came, so at least its kind is looked at.
    if names is not None and bytes(memoryview(names)[:1]) != b"[":
        raise WireError("spotmix: NodeNames is not a list")
    if names is None and nodes is not None and bytes(memoryview(nodes)[:1]) != b"{":
        raise WireError("spotmix: Nodes is not a NodeList")
    return ExtenderArgs(_pod_view(pod, body), names, nodes)


def _pod_view(pod: _Pod, body: bytes | bytearray) -> PodView:
    meta, status = pod.metadata, pod.status or _NO_STATUS
    if not meta.uid or not meta.name:
        raise WireError("spotmix: Pod.metadata has no name or no uid")
    since = None
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False" and condition.last_transition_time:
            since = condition.last_transition_time.timestamp()
    owner = controller_of(pod.metadata.owner_references)
    if owner is not None and not _fits(owner):
        raise WireError("spotmix: the Pod's controlling ownerReference has a text longer than Kubernetes allows")
    return PodView(
        meta.uid, meta.namespace or "", meta.name, owner, status.nominated_node_name or "", since, _needs_of(body)
    )


def _fits(owner: OwnerRef) -> bool:
    names = len(owner.name) <= MAX_NAME and len(owner.uid) <= MAX_NAME
    return names and len(owner.kind) <= MAX_LABEL and len(owner.api_version) <= MAX_NAME + 1 + MAX_LABEL


def _needs_of(body: bytes | bytearray) -> Callable[[], Needs]:
    def needs() -> Needs:
        try:
            args = _full_args.decode(body)
            pod = args.pod or args.lower
            return _to_needs(pod.spec) if pod is not None and pod.spec is not None else Needs()
        except ValueError as error:
            raise WireError(f"spotmix: Pod.spec does not decode: {error}") from error

    return needs


def _to_needs(spec: _FullSpec) -> Needs:
    required = spec.affinity.node_affinity.required if spec.affinity and spec.affinity.node_affinity else None
    terms = None
    if required is not None:
        terms = tuple(term.requirements() for term in required.node_selector_terms or ())
    constraints = Constraints(
        tuple(sorted((spec.node_selector or {}).items())), terms, tuple(t.toleration() for t in spec.tolerations or ())
    )
    return Needs(pod_requests(spec), constraints)


def encode_error(text: str) -> bytes:
    """A filter answer that reports a failure: only with status 200 does the scheduler read it."""
    return _encode({"Error": text})


def encode_scores(scores: Sequence[tuple[str, int]]) -> bytes:
    """A HostPriorityList; nodes that are left out score 0."""
    return _encode([_HostPriority(name, score) for name, score in scores])
