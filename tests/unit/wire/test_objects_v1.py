"""Pods, nodes and owners, read from the API server's objects."""

import json
from typing import Any

import pytest

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.errors import WireError
from extender.core.model.objects import Namespace, Node, Owner, OwnerRef, Pod, Requests
from extender.core.model.taints import Taint
from extender.wire.objects_v1 import Decoders

DECODERS = Decoders(ClassRules(), ("spotmix.io", "spotalis.io"))
KINDS = {
    "pods": ("v1", "Pod"),
    "nodes": ("v1", "Node"),
    "namespaces": ("v1", "Namespace"),
    "deployments.apps": ("apps/v1", "Deployment"),
    "replicasets.apps": ("apps/v1", "ReplicaSet"),
    "statefulsets.apps": ("apps/v1", "StatefulSet"),
    "jobs.batch": ("batch/v1", "Job"),
    "jobs.batch.volcano.sh": ("batch.volcano.sh/v1alpha1", "Job"),
    "rollouts.argoproj.io": ("argoproj.io/v1alpha1", "Rollout"),
    "clonesets.apps.kruise.io": ("apps.kruise.io/v1alpha1", "CloneSet"),
    "statefulsets.apps.kruise.io": ("apps.kruise.io/v1beta1", "StatefulSet"),
}
SPOT = {"karpenter.sh/capacity-type": "spot"}
META = {
    "name": "x",
    "namespace": "shop",
    "uid": "u",
    "resourceVersion": "7",
    "creationTimestamp": "2026-01-01T00:00:00Z",
}


def decode(resource: str, **thing: Any) -> Any:
    decoder = DECODERS.make(resource, *KINDS[resource])
    line = json.dumps({"type": "ADDED", "object": {"metadata": META, **thing}}).encode()
    change = decoder.change(line)
    assert (change.type, change.resource_version) == ("ADDED", "7")
    return change.object


def owner(resource: str, **thing: Any) -> Owner:
    found = decode(resource, **thing)
    assert isinstance(found, Owner)
    return found


def test_a_pod() -> None:
    refs = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "rs", "controller": True}]
    pod = decode(
        "pods",
        metadata={
            **META,
            "annotations": {"controller.kubernetes.io/pod-deletion-cost": "12", "other": "y"},
            "ownerReferences": refs,
            "deletionTimestamp": "2026-01-01T00:00:05Z",
        },
        spec={"nodeName": "n1", "containers": [{"resources": {"requests": {"cpu": "1", "nvidia.com/gpu": 2}}}]},
        status={
            "phase": "Running",
            "nominatedNodeName": "n2",
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
        },
    )
    assert pod == Pod(
        "u", "shop", "x", "n1", OwnerRef("rs", "apps/v1", "ReplicaSet", "web-1"),
        terminating=True, ended=False, ready=True, unscheduled=False, nominated="n2", cost="12", created=1767225600.0,
        requests=Requests(1000, extended=(("nvidia.com/gpu", 2),)), due=1767225605.0, bound=1767225600.0,
    )  # fmt: skip


def test_a_pod_with_nothing_said() -> None:
    pod = decode(
        "pods",
        metadata={**META, "ownerReferences": None, "annotations": None, "labels": None, "creationTimestamp": None},
        spec={"nodeName": None, "containers": None},
        status={"phase": None, "conditions": None, "nominatedNodeName": None},
    )
    assert pod == Pod(
        "u", "shop", "x", "", None, terminating=False, ended=False, ready=False, unscheduled=False, nominated="",
        cost=None, created=0.0, requests=Requests(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "scheduled", "ended", "unscheduled"),
    [("Pending", "False", False, True), ("Succeeded", "True", True, False), ("Failed", "True", True, False)],
)
def test_the_states_of_a_pod(phase: str, scheduled: str, ended: bool, unscheduled: bool) -> None:
    pod = decode("pods", status={"phase": phase, "conditions": [{"type": "PodScheduled", "status": scheduled}]})
    assert (pod.ended, pod.unscheduled) == (ended, unscheduled)


def requests(**cpu: str) -> dict[str, Any]:
    return {"resources": {"requests": cpu}}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"containers": [requests(cpu="100m"), requests(cpu="200m", memory="1Mi")]}, Requests(300, 1 << 20)),
        # An init container needs more than all that run later.
        ({"containers": [requests(cpu="1")], "initContainers": [requests(cpu="3"), requests(cpu="2")]}, Requests(3000)),
        # A sidecar runs on beside the containers and beside later init containers, not earlier ones.
        (
            {
                "containers": [requests(cpu="1")],
                "initContainers": [
                    requests(cpu="2"),
                    {**requests(cpu="500m"), "restartPolicy": "Always"},
                    requests(cpu="1800m"),
                ],
            },
            Requests(2300),
        ),
        (
            {"containers": [requests(cpu="1")], "initContainers": [{**requests(cpu="1"), "restartPolicy": "Always"}]},
            Requests(2000),
        ),
        ({"containers": [requests(cpu="1")], "overhead": {"cpu": "250m", "memory": "10"}}, Requests(1250, 10)),
        (
            {"containers": [requests(cpu="1", memory="5")], **requests(cpu="3"), "overhead": {"cpu": "250m"}},
            Requests(3250, 5),
        ),
        (
            {"containers": [{"resources": {"requests": {"cpu": 2, "memory": 1.5, "hugepages-2Mi": "0"}}}]},
            Requests(2000, 2),
        ),
        (
            {"containers": [requests(**{"ephemeral-storage": "1k", "example.org/a": "1"})]},
            Requests(0, 0, 1000, (("example.org/a", 1),)),
        ),
    ],
)
def test_requests_as_the_scheduler_counts_them(spec: dict[str, Any], wanted: Requests) -> None:
    assert decode("pods", spec=spec).requests == wanted


def test_equal_requests_are_one_object() -> None:
    spec = {"containers": [requests(cpu="123m")]}
    assert decode("pods", spec=spec).requests is decode("pods", spec=spec).requests


def test_requests_of_the_same_text_count_by_where_they_stand() -> None:
    one, two = requests(cpu="77m"), requests(cpu="7m")
    sidecar = {**two, "restartPolicy": "Always"}
    wanted = [
        ({"containers": [one]}, 77),
        ({"containers": [one, one]}, 154),
        ({"containers": [one, two]}, 84),
        ({"containers": [one], "initContainers": [two]}, 77),
        ({"containers": [one], "initContainers": [sidecar]}, 84),
        ({"containers": [two], "initContainers": [one]}, 77),
        ({"containers": [one], "overhead": {"cpu": "7m"}}, 84),
        ({"containers": [one], **two}, 7),
        ({"containers": [one], "overhead": None, "resources": None}, 77),
        ({"containers": [{"resources": None}, {}]}, 0),
    ]
    for _ in range(2):
        assert [decode("pods", spec=spec).requests.cpu for spec, _ in wanted] == [cpu for _, cpu in wanted]


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [{"resources": {"requests": {"cpu": "much"}}}]},
        {"containers": [{"resources": []}]},
        {"initContainers": [{"resources": {"requests": {"cpu": [1]}}}]},
        {"overhead": {"cpu": "much"}},
        {"resources": {"requests": "1"}},
    ],
)
def test_requests_that_do_not_decode_do_so_every_time(spec: dict[str, Any]) -> None:
    for _ in range(2):
        with pytest.raises(WireError, match="watch event of pods does not decode"):
            decode("pods", spec=spec)


def test_equal_deletion_costs_are_one_object() -> None:
    metadata = {**META, "annotations": {"controller.kubernetes.io/pod-deletion-cost": "-2147483001"}}
    first, second = decode("pods", metadata=metadata), decode("pods", metadata=metadata)
    assert first.cost == "-2147483001"
    assert first.cost is second.cost


@pytest.mark.parametrize(
    ("ready", "after"),
    [
        ({"status": "True", "lastTransitionTime": "2026-01-01T00:01:30Z"}, 90),
        ({"status": "True", "lastTransitionTime": None}, 0),
        ({"status": "True"}, 0),
        ({"status": "False", "lastTransitionTime": "2026-01-01T00:01:30Z"}, 0),
    ],
)
def test_how_long_a_pod_took_to_become_ready(ready: dict[str, str | None], after: int) -> None:
    assert META["creationTimestamp"] == "2026-01-01T00:00:00Z"
    conditions = [{"type": "Initialized", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}]
    pod = decode("pods", status={"conditions": [*conditions, {"type": "Ready", **ready}]})
    assert (pod.ready, pod.ready_after) == (ready["status"] == "True", after)


def test_a_node() -> None:
    labels = {
        "karpenter.sh/capacity-type": "spot",
        "node.kubernetes.io/instance-type": "m.large",
        "topology.kubernetes.io/zone": "a",
    }
    node = decode(
        "nodes",
        metadata={**META, "labels": labels},
        spec={"unschedulable": True, "taints": [{"key": "dedicated", "effect": "NoSchedule"}]},
        status={
            "allocatable": {"cpu": "7910m", "memory": "31Gi", "pods": "110", "ephemeral-storage": "95Gi"},
            "conditions": [
                {"type": "Terminating", "status": "True", "reason": "TerminationRequested"},
                {"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-01T00:01:00Z"},
            ],
        },
    )
    assert node == Node(
        "u", "x", "spot", "m.large", "a", "Terminating", True, (Taint("dedicated", "", "NoSchedule"),), labels,
        Requests(7910, 31 << 30, 95 << 30), 110, (("karpenter.sh/capacity-type", "spot"),),
        ready=False, since=1767225660.0, reclaimed=True, interruptible=True,
    )  # fmt: skip


def test_a_node_with_nothing_said() -> None:
    node = decode("nodes", spec={"taints": None}, status={"allocatable": None, "conditions": None})
    assert (node.capacity_class, node.going_away, node.max_pods, node.taints) == ("on-demand", "", 0, ())
    assert (node.ready, node.since) == (True, 1767225600.0)


@pytest.mark.parametrize(
    ("status", "since", "starting"),
    [
        ("False", "00:00:01", True),
        ("Unknown", "00:00:50", False),
        ("False", "00:01:00", False),
        ("True", "00:00:01", False),
    ],
)
def test_a_node_that_has_never_been_ready_is_starting(status: str, since: str, starting: bool) -> None:
    ready = {"type": "Ready", "status": status, "lastTransitionTime": f"2026-01-01T{since}Z"}
    assert decode("nodes", status={"conditions": [ready]}).starting is starting
    deleted = decode("nodes", metadata={**META, "deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert deleted.going_away == "deletionTimestamp"


SPOT_ITN = {"key": "aws-node-termination-handler/spot-itn", "value": "id", "effect": "NoSchedule"}
CA = {"key": "ToBeDeletedByClusterAutoscaler", "value": "1", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("labels", "spec", "deleting", "interrupted", "reclaimed"),
    [
        (SPOT, {"taints": [SPOT_ITN]}, False, True, True),
        (SPOT, {"taints": []}, False, False, False),
        (SPOT, {"taints": [CA]}, False, False, False),
        (SPOT, {"taints": [CA, SPOT_ITN]}, False, False, True),
        (SPOT, {"taints": [SPOT_ITN], "unschedulable": True}, False, False, True),
        (SPOT, {"taints": [SPOT_ITN]}, True, False, True),
        ({}, {"taints": [SPOT_ITN]}, False, False, True),
    ],
)
def test_an_interrupted_node_is_one_that_nobody_else_drains(
    labels: dict[str, str], spec: Any, deleting: bool, interrupted: bool, reclaimed: bool
) -> None:
    times = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {}
    node = decode("nodes", metadata={**META, "labels": labels, **times}, spec=spec)
    assert (node.interrupted, node.reclaimed) == (interrupted, reclaimed)


@pytest.mark.parametrize("interruptible", [True, False])
def test_the_settings_say_which_classes_are_interruptible(interruptible: bool) -> None:
    names = ("spot", "cheap") if interruptible else ("spot",)
    rules = ClassRules(extra_rules=(ClassRule("tier", "cheap"),), interruptible=names)
    thing = {"metadata": {**META, "labels": {"tier": ""}}, "spec": {"taints": [SPOT_ITN]}}
    change = (
        Decoders(rules, ("spotmix.io",))
        .make("nodes", "v1", "Node")
        .change(json.dumps({"type": "ADDED", "object": thing}).encode())
    )
    node = change.object
    assert isinstance(node, Node)
    assert (node.interruptible, node.interrupted, node.reclaimed) == (interruptible, interruptible, True)


def test_a_namespace_keeps_our_keys_and_all_labels() -> None:
    marks = {"spotmix.io/enabled": "true", "spotalis.io/x": "y", "spotmix.io.example.org/z": "no", "team": "a"}
    ours = {"spotmix.io/enabled": "true", "spotalis.io/x": "y"}
    namespace = decode("namespaces", metadata={**META, "labels": marks, "annotations": marks})
    assert namespace == Namespace("u", "x", ours, ours, marks)
    assert decode("namespaces") == Namespace("u", "x", {}, {})


@pytest.mark.parametrize(
    ("resource", "spec", "status", "replicas"),
    [
        ("deployments.apps", {"replicas": 3, "template": {"spec": {}}}, {"replicas": 9}, 3),
        ("deployments.apps", {}, {}, None),
        ("deployments.apps", {"replicas": None}, {}, None),
        ("jobs.batch", {"parallelism": 10}, {}, 10),
        ("jobs.batch", {}, {}, 1),
        ("jobs.batch", {"parallelism": 10, "completions": 12}, {"succeeded": 5}, 7),
        ("jobs.batch", {"parallelism": 10, "completions": 12, "suspend": True}, {"succeeded": 5}, 0),
        ("jobs.batch", {"parallelism": 10, "completions": 12, "suspend": False}, {"succeeded": 5}, 7),
        ("jobs.batch", {"parallelism": 0}, {}, 0),
        ("jobs.batch", {"parallelism": 6}, {"failed": 3}, 6),
        ("jobs.batch", {"parallelism": 6}, {"succeeded": 5}, None),
        ("jobs.batch", {"parallelism": 6}, {"conditions": [{"type": "Complete", "status": "True"}]}, 0),
        ("jobs.batch", {"parallelism": 6}, {"conditions": [{"type": "Failed", "status": "True"}]}, 0),
        ("jobs.batch", {"parallelism": 6}, {"conditions": [{"type": "FailureTarget", "status": "True"}]}, 0),
        ("jobs.batch", {"parallelism": 6}, {"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]}, 0),
        ("jobs.batch", {"parallelism": 6}, {"conditions": [{"type": "Suspended", "status": "False"}]}, 6),
        ("jobs.batch", {"parallelism": 6, "completions": 9}, {"failedIndexes": "0,3-5", "succeeded": 1}, 4),
        ("jobs.batch", {"parallelism": 6, "completions": 9}, {"failedIndexes": "", "succeeded": 1}, 6),
        ("jobs.batch", {"parallelism": 6, "managedBy": "kueue.x-k8s.io/multikueue"}, {}, None),
        ("jobs.batch", {"parallelism": 6, "managedBy": "kubernetes.io/job-controller"}, {}, 6),
        ("jobs.batch", {"parallelism": 3, "completions": 12}, {"succeeded": None}, 3),
        ("jobs.batch", {"completions": 1}, {"succeeded": 4}, 0),
        ("jobs.batch.volcano.sh", {"minAvailable": 3, "parallelism": 5}, {}, None),
        ("rollouts.argoproj.io", {"replicas": 4}, {}, 4),
        ("rollouts.argoproj.io", {"replicas": "four"}, {}, None),
        ("rollouts.argoproj.io", {"replicas": True}, {}, None),
        ("rollouts.argoproj.io", {"replicas": -1}, {}, None),
        ("rollouts.argoproj.io", {"replicas": {"min": 1}}, "Healthy", None),
        ("rollouts.argoproj.io", None, None, None),
        ("rollouts.argoproj.io", ["a"], ["b"], None),
        ("rollouts.argoproj.io", {"replicas": 4, "parallelism": "odd", "updateStrategy": "Never"}, {}, 4),
        ("clonesets.apps.kruise.io", {"replicas": 4, "updateStrategy": {"partition": "50%"}}, {}, 4),
        ("rollouts.argoproj.io", {"parallelism": "odd", "ordinals": [1]}, {"succeeded": "all"}, None),
    ],
)
def test_how_many_replicas_an_owner_asks_for(resource: str, spec: Any, status: Any, replicas: int | None) -> None:
    assert owner(resource, spec=spec, status=status).replicas == replicas


@pytest.mark.parametrize(
    ("path", "spec", "replicas"),
    [
        (".spec.instances", {"instances": 3, "replicas": 7}, 3),
        (".spec.workers.count", {"workers": {"count": 4}}, 4),
        (".spec.instances", {"replicas": 7}, None),
        (".spec.workers.count", {"workers": 4}, None),
        (".spec.instances", {"instances": "3"}, None),
        (".spec.instances", None, None),
        (".spec.instances", {"instances": 3, "parallelism": "odd"}, 3),
        ("", {"replicas": 7}, 7),
    ],
)
def test_a_custom_kind_says_its_size_where_its_scale_subresource_has_it(
    path: str, spec: Any, replicas: int | None
) -> None:
    decoder = DECODERS.make("databases.example.org", "example.org/v1", "Database", path)
    thing = {"metadata": META, **({"spec": spec} if spec is not None else {})}
    found = decoder.one(json.dumps(thing).encode())
    assert isinstance(found, Owner)
    assert found.replicas == replicas


@pytest.mark.parametrize(
    ("spec", "status", "tail"),
    [
        ({"parallelism": 6}, {}, False),
        ({"parallelism": 6}, {"succeeded": 1}, True),
        ({"parallelism": 6, "completions": 3}, {}, False),
        ({"parallelism": 6, "completions": 9}, {"succeeded": 3}, False),
        ({"parallelism": 6, "completions": 9}, {"succeeded": 4}, True),
        ({"parallelism": 6, "completions": 9}, {"succeeded": 2, "failedIndexes": "7,8"}, True),
        ({"parallelism": 6, "suspend": True}, {}, True),
        ({"parallelism": 6, "managedBy": "example.org/other"}, {"succeeded": 1}, False),
    ],
)
def test_a_job_that_wants_fewer_than_it_began_with_is_in_its_tail(spec: Any, status: Any, tail: bool) -> None:
    assert owner("jobs.batch", spec=spec, status=status).tail is tail


WHOLE = {"observedGeneration": 3, "replicas": 4, "updatedReplicas": 4}
REVISIONS = {"observedGeneration": 3, "replicas": 4, "currentRevision": "a", "updateRevision": "b"}
PARTITION = {"replicas": 4, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}}
ON_DELETE = {"replicas": 4, "updateStrategy": {"type": "OnDelete"}}


@pytest.mark.parametrize(
    ("resource", "spec", "status", "rolling"),
    [
        ("deployments.apps", {}, WHOLE, False),
        ("deployments.apps", {}, {**WHOLE, "observedGeneration": 2}, True),
        ("deployments.apps", {}, {}, True),
        ("deployments.apps", {}, {**WHOLE, "updatedReplicas": 1}, True),
        ("deployments.apps", {}, {"observedGeneration": 3, "replicas": 4}, True),
        ("deployments.apps", {"replicas": 5}, WHOLE, False),
        ("deployments.apps", {"replicas": 0}, {"observedGeneration": 3}, False),
        ("replicasets.apps", {}, {"observedGeneration": 3, "replicas": 4}, False),
        ("replicasets.apps", {}, {"replicas": 4}, False),
        ("jobs.batch", {}, {"active": 1}, False),
        ("statefulsets.apps", {}, {**REVISIONS, "updateRevision": "a"}, False),
        ("statefulsets.apps", {}, {**REVISIONS, "updateRevision": "a", "observedGeneration": 2}, True),
        ("statefulsets.apps", {}, REVISIONS, True),
        ("statefulsets.apps", PARTITION, REVISIONS, True),
        ("statefulsets.apps", PARTITION, {**REVISIONS, "updatedReplicas": 1}, False),
        ("statefulsets.apps", ON_DELETE, REVISIONS, False),
        ("statefulsets.apps", ON_DELETE, {**REVISIONS, "observedGeneration": 2}, True),
        ("rollouts.argoproj.io", {}, {"observedGeneration": "2", "replicas": 4, "updatedReplicas": 1}, True),
        ("rollouts.argoproj.io", {}, {"observedGeneration": "2", "replicas": 4, "updatedReplicas": 4}, False),
        ("rollouts.argoproj.io", {}, {"observedGeneration": 2}, True),
        ("rollouts.argoproj.io", {}, {"replicas": 4}, False),
        ("rollouts.argoproj.io", {}, {"replicas": "many", "updatedReplicas": 4}, False),
        ("rollouts.argoproj.io", {}, "Healthy", False),
    ],
)
def test_whether_a_rollout_is_under_way(resource: str, spec: Any, status: Any, rolling: bool) -> None:
    assert owner(resource, metadata={**META, "generation": 3}, spec=spec, status=status).rolling is rolling


HALF = {"observedGeneration": 3, "replicas": 4, "updatedReplicas": 1}
NONE = {**HALF, "updatedReplicas": 0}
KRUISE = {"observedGeneration": 3, "replicas": 4, "updatedReplicas": 1, "expectedUpdatedReplicas": 1}


@pytest.mark.parametrize(
    ("resource", "spec", "status", "resting"),
    [
        ("clonesets.apps.kruise.io", {"replicas": 4, "updateStrategy": {"partition": 3}}, KRUISE, True),
        ("clonesets.apps.kruise.io", {"replicas": 4, "updateStrategy": {"partition": 3}}, HALF, True),
        ("clonesets.apps.kruise.io", {"replicas": 4, "updateStrategy": {"partition": 2}}, HALF, False),
        ("clonesets.apps.kruise.io", {"replicas": 4, "updateStrategy": {"partition": "75%"}}, HALF, True),
        ("clonesets.apps.kruise.io", {"replicas": 4, "updateStrategy": {"partition": "60%"}}, HALF, True),
        ("clonesets.apps.kruise.io", {"replicas": 4, "updateStrategy": {"partition": "50%"}}, HALF, False),
        ("clonesets.apps.kruise.io", {"replicas": 4, "updateStrategy": {"partition": "half"}}, HALF, False),
        ("clonesets.apps.kruise.io", {"replicas": 4, "updateStrategy": {"paused": True}}, HALF, True),
        ("clonesets.apps.kruise.io", {"replicas": 4}, HALF, False),
        (
            "statefulsets.apps.kruise.io",
            {"replicas": 4, "updateStrategy": {"rollingUpdate": {"partition": 3}}},
            HALF,
            True,
        ),
        (
            "statefulsets.apps.kruise.io",
            {"replicas": 4, "updateStrategy": {"rollingUpdate": {"paused": True}}},
            HALF,
            True,
        ),
        ("statefulsets.apps", ON_DELETE, REVISIONS, True),
        ("statefulsets.apps", PARTITION, {**REVISIONS, "updatedReplicas": 1}, True),
        ("statefulsets.apps", PARTITION, {**REVISIONS, "updatedReplicas": 0}, False),
        ("deployments.apps", {"replicas": 4, "paused": True}, HALF, True),
        ("deployments.apps", {"replicas": 4, "paused": True}, {**HALF, "observedGeneration": 2}, False),
        ("deployments.apps", {"replicas": 4, "paused": False}, HALF, False),
        ("rollouts.argoproj.io", {"replicas": 4}, {**HALF, "pauseConditions": [{"reason": "CanaryPauseStep"}]}, True),
        ("rollouts.argoproj.io", {"replicas": 4}, {**HALF, "pauseConditions": []}, False),
        ("rollouts.argoproj.io", {"replicas": 4, "paused": True}, {**HALF, "observedGeneration": "3"}, True),
        ("rollouts.argoproj.io", {"replicas": 4}, {**NONE, "abort": True}, True),
        ("rollouts.argoproj.io", {"replicas": 4}, {**HALF, "abort": True}, False),
    ],
)
def test_a_rollout_that_is_stopped_half_way_rests(resource: str, spec: Any, status: Any, resting: bool) -> None:
    found = owner(resource, metadata={**META, "generation": 3}, spec=spec, status=status)
    assert (found.resting, found.rolling) == (resting, not resting)
    done = {**status, "updatedReplicas": 4, "currentRevision": "b", "observedGeneration": 3, "updateRevision": "b"}
    found = owner(resource, metadata={**META, "generation": 3}, spec=spec, status=done)
    assert (found.resting, found.rolling) == (False, False)


def test_an_owner() -> None:
    refs = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": True}]
    found = owner(
        "replicasets.apps",
        metadata={
            **META,
            "annotations": {"spotmix.io/max-spot": "3", "deployment.kubernetes.io/revision": "1"},
            "ownerReferences": refs,
        },
    )
    assert found == Owner(
        "u", "replicasets.apps", "apps/v1", "ReplicaSet", "shop", "x", OwnerRef("d", "apps/v1", "Deployment", "web"),
        {}, {"spotmix.io/max-spot": "3"}, created=1767225600.0, revision=1,
    )  # fmt: skip
    assert found.owner is not None
    assert (found.group, found.owner.group) == ("apps", "apps")
    assert owner("statefulsets.apps", spec={"replicas": 2, "ordinals": {"start": 5}}).first_ordinal == 5
    assert owner("rollouts.argoproj.io").replicas is None


def test_pages_and_bookmarks_and_errors() -> None:
    decoder = DECODERS.make("pods", *KINDS["pods"])
    items = [{"metadata": {"name": f"p{n}", "uid": f"u{n}"}} for n in range(3)]
    page = decoder.page(json.dumps({"metadata": {"resourceVersion": "9", "continue": "more"}, "items": items}).encode())
    assert ([p.name for p in page.objects if isinstance(p, Pod)], page.resource_version, page.token) == (
        ["p0", "p1", "p2"],
        "9",
        "more",
    )
    empty = decoder.page(b'{"metadata":{},"items":null}')
    assert (empty.objects, empty.resource_version, empty.token) == ([], "", "")
    bookmark = decoder.change(
        b'{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"11"},"spec":{"containers":null}}}'
    )
    assert (bookmark.type, bookmark.object, bookmark.resource_version) == ("BOOKMARK", None, "11")
    error = decoder.change(b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}')
    assert (error.type, error.code, error.message) == ("ERROR", 410, "too old")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b'{"type":"ADDED","object":{}}', b'{"type":"ADDED","object":{"metadata":{"uid":7}}}'],
)
def test_bad_lines_name_the_resource(data: bytes) -> None:
    decoder = DECODERS.make("pods", *KINDS["pods"])
    with pytest.raises(WireError, match="watch event of pods does not decode"):
        decoder.change(data)


def test_bad_pages_name_the_resource() -> None:
    decoder = DECODERS.make("nodes", *KINDS["nodes"])
    bad = {"metadata": META, "status": {"allocatable": {"cpu": "much"}}}
    with pytest.raises(WireError, match="list of nodes does not decode: 'much' is not a resource quantity"):
        decoder.page(json.dumps({"metadata": {}, "items": [bad]}).encode())


def test_of_anybodys_text_no_more_is_kept_than_is_told_of() -> None:
    many = {f"spotmix.io/key-{n}": "x" for n in range(10_000)}
    said = {**many, "spotmix.io/spot-percentage": "70", "spotmix.io/disruption-schedule": "1," * 60_000, "a/b": "c"}
    kept = owner("deployments.apps", metadata={**META, "annotations": said}).annotations
    assert len(kept) == 12
    assert kept["spotmix.io/spot-percentage"] == "70"
    assert kept["spotmix.io/disruption-schedule"] == "1," * 128 + "…"


@pytest.mark.parametrize(("written", "size"), [(2**31 - 1, 2**31 - 1), (2**31, None), (2**63, None), (-1, None)])
def test_a_size_that_no_scale_can_say_is_none(written: int, size: int | None) -> None:
    assert owner("rollouts.argoproj.io", spec={"replicas": written}).replicas == size
