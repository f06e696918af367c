"""PodDisruptionBudgets, PersistentVolumeClaims, PersistentVolumes and CSINodes: bytes to core types."""

from collections.abc import Mapping

from msgspec import Raw, Struct

from extender.core.capacity.volumes import ZONE_LABELS
from extender.core.model.objects import MAX_DISRUPTED, AttachLimits, Budget, Claim, Volume
from extender.wire.kube_v1 import Identity, Metadata
from extender.wire.podspec_v1 import NodeSelector
from extender.wire.selectors_v1 import RawLabelSelector


class _Generation(Identity, frozen=True, rename="camel"):
    generation: int = 0


class _BudgetSpec(Struct, frozen=True, rename="camel", gc=False):
    selector: RawLabelSelector | None = None
    unhealthy_pod_eviction_policy: str | None = None


class _BudgetStatus(Struct, frozen=True, rename="camel", gc=False):
    disruptions_allowed: int | None = None
    observed_generation: int | None = None
    current_healthy: int | None = None
    desired_healthy: int | None = None
    disrupted_pods: dict[str, Raw] | None = None


class RawBudget(Struct, frozen=True):
    """A PodDisruptionBudget."""

    metadata: _Generation
    spec: _BudgetSpec = _BudgetSpec()
    status: _BudgetStatus = _BudgetStatus()


class _ClaimSpec(Struct, frozen=True, rename="camel", gc=False):
    volume_name: str | None = None
    access_modes: list[str] | None = None


class _ClaimStatus(Struct, frozen=True, gc=False):
    phase: str | None = None


class RawClaim(Struct, frozen=True):
    """A PersistentVolumeClaim."""

    metadata: Identity
    spec: _ClaimSpec = _ClaimSpec()
    status: _ClaimStatus = _ClaimStatus()


class _VolumeAffinity(Struct, frozen=True, gc=False):
    required: NodeSelector | None = None


class _CsiSource(Struct, frozen=True, rename="camel", gc=False):
    driver: str = ""
    volume_handle: str = ""


class _VolumeSpec(Struct, frozen=True, rename="camel", gc=False):
    node_affinity: _VolumeAffinity | None = None
    access_modes: list[str] | None = None
    csi: _CsiSource | None = None
    # The scheduler translates these to what their CSI drivers would say.
    aws_elastic_block_store: Raw = Raw()
    azure_disk: Raw = Raw()
    cinder: Raw = Raw()
    gce_persistent_disk: Raw = Raw()
    portworx_volume: Raw = Raw()
    vsphere_volume: Raw = Raw()


class RawVolume(Struct, frozen=True):
    """A PersistentVolume."""

    metadata: Metadata
    spec: _VolumeSpec = _VolumeSpec()


def to_budget(raw: RawBudget) -> Budget:
    """The core's view of a budget; the eviction API compares the generations too (`checkAndDecrement`)."""
    meta, spec, status = raw.metadata, raw.spec, raw.status
    observed, desired = status.observed_generation, status.desired_healthy or 0
    return Budget(
        uid=meta.uid,
        namespace=meta.namespace,
        name=meta.name,
        selector=spec.selector.selector() if spec.selector is not None else None,
        allowed=status.disruptions_allowed or 0,
        current=(observed or 0) >= meta.generation,
        always_allow_unhealthy=spec.unhealthy_pod_eviction_policy == "AlwaysAllow",
        healthy=(status.current_healthy or 0) >= desired > 0,
        overfull=len(status.disrupted_pods or ()) > MAX_DISRUPTED,
    )


def to_claim(raw: RawClaim) -> Claim:
    """The core's view of a claim."""
    meta, spec = raw.metadata, raw.spec
    lost = meta.deletion_timestamp is not None or raw.status.phase == "Lost"
    one_pod = "ReadWriteOncePod" in (spec.access_modes or ())
    return Claim(meta.uid, meta.namespace, meta.name, "" if lost else spec.volume_name or "", one_pod)


def to_volume(raw: RawVolume) -> Volume:
    """The core's view of a volume."""
    meta, spec = raw.metadata, raw.spec
    affinity, csi, modes = spec.node_affinity, spec.csi, spec.access_modes or ()
    required = affinity.required if affinity is not None else None
    terms = None if required is None else tuple(t.requirements() for t in required.node_selector_terms or ())
    return Volume(
        meta.uid,
        meta.name,
        terms,
        zones=tuple(zone for zone in (_zone(label, meta.labels or {}) for label in ZONE_LABELS) if zone is not None),
        driver=csi.driver if csi is not None else "",
        handle=csi.volume_handle if csi is not None else "",
        one_node=bool(modes) and "ReadWriteMany" not in modes and "ReadOnlyMany" not in modes,
        unmodelled=bool(
            spec.aws_elastic_block_store
            or spec.azure_disk
            or spec.cinder
            or spec.gce_persistent_disk
            or spec.portworx_volume
            or spec.vsphere_volume
        ),
    )


def _zone(label: str, labels: Mapping[str, str]) -> tuple[str, frozenset[str]] | None:
    """What a label says of where a volume is; one with an empty part says nothing (`LabelZonesToSet`)."""
    values = [value.strip() for value in labels[label].split("__")] if label in labels else [""]
    return (label, frozenset(values)) if all(values) else None


class _Allocatable(Struct, frozen=True, gc=False):
    count: int | None = None


class _Driver(Struct, frozen=True, gc=False):
    name: str = ""
    allocatable: _Allocatable | None = None


class _CsiNodeSpec(Struct, frozen=True, gc=False):
    drivers: list[_Driver] | None = None


class RawCsiNode(Struct, frozen=True):
    """A CSINode."""

    metadata: Identity
    spec: _CsiNodeSpec = _CsiNodeSpec()


def to_attach_limits(raw: RawCsiNode) -> AttachLimits:
    """The core's view of a CSINode."""
    limits = {
        driver.name: driver.allocatable.count
        for driver in raw.spec.drivers or ()
        if driver.allocatable is not None and driver.allocatable.count is not None
    }
    return AttachLimits(raw.metadata.uid, raw.metadata.name, limits)
