"""Decoders of list pages and watch lines to the core's objects, one per watched resource."""

from collections.abc import Callable, Mapping, Sequence
from sys import intern
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from extender.core.classes import INSTANCE_TYPE_LABELS, ZONE_LABELS, ClassRules, NodeCondition, first_label
from extender.core.errors import WireError
from extender.core.objects import EMPTY, Namespace, Node, Object, Owner, Pod, group_of
from extender.wire.kube_v1 import (
    Identity,
    ListMeta,
    OwnerSpec,
    RawCustomOwner,
    RawNamespace,
    RawNode,
    RawOwner,
    RawPod,
    allocatable,
    pod_requests,
)
from extender.wire.watch import Change, Page

_BUILT_IN_GROUPS = ("", "apps", "batch")
_owner_spec = msgspec.json.Decoder(OwnerSpec)
R = TypeVar("R", bound=RawPod | RawNode | RawOwner | RawCustomOwner | RawNamespace)


class _Status(Struct, frozen=True):
    code: int = 0
    message: str = ""
    metadata: ListMeta = ListMeta()


class _Line(Struct, frozen=True):
    type: str
    object: msgspec.Raw


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

    def change(self, line: bytes) -> Change:
        """See `Decoder.change`."""
        try:
            outer = self._line.decode(line)
            if outer.type == "ERROR":
                status = self._status.decode(outer.object)
                return Change("ERROR", None, "", status.code, status.message)
            if outer.type == "BOOKMARK":
                return Change("BOOKMARK", None, self._version.decode(outer.object).metadata.resource_version)
            raw = self._object.decode(outer.object)
            return Change(outer.type, self._convert(raw), raw.metadata.resource_version)
        except ValueError as error:
            raise WireError(f"watch event of {self._resource} does not decode: {error}") from error


def under(prefixes: tuple[str, ...], values: dict[str, str] | None) -> Mapping[str, str]:
    """The entries whose key is under one of `prefixes` (with their slash); the shared empty mapping for none."""
    if not values:
        return EMPTY
    return {intern(k): intern(v) for k, v in values.items() if k.startswith(prefixes)} or EMPTY


def to_pod(raw: RawPod) -> Pod:
    """The core's view of a pod."""
    meta, status = raw.metadata, raw.status
    ready = unscheduled = False
    for condition in status.conditions or ():
        if condition.type == "Ready":
            ready = condition.status == "True"
        elif condition.type == "PodScheduled":
            unscheduled = condition.status == "False"
    return Pod(
        uid=meta.uid,
        namespace=meta.namespace,
        name=meta.name,
        node=raw.spec.node_name or "",
        owner=meta.controller(),
        terminating=meta.deletion_timestamp is not None,
        ended=status.phase in ("Succeeded", "Failed"),
        ready=ready,
        unscheduled=unscheduled,
        nominated=status.nominated_node_name or "",
        cost=meta.annotations.cost if meta.annotations else None,
        created=meta.created(),
        requests=pod_requests(raw.spec),
    )


def to_node(raw: RawNode, rules: ClassRules, asked: Sequence[str]) -> Node:
    """The core's view of a node, classified by `rules`, which ask about the labels `asked`."""
    labels = {intern(k): intern(v) for k, v in (raw.metadata.labels or {}).items()}
    taints = tuple(t.taint() for t in raw.spec.taints or ())
    conditions = [NodeCondition(c.type, c.status, c.reason or "") for c in raw.status.conditions or ()]
    offered, max_pods = allocatable(raw.status)
    return Node(
        uid=raw.metadata.uid,
        name=raw.metadata.name,
        capacity_class=intern(rules.class_of(labels)),
        instance_type=first_label(labels, INSTANCE_TYPE_LABELS),
        zone=first_label(labels, ZONE_LABELS),
        going_away=rules.going_away(taints, conditions, deleting=raw.metadata.deletion_timestamp is not None),
        unschedulable=bool(raw.spec.unschedulable),
        taints=taints,
        labels=labels,
        allocatable=offered,
        max_pods=max_pods,
        marks=tuple((label, labels[label]) for label in asked if label in labels),
    )


def _to_owner(raw: RawOwner, resource: str, api_version: str, kind: str, prefixes: tuple[str, ...]) -> Owner:
    meta, spec = raw.metadata, raw.spec
    replicas = spec.replicas if type(spec.replicas) is int and spec.replicas >= 0 else None
    if kind == "Job" and group_of(api_version) == "batch":
        replicas = spec.parallelism if spec.parallelism is not None else 1
        if spec.completions is not None:
            replicas = max(0, min(replicas, spec.completions - (raw.status.succeeded or 0)))
    return Owner(
        uid=meta.uid,
        resource=resource,
        api_version=api_version,
        kind=kind,
        namespace=intern(meta.namespace),
        name=meta.name,
        owner=meta.controller(),
        labels=under(prefixes, meta.labels),
        annotations=under(prefixes, meta.annotations),
        replicas=replicas,
        first_ordinal=(spec.ordinals.start or 0) if spec.ordinals else 0,
    )


def to_custom_owner(
    raw: RawCustomOwner, resource: str, api_version: str, kind: str, prefixes: tuple[str, ...]
) -> Owner:
    """The core's view of an object whose `spec` may be anything; `prefixes` are those of our keys, with their slash."""
    try:
        spec = _owner_spec.decode(raw.spec)
    except ValueError:
        # It means something else by the names we know.
        spec = OwnerSpec()
    return _to_owner(RawOwner(raw.metadata, spec), resource, api_version, kind, prefixes)


class Decoders:
    """Makes the decoder of a resource: `key` is its name, with the group when it has one (`replicasets.apps`)."""

    def __init__(self, rules: ClassRules, prefixes: tuple[str, ...]) -> None:
        self._rules = rules
        self._prefixes = tuple(p + "/" for p in prefixes)

    def make(
        self, key: str, api_version: str, kind: str
    ) -> (
        ObjectDecoder[RawPod]
        | ObjectDecoder[RawNode]
        | ObjectDecoder[RawNamespace]
        | ObjectDecoder[RawOwner]
        | ObjectDecoder[RawCustomOwner]
    ):
        """The decoder of resource `key`, whose objects are of `kind` in `api_version`."""
        prefixes = self._prefixes
        if key == "pods":
            return ObjectDecoder(key, RawPod, to_pod)
        if key == "nodes":
            asked = self._rules.labels
            return ObjectDecoder(key, RawNode, lambda raw: to_node(raw, self._rules, asked))
        if key == "namespaces":
            return ObjectDecoder(
                key,
                RawNamespace,
                lambda raw: Namespace(
                    raw.metadata.uid,
                    raw.metadata.name,
                    under(prefixes, raw.metadata.labels),
                    under(prefixes, raw.metadata.annotations),
                ),
            )
        if group_of(api_version) in _BUILT_IN_GROUPS:
            return ObjectDecoder(key, RawOwner, lambda raw: _to_owner(raw, key, api_version, kind, prefixes))
        return ObjectDecoder(key, RawCustomOwner, lambda raw: to_custom_owner(raw, key, api_version, kind, prefixes))
