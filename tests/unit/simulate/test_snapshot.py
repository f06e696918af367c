"""A simulation that goes on from the state of a cluster."""

import pytest
from support.doubles import ENABLED, keys
from support.kubectl import Kubectl

from extender.core.model.classes import ClassRules
from extender.core.model.errors import WireError
from extender.settings import Settings
from extender.simulate.api import Cause
from extender.simulate.build import Built, build
from extender.simulate.scenario import Scenario, parse_scenario
from extender.simulate.snapshot import Snapshot, parse_snapshot

PREFIXES = ("spotmix.io",)


def snapshot(kubectl: Kubectl) -> Snapshot:
    return parse_snapshot(kubectl.text.encode(), "cluster.json", ClassRules(), PREFIXES)


def built(kubectl: Kubectl, text: str = "") -> Built:
    head = "apiVersion: spotmix.io/v1alpha1\nkind: Simulation\n"
    scenario = parse_scenario(head + text, "day.yaml") if text else Scenario()
    return build(scenario, Settings(), "day.yaml", seed=1, snapshot=snapshot(kubectl))


@pytest.fixture
def kubectl() -> Kubectl:
    """Two on-demand nodes, n0 and n1, and two spot nodes, n2 and n3."""
    found = Kubectl()
    found.nodes(2, "on-demand")
    found.nodes(2, "spot", zone="b", taints=[{"key": "k", "value": "v", "effect": "PreferNoSchedule"}])
    return found


def test_a_cluster_goes_on_from_where_it_was(kubectl: Kubectl) -> None:
    kubectl.deployment("web", ["n0", "n1", "n1", "n2"], labels=ENABLED, annotations=keys(spot_percentage=50))
    cluster = built(kubectl).cluster
    uid = "deployment-web"
    assert cluster.split(uid) == {"on-demand": 3, "spot": 1}
    pods = set(cluster.api.pods)
    cluster.run(600.0)
    assert set(cluster.api.pods) == pods
    cluster.scale(uid, 6)
    cluster.run(600.0)
    assert cluster.split(uid) == {"on-demand": 3, "spot": 3}
    assert set(cluster.api.pods) > pods
    cluster.begin()
    cluster.annotate(uid, keys(spot_percentage=100))
    cluster.run(3 * 3600.0)
    assert cluster.split(uid) == {"spot": 6}


def test_nodes_make_pools_by_class_type_and_zone(kubectl: Kubectl) -> None:
    kubectl.nodes(1, "spot", zone="a")
    kubectl.deployment("web", ["n0"])
    found = built(kubectl, "classes: {spot: {price: 0.1, reclaim: {perHour: 5%}}, on-demand: {price: 0.3}}")
    pools = {name: (each.spec.size, each.spec.price, each.spec.rate) for name, each in found.cluster.pools.items()}
    assert pools == {
        "on-demand-m6.xlarge-a": (2, 0.3, 0.0),
        "spot-m6.xlarge-b": (2, 0.1, 0.05),
        "spot-m6.xlarge-a": (1, 0.1, 0.05),
    }
    assert len(found.cluster.api.nodes) == 5


def test_a_scenario_changes_pools_and_adds_others(kubectl: Kubectl) -> None:
    kubectl.deployment("web", ["n0"])
    found = built(
        kubectl,
        """
pools:
  - {name: bigger, class: spot, instanceType: m6.xlarge, zone: b, size: 4, price: 0.2}
  - {name: new, class: spot, zone: c, size: 3}
""",
    )
    cluster = found.cluster
    assert {name: len(each.machines) for name, each in cluster.pools.items()} == {
        "on-demand-m6.xlarge-a": 2,
        "bigger": 4,
        "new": 3,
    }
    grown = cluster.api.nodes["bigger-0002"]
    assert [taint.key for taint in grown.taints] == ["k"]
    assert grown.allocatable == cluster.api.nodes["n2"].allocatable


def test_what_belongs_to_a_node_is_taken_off_its_offer(kubectl: Kubectl) -> None:
    daemon = kubectl.add("DaemonSet", "agent")
    for node in ("n0", "n1", "n2", "n3"):
        kubectl.pod(f"agent-{node}", daemon, node, cpu="250m")
    kubectl.pod("alone", None, "n1", cpu="1")
    kubectl.deployment("web", ["n0"])
    cluster = built(
        kubectl, "pools: [{name: more, class: on-demand, instanceType: m6.xlarge, zone: a, size: 3}]"
    ).cluster
    offers = {name: node.allocatable.cpu for name, node in cluster.api.nodes.items()}
    assert offers == {"n0": 3750, "n1": 2750, "n2": 3750, "n3": 3750, "more-0002": 3750}
    assert cluster.api.nodes["n1"].max_pods == 108


def test_pods_that_end_are_left_out_and_pending_ones_are_placed(kubectl: Kubectl) -> None:
    owner = kubectl.add("ReplicaSet", "api", spec={"replicas": 2})
    kubectl.pod("api-1", owner, "n0")
    kubectl.pod("api-2", owner)
    kubectl.pod("api-3", owner, "n1", deleted="2026-05-01T11:00:00Z")
    cluster = built(kubectl).cluster
    assert sorted(cluster.api.pods) == ["pod-api-1", "pod-api-2"]
    cluster.run(60.0)
    assert cluster.api.pods["pod-api-2"].node


def test_budgets_hold(kubectl: Kubectl) -> None:
    kubectl.deployment("web", ["n0", "n1", "n2"])
    selector = {"matchLabels": {"app": "web"}}
    kubectl.add("PodDisruptionBudget", "pdb", "policy/v1", spec={"minAvailable": "50%", "selector": selector})
    cluster = built(kubectl).cluster
    cluster.run(5.0)
    (budget,) = cluster.api.budgets.values()
    assert (budget.allowed, budget.current) == (1, True)


def test_a_rollout_that_is_under_way_ends(kubectl: Kubectl) -> None:
    top = kubectl.add("Deployment", "web", labels=ENABLED, spec={"replicas": 4})
    for name, replicas, created in (("old", 3, "2026-05-01T10:00:00Z"), ("new", 2, "2026-05-01T12:00:00Z")):
        revision = kubectl.add("ReplicaSet", name, owner=top, spec={"replicas": replicas})
        for number in range(replicas):
            kubectl.pod(f"{name}-{number}", revision, "n0", created=created, labels={"app": "web"})
    cluster = built(kubectl).cluster
    cluster.run(600.0)
    assert {pod.owner.name for pod in cluster.api.pods.values() if pod.owner is not None} == {"new"}
    assert (len(cluster.api.pods), cluster.owner("deployment-web").rolling) == (4, False)


def test_owners_that_were_not_asked_for_are_noted(kubectl: Kubectl) -> None:
    missing = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", "uid": "cronjob-nightly"}}
    job = kubectl.add(
        "Job",
        "nightly-1",
        "batch/v1",
        owner=missing,
        spec={"parallelism": 2},
        labels=ENABLED,
        annotations=keys(spot_percentage=100),
    )
    custom = {"apiVersion": "example.org/v1", "kind": "Database", "metadata": {"name": "db", "uid": "database-db"}}
    kubectl.pod("db-a", custom, "n0")
    kubectl.pod("nightly-a", job, "n0")
    found = built(kubectl)
    (note,) = found.notes
    assert note.startswith("CronJobs are not in the snapshot")
    assert note.endswith("add cronjobs to the kubectl command")
    found.cluster.run(600.0)
    assert found.cluster.split("job-nightly-1") == {"on-demand": 1, "spot": 1}
    found.cluster.api.delete_pod(found.cluster.api.pods["pod-db-a"], Cause.NODE)
    found.cluster.run(60.0)
    assert [pod.owner.kind for pod in found.cluster.api.pods.values() if pod.owner].count("Database") == 1


def test_namespaces_carry_policies(kubectl: Kubectl) -> None:
    kubectl.add("Namespace", "shop", "v1", labels=ENABLED, annotations=keys(spot_percentage=100))
    kubectl.deployment("web", ["n0"])
    cluster = built(kubectl).cluster
    cluster.scale("deployment-web", 3)
    cluster.run(60.0)
    assert cluster.split("deployment-web") == {"on-demand": 1, "spot": 2}


def test_pods_follow_their_volumes(kubectl: Kubectl) -> None:
    term = {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b"]}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    kubectl.add("PersistentVolume", "pv", "v1", spec={"nodeAffinity": affinity})
    kubectl.add("PersistentVolumeClaim", "data-db-0", "v1", spec={"volumeName": "pv"})
    owner = kubectl.add("StatefulSet", "db", spec={"replicas": 1})
    volume = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}]}
    kubectl.pod("db-0", owner, spec=volume)
    cluster = built(kubectl).cluster
    cluster.run(60.0)
    assert cluster.api.nodes[cluster.api.pods["pod-db-0"].node].zone == "b"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nothing", "cluster.json: is no list of Kubernetes objects: "),
        ('{"items": [{"kind": "Pod", "metadata": []}]}', "cluster.json: Pod: list of pods does not decode: "),
        (
            '{"items": [{"kind": "Node", "metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "x"}}}]}',
            "cluster.json: Node n: 'x' is not a resource quantity",
        ),
    ],
)
def test_what_is_no_snapshot(text: str, wanted: str) -> None:
    with pytest.raises(WireError) as caught:
        parse_snapshot(text.encode(), "cluster.json", ClassRules(), PREFIXES)
    assert str(caught.value).startswith(wanted)
