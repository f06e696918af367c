"""Budgets, claims, volumes and the like, read from the API server's objects."""

import json
from typing import Any

import pytest

from extender.core.model.classes import ClassRules
from extender.core.model.objects import AttachLimits, Budget, Claim, Object, Volume
from extender.core.model.selectors import LabelSelector, Requirement
from extender.core.state.state import BUDGETS, CLAIMS, CSI_NODES, VOLUMES
from extender.wire.objects_v1 import Decoders

DECODERS = Decoders(ClassRules(), ("spotmix.io",))
META = {"name": "x", "namespace": "shop", "uid": "u", "generation": 3}


def decode(resource: str, **thing: Any) -> Object | None:
    decoder = DECODERS.make(resource, "v1", "")
    return decoder.change(json.dumps({"type": "ADDED", "object": {"metadata": META, **thing}}).encode()).object


def budget(**thing: Any) -> Budget:
    found = decode(BUDGETS, **thing)
    assert isinstance(found, Budget)
    return found


def test_a_budget() -> None:
    selector = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}, {"key": "y", "operator": "Exists"}],
    }
    found = budget(
        spec={"selector": selector, "minAvailable": 2, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        status={"disruptionsAllowed": 4, "observedGeneration": 3, "currentHealthy": 6},
    )
    wanted = LabelSelector((("a", "1"), ("b", "2")), (Requirement("tier", "NotIn", ("x",)), Requirement("y", "Exists")))
    assert found == Budget("u", "shop", "x", wanted, 4, current=True, always_allow_unhealthy=True)


@pytest.mark.parametrize(
    ("status", "allowed", "current"),
    [
        ({"disruptionsAllowed": 1, "observedGeneration": 2}, 1, False),
        ({"disruptionsAllowed": 0, "observedGeneration": 4}, 0, True),
        ({"disruptionsAllowed": 0}, 0, False),
        ({"observedGeneration": None, "disruptionsAllowed": None}, 0, False),
        ({}, 0, False),
    ],
)
def test_a_status_of_an_older_spec_is_not_current(status: dict[str, Any], allowed: int, current: bool) -> None:
    found = budget(spec={"selector": {}}, status=status)
    assert (found.allowed, found.current) == (allowed, current)


def test_an_empty_selector_is_another_than_none() -> None:
    assert budget(spec={"selector": {}}).selector == LabelSelector()
    assert budget(spec={"selector": None}).selector is None
    assert budget(spec={}).selector is None
    policy = budget(spec={"unhealthyPodEvictionPolicy": "IfHealthyBudget"})
    assert not policy.always_allow_unhealthy


def test_claims() -> None:
    assert decode(CLAIMS, spec={"volumeName": "pv-1"}) == Claim("u", "shop", "x", "pv-1")
    assert decode(CLAIMS, spec={"storageClassName": "fast"}) == Claim("u", "shop", "x", "")


def test_volumes() -> None:
    zone = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}
    bound = decode(VOLUMES, spec={"nodeAffinity": {"required": required}})
    assert bound == Volume("u", "x", ((Requirement("topology.kubernetes.io/zone", "In", ("a",)),),))
    assert decode(VOLUMES, spec={}) == decode(VOLUMES, spec={"nodeAffinity": {}}) == Volume("u", "x", None)


@pytest.mark.parametrize(
    ("current", "desired", "healthy"), [(2, 2, True), (3, 2, True), (1, 2, False), (3, 0, False), (None, None, False)]
)
def test_a_budget_is_healthy_while_enough_pods_are(current: int | None, desired: int | None, healthy: bool) -> None:
    found = budget(status={"currentHealthy": current, "desiredHealthy": desired, "observedGeneration": 3})
    assert (found.healthy, found.guards_unready) == (healthy, not healthy)


def test_a_budget_with_too_many_evictions_under_way_is_overfull() -> None:
    for count, overfull in ((2000, False), (2001, True)):
        gone = {f"pod-{n}": "2026-01-01T00:00:00Z" for n in range(count)}
        assert budget(status={"disruptedPods": gone}).overfull is overfull


def test_a_claim_that_no_new_pod_gets() -> None:
    assert decode(CLAIMS, spec={"volumeName": "pv-1"}, status={"phase": "Lost"}) == Claim("u", "shop", "x", "")
    leaving = {**META, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert decode(CLAIMS, spec={"volumeName": "pv-1"}, metadata=leaving) == Claim("u", "shop", "x", "")
    one_pod = decode(CLAIMS, spec={"volumeName": "pv-1", "accessModes": ["ReadWriteOncePod"]})
    assert one_pod == Claim("u", "shop", "x", "pv-1", one_pod=True)


def test_where_a_volume_is_by_its_labels() -> None:
    zone, beta = "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"
    labels = {zone: "a__ b", beta: "r", "topology.kubernetes.io/region": "r__", "other": "x"}
    found = decode(VOLUMES, metadata={**META, "labels": labels}, spec={})
    assert found == Volume("u", "x", None, zones=((beta, frozenset("r")), (zone, frozenset("ab"))))


@pytest.mark.parametrize(
    ("modes", "one_node"),
    [(["ReadWriteOnce"], True), (["ReadWriteOnce", "ReadOnlyMany"], False), (["ReadWriteMany"], False)],
)
def test_a_volume_of_a_driver(modes: list[str], one_node: bool) -> None:
    spec = {"csi": {"driver": "d", "volumeHandle": "h"}, "accessModes": modes}
    assert decode(VOLUMES, spec=spec) == Volume("u", "x", driver="d", handle="h", one_node=one_node)


def test_a_volume_of_an_older_plugin_is_not_counted() -> None:
    assert decode(VOLUMES, spec={"awsElasticBlockStore": {"volumeID": "v"}}) == Volume("u", "x", unmodelled=True)


def test_attach_limits() -> None:
    drivers = [{"name": "a", "allocatable": {"count": 25}}, {"name": "b", "allocatable": {}}, {"name": "c"}]
    assert decode(CSI_NODES, spec={"drivers": drivers}) == AttachLimits("u", "x", {"a": 25})
    assert decode(CSI_NODES, spec={"drivers": None}) == AttachLimits("u", "x", {})
