"""The simulated controllers of workloads: scaling, rollouts, lost pods."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples
from support.simulated import SETTLED, add, pods_of, pool, virtual

from extender.simulate.api import Cause
from extender.simulate.cluster import Cluster

POOLS = (pool("od", 5, "on-demand"), pool("spot-a", 5), pool("spot-b", 5, zone="b"))


def live(cluster: Cluster, uid: str) -> list[str]:
    return sorted(pod.name for pod in pods_of(cluster, uid) if not pod.terminating)


def test_a_deployment_has_its_replicas_at_its_split() -> None:
    cluster = virtual(*POOLS)
    uid = add(cluster, replicas=10, spot_percentage=70, min_on_demand=2)
    cluster.run(SETTLED)
    assert cluster.split(uid) == {"on-demand": 3, "spot": 7}
    assert all(pod.ready for pod in pods_of(cluster, uid))


@examples(25)
@given(st.lists(st.integers(0, 24), min_size=1, max_size=6), st.integers(0, 100), st.integers(0, 4))
def test_scaling_lands_on_the_target_without_an_eviction(sizes: list[int], percentage: int, floor: int) -> None:
    cluster = virtual(*POOLS)
    uid = add(cluster, replicas=12, spot_percentage=percentage, min_on_demand=floor)
    cluster.run(SETTLED)
    for size in sizes:
        cluster.scale(uid, size)
        cluster.run(SETTLED)
        spot = max(0, min(size * percentage // 100, size - floor))
        wanted = {"spot": spot, "on-demand": size - spot}
        assert cluster.split(uid) == {name: count for name, count in wanted.items() if count}


def test_a_rollout_replaces_every_pod_and_ends_at_the_split() -> None:
    cluster = virtual(*POOLS)
    uid = add(cluster, replicas=10, spot_percentage=50, min_on_demand=2)
    cluster.run(SETTLED)
    before = set(live(cluster, uid))
    cluster.controllers.roll_out(uid)
    least = 10
    for _ in range(120):
        cluster.run(5.0)
        least = min(least, sum(pod.ready for pod in pods_of(cluster, uid) if not pod.terminating))
        assert len(live(cluster, uid)) <= 13
    assert least >= 8
    assert before.isdisjoint(live(cluster, uid))
    assert (cluster.split(uid), cluster.owner(uid).rolling) == ({"on-demand": 5, "spot": 5}, False)
    assert len(cluster.truth.state.workloads.children[uid]) == 1


def test_a_stateful_set_starts_and_stops_one_pod_at_a_time_by_ordinal() -> None:
    cluster = virtual(*POOLS)
    uid = add(cluster, "db", 4, "StatefulSet", spot_percentage=50)
    cluster.run(5.0)
    assert live(cluster, uid) == ["db-0"]
    cluster.run(SETTLED)
    assert live(cluster, uid) == ["db-0", "db-1", "db-2", "db-3"]
    assert cluster.split(uid) == {"on-demand": 2, "spot": 2}
    cluster.scale(uid, 1)
    cluster.run(1.0)
    assert live(cluster, uid) == ["db-0", "db-1", "db-2"]
    cluster.run(SETTLED)
    assert live(cluster, uid) == ["db-0"]


def test_a_stateful_set_makes_a_lost_ordinal_anew_and_rolls_out_from_the_top() -> None:
    cluster = virtual(*POOLS)
    uid = add(cluster, "db", 3, "StatefulSet")
    cluster.run(SETTLED)
    second = cluster.api.pod_named("shop", "db-1")
    assert second is not None
    cluster.api.delete_pod(second, Cause.NODE)
    cluster.run(SETTLED)
    assert live(cluster, uid) == ["db-0", "db-1", "db-2"]
    before = {pod.uid for pod in pods_of(cluster, uid)}
    cluster.controllers.roll_out(uid)
    cluster.run(1.0)
    assert live(cluster, uid) == ["db-0", "db-1"]
    cluster.run(SETTLED)
    assert before.isdisjoint(pod.uid for pod in pods_of(cluster, uid))
    assert (len(live(cluster, uid)), cluster.owner(uid).rolling) == (3, False)


@examples(20)
@given(st.integers(1, 6), st.integers(1, 15), st.lists(st.integers(0, 5), max_size=4))
def test_a_job_ends_after_its_completions_whatever_is_lost(parallel: int, completions: int, kills: list[int]) -> None:
    cluster = virtual(*POOLS)
    uid = add(cluster, "batch", parallel, "Job", pod_run=60.0, completions=completions, spot_percentage=50)
    finished: Counter[str] = Counter()
    for kill in [*kills, *([None] * 60)]:
        cluster.run(30.0)
        pods = pods_of(cluster, uid)
        assert len([pod for pod in pods if not pod.terminating]) <= parallel
        if kill is not None and kill < len(pods):
            cluster.api.delete_pod(pods[kill], Cause.NODE)
            finished["killed"] += 1
    assert (cluster.controllers.completions[uid], live(cluster, uid)) == (0, [])
