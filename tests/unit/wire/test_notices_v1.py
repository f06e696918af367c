"""Events that say a node is interrupted, as Karpenter and AWS Node Termination Handler write them."""

import json
from typing import Any

import pytest

from extender.core.model.classes import ClassRules
from extender.core.model.objects import Notice
from extender.kube.resources import NOTICES
from extender.wire.notices_v1 import REASONS
from extender.wire.objects_v1 import Decoders

AT = "2026-11-29T12:00:00Z"
SECONDS = 1795953600.0


def event(reason: str, by: str = "karpenter", **fields: Any) -> dict[str, Any]:
    """As client-go's recorder writes it."""
    about = {"kind": "Node", "apiVersion": "v1", "name": "n1", "uid": "uid-n1"}
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": "n1.18", "namespace": "default", "uid": "e1", "creationTimestamp": AT},
        "involvedObject": about,
        "reason": reason,
        "message": "Spot interruption warning was triggered",
        "source": {"component": by},
        "firstTimestamp": AT,
        "lastTimestamp": "2026-11-29T13:00:00Z",
        "count": 2,
        "type": "Warning",
        "eventTime": None,
        "reportingComponent": by,
        "reportingInstance": "",
        **fields,
    }


def read(said: dict[str, Any]) -> Notice:
    decoders = Decoders(ClassRules(), ("spotmix.io",))
    notice = decoders.make(f"events/{said['reason']}", "v1", "Event").one(json.dumps(said).encode())
    assert isinstance(notice, Notice)
    return notice


def test_what_is_followed_is_what_is_understood() -> None:
    assert len(NOTICES) == len(REASONS)
    assert {resource.path for resource in NOTICES} == {"/api/v1/namespaces/default/events"}
    assert NOTICES[0].selector == "reason=SpotInterrupted"


@pytest.mark.parametrize("reason", ["SpotInterrupted", "SpotRebalanceRecommendation", "InstanceTerminating"])
def test_karpenter_tells_of_a_node_by_its_uid(reason: str) -> None:
    assert read(event(reason)) == Notice("e1", "uid-n1", "n1", SECONDS, deliberate=reason == "InstanceTerminating")


@pytest.mark.parametrize("reason", ["SpotInterruption", "RebalanceRecommendation"])
def test_the_termination_handler_names_a_node_alone(reason: str) -> None:
    about = {"kind": "Node", "apiVersion": "v1", "namespace": "default", "name": "n1"}
    said = event(reason, "aws-node-termination-handler", involvedObject=about)
    assert read(said) == Notice("e1", "", "n1", SECONDS)


@pytest.mark.parametrize(
    ("message", "counts"),
    [
        ("Spot Interruption event received. Instance i-1 will be interrupted at 2026-11-29 12:00:00 \n", True),
        ("Rebalance recommendation event received. Instance i-1 will be cordoned at 2026-11-29 12:00:00 \n", True),
        ("ASG Lifecycle Termination event received. Instance will be interrupted at 2026-11-29 12:00:00 \n", False),
        ("EC2 State Change event received. Instance i-1 went into stopping at 2026-11-29 12:00:00 \n", False),
        (None, False),
    ],
)
def test_of_what_its_queue_tells_the_message_says_what_it_is(message: str | None, *, counts: bool) -> None:
    assert read(event("SQSTermination", "aws-node-termination-handler", message=message)).void is not counts


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": {"name": "x", "namespace": "shop", "uid": "e1", "creationTimestamp": AT}},
        {"involvedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": "default", "name": "n1"}},
        {"involvedObject": {"kind": "NodeClaim", "apiVersion": "karpenter.sh/v1", "name": "n1", "uid": "u"}},
        {"involvedObject": {"kind": "Node", "apiVersion": "example.org/v1", "name": "n1", "uid": "u"}},
        {"involvedObject": {}},
        {"source": {"component": "somebody"}},
        {"source": None, "reportingComponent": None},
        {"source": {"component": "aws-node-termination-handler"}},
    ],
)
def test_what_only_looks_like_one_is_void(fields: dict[str, Any]) -> None:
    assert read(event("SpotInterrupted", **fields)).void
