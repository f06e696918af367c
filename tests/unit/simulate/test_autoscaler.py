"""The simulated autoscaler: what it brings nodes for, what it gets, and what it removes."""

from typing import Any

import pytest
from support.simulated import add, pods_of, pool, virtual

from extender.core.model.errors import ConfigError
from extender.settings.load import settings_of
from extender.simulate.autoscaler import AutoscalerOptions
from extender.simulate.build import Built, build
from extender.simulate.cluster import Cluster
from extender.simulate.scenario import parse_scenario

AFFINITY: dict[str, Any] = {"spot_percentage": 70, "min_on_demand": 2, "enforcement": "affinity"}
PATIENT: dict[str, Any] = {**AFFINITY, "when_unsatisfiable": "wait"}


def scaled(*, most: int = 20, **options: Any) -> Cluster:
    pools = (pool("od", 0, "on-demand", price=0.2, most=most), pool("spot", 0, price=0.06, most=most))
    return virtual(*pools, autoscaler=AutoscalerOptions(**options))


def nodes(cluster: Cluster) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in cluster.api.nodes.values():
        counts[node.capacity_class] = counts.get(node.capacity_class, 0) + 1
    return counts


def test_from_no_nodes_at_all() -> None:
    cluster = scaled()
    uids = [add(cluster, f"w{number}", 10, **AFFINITY) for number in range(3)]
    cluster.run(120.0)
    assert all(cluster.split(uid) == {"spot": 7, "on-demand": 3} for uid in uids)
    # 21 and 9 pods of half a core, on nodes of four.
    assert nodes(cluster) == {"spot": 3, "on-demand": 2}


def test_it_asks_no_extender() -> None:
    """A class that the extender alone knows leaves pods without a node for ever, as a real autoscaler does."""
    cluster = scaled()
    uid = add(cluster, **{**AFFINITY, "enforcement": "extender"})
    cluster.run(1800.0)
    assert cluster.split(uid) == {"spot": 7}
    assert nodes(cluster) == {"spot": 2}
    assert sum(not pod.node for pod in pods_of(cluster, uid)) == 3


def test_a_node_takes_its_time_and_no_second_one_comes_for_its_pods() -> None:
    cluster = scaled(launch=300.0)
    uid = add(cluster, **AFFINITY)
    cluster.run(290.0)
    assert nodes(cluster) == {}
    cluster.run(120.0)
    assert cluster.split(uid) == {"spot": 7, "on-demand": 3}
    assert cluster.autoscaler is not None
    assert cluster.autoscaler.launched == 2


def test_a_class_that_is_refused_comes_when_it_can_be_had_again() -> None:
    cluster = scaled()
    assert cluster.autoscaler is not None
    cluster.autoscaler.refuse("spot", 600.0)
    uid = add(cluster, **PATIENT)
    cluster.run(580.0)
    assert cluster.split(uid) == {"on-demand": 3}
    cluster.run(120.0)
    assert cluster.split(uid) == {"spot": 7, "on-demand": 3}


def test_what_is_refused_is_replaced_and_new_pods_stand_in_at_once() -> None:
    cluster = scaled(launch=20.0)
    assert cluster.autoscaler is not None
    cluster.autoscaler.refuse("spot", 600.0)
    uid = add(cluster, **AFFINITY)
    cluster.run(60.0)
    assert cluster.split(uid) == {"on-demand": 10}
    (tally,) = cluster.meter.tallies()
    assert tally.evictions == 0
    cluster.scale(uid, 14)
    cluster.run(40.0)
    assert cluster.split(uid) == {"on-demand": 14}


def test_what_is_coming_is_waited_for() -> None:
    cluster = scaled(launch=400.0)
    uid = add(cluster, **AFFINITY)
    cluster.run(5.0)
    before = {pod.uid for pod in pods_of(cluster, uid)}
    cluster.run(500.0)
    assert {pod.uid for pod in pods_of(cluster, uid)} == before
    assert cluster.split(uid) == {"spot": 7, "on-demand": 3}


def test_what_is_on_its_way_does_not_come_either() -> None:
    cluster = scaled(launch=60.0)
    add(cluster, **PATIENT)
    cluster.run(30.0)
    assert cluster.autoscaler is not None
    cluster.autoscaler.refuse("spot", 600.0)
    cluster.run(120.0)
    assert nodes(cluster) == {"on-demand": 1}


def test_no_pool_has_more_nodes_than_it_may() -> None:
    cluster = scaled(most=2)
    uid = add(cluster, replicas=40, **PATIENT)
    cluster.run(600.0)
    assert nodes(cluster) == {"spot": 2, "on-demand": 2}
    assert cluster.split(uid) == {"spot": 16, "on-demand": 12}


def test_empty_nodes_are_removed_without_counting_as_interruptions() -> None:
    cluster = scaled()
    uid = add(cluster, replicas=40, **AFFINITY)
    cluster.run(300.0)
    before = nodes(cluster)
    cluster.scale(uid, 3)
    cluster.run(600.0)
    after = nodes(cluster)
    assert before == {"spot": 4, "on-demand": 2}
    assert after["spot"] < before["spot"]
    assert all(any(pod.node == name for pod in cluster.api.pods.values()) for name in cluster.api.nodes)
    assert cluster.spotmix is not None
    assert not cluster.spotmix.state.interruptions.counts
    assert cluster.split(uid) == {"spot": 1, "on-demand": 2}


def test_a_lost_pool_is_brought_back_by_what_its_pods_lack() -> None:
    cluster = scaled()
    uid = add(cluster, **PATIENT)
    cluster.run(120.0)
    cluster.pools["spot"].lose(300.0, 0.0)
    cluster.run(200.0)
    assert cluster.split(uid) == {"on-demand": 3}
    cluster.run(400.0)
    assert cluster.split(uid) == {"spot": 7, "on-demand": 3}


HEAD = "apiVersion: spotmix.io/v1alpha1\nkind: Simulation\nworkloads: [{name: web}]\n"


def made(text: str, head: str = HEAD) -> Built:
    scenario = parse_scenario(head + text, "day.yaml")
    return build(scenario, settings_of(scenario.settings, "day.yaml"), "day.yaml", seed=1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pools: [{name: a, class: spot, size: 0, max: 3}]", "pool a has a max, and there is no autoscaler"),
        ("pools: [{name: a, class: spot, size: 4, max: 3}]", "max is 3, which is below size (4); raise it"),
        ("autoscaler: {launch: soon}", "launch is 'soon'"),
        (
            "pools: [{name: a, class: spot, size: 1}]\nevents: [{at: 1h, refuse: {class: spot}}]",
            "events[0].refuse: there is no autoscaler",
        ),
        (
            "autoscaler: {}\npools: [{name: a, class: spot, size: 1}]\nevents: [{at: 1h, refuse: {class: sport}}]",
            "events[0].refuse: there is no pool of class 'sport'; did you mean spot?",
        ),
    ],
)
def test_faults_of_a_scenario(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(text)
    assert says in str(caught.value)


def test_a_scenario_from_zero() -> None:
    text = """
autoscaler: {launch: 20s, empty: 30s}
pools:
  - {name: a, class: spot, size: 0, max: 9, price: 0.06}
  - {name: b, class: on-demand, size: 0, max: 9, price: 0.2}
events:
  - {at: 10m, refuse: {class: spot, for: 10m}}
"""
    web = HEAD.replace(
        "{name: web}",
        "{name: web, replicas: 4, labels: {spotmix.io/enabled: 'true'}, annotations: "
        "{spotmix.io/spot-percentage: '50'}}",
    )
    built = made(text, web)
    built.cluster.run(600.0)
    (uid,) = built.workloads["web"]
    assert built.cluster.split(uid) == {"spot": 2, "on-demand": 2}
