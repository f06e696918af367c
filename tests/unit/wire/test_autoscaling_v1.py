"""NodeClaims, and the Events of autoscalers, as Karpenter 1.14.1 and cluster-autoscaler write them."""

import json
from typing import Any

import pytest

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.objects import Announcement, NodeClaim, Requests
from extender.core.model.taints import Taint
from extender.core.state.autoscaling import EVENTS, NODE_CLAIMS
from extender.wire.autoscaling_v1 import LONGEST_TEXT
from extender.wire.objects_v1 import Decoders

SPOT = {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}
POD = {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "p"}
CLAIM = {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": "mixed-x", "uid": "c"}


def decode(resource: str, thing: dict[str, Any], rules: ClassRules | None = None) -> Any:
    decoder = Decoders(rules or ClassRules(), ("spotmix.io",)).make(resource, "v1", "")
    return decoder.change(json.dumps({"type": "ADDED", "object": thing}).encode()).object


def event(
    reason: str, text: str, by: str, about: dict[str, str] | None = None, more: dict[str, Any] | None = None
) -> Announcement:
    about = about or POD
    thing = {
        "metadata": {"uid": "e", "name": "x", "namespace": about.get("namespace", "default")},
        "involvedObject": about,
        "reason": reason,
        "message": text,
        "source": {"component": by},
        "lastTimestamp": "1970-01-01T00:16:40Z",
        **(more or {}),
    }
    found = decode(f"{EVENTS}{reason}", thing)
    assert isinstance(found, Announcement)
    return found


def test_a_nomination() -> None:
    said = event("Nominated", "Pod should schedule on: nodeclaim/mixed-2x7lm, node/m-1", "karpenter")
    text = "Pod should schedule on: nodeclaim/mixed-2x7lm, node/m-1"
    assert said == Announcement("e", "p", "shop", "web-1", True, text, 1000.0, "mixed-2x7lm")
    assert event("Nominated", "Pod should schedule on: node/m-1", "eks-auto-mode/compute").claim == ""


def test_a_node_that_is_about_to_be_there_is_coming_whatever_the_reason_says() -> None:
    """Karpenter says so of pods that wait while it weighs whether to remove other nodes."""
    text = "Failed to schedule pod, would schedule against uninitialized nodeclaim/mixed-2x7lm, node/m-1"
    said = event("FailedScheduling", text, "karpenter")
    assert said == Announcement("e", "p", "shop", "web-1", True, text, 1000.0, "mixed-2x7lm")


@pytest.mark.parametrize(
    ("reason", "message", "source", "coming"),
    [
        ("FailedScheduling", "Failed to schedule pod, no instance type has the required offering", "karpenter", False),
        ("TriggeredScaleUp", "pod triggered scale-up: [{spot 1->2 (max: 5)}]", "cluster-autoscaler", True),
        ("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff", "cluster-autoscaler", False),
    ],
)
def test_what_autoscalers_say_of_pods(reason: str, message: str, source: str, *, coming: bool) -> None:
    said = event(reason, message, source)
    assert (said.about, said.coming, said.void, said.text) == ("p", coming, False, message)


def test_a_refusal_of_a_node_claim() -> None:
    said = event("InsufficientCapacityError", "NodeClaim mixed-x event: none", "karpenter", CLAIM)
    assert (said.about, said.namespace, said.coming, said.void) == ("c", "", False, False)


@pytest.mark.parametrize(
    ("reason", "source", "about", "more"),
    [
        ("FailedScheduling", "default-scheduler", POD, {}),
        ("FailedScheduling", "", POD, {"reportingComponent": "stock"}),
        ("Nominated", "descheduler", POD, {}),
        ("TriggeredScaleUp", "karpenter", POD, {}),
        ("Nominated", "cluster-autoscaler", POD, {}),
        ("Nominated", "karpenter", {**POD, "uid": ""}, {}),
        ("Nominated", "karpenter", {**POD, "kind": "Node"}, {}),
        ("Nominated", "karpenter", POD, {"metadata": {"uid": "e", "namespace": "evil"}}),
        ("InsufficientCapacityError", "karpenter", POD, {}),
        ("InsufficientCapacityError", "karpenter", {**CLAIM, "apiVersion": "evil.io/v1"}, {}),
        ("InsufficientCapacityError", "karpenter", CLAIM, {"metadata": {"uid": "e", "namespace": "evil"}}),
        (
            "InsufficientCapacityError",
            "karpenter",
            {**CLAIM, "namespace": "shop"},
            {"metadata": {"uid": "e", "namespace": "shop"}},
        ),
        (
            "FailedScheduling",
            "karpenter",
            POD,
            {"message": "Failed to schedule pod, unbound pvc must define a storage class"},
        ),
        ("FailedScheduling", "karpenter", POD, {"message": None, "source": None}),
    ],
)
def test_what_is_not_an_autoscalers_or_not_about_room_is_void(
    reason: str, source: str, about: dict[str, str], more: dict[str, Any]
) -> None:
    assert event(reason, "x", source, about, more).void


def test_newer_events_name_their_reporter_and_time_otherwise() -> None:
    series = {"count": 3, "lastObservedTime": "1970-01-01T00:33:20.000000Z"}
    times: dict[str, Any] = {"lastTimestamp": None, "eventTime": "1970-01-01T00:16:40.000000Z", "source": {}}
    said = event("Nominated", "x", "", more={"reportingComponent": "karpenter", "series": series, **times})
    assert (said.void, said.at) == (False, 2000.0)


def test_a_text_is_one_short_line() -> None:
    said = event("NotTriggerScaleUp", "(combined from similar events): a\n b " + "x" * 5000, "cluster-autoscaler")
    assert said.text.startswith("a b xx")
    assert len(said.text) == LONGEST_TEXT + 1


def node_claim(requirements: list[dict[str, Any]] | None, rules: ClassRules | None = None, **more: Any) -> NodeClaim:
    meta = {"uid": "c", "name": "mixed-x", "creationTimestamp": "1970-01-01T00:16:40Z", **more.pop("metadata", {})}
    found = decode(
        NODE_CLAIMS, {"metadata": meta, "spec": {"requirements": requirements, **more.pop("spec", {})}, **more}, rules
    )
    assert isinstance(found, NodeClaim)
    return found


def test_a_node_claim() -> None:
    zones = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a", "b"]}
    found = node_claim(
        [SPOT, zones, {"key": "x", "operator": "Exists"}],
        metadata={"labels": {"karpenter.sh/nodepool": "mixed"}},
        spec={
            "resources": {"requests": {"cpu": "3500m", "pods": "7"}},
            "taints": [{"key": "spot", "value": "true", "effect": "NoSchedule"}],
        },
        status={
            "nodeName": "m-1",
            "allocatable": {"cpu": "3900m", "memory": "1Ki"},
            "conditions": [{"type": "Launched", "status": "True"}, {"type": "Registered", "status": "Unknown"}],
        },
    )
    labels = {
        "karpenter.sh/capacity-type": ("spot",),
        "topology.kubernetes.io/zone": ("a", "b"),
        "karpenter.sh/nodepool": ("mixed",),
    }
    taints = (Taint("spot", "true", "NoSchedule"),)
    offer = Requests(3900, 1024)
    assert found == NodeClaim(
        "c", "mixed-x", 1000.0, "spot", labels, taints, Requests(3500), offer, "m-1", launched=True
    )
    assert node_claim(None, status={"conditions": None}, metadata={"deletionTimestamp": "1970-01-01T00:16:40Z"}).going


@pytest.mark.parametrize(
    ("requirements", "labels", "rules", "found"),
    [
        ([{**SPOT, "values": ["spot", "on-demand"]}], {}, ClassRules(), ""),
        ([{**SPOT, "values": ["on-demand", "reserved"]}], {}, ClassRules(), "on-demand"),
        ([{**SPOT, "values": ["spot", "on-demand"]}], {"karpenter.sh/capacity-type": "spot"}, ClassRules(), "spot"),
        ([], {}, ClassRules(), "on-demand"),
        ([], {"pool": "cheap"}, ClassRules(extra_rules=(ClassRule("pool", "spot", ("cheap",)),)), "spot"),
    ],
)
def test_the_class_of_a_node_claim(
    requirements: list[dict[str, Any]], labels: dict[str, str], rules: ClassRules, found: str
) -> None:
    assert node_claim(requirements, rules, metadata={"labels": labels}).capacity_class == found
