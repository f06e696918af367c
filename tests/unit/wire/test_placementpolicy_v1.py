"""Policy objects as the API server has them, and as a definition of somebody else's might let them be."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from extender.core.model.classes import ClassRules
from extender.core.model.policies import (
    EVERYTHING,
    ClassCount,
    ClassWish,
    LimitWish,
    PlacementPolicy,
    PolicyCondition,
    PolicySpec,
    PolicyStatus,
    RunCounts,
)
from extender.core.model.selectors import LabelSelector, Requirement
from extender.core.state.state import POLICY_OBJECTS
from extender.wire.objects_v1 import Decoders
from extender.wire.placementpolicy_v1 import status_patch

METADATA = {
    "uid": "u",
    "name": "web",
    "namespace": "shop",
    "generation": 3,
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "managedFields": [],
}


def read(spec: Any = None, status: Any = None, **metadata: Any) -> PlacementPolicy:
    body: dict[str, Any] = {"metadata": {**METADATA, **metadata}}
    body |= {"spec": spec} if spec is not None else {}
    body |= {"status": status} if status is not None else {}
    key = POLICY_OBJECTS[0]
    found = Decoders(ClassRules(), ("spotmix.io",)).make(key, "spotmix.io/v1alpha1", "PlacementPolicy")
    thing = found.one(json.dumps(body).encode())
    assert isinstance(thing, PlacementPolicy)
    return thing


def test_all_of_it() -> None:
    found = read(
        {
            "selector": {"matchLabels": {"tier": "web"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
            "namespaceSelector": {"matchLabels": {"team": "a"}},
            "priority": 7,
            "count": "Policy",
            "classes": [
                {"name": "on-demand", "weight": 30, "base": 2, "max": 4},
                {"name": "spot", "weight": 70, "max": "80%", "maxPerPool": "25%"},
            ],
            "unsatisfiable": {"action": "Any", "after": "3m", "to": ["on-demand"]},
            "moves": {"schedule": "0 2 * * *", "duration": "4h", "timeZone": "Europe/Berlin", "maxPerHour": 0},
            "interruptions": {"onDemandAfter": 2},
            "limits": [{"class": "spot", "resource": "cpu", "max": 1}],
            "mode": "Audit",
        }
    )
    assert found == PlacementPolicy(
        uid="u",
        namespace="shop",
        name="web",
        created=1767225600.0,
        generation=3,
        priority=7,
        selector=LabelSelector((("tier", "web"),), (Requirement("a", "Exists"),)),
        namespaces=LabelSelector((("team", "a"),)),
        spec=PolicySpec(
            classes=(ClassWish("on-demand", 30, 2, "4"), ClassWish("spot", 70, 0, "80%", "25%")),
            count="Policy",
            action="Any",
            after="3m",
            stand_ins=("on-demand",),
            schedule="0 2 * * *",
            duration="4h",
            timezone="Europe/Berlin",
            moves_per_hour=0,
            on_demand_after=2,
            limits=(LimitWish("spot", "cpu", "1"),),
            mode="Audit",
        ),
    )
    assert (found.kind, found.resource, found.title) == (
        "PlacementPolicy",
        "placementpolicies.spotmix.io",
        "PlacementPolicy shop/web",
    )


def test_one_of_the_cluster() -> None:
    found = read({}, namespace="")
    assert (found.kind, found.resource, found.title) == (
        "ClusterPlacementPolicy",
        "clusterplacementpolicies.spotmix.io",
        "ClusterPlacementPolicy web",
    )


def test_nothing_of_it() -> None:
    found = read()
    assert (found.selector, found.namespaces, found.spec, found.status) == (
        EVERYTHING,
        EVERYTHING,
        PolicySpec(),
        PolicyStatus(),
    )


@pytest.mark.parametrize(
    "spec",
    [
        [],
        "much",
        {"classes": "spot"},
        {"classes": [{"name": "spot", "weight": 1.5}]},
        {"classes": [{"name": "spot", "weight": -1}]},
        {"classes": [{"name": "spot", "weight": 10_001}]},
        {"classes": [{"name": "spot", "base": 10_001}]},
        {"selector": {"matchLabels": {"a": 1}}},
        {"moves": {"maxPerHour": "6"}},
    ],
)
def test_one_of_another_shape_is_read_as_such(spec: Any) -> None:
    found = read(spec)
    assert found.spec.malformed.startswith("does not decode: ")
    assert (found.name, found.spec.classes) == ("web", ())


STATUS = PolicyStatus(
    3,
    (PolicyCondition("Accepted", "True", "Accepted", "It speaks", "2026-01-01T00:00:00Z"),),
    2,
    14,
    (ClassCount("spot", 9, 7), ClassCount("on-demand", 5, 2)),
)


def test_a_status_is_read_as_it_was_written() -> None:
    body = status_patch(read({}), STATUS)
    assert body["metadata"] == {"name": "web", "uid": "u", "namespace": "shop"}
    assert (body["apiVersion"], body["kind"]) == ("spotmix.io/v1alpha1", "PlacementPolicy")
    assert (body["status"]["wanted"], body["status"]["actual"]) == ("9/5", "7/2")
    assert body["status"]["conditions"][0]["observedGeneration"] == 3
    assert read({}, body["status"]).status == STATUS
    assert "namespace" not in status_patch(read({}, namespace=""), STATUS)["metadata"]


def test_runs_and_losses_are_read_as_they_were_written() -> None:
    runs = RunCounts((("on-demand", 30), ("spot", 70)), 1_767_225_600, (("b", 1_767_225_601), ("a", 1_767_225_602)))
    status = replace(STATUS, runs=runs, lost=(("job", ("a", "b")),))
    policy = read({}, resourceVersion="7")
    body = status_patch(policy, status)
    assert body["status"]["runs"] == {"spot": 70, "on-demand": 30}
    assert read({}, body["status"]).status == status
    # Whatever is counted on is written over the version alone that it was counted from.
    assert body["metadata"]["resourceVersion"] == "7"
    assert "resourceVersion" not in status_patch(policy, STATUS)["metadata"]
    assert read({}, status_patch(policy, replace(STATUS, runs=RunCounts()))["status"]).status.runs == RunCounts()


@pytest.mark.parametrize("status", ["odd", {"workloads": "many"}, {"conditions": {}}])
def test_somebody_elses_status_is_none(status: Any) -> None:
    assert read({}, status).status == PolicyStatus()
