"""Which class a node is of, and what says that it goes away, by the marks of every platform."""

import re

import pytest
from msgspec.structs import fields
from programs import ROOT

from extender.core.model.classes import (
    DEFAULT_RULES,
    INSTANCE_TYPE_LABELS,
    ClassRule,
    ClassRules,
    ConditionMarker,
    NodeCondition,
    first_label,
)
from extender.core.model.taints import Taint

RULES = ClassRules()


@pytest.mark.parametrize(
    ("label", "value", "capacity_class"),
    [
        ("karpenter.sh/capacity-type", "spot", "spot"),
        ("karpenter.sh/capacity-type", "on-demand", "on-demand"),
        ("karpenter.sh/capacity-type", "reserved", "on-demand"),
        ("eks.amazonaws.com/capacityType", "SPOT", "spot"),
        ("eks.amazonaws.com/capacityType", "ON_DEMAND", "on-demand"),
        ("cloud.google.com/gke-spot", "true", "spot"),
        ("cloud.google.com/gke-preemptible", "true", "spot"),
        ("cloud.google.com/gke-provisioning", "spot", "spot"),
        ("cloud.google.com/gke-provisioning", "standard", "on-demand"),
        ("cloud.google.com/gke-provisioning", "preemptible", "spot"),
        ("kubernetes.azure.com/scalesetpriority", "spot", "spot"),
        ("kubernetes.azure.com/priority", "spot", "spot"),
        ("kubernetes.azure.com/priority", "regular", "on-demand"),
        ("node.alibabacloud.com/spot-strategy", "NoSpot", "on-demand"),
        ("node.alibabacloud.com/spot-strategy", "SpotWithPriceLimit", "spot"),
        ("node.alibabacloud.com/spot-strategy", "SpotAsPriceGo", "spot"),
        ("machine.openshift.io/interruptible-instance", "", "spot"),
        ("oci.oraclecloud.com/oke-is-preemptible", "true", "spot"),
        ("oci.oraclecloud.com/oke-is-preemptible", "false", "on-demand"),
        ("scheduling.cast.ai/spot", "true", "spot"),
        ("spotinst.io/node-lifecycle", "spot", "spot"),
        ("spotinst.io/node-lifecycle", "od", "on-demand"),
        ("spotmix.io/capacity-class", "spot", "spot"),
        ("kubernetes.io/os", "linux", "on-demand"),
    ],
)
def test_each_platforms_mark(label: str, value: str, capacity_class: str) -> None:
    assert RULES.class_of({"kubernetes.io/hostname": "n1", label: value}) == capacity_class


@pytest.mark.parametrize(
    "key",
    [
        "karpenter.sh/disrupted",
        "aws-node-termination-handler/spot-itn",
        "aws-node-termination-handler/rebalance-recommendation",
        "aws-node-termination-handler/scheduled-maintenance",
        "aws-node-termination-handler/asg-lifecycle-termination",
        "cloud.google.com/impending-node-termination",
        "ignore-taint.cluster-autoscaler.kubernetes.io/oke-impending-node-termination",
        "autoscaling.cast.ai/draining",
        "ToBeDeletedByClusterAutoscaler",
    ],
)
def test_each_platforms_termination_taint(key: str) -> None:
    taints = [Taint("dedicated", "db", "NoSchedule"), Taint(key, "x", "NoSchedule")]
    assert RULES.going_away(taints, [], deleting=False) == key


@pytest.mark.parametrize(
    ("condition", "marker"),
    [
        (NodeCondition("VMEventScheduled", "True", "PreemptScheduled"), "VMEventScheduled"),
        (NodeCondition("VMEventScheduled", "True", "RebootScheduled"), ""),
        (NodeCondition("VMEventScheduled", "False", "PreemptScheduled"), ""),
        (NodeCondition("InstanceExpired", "True", "InstanceToBeTerminated"), "InstanceExpired"),
        (NodeCondition("Terminating", "True", "TerminationRequested"), "Terminating"),
        (NodeCondition("Ready", "False", "KubeletNotReady"), ""),
    ],
)
def test_each_platforms_termination_condition(condition: NodeCondition, marker: str) -> None:
    assert RULES.going_away([], [NodeCondition("Ready", "True"), condition], deleting=False) == marker


def test_a_deleted_node_is_going_away_and_a_candidate_is_not() -> None:
    assert RULES.going_away([], [], deleting=True) == "deletionTimestamp"
    soft = Taint("DeletionCandidateOfClusterAutoscaler", "1", "PreferNoSchedule")
    assert RULES.going_away([soft], [], deleting=False) == ""


@pytest.mark.parametrize(
    ("taint", "reclaimed", "drained"),
    [
        (Taint("aws-node-termination-handler/spot-itn", "id", "NoSchedule"), True, False),
        (Taint("aws-node-termination-handler/rebalance-recommendation", "id", "NoSchedule"), False, False),
        (Taint("aws-node-termination-handler/scheduled-maintenance", "id", "NoSchedule"), False, False),
        (Taint("cloud.google.com/impending-node-termination", "", "NoSchedule"), True, False),
        (
            Taint("ignore-taint.cluster-autoscaler.kubernetes.io/oke-impending-node-termination", "", "NoSchedule"),
            True,
            False,
        ),
        (Taint("autoscaling.cast.ai/draining", "spot-interruption", "NoSchedule"), True, True),
        (Taint("autoscaling.cast.ai/draining", "rebalancing", "NoSchedule"), False, True),
        (Taint("karpenter.sh/disrupted", "", "NoSchedule"), False, True),
        (Taint("ToBeDeletedByClusterAutoscaler", "1700000000", "NoSchedule"), False, True),
        (Taint("dedicated", "db", "NoSchedule"), False, False),
    ],
)
def test_who_takes_a_node_away_and_who_moves_its_pods(taint: Taint, reclaimed: bool, drained: bool) -> None:
    assert (RULES.reclaimed([taint], []), RULES.drained([taint])) == (reclaimed, drained)


@pytest.mark.parametrize(
    ("condition", "reclaimed"),
    [
        (NodeCondition("VMEventScheduled", "True", "PreemptScheduled"), True),
        (NodeCondition("VMEventScheduled", "True", "RebootScheduled"), False),
        (NodeCondition("InstanceExpired", "True", "InstanceToBeTerminated"), True),
        (NodeCondition("Terminating", "True", "TerminationRequested"), True),
        (NodeCondition("Terminating", "False", "TerminationRequested"), False),
    ],
)
def test_conditions_that_say_a_platform_takes_a_node_away(condition: NodeCondition, reclaimed: bool) -> None:
    assert RULES.reclaimed([], [condition]) is reclaimed


def test_markers_of_interruptions_and_drainers_can_be_added_and_say_that_a_node_is_going_away() -> None:
    rules = ClassRules(
        extra_interruption_taints=("example.org/leaving=now",),
        extra_interruption_conditions=(ConditionMarker("Reclaimed"),),
        extra_drainer_taints=("example.org/drain",),
    )
    now, later = (Taint("example.org/leaving", value, "NoSchedule") for value in ("now", "later"))
    assert (rules.reclaimed([now], []), rules.going_away([now], [], deleting=False)) == (True, "example.org/leaving")
    assert (rules.reclaimed([later], []), rules.going_away([later], [], deleting=False)) == (False, "")
    condition = NodeCondition("Reclaimed", "True")
    assert (rules.reclaimed([], [condition]), rules.going_away([], [condition], deleting=False)) == (True, "Reclaimed")
    drain = Taint("example.org/drain", "", "NoSchedule")
    assert (rules.drained([drain]), rules.going_away([drain], [], deleting=False)) == (True, "example.org/drain")
    assert {"example.org/leaving", "example.org/drain"} <= rules.going_away_keys


def test_extra_rules_come_first_and_the_rest_stays() -> None:
    rules = ClassRules(
        default_class="unknown",
        extra_rules=(
            ClassRule("example.org/tier", "spot", ("cheap", "Cheaper")),
            ClassRule("karpenter.sh/capacity-type", "reserved", ("reserved",)),
        ),
        extra_going_away_taints=("example.org/bye",),
        extra_going_away_conditions=(ConditionMarker("Leaving"),),
    )
    assert rules.class_of({"example.org/tier": "CHEAPER", "karpenter.sh/capacity-type": "on-demand"}) == "spot"
    assert rules.class_of({"example.org/tier": "dear", "karpenter.sh/capacity-type": "on-demand"}) == "on-demand"
    assert rules.class_of({"karpenter.sh/capacity-type": "reserved"}) == "reserved"
    assert rules.class_of({}) == "unknown"
    assert rules.going_away([Taint("example.org/bye", "", "NoExecute")], [], deleting=False) == "example.org/bye"
    assert rules.going_away([], [NodeCondition("Leaving", "True", "Whatever")], deleting=False) == "Leaving"


def test_the_first_rule_that_matches_wins() -> None:
    both = {"cloud.google.com/gke-provisioning": "standard", "cloud.google.com/gke-spot": "true"}
    assert RULES.class_of(both) == "on-demand"
    assert ClassRules(rules=DEFAULT_RULES[::-1]).class_of(both) == "spot"


@pytest.mark.parametrize(
    ("labels", "capacity_class"),
    [
        ({"scheduling.cast.ai/spot": "true", "scheduling.cast.ai/spot-fallback": "true"}, "on-demand"),
        ({"scheduling.cast.ai/spot": "true", "scheduling.cast.ai/spot-fallback": "false"}, "spot"),
        ({"node.kubernetes.io/lifecycle": "spot"}, "spot"),
        ({"node.kubernetes.io/lifecycle": "normal"}, "on-demand"),
        ({"kubernetes.io/lifecycle": "spot"}, "spot"),
        ({"lifecycle": "Ec2Spot"}, "spot"),
        ({"lifecycle": "OnDemand"}, "on-demand"),
        ({"node-role.kubernetes.io/spot-worker": "true"}, "spot"),
        ({"node-role.kubernetes.io/spot-worker": ""}, "spot"),
        ({"node-role.kubernetes.io/spot-worker": "false"}, "on-demand"),
        ({"yandex.cloud/preemptible": "true"}, "spot"),
        # A platform's word counts for more than what a guide has people write.
        ({"lifecycle": "Ec2Spot", "karpenter.sh/capacity-type": "on-demand"}, "on-demand"),
    ],
)
def test_fallback_nodes_and_labels_of_guides(labels: dict[str, str], capacity_class: str) -> None:
    assert RULES.class_of(labels) == capacity_class


@pytest.mark.parametrize(
    ("labels", "taint", "doubt"),
    [
        ({}, None, ""),
        ({"example.org/market": "spot"}, None, "no rule knows it, and example.org/market=spot looks like spot"),
        ({"example.org/isPreemptible": "true"}, None, "no rule knows it, and example.org/isPreemptible=true looks"),
        ({}, Taint("spotInstance", "true", "PreferNoSchedule"), "no rule knows it, and spotInstance=true looks like"),
        (
            {},
            Taint("cloud.google.com/gke-spot", "true", "NoSchedule"),
            "no rule knows it, and cloud.google.com/gke",
        ),
        ({"example.org/spot": "false"}, None, ""),
        ({"pool": "no-spot"}, None, ""),
        ({"pool": "nonspot"}, None, ""),
        ({"team": "spotify"}, None, ""),
        ({"kubernetes.io/hostname": "spot-1"}, None, ""),
        ({"cloud.google.com/gke-spot": "false"}, None, ""),
        ({"spotinst.io/ocean-vng-id": "ols-1"}, None, ""),
        # Known ones are not doubted for what else they are called ..
        ({"karpenter.sh/capacity-type": "on-demand", "pool": "spot-fallback"}, None, ""),
        ({"karpenter.sh/capacity-type": "spot", "pool": "spot"}, None, ""),
        ({"scheduling.cast.ai/spot": "true", "scheduling.cast.ai/spot-fallback": "true"}, None, ""),
        ({"spotmix.io/capacity-class": "on-demand", "lifecycle": "spot"}, None, ""),
        ({"spotmix.io/capacity-class": "reserved"}, None, "no rule knows spotmix.io/capacity-class=reserved"),
        (
            {"spotmix.io/capacity-class": "reserved", "lifecycle": "spot"},
            None,
            "no rule knows spotmix.io/capacity-class=reserved",
        ),
        # .. but where their marks contradict each other.
        (
            {"eks.amazonaws.com/capacityType": "ON_DEMAND", "lifecycle": "Ec2Spot"},
            None,
            "eks.amazonaws.com/capacityType=ON_DEMAND counts, though lifecycle=Ec2Spot says spot",
        ),
    ],
)
def test_what_speaks_against_a_nodes_class(labels: dict[str, str], taint: Taint | None, doubt: str) -> None:
    said = RULES.doubt(labels, [taint] if taint is not None else [])
    assert said.startswith(doubt)
    assert bool(said) == bool(doubt)


def test_a_node_that_its_cloud_stopped_is_going_away_and_not_taken_back() -> None:
    stopped = Taint("node.cloudprovider.kubernetes.io/shutdown", "", "NoSchedule")
    assert RULES.going_away([stopped], [], deleting=False) == stopped.key
    assert (RULES.reclaimed([stopped], []), RULES.drained([stopped])) == (False, False)


def test_first_label_skips_what_is_absent_or_empty() -> None:
    new, old = INSTANCE_TYPE_LABELS
    assert first_label({old: "m.large"}, (new, old)) == "m.large"
    assert first_label({new: "", old: "m.large"}, (new, old)) == "m.large"
    assert first_label({}, (new, old)) == ""


def test_the_page_about_interruptions_has_every_marker_and_what_it_means() -> None:
    page = (ROOT / "docs" / "explanation" / "interruptions.md").read_text()
    told: dict[str, tuple[str, str]] = {}
    for row in re.findall(r"^\| (`.+) \|$", page.split("\n## What follows")[0], re.MULTILINE):
        cells = row.split(" | ")
        if len(cells) == 5:
            told.update(dict.fromkeys(re.findall(r"`([^`]+)`", cells[0].partition(" with ")[0]), (cells[3], cells[4])))
    conditions = {each.type: [NodeCondition(each.type, "True", each.reason)] for each in RULES.going_away_conditions}
    assert told.keys() == RULES.going_away_keys | conditions.keys()
    for marker, (interruption, drainer) in told.items():
        taints = [] if marker in conditions else [Taint(marker, "", "NoSchedule")]
        assert RULES.reclaimed(taints, conditions.get(marker, [])) == (interruption == "yes")
        assert RULES.drained(taints) == (drainer in ("Karpenter", "Cluster Autoscaler", "CAST AI"))
    settings = set(re.findall(r"`classes\.(\w+)`", page))
    assert settings
    assert settings <= {field.encode_name for field in fields(ClassRules)}
