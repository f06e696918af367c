"""PodDisruptionBudgets, PersistentVolumeClaims and PersistentVolumes: bytes to core types."""

from msgspec import Struct

from extender.core.model.objects import Budget, Claim, Volume
from extender.wire.kube_v1 import Identity
from extender.wire.podspec_v1 import Selector
from extender.wire.selectors_v1 import RawLabelSelector


class _Generation(Identity, frozen=True, rename="camel"):
    generation: int = 0


class _BudgetSpec(Struct, frozen=True, rename="camel", gc=False):
    selector: RawLabelSelector | None = None
    unhealthy_pod_eviction_policy: str | None = None


class _BudgetStatus(Struct, frozen=True, rename="camel", gc=False):
    disruptions_allowed: int | None = None
    observed_generation: int | None = None


class RawBudget(Struct, frozen=True):
    """A PodDisruptionBudget."""

    metadata: _Generation
    spec: _BudgetSpec = _BudgetSpec()
    status: _BudgetStatus = _BudgetStatus()


class _ClaimSpec(Struct, frozen=True, rename="camel", gc=False):
    volume_name: str | None = None


class RawClaim(Struct, frozen=True):
    """A PersistentVolumeClaim."""

    metadata: Identity
    spec: _ClaimSpec = _ClaimSpec()


class _VolumeAffinity(Struct, frozen=True, gc=False):
    required: Selector | None = None


class _VolumeSpec(Struct, frozen=True, rename="camel", gc=False):
    node_affinity: _VolumeAffinity | None = None


class RawVolume(Struct, frozen=True):
    """A PersistentVolume."""

    metadata: Identity
    spec: _VolumeSpec = _VolumeSpec()


def to_budget(raw: RawBudget) -> Budget:
    """The core's view of a budget; the eviction API compares the generations too (`checkAndDecrement`)."""
    meta, spec, status = raw.metadata, raw.spec, raw.status
    observed = status.observed_generation
    return Budget(
        uid=meta.uid,
        namespace=meta.namespace,
        name=meta.name,
        selector=spec.selector.selector() if spec.selector is not None else None,
        allowed=status.disruptions_allowed or 0,
        current=observed is not None and observed >= meta.generation,
        always_allow_unhealthy=spec.unhealthy_pod_eviction_policy == "AlwaysAllow",
    )


def to_claim(raw: RawClaim) -> Claim:
    """The core's view of a claim."""
    meta = raw.metadata
    return Claim(meta.uid, meta.namespace, meta.name, raw.spec.volume_name or "")


def to_volume(raw: RawVolume) -> Volume:
    """The core's view of a volume."""
    affinity = raw.spec.node_affinity
    required = affinity.required if affinity is not None else None
    terms = None if required is None else tuple(t.requirements() for t in required.node_selector_terms or ())
    return Volume(raw.metadata.uid, raw.metadata.name, terms)
