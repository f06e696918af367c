"""PlacementPolicy and ClusterPlacementPolicy (`spotmix.io/v1alpha1`): from JSON to the core's type, and a status back.

The schema of the definitions keeps out most of what is wrong. What passes a definition that somebody else installed is
told of in the object's status, and does not stop others from being read.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct, field
from msgspec.structs import replace

from extender.core.model.errors import WireError
from extender.core.model.policies import (
    EVERYTHING,
    GROUP,
    VERSION,
    ClassCount,
    ClassWish,
    LimitWish,
    PlacementPolicy,
    PolicyCondition,
    PolicySpec,
    PolicyStatus,
    RunCounts,
)
from extender.core.policy.values import MAX_REPLICAS
from extender.wire.kube_v1 import Identity
from extender.wire.selectors_v1 import RawLabelSelector

KINDS = ("PlacementPolicy", "ClusterPlacementPolicy")


class _Metadata(Identity, frozen=True, rename="camel"):
    generation: int = 0


class _Class(Struct, frozen=True, rename="camel"):
    name: str = ""
    weight: int | None = None
    base: int = 0
    max: int | str = ""
    max_per_pool: int | str = ""


class _Unsatisfiable(Struct, frozen=True):
    action: str = ""
    after: str = ""
    to: tuple[str, ...] = ()


class _Moves(Struct, frozen=True, rename="camel"):
    schedule: str = ""
    duration: str = ""
    time_zone: str = ""
    max_per_hour: int | None = None


class _Interruptions(Struct, frozen=True, rename="camel"):
    on_demand_after: int | None = None


class _Limit(Struct, frozen=True, rename={"capacity_class": "class", "most": "max"}):
    capacity_class: str = ""
    resource: str = ""
    most: int | str = ""


class _Spec(Struct, frozen=True, rename="camel"):
    selector: RawLabelSelector = RawLabelSelector()
    namespace_selector: RawLabelSelector = RawLabelSelector()
    priority: int = 0
    count: str = "Workload"
    classes: tuple[_Class, ...] = ()
    unsatisfiable: _Unsatisfiable = _Unsatisfiable()
    moves: _Moves = _Moves()
    interruptions: _Interruptions = _Interruptions()
    limits: tuple[_Limit, ...] = ()
    mode: str = ""


class _Condition(Struct, frozen=True, rename="camel"):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


class _ClassCount(Struct, frozen=True):
    name: str = ""
    wanted: int = 0
    actual: int = 0


class _Counted(Struct, frozen=True):
    until: int = -1
    pods: dict[str, int] = {}


class _LostOfJob(Struct, frozen=True):
    job: str
    pods: tuple[str, ...] = ()


class _Status(Struct, frozen=True, rename="camel"):
    observed_generation: int = 0
    conditions: tuple[_Condition, ...] = ()
    workloads: int = 0
    replicas: int = 0
    classes: tuple[_ClassCount, ...] = ()
    runs: dict[str, int] | None = None
    counted: _Counted = _Counted()
    lost: tuple[_LostOfJob, ...] = ()


class RawPlacementPolicy(Struct, frozen=True):
    """A policy of either kind; a ClusterPlacementPolicy has no namespace."""

    metadata: _Metadata
    spec: Raw = field(default_factory=lambda: Raw(b"{}"))
    status: Raw = field(default_factory=lambda: Raw(b"{}"))


_spec = msgspec.json.Decoder(_Spec)
_status = msgspec.json.Decoder(_Status)


class _Manifest(RawPlacementPolicy, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""


def read_policy(data: bytes) -> PlacementPolicy:
    """A policy of either kind from its manifest as JSON, which nobody has judged: without UID, age and status.

    Raises:
        WireError: it is none; the text names the field, the value and the fix.
    """
    try:
        raw = msgspec.json.decode(data, type=_Manifest)
    except (ValueError, RecursionError) as error:
        raise WireError(f"is no policy object: {error}; send it as JSON") from error
    kind, name, version = raw.kind, raw.metadata.name, f"{GROUP}/{VERSION}"
    if raw.api_version != version or kind not in KINDS:
        raise WireError(
            f"{kind} {name} of {raw.api_version} is no policy object; send {' or '.join(KINDS)} of {version}"
        )
    namespace = raw.metadata.namespace
    if bool(namespace) == kind.startswith("Cluster") or not name:
        fix = "a PlacementPolicy has both, a ClusterPlacementPolicy a name alone"
        raise WireError(f"{kind} has name {name!r} and namespace {namespace!r}; {fix}")
    found = to_placement_policy(RawPlacementPolicy(raw.metadata, raw.spec))
    if found.spec.malformed:
        raise WireError(f"{found.title}: spec {found.spec.malformed}")
    return replace(found, uid="", created=0.0)


def to_placement_policy(raw: RawPlacementPolicy) -> PlacementPolicy:
    """The core's view of a policy."""
    meta = raw.metadata
    try:
        spec = _spec.decode(raw.spec)
        selector, namespaces = spec.selector.selector(), spec.namespace_selector.selector()
        said = _to_spec(spec)
    except ValueError as error:
        spec, selector, namespaces = _Spec(), EVERYTHING, EVERYTHING
        said = PolicySpec(malformed=f"does not decode: {error}")
    return PlacementPolicy(
        uid=meta.uid,
        namespace=meta.namespace,
        name=meta.name,
        created=meta.created(),
        generation=meta.generation,
        priority=spec.priority,
        selector=selector,
        namespaces=namespaces,
        spec=said,
        status=_to_status(raw.status),
        version=meta.resource_version,
    )


def _to_spec(spec: _Spec) -> PolicySpec:
    for each in spec.classes:
        numbers = (each.weight or 0, each.base)
        if min(numbers) < 0 or max(numbers) > MAX_REPLICAS:
            raise ValueError(f"weights and bases are from 0 to {MAX_REPLICAS}")
    unsatisfiable, moves = spec.unsatisfiable, spec.moves
    return PolicySpec(
        classes=tuple(ClassWish(c.name, c.weight, c.base, str(c.max), str(c.max_per_pool)) for c in spec.classes),
        count=spec.count,
        action=unsatisfiable.action,
        after=unsatisfiable.after,
        stand_ins=unsatisfiable.to,
        schedule=moves.schedule,
        duration=moves.duration,
        timezone=moves.time_zone,
        moves_per_hour=moves.max_per_hour,
        on_demand_after=spec.interruptions.on_demand_after,
        limits=tuple(LimitWish(each.capacity_class, each.resource, str(each.most)) for each in spec.limits),
        mode=spec.mode,
    )


def _to_status(raw: Raw) -> PolicyStatus:
    try:
        status = _status.decode(raw)
    except ValueError:
        # Somebody wrote something else there: ours is written over it.
        return PolicyStatus()
    conditions = (
        PolicyCondition(c.type, c.status, c.reason, c.message, c.last_transition_time) for c in status.conditions
    )
    return PolicyStatus(
        generation=status.observed_generation,
        conditions=tuple(conditions),
        workloads=status.workloads,
        replicas=status.replicas,
        classes=tuple(ClassCount(c.name, c.wanted, c.actual) for c in status.classes),
        runs=_to_runs(status.runs, status.counted) if status.runs is not None else None,
        lost=tuple((each.job, each.pods) for each in status.lost),
    )


def _to_runs(counts: dict[str, int], counted: _Counted) -> RunCounts:
    pods = sorted(counted.pods.items(), key=lambda each: (each[1], each[0]))
    return RunCounts(tuple(sorted(counts.items())), counted.until, tuple(pods))


def status_patch(policy: PlacementPolicy, status: PolicyStatus) -> dict[str, Any]:
    """What is applied to the status subresource of a policy; by its UID it never meets a namesake made since.

    What is counted from one status to the next is written over the version alone that it was counted from: another
    replica may have counted on since.
    """
    metadata = {"name": policy.name, "uid": policy.uid}
    if policy.version and (status.runs is not None or status.lost):
        metadata["resourceVersion"] = policy.version
    if policy.namespace:
        metadata["namespace"] = policy.namespace
    conditions = [
        {
            "type": each.type,
            "status": each.status,
            "reason": each.reason,
            "message": each.message,
            "lastTransitionTime": each.since,
            "observedGeneration": status.generation,
        }
        for each in status.conditions
    ]
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": policy.kind,
        "metadata": metadata,
        "status": {
            "observedGeneration": status.generation,
            "conditions": conditions,
            "workloads": status.workloads,
            "replicas": status.replicas,
            "classes": [{"name": each.name, "wanted": each.wanted, "actual": each.actual} for each in status.classes],
            "wanted": "/".join(str(each.wanted) for each in status.classes),
            "actual": "/".join(str(each.actual) for each in status.classes),
            **_runs(status.runs),
            **({"lost": [{"job": job, "pods": list(pods)} for job, pods in status.lost]} if status.lost else {}),
        },
    }


def _runs(runs: RunCounts | None) -> dict[str, Any]:
    if runs is None:
        return {}
    return {"runs": dict(runs.counts), "counted": {"until": runs.until, "pods": dict(runs.pods)}}
