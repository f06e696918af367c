"""Classes that are written on simulated pods: the real controller decides them, and what it writes is honoured."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ENABLED, keys
from support.kubectl import Kubectl
from support.simulated import DRIFT, SETTLED, add, pods_of, pool, virtual

from extender.core.drift.rules import DriftOptions
from extender.core.model.classes import ClassRules
from extender.core.model.constraints import NO_CONSTRAINTS
from extender.core.placement.gates import GateController, Release
from extender.core.placement.written import Requires
from extender.settings import Settings
from extender.simulate.build import build
from extender.simulate.cluster import Cluster
from extender.simulate.scenario import Scenario
from extender.simulate.snapshot import parse_snapshot

HOUR = 3600.0
SEVENTY: dict[str, Any] = {"spot_percentage": 70, "min_on_demand": 2, "enforcement": "affinity"}
LABEL = "karpenter.sh/capacity-type"


def pools(cluster_size: int = 10) -> Any:
    return pool("od", cluster_size, "on-demand"), pool("spot-a", cluster_size), pool("spot-b", cluster_size, zone="b")


def written(cluster: Cluster, uid: str) -> dict[str, int]:
    """Pods by the class that is written on them; each is on a node of that class."""
    counts: dict[str, int] = {}
    for pod in pods_of(cluster, uid):
        assert cluster.api.nodes[pod.node].capacity_class == pod.written
        assert pod.gates == ()
        counts[pod.written] = counts.get(pod.written, 0) + 1
    return counts


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_day_is_exact_whenever_it_rests(seed: int) -> None:
    spots = (pool("spot-a", 12, rate=0.05, delay=(30.0, 60.0)), pool("spot-b", 12, zone="b", rate=0.05))
    cluster = virtual(pool("od", 20, "on-demand"), *spots, drift=DriftOptions(DRIFT), seed=seed)
    names = [f"w{number}" for number in range(5)]
    uids = {name: add(cluster, name, 10, **SEVENTY) for name in names}
    db = add(cluster, "db", 6, "StatefulSet", spot_percentage=50, enforcement="affinity")
    cluster.run(SETTLED)
    cluster.begin()
    for size, spot in ((10, 7), (25, 17), (6, 4), (14, 9), (3, 1)) * 5:
        for number, uid in enumerate(uids.values()):
            cluster.scale(uid, size)
            if not number:
                cluster.controllers.roll_out(uid)
        cluster.run(HOUR)
        for uid in uids.values():
            assert cluster.split(uid) == {"spot": spot, "on-demand": size - spot}
            assert written(cluster, uid) == {"spot": spot, "on-demand": size - spot}
        assert cluster.split(db) == {"spot": 3, "on-demand": 3}
    assert sum(each.interruptions for each in cluster.pools.values()) > 5
    assert all(not each.breach.get("spotmix") for each in cluster.meter.tallies())


def test_a_fault_of_the_controller_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    real = GateController.due

    def wrong(self: GateController, now: float) -> list[Any]:
        def turned(action: Any) -> Any:
            spot = Requires(((LABEL, "spot"),))
            return replace(action, capacity_class="spot", requires=spot) if isinstance(action, Release) else action

        return [turned(action) for action in real(self, now)]

    monkeypatch.setattr(GateController, "due", wrong)
    cluster = virtual(*pools())
    uid = add(cluster, **SEVENTY)
    cluster.run(SETTLED)
    assert cluster.split(uid) == {"spot": 10}
    (tally,) = cluster.meter.tallies()
    assert tally.breach


def test_a_requirement_that_no_node_meets_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler goes by what is required of the node, not by the class that it is said to be."""
    real = GateController.due
    none = Requires(((LABEL, "none"),))

    def wrong(self: GateController, now: float) -> list[Any]:
        return [replace(each, requires=none) if isinstance(each, Release) else each for each in real(self, now)]

    monkeypatch.setattr(GateController, "due", wrong)
    cluster = virtual(*pools())
    uid = add(cluster, **SEVENTY, when_unsatisfiable="wait")
    cluster.run(SETTLED)
    assert cluster.split(uid) == {}
    assert {pod.written for pod in pods_of(cluster, uid)} == {"spot", "on-demand"}


def test_who_names_a_class_is_left_alone_and_gates_of_others_stay() -> None:
    cluster = virtual(*pools())
    own = replace(NO_CONSTRAINTS, node_selector=((LABEL, "on-demand"),))
    named = add(cluster, "named", 4, pod_constraints=own, **SEVENTY)
    queued = add(cluster, "queued", 4, pod_gates=("kueue.x-k8s.io/admission",), **SEVENTY)
    cluster.run(SETTLED)
    assert cluster.split(named) == {"on-demand": 4}
    assert {pod.written for pod in pods_of(cluster, named)} == {""}
    assert {pod.gates for pod in pods_of(cluster, queued)} == {("kueue.x-k8s.io/admission", "spotmix.io/placement")}
    for pod in pods_of(cluster, queued):
        pod.gates = pod.gates[1:]
        cluster.api.changed(pod)
    cluster.run(SETTLED)
    assert cluster.split(queued) == {"spot": 2, "on-demand": 2}


def test_another_mode_holds_from_the_next_pods_on() -> None:
    cluster = virtual(*pools(), drift=DriftOptions(DRIFT))
    uid = add(cluster, **{**SEVENTY, "enforcement": "extender"})
    cluster.run(SETTLED)
    cluster.annotate(uid, keys(enforcement="affinity"))
    cluster.scale(uid, 20)
    cluster.run(SETTLED)
    assert cluster.split(uid) == {"spot": 14, "on-demand": 6}
    assert sorted(pod.written for pod in pods_of(cluster, uid)) == [""] * 10 + ["on-demand"] * 3 + ["spot"] * 7
    cluster.begin()
    cluster.annotate(uid, keys(spot_percentage=30))
    cluster.run(6 * HOUR)
    assert cluster.split(uid) == {"spot": 6, "on-demand": 14}


def test_a_snapshot_of_written_pods_goes_on() -> None:
    kubectl = Kubectl()
    kubectl.nodes(2, "on-demand")
    kubectl.nodes(2, "spot")
    policy = keys(spot_percentage=50, enforcement="affinity")
    top = kubectl.add("Deployment", "web", spec={"replicas": 3}, labels=ENABLED, annotations=policy)
    owner = kubectl.add("ReplicaSet", "web-new", owner=top, spec={"replicas": 3})
    for number, (name, node) in enumerate((("on-demand", "n0"), ("spot", "n2"), ("spot", ""))):
        terms = [{"matchExpressions": [{"key": LABEL, "operator": "NotIn", "values": ["spot"]}]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        kubectl.pod(
            f"web-{number}",
            owner,
            node,
            labels={"app": "web"},
            annotations={"spotmix.io/class": name},
            spec={"nodeSelector": {LABEL: "spot"}} if name == "spot" else {"affinity": {"nodeAffinity": required}},
        )
    taken = parse_snapshot(kubectl.text.encode(), "cluster.json", ClassRules(), ("spotmix.io",))
    cluster = build(Scenario(), Settings(), "day.yaml", seed=1, snapshot=taken).cluster
    cluster.run(SETTLED)
    assert cluster.split("deployment-web") == {"on-demand": 1, "spot": 2}
    cluster.scale("deployment-web", 8)
    cluster.run(SETTLED)
    assert cluster.split("deployment-web") == {"on-demand": 4, "spot": 4}
