"""Placeholders in a simulation: what stands in returns to its class where a node has to be brought for it first."""

from typing import Any

import pytest
from support.doubles import keys
from support.simulated import DRIFT, SETTLED, add, budget, pods_of, pool, virtual

from extender.core.drift.placeholder import Ending
from extender.core.drift.rules import DriftOptions, DriftRules
from extender.core.model.reasons import Reason
from extender.settings.load import settings_of
from extender.simulate.autoscaler import AutoscalerOptions
from extender.simulate.build import build
from extender.simulate.cluster import Cluster
from extender.simulate.placeholders import NAMESPACE
from extender.simulate.run import run
from extender.simulate.scenario import parse_scenario

AFFINITY: dict[str, Any] = {
    "spot_percentage": 70,
    "min_on_demand": 2,
    "enforcement": "affinity",
    "max_moves_per_hour": 100,
}
OUTAGE = 600.0


def scaled(rules: DriftRules = DRIFT) -> Cluster:
    """A cluster without a node, whose spot nodes cannot be had for ten minutes."""
    pools = (pool("od", 0, "on-demand", price=0.2, most=20), pool("spot", 0, price=0.06, most=20))
    cluster = virtual(*pools, autoscaler=AutoscalerOptions(launch=20.0), drift=DriftOptions(rules))
    assert cluster.autoscaler is not None
    cluster.autoscaler.refuse("spot", OUTAGE)
    return cluster


def endings(cluster: Cluster) -> dict[Ending, int]:
    assert cluster.drift is not None
    assert cluster.drift.placeholders is not None
    return dict(cluster.drift.placeholders.endings)


def left(cluster: Cluster) -> list[str]:
    return [pod.name for pod in cluster.api.pods.values() if pod.namespace == NAMESPACE]


def test_what_stood_in_returns_behind_placeholders() -> None:
    cluster = scaled()
    uids = [add(cluster, f"w{number}", 10, **AFFINITY) for number in range(3)]
    for number in range(3):
        budget(cluster, app=f"w{number}", name=f"pdb-{number}", max_unavailable=1)
    cluster.run(SETTLED)
    cluster.begin()
    cluster.run(OUTAGE - SETTLED)
    assert [cluster.split(uid) for uid in uids] == [{"on-demand": 10}] * 3
    assert endings(cluster).keys() == {Ending.REFUSED}
    least = 10
    for _ in range(600):
        cluster.run(1.0)
        least = min(least, *(sum(pod.serving for pod in pods_of(cluster, uid)) for uid in uids))
    assert [cluster.split(uid) for uid in uids] == [{"spot": 7, "on-demand": 3}] * 3
    assert least >= 9
    assert endings(cluster)[Ending.USED] > 0
    assert left(cluster) == []
    assert cluster.drift is not None
    assert cluster.drift.evictions == {Reason.SURPLUS: 21}
    assert cluster.drift.outcomes == {Reason.MOVED: 21}


def test_without_placeholders_nothing_returns() -> None:
    cluster = scaled(DriftRules(placeholders=0))
    uid = add(cluster, **AFFINITY)
    cluster.run(SETTLED)
    cluster.begin()
    cluster.run(OUTAGE + 3600.0)
    assert cluster.split(uid) == {"on-demand": 10}
    assert endings(cluster) == {}


def test_a_job_waits_for_room_and_its_pods_are_never_evicted() -> None:
    cluster = scaled()
    cluster.run(1.0)
    cluster.begin()
    uid = add(cluster, "batch", 6, "Job", **{**AFFINITY, "spot_percentage": 100, "min_on_demand": 0})
    cluster.run(60.0)
    assert cluster.split(uid) == {"on-demand": 6}
    cluster.run(OUTAGE)
    second = add(cluster, "later", 6, "Job", **{**AFFINITY, "spot_percentage": 100, "min_on_demand": 0})
    cluster.run(120.0)
    assert cluster.split(second) == {"spot": 6}
    assert left(cluster) == []
    assert cluster.drift is not None
    assert not cluster.drift.evictions


def test_a_placeholder_of_a_workload_that_wants_no_room_any_more_goes() -> None:
    cluster = scaled()
    uid = add(cluster, **AFFINITY)
    cluster.run(SETTLED)
    cluster.begin()
    cluster.run(OUTAGE - SETTLED)
    for _ in range(120):
        cluster.run(1.0)
        if left(cluster):
            break
    assert left(cluster)
    cluster.annotate(uid, keys(spot_percentage=0))
    cluster.run(120.0)
    assert left(cluster) == []
    assert cluster.split(uid) == {"on-demand": 10}


@pytest.mark.parametrize("kind", ["StatefulSet", "ReplicaSet"])
def test_other_kinds_return_too(kind: str) -> None:
    cluster = scaled()
    uid = add(cluster, "db", 4, kind, **{**AFFINITY, "spot_percentage": 50})
    cluster.run(SETTLED)
    cluster.begin()
    cluster.run(OUTAGE + 900.0)
    assert cluster.split(uid) == {"spot": 2, "on-demand": 2}
    assert left(cluster) == []


SCENARIO = """
apiVersion: spotmix.io/v1alpha1
kind: Simulation
duration: 3h
workloads:
  - name: web
    replicas: 10
    labels: {spotmix.io/enabled: "true"}
    annotations: {spotmix.io/spot-percentage: "70"}
pools:
  - {name: a, class: spot, size: 0, max: 20, price: 0.06}
  - {name: b, class: on-demand, size: 0, max: 20, price: 0.20}
autoscaler: {launch: 20s}
events:
  - {at: 10m, lose: {pool: a, for: 10m}}
  - {at: 10m, refuse: {class: spot, for: 10m}}
"""


def test_a_scenario_that_says_nothing_of_enforcement() -> None:
    scenario = parse_scenario(SCENARIO, "day.yaml")
    built = build(scenario, settings_of(scenario.settings, "day.yaml"), "day.yaml", seed=1)
    report = run(built, 1, lambda _share: None)
    (uid,) = built.workloads["web"]
    assert built.cluster.split(uid) == {"on-demand": 3, "spot": 7}
    assert report.drift.outcomes == {"moved": 7}
    assert report.drift.placeholders["refused"] > 0
