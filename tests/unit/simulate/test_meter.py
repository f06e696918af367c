"""What a simulation counts, and over which time."""

import pytest
from support.simulated import SETTLED, add, pods_of, pool, virtual

from extender.simulate.api import Cause
from extender.simulate.cluster import Cluster
from extender.simulate.meter import Gap, Tally, split_of

HOUR = 3600.0


def tally(cluster: Cluster, name: str = "web") -> Tally:
    return next(each for each in cluster.meter.tallies() if each.name == name)


@pytest.mark.parametrize(
    ("target", "filled", "wanted"),
    [
        ({"spot": 7, "on-demand": 3}, {"spot": 7, "on-demand": 3}, Gap(0, 0)),
        ({"spot": 7, "on-demand": 3}, {"spot": 4, "on-demand": 6}, Gap(3, 0)),
        ({"spot": 7, "on-demand": 3}, {"spot": 4, "on-demand": 3}, Gap(0, 3)),
        ({"spot": 7, "on-demand": 3}, {"spot": 2, "on-demand": 5}, Gap(2, 3)),
        ({"spot": 7, "on-demand": 3}, {"spot": 9, "on-demand": 3}, Gap(0, 0)),
        ({"spot": 2}, {}, Gap(0, 2)),
    ],
)
def test_misplaced_and_missing(target: dict[str, int], filled: dict[str, int], wanted: Gap) -> None:
    assert split_of(target, filled) == wanted


def test_an_hour_at_rest() -> None:
    cluster = virtual(pool("od", 2, "on-demand", price=0.8), pool("spot", 2, price=0.2))
    add(cluster, replicas=8, spot_percentage=50)
    cluster.run(SETTLED)
    cluster.meter.reset()
    cluster.run(HOUR)
    found = tally(cluster)
    assert (found.wanted, found.served, found.misplaced, found.missing) == (8 * HOUR, 8 * HOUR, 0.0, 0.0)
    # 500m of 4 cores: an eighth of a node.
    assert found.cost == pytest.approx({"on-demand": 4 * 0.1, "spot": 4 * 0.025})
    assert found.on_demand_cost == pytest.approx(8 * 0.1)
    assert (found.breach, found.evictions, found.lost, found.managed) == ({}, 0, 0, True)


def test_a_change_of_size_counts_from_when_it_happens() -> None:
    cluster = virtual(pool("od", 4, "on-demand"))
    uid = add(cluster, replicas=4, pod_start=0.0)
    cluster.run(SETTLED)
    cluster.meter.reset()
    cluster.run(HOUR)
    cluster.scale(uid, 8)
    cluster.run(HOUR)
    found = tally(cluster)
    assert (found.time, found.wanted) == (2 * HOUR, 12 * HOUR)
    assert 12 * HOUR - 10 < found.served < 12 * HOUR


def test_what_is_on_the_wrong_class_or_lacks_counts_by_time() -> None:
    cluster = virtual(pool("od", 2, "on-demand"))
    add(cluster, "stands-in", 4, spot_percentage=50)
    add(cluster, "waits", 4, spot_percentage=50, when_unsatisfiable="wait")
    cluster.run(SETTLED)
    cluster.meter.reset()
    cluster.run(HOUR)
    stands_in, waits = tally(cluster, "stands-in"), tally(cluster, "waits")
    assert (stands_in.misplaced, stands_in.missing) == (2 * HOUR, 0.0)
    assert (waits.misplaced, waits.missing, waits.served) == (0.0, 2 * HOUR, 2 * HOUR)
    assert (waits.pending, waits.longest) == (2 * HOUR, HOUR)


@pytest.mark.parametrize(
    ("cause", "key"), [(Cause.SPOTMIX, "spotmix"), (Cause.NODE, "node"), (Cause.CONTROLLER, "controller")]
)
def test_a_broken_floor_has_a_cause(cause: Cause, key: str) -> None:
    cluster = virtual(pool("od", 2, "on-demand"), pool("spot", 2))
    uid = add(cluster, replicas=6, spot_percentage=50, min_on_demand=3, pod_start=60.0)
    cluster.run(SETTLED)
    cluster.meter.reset()
    pod = next(pod for pod in pods_of(cluster, uid) if pod.node.startswith("od"))
    cluster.api.delete_pod(pod, cause)
    cluster.run(HOUR)
    ((found, seconds),) = tally(cluster).breach.items()
    assert found == key
    assert 45 < seconds < 75
    assert (tally(cluster).evictions, tally(cluster).lost) == (cause is Cause.SPOTMIX, cause is Cause.NODE)


def test_an_eviction_in_a_breach_of_others_makes_it_ours() -> None:
    cluster = virtual(pool("od", 2, "on-demand"), pool("spot", 2))
    uid = add(cluster, replicas=6, spot_percentage=50, min_on_demand=3, pod_start=60.0)
    cluster.run(SETTLED)
    cluster.meter.reset()
    first, second, *_ = (pod for pod in pods_of(cluster, uid) if pod.node.startswith("od"))
    cluster.api.delete_pod(first, Cause.NODE)
    cluster.run(10.0)
    cluster.api.delete_pod(second, Cause.SPOTMIX)
    cluster.run(HOUR)
    breach = tally(cluster).breach
    assert breach["node"] == 10.0
    assert breach["spotmix"] > 45


def test_pods_on_a_dead_node_do_not_serve_though_nobody_knows() -> None:
    cluster = virtual(pool("od", 1, "on-demand", noticed=40.0, delay=(600.0, 600.0)))
    add(cluster, replicas=2)
    cluster.run(SETTLED)
    cluster.meter.reset()
    cluster.pools["od"].lose(0.0, 0.0)
    cluster.run(30.0)
    assert tally(cluster).served == 0.0
