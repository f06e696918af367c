"""A placeholder as the API takes it: what its pod needs, in a namespace of ours, without the labels of the pod."""

import json
from typing import Any

import pytest

from extender.core.drift.moves import Wish, WorkloadRef
from extender.core.drift.placeholder import Ask
from extender.core.model.constraints import HostPort
from extender.core.model.errors import WireError
from extender.core.model.objects import OwnerRef, PodId, Requests
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Toleration
from extender.wire.placeholder_v1 import Making, placeholder

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
SPOT = (Requirement("karpenter.sh/capacity-type", "In", ("spot",)),)
WISH = Wish(PodId("shop", "web-1", "uid-1"), WorkloadRef("uid-web", "Deployment", "shop", "web", "uid-rs"), "spot")
MAKING = Making("spotmix", "registry.example/pause:1")
TERM = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}


def made(spec: dict[str, Any], making: Making = MAKING, **ask: Any) -> dict[str, Any]:
    pod = {"metadata": {"uid": "uid-1", "labels": {"app": "web"}}, "spec": spec}
    given = {"requests": Requests(cpu=500, memory=1 << 20), "terms": (SPOT,), **ask}
    return placeholder(json.dumps(pod).encode(), Ask("spotmix-placeholder-uid-1", WISH, **given), making)


def test_it_asks_for_the_class_by_what_the_pod_needs() -> None:
    toleration = {"key": "spot", "operator": "Exists"}
    said = {"schedulerName": "mine", "tolerations": [toleration], "nodeSelector": {"of": "the pod that stands in"}}
    spec = made(said, selector=(("disk", "ssd"),))["spec"]
    assert (spec["schedulerName"], spec["tolerations"], spec["nodeSelector"]) == ("mine", [toleration], {"disk": "ssd"})
    assert spec["affinity"] == {
        "nodeAffinity": {
            REQUIRED: {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}]}
                ]
            }
        }
    }
    assert spec["priorityClassName"] == "spotmix-placeholder"
    assert spec["terminationGracePeriodSeconds"] == 0
    (container,) = spec["containers"]
    assert container["image"] == "registry.example/pause:1"
    assert container["resources"] == {"requests": {"cpu": "500m", "memory": "1048576"}, "limits": {}}


def test_it_tolerates_what_the_replacement_of_the_pod_will() -> None:
    taint = "karpenter.sh/capacity-type"
    own = {"key": "gpu", "operator": "Exists"}
    spec = made({"tolerations": [own]}, tolerations=(Toleration(taint, "Equal", "spot", "NoSchedule"),))["spec"]
    added = {"key": taint, "operator": "Equal", "value": "spot", "effect": "NoSchedule"}
    assert spec["tolerations"] == [own, added]


def test_a_node_selector_alone_may_tell_the_class() -> None:
    spec = made({}, selector=(("karpenter.sh/capacity-type", "spot"),), terms=())["spec"]
    assert (spec["nodeSelector"], spec["affinity"]) == ({"karpenter.sh/capacity-type": "spot"}, {})


def test_it_is_nobodys_pod_and_says_whose_room_it_keeps() -> None:
    body = made({}, Making("spotmix", "pause", owner=OwnerRef("u", "apps/v1", "Deployment", "spotmix")))
    metadata = body["metadata"]
    assert metadata["namespace"] == "spotmix"
    assert metadata["labels"] == {
        "spotmix.io/placeholder": "uid-1",
        "spotmix.io/capacity-class": "spot",
        "spotmix.io/workload": "web",
        "spotmix.io/revision": "uid-rs",
    }
    assert metadata["annotations"]["spotmix.io/placeholder-for"] == "Deployment shop/web"
    # It is deleted with its owner, and controlled by nobody.
    assert metadata["ownerReferences"] == [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "spotmix", "uid": "u"}
    ]


def test_extended_resources_are_limits_too_and_host_ports_are_taken() -> None:
    asked = Requests(cpu=100, extended=(("example.com/gpu", 2),))
    (container,) = made({}, requests=asked, host_ports=(HostPort(8080),))["spec"]["containers"]
    assert container["resources"]["limits"] == {"example.com/gpu": "2"}
    assert container["resources"]["requests"] == {"cpu": "100m", "example.com/gpu": "2"}
    assert container["ports"] == [{"containerPort": 8080, "hostPort": 8080, "protocol": "TCP"}]


def test_what_the_pod_says_of_others_is_said_of_its_own_namespace() -> None:
    elsewhere = {**TERM, "namespaces": ["other"]}
    affinity = {
        "podAffinity": {REQUIRED: [elsewhere], "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]},
        "podAntiAffinity": {REQUIRED: [{**TERM, "matchLabelKeys": ["pod-template-hash"]}]},
    }
    said = made({"affinity": affinity})["spec"]["affinity"]
    assert said["podAffinity"] == {REQUIRED: [elsewhere]}
    kin = {"matchLabels": {"spotmix.io/revision": "uid-rs"}}
    assert said["podAntiAffinity"] == {
        REQUIRED: [
            {**TERM, "namespaces": ["shop"]},
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": kin},
        ]
    }


def test_it_is_spread_among_placeholders_like_it() -> None:
    hard = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    soft = {**hard, "whenUnsatisfiable": "ScheduleAnyway"}
    (constraint,) = made({"topologySpreadConstraints": [hard, soft]})["spec"]["topologySpreadConstraints"]
    assert constraint == {**hard, "labelSelector": {"matchLabels": {"spotmix.io/revision": "uid-rs"}}}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"\xff", b'{"spec": {"tolerations": 1}}', b'{"metadata": {"uid": "another"}}']
)
def test_what_is_no_pod_or_another_is_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        placeholder(body, Ask("name", WISH, Requests()), MAKING)
