"""Decoders of list pages and watch lines to the core's objects, one per watched resource."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from sys import intern
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.autoscalers import autoscaler_of
from extender.core.model.classes import INSTANCE_TYPE_LABELS, ZONE_LABELS, ClassRules, NodeCondition, first_label
from extender.core.model.errors import WireError
from extender.core.model.objects import EMPTY, Namespace, Node, Object, Owner, OwnerRef, group_of
from extender.core.model.providers import provider_of
from extender.core.policy.keys import KEYS, OTHER_KEYS
from extender.core.policy.policy import UNKNOWN_TOLD
from extender.core.state.autoscaling import EVENTS, NODE_CLAIMS
from extender.core.state.state import BUDGETS, CLAIMS, CSI_NODES, NODE_POOLS, POLICY_OBJECTS, VOLUMES
from extender.wire.autoscaling_v1 import RawNodeClaim, RawScalerEvent, to_announcement, to_node_claim
from extender.wire.budgets_volumes_v1 import (
    RawBudget,
    RawClaim,
    RawCsiNode,
    RawVolume,
    to_attach_limits,
    to_budget,
    to_claim,
    to_volume,
)
from extender.wire.interning import Interned
from extender.wire.job_v1 import JobSize, job_size
from extender.wire.kube_v1 import (
    CustomSpec,
    Identity,
    ListMeta,
    OwnerMetadata,
    OwnerSpec,
    OwnerStatus,
    RawCustomOwner,
    RawNamespace,
    RawNode,
    RawOwner,
    allocatable,
)
from extender.wire.nodepool_v1 import RawNodePool, to_node_pool
from extender.wire.notices_v1 import REASONS, to_notice
from extender.wire.placementpolicy_v1 import RawPlacementPolicy, to_placement_policy
from extender.wire.pod_v1 import PodReader, RawPod
from extender.wire.rollout_v1 import progress_of
from extender.wire.watch import Page, WatchEvent

_interned: Interned[tuple[tuple[str, str], ...], Mapping[str, str]] = Interned()
_BUILT_IN_GROUPS = ("", "apps", "batch")
MOST_REPLICAS = 2**31 - 1
"""What a scale subresource can say; a custom owner with a greater number means something else by it."""

MOST_UNKNOWN = 2 * UNKNOWN_TOLD
"""Unknown keys under our prefixes that are kept of an object."""
LONGEST_VALUE = 256
"""Characters of a value that are kept: no right one has more."""

_ABOUT_OBJECTS = ("MODIFIED", "ADDED", "DELETED")
_anything = msgspec.json.Decoder()
_owner_spec = msgspec.json.Decoder(OwnerSpec)
_custom_spec = msgspec.json.Decoder(CustomSpec)
_owner_status = msgspec.json.Decoder(OwnerStatus)
AnyRaw = (
    RawPod
    | RawNode
    | RawOwner
    | RawCustomOwner
    | RawNamespace
    | RawBudget
    | RawClaim
    | RawVolume
    | RawCsiNode
    | RawNodeClaim
    | RawScalerEvent
    | RawNodePool
    | RawPlacementPolicy
)
R = TypeVar("R", bound=AnyRaw)
S = TypeVar("S")
T = TypeVar("T")


class _Status(Struct, frozen=True):
    code: int = 0
    message: str = ""
    metadata: ListMeta = ListMeta()


class _Line(Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Event(Struct, Generic[R], frozen=True, gc=False):
    type: str
    object: R


class _VersionOnly(Struct, frozen=True):
    metadata: Identity


class _Pages(Struct, Generic[R], frozen=True):
    items: list[R] | None = None
    metadata: ListMeta = ListMeta()


class ObjectDecoder(Generic[R]):
    """A `wire.watch.Decoder`: decodes to `raw`, converts with `convert`; objects of a bad shape raise `WireError`."""

    def __init__(self, resource: str, raw: type[R], convert: Callable[[R], Object]) -> None:
        self._resource = resource
        self._convert: Callable[[R], Object] = convert
        self._event: msgspec.json.Decoder[_Event[R]] = msgspec.json.Decoder(_Event[raw])  # type: ignore[valid-type]
        self._line = msgspec.json.Decoder(_Line)
        self._object: msgspec.json.Decoder[R] = msgspec.json.Decoder(raw)
        self._page = msgspec.json.Decoder(_Pages[raw])  # type: ignore[valid-type]  # msgspec builds it at run time
        self._status = msgspec.json.Decoder(_Status)
        self._version = msgspec.json.Decoder(_VersionOnly)

    def page(self, data: bytes) -> Page:
        """See `Decoder.page`."""
        try:
            page = self._page.decode(data)
            return Page(
                [self._convert(raw) for raw in page.items or ()],
                page.metadata.resource_version,
                page.metadata.token,
            )
        except ValueError as error:
            raise WireError(f"list of {self._resource} does not decode: {error}") from error

    def one(self, data: bytes) -> Object:
        """A single object, as a GET answers it; raises `WireError`."""
        try:
            return self._convert(self._object.decode(data))
        except ValueError as error:
            raise WireError(f"an object of {self._resource} does not decode: {error}") from error

    def change(self, line: bytes) -> WatchEvent:
        """See `Decoder.change`."""
        try:
            event = self._event.decode(line)
            if event.type in _ABOUT_OBJECTS:
                raw = event.object
                return WatchEvent(event.type, self._convert(raw), raw.metadata.resource_version)
        except ValueError:
            # It is no object, or none that decodes: looked at again with more care.
            pass
        return self._change_apart(line)

    def _change_apart(self, line: bytes) -> WatchEvent:
        """Decode a line of any type, its object apart from it."""
        try:
            outer = self._line.decode(line)
            if outer.type == "ERROR":
                status = self._status.decode(outer.object)
                return WatchEvent("ERROR", None, "", status.code, status.message)
            if outer.type == "BOOKMARK":
                return WatchEvent("BOOKMARK", None, self._version.decode(outer.object).metadata.resource_version)
            raw = self._object.decode(outer.object)
            return WatchEvent(outer.type, self._convert(raw), raw.metadata.resource_version)
        except ValueError as error:
            raise WireError(f"watch event of {self._resource} does not decode: {error}") from error


def under(prefixes: tuple[str, ...], values: dict[str, str] | None) -> Mapping[str, str]:
    """The entries whose key is under one of `prefixes` (with their slash); equal ones are one object."""
    if not values:
        return EMPTY
    found = tuple(_kept(prefixes, values))
    if not found:
        return EMPTY
    return _interned.get(found) or _interned.put(found, dict(found))


def _kept(prefixes: tuple[str, ...], values: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each key of ours, and of the others a few, which are told of: whoever may write annotations may write 256 KiB."""
    unknown = 0
    for full, value in values.items():
        if full.startswith(prefixes):
            key = full.partition("/")[2]
            unknown += key not in KEYS and key not in OTHER_KEYS
            if unknown <= MOST_UNKNOWN or key in KEYS or key in OTHER_KEYS:
                # Cut short it is as wrong as it was: no value of ours has that mark.
                short = value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}…"
                yield intern(full), intern(short)


_REGISTERS = 5.0
"""How long after a node was created its kubelet may say for the first time that it is not Ready (seconds)."""


def to_node(raw: RawNode, rules: ClassRules, asked: Sequence[str]) -> Node:
    """The core's view of a node, classified by `rules`, which ask about the labels `asked`."""
    labels = {intern(k): intern(v) for k, v in (raw.metadata.labels or {}).items()}
    taints = tuple(t.taint() for t in raw.spec.taints or ())
    conditions = [NodeCondition(c.type, c.status, c.reason or "") for c in raw.status.conditions or ()]
    ready, since = True, raw.metadata.created()
    for condition in raw.status.conditions or ():
        if condition.type == "Ready":
            ready = condition.status == "True"
            if condition.last_transition_time is not None:
                since = condition.last_transition_time.timestamp()
    offered, max_pods = allocatable(raw.status)
    capacity_class = intern(rules.class_of(labels))
    deleting, cordoned = raw.metadata.deletion_timestamp is not None, bool(raw.spec.unschedulable)
    reclaimed, interruptible = rules.reclaimed(taints, conditions), capacity_class in rules.interruptible
    return Node(
        uid=raw.metadata.uid,
        name=raw.metadata.name,
        capacity_class=capacity_class,
        instance_type=first_label(labels, INSTANCE_TYPE_LABELS),
        zone=first_label(labels, ZONE_LABELS),
        going_away=rules.going_away(taints, conditions, deleting=deleting),
        unschedulable=cordoned,
        taints=taints,
        labels=labels,
        allocatable=offered,
        max_pods=max_pods,
        marks=tuple((label, labels[label]) for label in asked if label in labels),
        ready=ready,
        since=since,
        starting=not ready and since - raw.metadata.created() <= _REGISTERS,
        interrupted=reclaimed and interruptible and not (deleting or cordoned or rules.drained(taints)),
        reclaimed=reclaimed,
        doubt=intern(rules.doubt(labels, taints)),
        autoscaler=intern(autoscaler_of(labels)),
        provider=provider_of(raw.spec.provider_id or ""),
        interruptible=interruptible,
    )


def _to_owner(raw: RawOwner, resource: str, api_version: str, kind: str, prefixes: tuple[str, ...]) -> Owner:
    meta, spec, status = raw.metadata, raw.spec, raw.status
    built_in = group_of(api_version) in _BUILT_IN_GROUPS
    replicas = spec.replicas if type(spec.replicas) is int and 0 <= spec.replicas <= MOST_REPLICAS else None
    size = job_size(spec, status) if kind == "Job" and built_in else JobSize(replicas, tail=False)
    progress = progress_of(kind if built_in else "", meta.generation, spec, status)
    return Owner(
        uid=meta.uid,
        resource=resource,
        api_version=api_version,
        kind=kind,
        namespace=intern(meta.namespace),
        name=meta.name,
        owner=_above(meta),
        labels=under(prefixes, meta.labels),
        annotations=under(prefixes, meta.annotations),
        replicas=size.replicas,
        first_ordinal=(spec.ordinals.start or 0) if spec.ordinals else 0,
        rolling=progress.rolling,
        created=meta.created(),
        resting=progress.resting,
        tail=size.tail,
        all_labels=EMPTY if _is_copy(resource, meta) else _labels(meta.labels),
        revision=_revision(meta.annotations or {}) if resource == "replicasets.apps" else 0,
    )


_REVISIONS = ("deployment.kubernetes.io/revision", "rollout.argoproj.io/revision")


def _revision(annotations: Mapping[str, str]) -> int:
    """The number of a ReplicaSet in a rollout; its Deployment raises it when it is rolled back to."""
    said = next((annotations[key] for key in _REVISIONS if key in annotations), "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < _DIGITS else 0


_DIGITS = 10


def _labels(values: dict[str, str] | None) -> Mapping[str, str]:
    """All labels of an object; equal ones are one object."""
    if not values:
        return EMPTY
    found = tuple((intern(key), intern(value)) for key, value in values.items())
    return _interned.get(found) or _interned.put(found, dict(found))


def _is_copy(resource: str, meta: OwnerMetadata) -> bool:
    """A ReplicaSet of a Deployment: there are many of them, and policies select by the labels of the Deployment."""
    above = meta.controller() if resource == "replicasets.apps" else None
    return above is not None and above.is_a("apps", "Deployment")


def _above(meta: OwnerMetadata) -> OwnerRef | None:
    """What controls a workload object: many ReplicaSets name the same Deployment."""
    ref = meta.controller()
    return OwnerRef(intern(ref.uid), ref.api_version, ref.kind, intern(ref.name)) if ref is not None else None


def to_custom_owner(  # noqa: PLR0917 - an object, and what its kind is
    raw: RawCustomOwner, resource: str, api_version: str, kind: str, prefixes: tuple[str, ...], size_path: str = ""
) -> Owner:
    """The core's view of an object whose spec and status may be anything.

    `prefixes` are those of our keys, with their slash. `size_path` is as in `Decoders.make`.
    """
    spec = _if_known(_owner_spec, raw.spec, None)
    if spec is None:
        said = _if_known(_custom_spec, raw.spec, CustomSpec())
        spec = OwnerSpec(replicas=said.replicas, paused=said.paused, update_strategy=said.update_strategy)
    if size_path:
        spec = replace(spec, replicas=_at(size_path, raw))
    status = _if_known(_owner_status, raw.status, OwnerStatus())
    return _to_owner(RawOwner(raw.metadata, spec, status), resource, api_version, kind, prefixes)


def _at(path: str, raw: RawCustomOwner) -> Any:
    """What an object says at a path such as `.spec.instances`; None where it says nothing there."""
    first, *rest = path.removeprefix(".").split(".")
    part = _anything.decode(raw.spec) if first == "spec" and raw.spec else None
    for name in rest:
        part = part.get(name) if isinstance(part, dict) else None
    return part


def _if_known(decoder: msgspec.json.Decoder[S], raw: msgspec.Raw, otherwise: T) -> S | T:
    """What `raw` says by the names we know, unless it means something else by them."""
    try:
        return decoder.decode(raw)
    except ValueError:
        return otherwise


def _to_namespace(raw: RawNamespace, prefixes: tuple[str, ...]) -> Namespace:
    meta = raw.metadata
    own, labels = under(prefixes, meta.labels), _labels(meta.labels)
    return Namespace(meta.uid, meta.name, own, under(prefixes, meta.annotations), labels)


class Decoders:
    """Makes the decoder of a resource: `key` is its name, with the group when it has one (`replicasets.apps`).

    `size_path` is where its objects say how many replicas they want, `.spec.instances` say; empty for `.spec.replicas`.
    """

    def __init__(self, rules: ClassRules, prefixes: tuple[str, ...]) -> None:
        self._prefixes = starts = tuple(p + "/" for p in prefixes)
        pods = PodReader(prefixes)
        self.go_by(rules)
        self._fixed: Mapping[str, Callable[[str], ObjectDecoder[Any]]] = {
            "pods": lambda key: ObjectDecoder(key, RawPod, pods.read),
            "nodes": lambda key: ObjectDecoder(key, RawNode, lambda raw: to_node(raw, self._rules, self._asked)),
            "namespaces": lambda key: ObjectDecoder(key, RawNamespace, lambda raw: _to_namespace(raw, starts)),
            BUDGETS: lambda key: ObjectDecoder(key, RawBudget, to_budget),
            CLAIMS: lambda key: ObjectDecoder(key, RawClaim, to_claim),
            VOLUMES: lambda key: ObjectDecoder(key, RawVolume, to_volume),
            CSI_NODES: lambda key: ObjectDecoder(key, RawCsiNode, to_attach_limits),
            NODE_CLAIMS: lambda key: ObjectDecoder(key, RawNodeClaim, lambda raw: to_node_claim(raw, self._rules)),
            NODE_POOLS: lambda key: ObjectDecoder(key, RawNodePool, lambda raw: to_node_pool(raw, self._rules)),
            **dict.fromkeys(POLICY_OBJECTS, lambda key: ObjectDecoder(key, RawPlacementPolicy, to_placement_policy)),
        }

    def go_by(self, rules: ClassRules) -> None:
        """Tell nodes apart in another way from now on, in all decoders that were made."""
        self._rules, self._asked = rules, rules.labels

    def make(self, key: str, api_version: str, kind: str, size_path: str = "") -> ObjectDecoder[Any]:
        """The decoder of resource `key`, whose objects are of `kind` in `api_version`."""
        if key.startswith(EVENTS):
            notice = key.removeprefix(EVENTS) in REASONS
            return ObjectDecoder(key, RawScalerEvent, to_notice if notice else to_announcement)
        made = self._fixed.get(key)
        if made is not None:
            return made(key)
        prefixes = self._prefixes
        if group_of(api_version) in _BUILT_IN_GROUPS:
            return ObjectDecoder(key, RawOwner, lambda raw: _to_owner(raw, key, api_version, kind, prefixes))
        return ObjectDecoder(
            key, RawCustomOwner, lambda raw: to_custom_owner(raw, key, api_version, kind, prefixes, size_path)
        )
