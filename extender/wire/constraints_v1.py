"""What a watched pod demands of its place: parts of its spec to `Constraints`, which equal pods share.

The parts stay raw until a combination of them is met for the first time: the pods of a workload differ in none of
them, or in their claims alone.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Raw, Struct

from extender.core.model.constraints import NO_CONSTRAINTS, Constraints, HostPort, PodTerm, Spread
from extender.core.model.modelled import POD_SPEC, VOLUME_SOURCES, stays
from extender.core.model.objects import EMPTY
from extender.wire.interning import Interned
from extender.wire.podspec_v1 import NodeAffinity, RawToleration
from extender.wire.requests_v1 import ABSENT, Container, ContainerPort
from extender.wire.selectors_v1 import RawLabelSelector, same_value

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_HARD = "DoNotSchedule"
_ANY_IP = "0.0.0.0"
_RESTART_ALL = b"RestartAllContainers"
_SAY_NOTHING = (b"", b"null", b"[]")
# Of matchLabelKeys and mismatchLabelKeys.
_BY_LABELS = b"atchLabelKeys"


class _ClaimSource(Struct, frozen=True, rename="camel", gc=False):
    claim_name: str = ""


class _Volume(Struct, frozen=True, rename="camel", gc=False):
    """A volume. The claim of a generic ephemeral one is named after pod and volume."""

    name: str = ""
    gce_persistent_disk: Raw = ABSENT
    aws_elastic_block_store: Raw = ABSENT
    iscsi: Raw = ABSENT
    persistent_volume_claim: _ClaimSource | None = None
    rbd: Raw = ABSENT
    cinder: Raw = ABSENT
    vsphere_volume: Raw = ABSENT
    azure_disk: Raw = ABSENT
    portworx_volume: Raw = ABSENT
    ephemeral: Raw = ABSENT


class _PodTerm(Struct, frozen=True, rename="camel", gc=False):
    topology_key: str = ""
    label_selector: RawLabelSelector | None = None
    namespaces: list[str] | None = None
    namespace_selector: RawLabelSelector | None = None
    match_label_keys: list[str] | None = None
    mismatch_label_keys: list[str] | None = None

    def term(self, labels: Mapping[str, str]) -> PodTerm:
        """The core type, for a pod with these labels."""
        more = [
            *same_value(self.match_label_keys, labels),
            *same_value(self.mismatch_label_keys, labels, "NotIn"),
        ]
        return PodTerm(
            self.topology_key,
            self.label_selector.selector(more) if self.label_selector is not None else None,
            tuple(self.namespaces or ()),
            self.namespace_selector.selector() if self.namespace_selector is not None else None,
        )


class _PodAffinity(Struct, frozen=True, gc=False, rename={"required": _REQUIRED}):
    required: list[_PodTerm] | None = None

    def terms(self, labels: Mapping[str, str]) -> tuple[PodTerm, ...]:
        """The core types, for a pod with these labels."""
        return tuple(term.term(labels) for term in self.required or ())


class _Affinity(Struct, frozen=True, rename="camel", gc=False):
    node_affinity: NodeAffinity | None = None
    pod_affinity: _PodAffinity | None = None
    pod_anti_affinity: _PodAffinity | None = None


class _Spread(Struct, frozen=True, rename="camel", gc=False):
    topology_key: str = ""
    max_skew: int = 1
    when_unsatisfiable: str = ""
    label_selector: RawLabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: list[str] | None = None

    def spread(self, labels: Mapping[str, str]) -> Spread:
        """The core type, for a pod with these labels (`filterTopologySpreadConstraints` of the scheduler)."""
        selector = self.label_selector
        return Spread(
            self.topology_key,
            self.max_skew,
            selector.selector(same_value(self.match_label_keys, labels)) if selector is not None else None,
            self.min_domains or 1,
            self.node_affinity_policy != "Ignore",
            self.node_taints_policy == "Honor",
        )


class _Gate(Struct, frozen=True, gc=False):
    name: str = ""


class WatchedSpec(Struct, frozen=True, rename="camel", gc=False):
    """What a watched pod asks for and demands: in the order of the API, in which fields are found fastest."""

    volumes: list[_Volume] | None = None
    init_containers: list[Container] | None = None
    containers: list[Container] | None = None
    node_selector: Raw = ABSENT
    node_name: str | None = None
    host_network: bool | None = None
    affinity: Raw = ABSENT
    scheduler_name: str = ""
    tolerations: Raw = ABSENT
    overhead: Raw = ABSENT
    topology_spread_constraints: Raw = ABSENT
    host_users: bool | None = None
    scheduling_gates: list[_Gate] | None = None
    eviction_responders: Raw = ABSENT
    resource_claims: Raw = ABSENT
    resources: Raw = ABSENT
    workload_ref: Raw = ABSENT
    scheduling_group: Raw = ABSENT


class _Stays:
    """Fields of a Struct that keep a pod where it is when they say anything.

    Args:
        names: of the fields, in the API.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        ours = ("".join(f"_{each.lower()}" if each.isupper() else each for each in name) for name in names)
        self._values: Callable[[Struct], Any] = attrgetter(*ours)
        self._absent = (ABSENT,) * len(names)

    def silent(self, thing: Struct) -> bool:
        """Whether none of them is there."""
        return bool(self._values(thing) == self._absent)

    def said(self, thing: Struct) -> list[str]:
        """The names of those that say anything."""
        values = zip(self._names, self._values(thing), strict=True)
        return [name for name, value in values if bytes(value) not in _SAY_NOTHING]


_SPEC_STAYS, _VOLUME_STAYS = _Stays(stays(POD_SPEC)), _Stays(stays(VOLUME_SOURCES))
_Parts = tuple[bytes, bytes, bytes, bytes, bytes, tuple[HostPort, ...], tuple[str, ...], tuple[str, ...]]
_selectors = msgspec.json.Decoder(dict[str, str] | None)
_affinities = msgspec.json.Decoder(_Affinity | None)
_tolerations = msgspec.json.Decoder(list[RawToleration] | None)
_spreads = msgspec.json.Decoder(list[_Spread] | None)
_interned: Interned[bytes | _Parts, Constraints] = Interned()


def to_constraints(
    spec: WatchedSpec, pod: str, labels: Mapping[str, str], raw_labels: bytes, *, claimed: bool = False
) -> Constraints:
    """What a pod demands; equal demands are one object.

    Args:
        spec: the pod's.
        pod: its name.
        labels: its labels, which `matchLabelKeys` refer to.
        raw_labels: the same, as they came.
        claimed: whether some of what it requests is given to it by claims that the scheduler makes.

    Raises:
        ValueError: a part does not decode.
    """
    selector, affinity, spread = spec.node_selector, spec.affinity, spec.topology_spread_constraints
    tolerations = bytes(spec.tolerations)
    ports = _host_ports(spec)
    claims = _claims(spec.volumes, pod) if spec.volumes else ()
    unmodelled = _unmodelled(spec, claimed=claimed) if claimed or not _is_common(spec) else ()
    if selector is affinity is spread is ABSENT and not ports and not claims and not unmodelled:
        # Most pods demand nothing else.
        key: bytes | _Parts = tolerations
        parts: _Parts = (b"", b"", tolerations, b"", b"", (), (), ())
    else:
        raw_affinity, raw_spread = bytes(affinity), bytes(spread)
        by_labels = raw_labels if _BY_LABELS in raw_affinity or _BY_LABELS in raw_spread else b""
        key = parts = (bytes(selector), raw_affinity, tolerations, raw_spread, by_labels, ports, claims, unmodelled)
    return _interned.get(key) or _interned.put(key, _make(parts, labels))


def _is_common(spec: WatchedSpec) -> bool:
    """Whether a pod says nothing by a field that is not counted: few say anything, and each event about a pod asks."""
    if spec.host_users is not None or not _SPEC_STAYS.silent(spec):
        return False
    for container in spec.containers or ():
        if container.restart_policy_rules is not ABSENT:
            return False
    for container in spec.init_containers or ():
        if container.restart_policy_rules is not ABSENT:
            return False
    # A list is faster than a generator for the few volumes of a pod.
    return spec.volumes is None or all([_VOLUME_STAYS.silent(volume) for volume in spec.volumes])  # noqa: C419


def _make(parts: _Parts, labels: Mapping[str, str]) -> Constraints:
    raw_selector, raw_affinity, raw_tolerations, raw_spread, _, ports, claims, unmodelled = parts
    selector = (_selectors.decode(raw_selector) if raw_selector else None) or EMPTY
    affinity = (_affinities.decode(raw_affinity) if raw_affinity else None) or _Affinity()
    tolerations = (_tolerations.decode(raw_tolerations) if raw_tolerations else None) or ()
    spreads = (_spreads.decode(raw_spread) if raw_spread else None) or ()
    required = affinity.node_affinity.required if affinity.node_affinity is not None else None
    made = Constraints(
        node_selector=tuple(sorted(selector.items())),
        node_terms=None if required is None else tuple(t.requirements() for t in required.node_selector_terms or ()),
        tolerations=tuple(t.toleration() for t in tolerations),
        affinity=affinity.pod_affinity.terms(labels) if affinity.pod_affinity is not None else (),
        anti_affinity=affinity.pod_anti_affinity.terms(labels) if affinity.pod_anti_affinity is not None else (),
        spread=tuple(s.spread(labels) for s in spreads if s.when_unsatisfiable == _HARD),
        host_ports=ports,
        claims=claims,
        unmodelled=unmodelled,
    )
    return NO_CONSTRAINTS if made == NO_CONSTRAINTS else made


def _host_ports(spec: WatchedSpec) -> tuple[HostPort, ...]:
    """The ports of the node that containers and sidecars take (`GetHostPorts` in `pkg/scheduler/util/utils.go`).

    In the network of the host a port that names no other is the node's of the same number, as admission writes it.
    """
    found: tuple[HostPort, ...] = ()
    for container in spec.containers or ():
        for port in container.ports or ():
            if port.host_port or spec.host_network:
                found += _taken(port)
    for container in spec.init_containers or ():
        for port in container.ports or () if container.sidecar else ():
            if port.host_port or spec.host_network:
                found += _taken(port)
    return found


def _taken(port: ContainerPort) -> tuple[HostPort, ...]:
    number, ip = port.host_port or port.container_port, port.host_ip or ""
    return (HostPort(number, port.protocol or "TCP", "" if ip == _ANY_IP else ip),) if number else ()


def _unmodelled(spec: WatchedSpec, *, claimed: bool) -> tuple[str, ...]:
    """The fields that may limit where the replacement of a pod runs, in ways that are not counted: see `modelled`."""
    found = [f"spec.{name}" for name in _SPEC_STAYS.said(spec)]
    for volume in spec.volumes or ():
        found += [f"spec.volumes[].{name}" for name in _VOLUME_STAYS.said(volume)]
    if spec.host_users is False and spec.host_network:
        found.append("spec.hostUsers")
    for container in (*(spec.containers or ()), *(spec.init_containers or ())):
        if container.restart_policy_rules and _RESTART_ALL in bytes(container.restart_policy_rules):
            found.append("spec.containers[].restartPolicyRules")
    if claimed:
        found.append("status.extendedResourceClaimStatus")
    return tuple(dict.fromkeys(found))


def _claims(volumes: Sequence[_Volume], pod: str) -> tuple[str, ...]:
    """The PersistentVolumeClaims of a pod (`VolumeClaimName` in `component-helpers/storage/ephemeral`)."""
    found: tuple[str, ...] = ()
    for volume in volumes:
        if volume.persistent_volume_claim is not None:
            found += (volume.persistent_volume_claim.claim_name,)
        elif volume.ephemeral:
            found += (f"{pod}-{volume.name}",)
    return found
