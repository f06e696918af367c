"""What a watched pod says beyond its identity: labels, opt-outs, demands."""

import json
from typing import Any

import pytest

from extender.core.model.classes import ClassRules
from extender.core.model.constraints import NO_CONSTRAINTS, Constraints, HostPort, PodTerm, Spread
from extender.core.model.errors import WireError
from extender.core.model.objects import EMPTY, Pod, Protection
from extender.core.model.selectors import LabelSelector, Requirement
from extender.core.model.taints import Toleration
from extender.wire.interning import Interned
from extender.wire.objects_v1 import Decoders

DECODER = Decoders(ClassRules(), ("spotmix.io", "spotalis.io")).make("pods", "v1", "Pod")
CREATED = 1767225600.0
META = {"name": "web-0", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
WEB = {"app": "web", "hash": "5d"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def pod(metadata: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **spec: Any) -> Pod:
    thing = {"metadata": {**META, **(metadata or {})}, "spec": spec, "status": status or {}}
    found = DECODER.change(json.dumps({"type": "ADDED", "object": thing}).encode()).object
    assert isinstance(found, Pod)
    return found


def demands(labels: dict[str, str] | None = None, **spec: Any) -> Constraints:
    return pod({"labels": labels or {}}, **spec).constraints


def test_labels_are_shared_by_the_pods_that_have_the_same() -> None:
    first, second = pod({"labels": WEB}), pod({"labels": dict(WEB), "name": "web-1"})
    assert first.labels == WEB
    assert first.labels is second.labels
    assert pod({"labels": {"app": "db"}}).labels == {"app": "db"}


@pytest.mark.parametrize("labels", [None, {}])
def test_no_labels_are_the_shared_empty_mapping(labels: Any) -> None:
    assert pod({"labels": labels}).labels is EMPTY
    assert pod().labels is EMPTY


@pytest.mark.parametrize(
    "metadata", [{"labels": ["a"]}, {"labels": {"a": 1}}, {"annotations": {"spotmix.io/do-not-disrupt": True}}]
)
def test_what_is_no_label_and_no_annotation_names_the_resource(metadata: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="watch event of pods does not decode"):
        pod(metadata)


def test_the_bounds_of_a_table_are_kept() -> None:
    table: Interned[int, str] = Interned(2)
    for number in range(5):
        assert table.put(number, str(number)) == str(number)
    assert [table.get(number) for number in range(5)] == [None, None, None, None, "4"]


def test_whether_it_is_pending_and_when_it_should_be_gone() -> None:
    waiting = pod(status={"phase": "Pending"})
    assert (waiting.pending, waiting.terminating, waiting.due) == (True, False, 0.0)
    leaving = pod({"deletionTimestamp": "2026-01-01T00:00:30Z"}, status={"phase": "Running"})
    assert (leaving.pending, leaving.terminating, leaving.due) == (False, True, CREATED + 30)


def test_when_it_got_its_node() -> None:
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:07Z"}
    assert pod(nodeName="a", status={"conditions": [scheduled]}).bound == CREATED + 7
    assert pod(nodeName="a").bound == CREATED
    assert pod(status={"conditions": [{**scheduled, "status": "False"}]}).bound == 0.0


def test_what_ended_it() -> None:
    lost = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    found = pod(status={"phase": "Failed", "conditions": [lost]})
    assert (found.failed, found.disrupted) == (True, True)
    for other in ({**lost, "status": "False"}, {**lost, "reason": "PreemptionByScheduler"}):
        found = pod(status={"phase": "Succeeded", "conditions": [other]})
        assert (found.failed, found.disrupted) == (False, False)


@pytest.mark.parametrize(
    ("annotations", "wanted"),
    [
        ({"spotmix.io/do-not-disrupt": "true"}, Protection("spotmix.io/do-not-disrupt", "true")),
        ({"spotalis.io/do-not-disrupt": "5m"}, Protection("spotalis.io/do-not-disrupt", "5m", CREATED + 300)),
        ({"karpenter.sh/do-not-disrupt": "1h"}, Protection("karpenter.sh/do-not-disrupt", "1h", CREATED + 3600)),
        (
            {"cluster-autoscaler.kubernetes.io/safe-to-evict": "maybe"},
            Protection("cluster-autoscaler.kubernetes.io/safe-to-evict", "maybe", None, malformed=True),
        ),
        (
            {"descheduler.alpha.kubernetes.io/prefer-no-eviction": ""},
            Protection("descheduler.alpha.kubernetes.io/prefer-no-eviction", ""),
        ),
        ({"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", "other": "x"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_forbids_to_move_it(annotations: dict[str, str] | None, wanted: Protection | None) -> None:
    found = pod({"annotations": annotations})
    assert (found.protection, found.cost) == (wanted, None)


def test_a_cost_and_an_opt_out_stand_side_by_side() -> None:
    cost, opt_out = "controller.kubernetes.io/pod-deletion-cost", "spotmix.io/do-not-disrupt"
    found = pod({"annotations": {cost: "7", opt_out: "true"}})
    assert (found.cost, found.protection) == ("7", Protection(opt_out, "true"))


def test_a_pod_that_demands_nothing() -> None:
    assert demands() is NO_CONSTRAINTS
    nothing: dict[str, Any] = {
        "nodeSelector": {},
        "affinity": {},
        "tolerations": [],
        "topologySpreadConstraints": [],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [{"ports": [{"containerPort": 80}]}],
    }
    assert demands(**nothing) is NO_CONSTRAINTS
    assert demands(**dict.fromkeys(nothing)) is NO_CONSTRAINTS
    assert demands(affinity={"nodeAffinity": None, "podAffinity": {REQUIRED: None}}) is NO_CONSTRAINTS


def test_node_selector_node_affinity_and_tolerations() -> None:
    terms = [
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]},
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]},
    ]
    found = demands(
        nodeSelector={"z": "1", "a": "2"},
        affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}},
        tolerations=[{"operator": "Exists"}, {"key": "k", "value": "v", "effect": "NoSchedule"}],
    )
    assert found == Constraints(
        (("a", "2"), ("z", "1")),
        ((Requirement("zone", "In", ("a", "b")),), (Requirement("metadata.name", "In", ("n1",), field=True),)),
        (Toleration("", "Exists"), Toleration("k", "Equal", "v", "NoSchedule")),
    )
    assert demands(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}).node_terms == ()


def term(**fields: Any) -> dict[str, Any]:
    return {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}, **fields}


def test_pod_affinity_and_anti_affinity() -> None:
    preferred = [{"weight": 1, "podAffinityTerm": term()}]
    found = demands(
        affinity={
            "podAffinity": {REQUIRED: [term()], "preferredDuringSchedulingIgnoredDuringExecution": preferred},
            "podAntiAffinity": {
                REQUIRED: [
                    {"topologyKey": "host"},
                    term(namespaces=["bank"], namespaceSelector={"matchLabels": {"team": "a"}}),
                    term(namespaceSelector={}),
                ]
            },
        }
    )
    web = LabelSelector((("app", "web"),))
    assert found.affinity == (PodTerm("zone", web),)
    assert found.anti_affinity == (
        PodTerm("host", None),
        PodTerm("zone", web, ("bank",), LabelSelector((("team", "a"),))),
        PodTerm("zone", web, (), LabelSelector()),
    )


def test_label_keys_of_a_pod_term_mean_the_pods_own_values() -> None:
    affinity = {"podAntiAffinity": {REQUIRED: [term(matchLabelKeys=["hash", "none"], mismatchLabelKeys=["app"])]}}
    more = (Requirement("hash", "In", ("5d",)), Requirement("app", "NotIn", ("web",)))
    assert demands(WEB, affinity=affinity).anti_affinity == (PodTerm("zone", LabelSelector((("app", "web"),), more)),)
    other = demands({"hash": "6e"}, affinity=affinity).anti_affinity[0].selector
    assert other == LabelSelector((("app", "web"),), (Requirement("hash", "In", ("6e",)),))


def spread(**fields: Any) -> dict[str, Any]:
    return {"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule", **fields}


def test_topology_spread() -> None:
    some = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    found = demands(
        WEB,
        topologySpreadConstraints=[
            spread(),
            spread(whenUnsatisfiable="ScheduleAnyway"),
            spread(
                labelSelector=some,
                minDomains=3,
                nodeAffinityPolicy="Ignore",
                nodeTaintsPolicy="Honor",
                matchLabelKeys=["hash", "none"],
            ),
            spread(matchLabelKeys=["hash"], nodeAffinityPolicy="Honor", nodeTaintsPolicy="Ignore"),
        ],
    )
    selector = LabelSelector((), (Requirement("app", "Exists"), Requirement("hash", "In", ("5d",))))
    assert found.spread == (
        Spread("zone", 2),
        Spread("zone", 2, selector, 3, honor_affinity=False, honor_taints=True),
        Spread("zone", 2),
    )


def test_pods_that_differ_in_labels_that_matter_do_not_share_what_they_demand() -> None:
    constraint = [spread(labelSelector={}, matchLabelKeys=["hash"])]
    first, second = (demands({"hash": h}, topologySpreadConstraints=constraint) for h in ("a", "b"))
    assert first != second
    assert demands({"hash": "a"}, topologySpreadConstraints=constraint) is first
    plain = [spread(labelSelector={})]
    first, second = (demands({"hash": h}, topologySpreadConstraints=plain) for h in ("a", "b"))
    assert first is second


def test_host_ports() -> None:
    containers = [
        {"ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081, "hostIP": "0.0.0.0"}]},
        {"ports": None},
        {"ports": [{"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "10.0.0.1"}]},
    ]
    inits = [
        {"ports": [{"hostPort": 1}]},
        {"restartPolicy": "Always", "ports": [{"containerPort": 2, "hostPort": 2, "protocol": "SCTP"}]},
    ]
    found = demands(containers=containers, initContainers=inits).host_ports
    assert found == (HostPort(8081), HostPort(53, "UDP", "10.0.0.1"), HostPort(2, "SCTP"))
    assert demands(containers=[{"ports": [{"containerPort": 80}]}], hostNetwork=True).host_ports == (HostPort(80),)


def test_the_claims_of_its_volumes() -> None:
    volumes = [
        {"name": "config", "configMap": {"name": "c"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
    ]
    assert demands(volumes=volumes).claims == ("data-web-0", "web-0-scratch")


def test_equal_demands_are_one_object() -> None:
    spec: dict[str, Any] = {
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {REQUIRED: [term()]}},
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
    }
    assert demands(WEB, **spec) is demands({"app": "db"}, **spec)
    alone = {"tolerations": spec["tolerations"]}
    assert demands(**alone) is demands(**alone, volumes=[])


@pytest.mark.parametrize(
    "spec",
    [
        {"affinity": {"podAffinity": []}},
        {"tolerations": {}},
        {"nodeSelector": {"a": 1}},
        {"topologySpreadConstraints": [{"maxSkew": "1"}]},
    ],
)
def test_demands_that_do_not_decode_name_the_resource(spec: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="watch event of pods does not decode"):
        demands(**spec)


@pytest.mark.parametrize(
    ("metadata", "protected"),
    [
        ({"annotations": {"karpenter.sh/do-not-evict": "true"}}, True),
        ({"annotations": {"karpenter.sh/do-not-evict": "false"}}, False),
        ({"annotations": {"karpenter.sh/do-not-evict": "perhaps"}}, True),
        ({"annotations": {"autoscaling.cast.ai/removal-disabled": "true"}}, True),
        ({"labels": {"autoscaling.cast.ai/removal-disabled": "true"}}, True),
        ({"labels": {"spotinst.io/restrict-scale-down": "true"}, "annotations": {"a": "b"}}, True),
        ({"labels": {"spotinst.io/restrict-scale-down": "false", "app": "web"}}, False),
        ({"annotations": {"karpenter.sh/do-not-disrupt": "99999999h"}}, True),
        ({"annotations": {"karpenter.sh/do-not-disrupt": "x" * 200_000}}, True),
    ],
)
def test_opt_outs_of_other_tools_and_their_earlier_spellings(metadata: dict[str, Any], protected: bool) -> None:
    found = pod(metadata).protection
    assert (found is not None) == protected
    assert found is None or len(found.value) <= 64
