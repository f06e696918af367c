"""Events that say a node is interrupted: Karpenter's, and those of AWS Node Termination Handler.

Sources: `pkg/controllers/interruption/events/events.go` of Karpenter's provider for AWS;
`pkg/observability/k8s-events.go` and `pkg/monitor/sqsevent` of AWS Node Termination Handler.
"""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.model.objects import Notice
from extender.wire.autoscaling_v1 import KARPENTER, RawScalerEvent

HANDLER = frozenset({"aws-node-termination-handler"})
NOTICED_IN = "default"
"""Where Events about nodes are: in other namespaces tenants may write what they like."""


class _Meaning(Struct, frozen=True):
    """Who says it, and of which messages it is true; `deliberate` as in `Notice`."""

    sources: frozenset[str]
    messages: tuple[str, ...] = ("",)
    deliberate: bool = False


REASONS: Mapping[str, _Meaning] = {
    "SpotInterrupted": _Meaning(KARPENTER),
    "SpotRebalanceRecommendation": _Meaning(KARPENTER),
    "InstanceTerminating": _Meaning(KARPENTER, deliberate=True),
    "SpotInterruption": _Meaning(HANDLER),
    "RebalanceRecommendation": _Meaning(HANDLER),
    # In its older format the handler gives all that its queue tells this one reason.
    "SQSTermination": _Meaning(HANDLER, ("Spot Interruption", "Rebalance recommendation")),
}


def to_notice(raw: RawScalerEvent) -> Notice:
    """The core's view of an Event with one of the `REASONS`; it is `void` where nobody that we know says so of a node.

    It counts from when the API server first had it, which no client can choose.
    """
    about, meaning = raw.involved_object, REASONS.get(raw.reason or "")
    source = (raw.source.component if raw.source is not None else None) or raw.reporting_component or ""
    known = (
        meaning is not None
        and source in meaning.sources
        and (raw.message or "").startswith(meaning.messages)
        and about.kind == "Node"
        and about.api_version in ("", "v1")
        and raw.metadata.namespace == NOTICED_IN
    )
    return Notice(
        uid=raw.metadata.uid,
        about=about.uid,
        name=about.name,
        at=raw.metadata.created(),
        deliberate=meaning is not None and meaning.deliberate,
        void=not known,
    )
