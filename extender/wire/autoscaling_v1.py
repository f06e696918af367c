"""What autoscalers say: Karpenter's NodeClaims, and Events of Karpenter and cluster-autoscaler.

Events are told apart by who reports them: schedulers say `FailedScheduling` too. Sources: `pkg/apis/v1` and the
`events.go` files of Karpenter 1.14.1; `processors/status/eventing_scale_up_processor.go` of cluster-autoscaler 1.37.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from sys import intern

from msgspec import Struct

from extender.core.model.classes import ClassRules
from extender.core.model.objects import Announcement, NodeClaim
from extender.wire.kube_v1 import Identity, RawCondition, RawTaint
from extender.wire.podspec_v1 import RawRequirement
from extender.wire.requests_v1 import Quantities, amounts, to_requests

KARPENTER = frozenset({"karpenter", "eks-auto-mode/compute"})
"""By which names Karpenter reports Events; the other is that of EKS Auto Mode."""

CLUSTER_AUTOSCALER = frozenset({"cluster-autoscaler"})

LONGEST_TEXT = 300
"""Characters of a reason that are kept."""

_NODE_CLAIM = re.compile(r"nodeclaim/([a-z0-9][-a-z0-9.]{0,252})")
_STARTING = "would schedule against uninitialized"
"""Said by Karpenter, as `FailedScheduling`, of a pod whose node is coming, when it weighs whether to remove others."""

_COMBINED = "(combined from similar events): "
_CLUSTER = frozenset({"default", "kube-system"})
"""Where Events about what has no namespace are."""

_NOT_FOR_ROOM = (
    *("dynamic resource allocation", "persistentvolumeclaim", "pvc", "storage class", "storageclass"),
    *("is not supported", "is restricted"),
)
"""What Karpenter says, in lower case, of pods that it launches no node for whatever their class is."""


class _Object(Struct, frozen=True, rename="camel", gc=False):
    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class _Source(Struct, frozen=True, gc=False):
    component: str | None = None


class _Series(Struct, frozen=True, rename="camel", gc=False):
    last_observed_time: datetime | None = None


class RawScalerEvent(Struct, frozen=True, rename="camel", gc=False):
    """An Event of the core group."""

    metadata: Identity
    involved_object: _Object = _Object()
    reason: str | None = None
    message: str | None = None
    source: _Source | None = None
    reporting_component: str | None = None
    event_time: datetime | None = None
    last_timestamp: datetime | None = None
    series: _Series | None = None


def to_announcement(raw: RawScalerEvent) -> Announcement:
    """The core's view of an Event; it is `void` where no autoscaler that we know reports it."""
    about, text = raw.involved_object, _line(raw.message)
    source = (raw.source.component if raw.source is not None else None) or raw.reporting_component or ""
    seen = raw.series.last_observed_time if raw.series is not None else None
    times = (raw.last_timestamp, seen, raw.event_time)
    at = max((time.timestamp() for time in times if time is not None), default=raw.metadata.created())
    coming = raw.reason in ("Nominated", "TriggeredScaleUp") or _STARTING in text
    claim = _NODE_CLAIM.search(text) if coming and raw.reason != "TriggeredScaleUp" else None
    return Announcement(
        uid=raw.metadata.uid,
        about=about.uid,
        namespace=about.namespace,
        name=about.name,
        coming=coming,
        text=text,
        at=at,
        claim=claim[1] if claim is not None else "",
        void=not (about.uid and _is_known(raw, source) and not _is_otherwise(text)),
    )


def _is_known(raw: RawScalerEvent, source: str) -> bool:
    """Whether an autoscaler says this, of what it says it of, in the namespace where it says it."""
    about, reason, place = raw.involved_object, raw.reason, raw.metadata.namespace
    if about.kind == "NodeClaim":
        named = about.api_version.startswith("karpenter.sh/") and not about.namespace and place in _CLUSTER
        return named and source in KARPENTER and reason == "InsufficientCapacityError"
    if about.kind != "Pod" or about.api_version not in ("", "v1") or place != about.namespace:
        return False
    if reason in ("TriggeredScaleUp", "NotTriggerScaleUp"):
        return source in CLUSTER_AUTOSCALER
    return source in KARPENTER and reason in ("Nominated", "FailedScheduling")


def _is_otherwise(text: str) -> bool:
    lower = text.lower()
    return any(mark in lower for mark in _NOT_FOR_ROOM)


def _line(message: str | None) -> str:
    text = " ".join((message or "")[: 2 * LONGEST_TEXT].split()).removeprefix(_COMBINED)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


class _ClaimResources(Struct, frozen=True, gc=False):
    requests: Quantities | None = None


class _ClaimSpec(Struct, frozen=True, gc=False):
    requirements: list[RawRequirement] | None = None
    resources: _ClaimResources | None = None
    taints: list[RawTaint] | None = None


class _ClaimMetadata(Identity, frozen=True, rename="camel"):
    labels: dict[str, str] | None = None


class _ClaimStatus(Struct, frozen=True, rename="camel", gc=False):
    node_name: str | None = None
    allocatable: Quantities | None = None
    conditions: list[RawCondition] | None = None


class RawNodeClaim(Struct, frozen=True):
    """A NodeClaim."""

    metadata: _ClaimMetadata
    spec: _ClaimSpec = _ClaimSpec()
    status: _ClaimStatus = _ClaimStatus()


def to_node_claim(raw: RawNodeClaim, rules: ClassRules) -> NodeClaim:
    """The core's view of a NodeClaim, its node's class by `rules`.

    Raises:
        ValueError: a quantity is none.
    """
    meta, spec, status = raw.metadata, raw.spec, raw.status
    labels = {each.key: tuple(each.values) for each in spec.requirements or () if each.operator == "In" and each.values}
    labels |= {key: (value,) for key, value in (meta.labels or {}).items()}
    true = {condition.type for condition in status.conditions or () if condition.status == "True"}
    resources = spec.resources
    return NodeClaim(
        uid=meta.uid,
        name=meta.name,
        created=meta.created(),
        capacity_class=intern(_class_of(labels, rules)),
        labels=labels,
        taints=tuple(taint.taint() for taint in spec.taints or ()),
        asked=to_requests(amounts(resources.requests if resources is not None else None)),
        offered=to_requests(amounts(status.allocatable), zeros=True),
        node=status.node_name or "",
        launched="Launched" in true,
        registered="Registered" in true,
        ready="Initialized" in true,
        going=meta.deletion_timestamp is not None,
    )


def _class_of(labels: Mapping[str, tuple[str, ...]], rules: ClassRules) -> str:
    """The class of a node with one of these values of each label; empty where that depends on which."""
    certain = {key: values[0] for key, values in labels.items() if len(values) == 1}
    open_labels = [key for key in rules.labels if len(labels.get(key, ())) > 1]
    classes = {rules.class_of({**certain, key: value}) for key in open_labels for value in labels[key]}
    return classes.pop() if len(classes) == 1 else "" if classes else rules.class_of(certain)
