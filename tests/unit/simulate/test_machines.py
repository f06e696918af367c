"""The simulated nodes: how they come, are interrupted, and go."""

from support.simulated import MONDAY, SETTLED, add, pods_of, pool, virtual

from extender.core.model.classes import SPOT

HOUR = 3600.0


def test_interruptions_come_at_the_rate_that_was_asked_for() -> None:
    cluster = virtual(pool("spot", 500, rate=0.05), pool("od", 10, "on-demand"))
    cluster.begin()
    cluster.run(24 * HOUR)
    spot = cluster.pools["spot"]
    # 500 nodes, 24 h, 5 %: 600 on average, less what is missing while nodes are replaced; a Poisson process varies by
    # its square root.
    assert 500 < spot.interruptions < 700
    assert cluster.pools["od"].interruptions == 0
    alive = [machine for machine in spot.machines.values() if machine.died is None]
    assert 490 <= len(alive) <= 500


def test_what_is_drawn_does_not_depend_on_what_runs() -> None:
    losses = []
    for replicas in (0, 30):
        cluster = virtual(pool("spot-a", 8, rate=0.5), pool("spot-b", 8, rate=0.5, zone="b"), seed=3)
        add(cluster, replicas=replicas, spot_percentage=100)
        cluster.begin()
        cluster.run(12 * HOUR)
        losses.append({name: each.interruptions for name, each in cluster.pools.items()})
    assert losses[0] == losses[1]
    assert all(losses[0].values())


def test_a_notice_marks_the_node_and_its_end_takes_the_pods() -> None:
    cluster = virtual(pool("spot", 1, notice=120.0, noticed=40.0, delay=(60.0, 60.0)), pool("od", 1, "on-demand"))
    uid = add(cluster, replicas=2, spot_percentage=100)
    cluster.run(SETTLED)
    machine = next(iter(cluster.pools["spot"].machines.values()))
    cluster.pools["spot"].reclaim(machine, 120.0)
    assert cluster.api.nodes[machine.name].going_away
    assert cluster.split(uid) == {}
    cluster.run(119.0)
    assert [pod.serving for pod in pods_of(cluster, uid)] == [True, True]
    cluster.run(2.0)
    assert [(pod.serving, pod.ready) for pod in pods_of(cluster, uid)] == [(False, True)] * 2
    cluster.run(40.0)
    assert [pod.ready for pod in pods_of(cluster, uid)] == [False, False]
    cluster.run(25.0)
    assert machine.name not in cluster.api.nodes
    assert sorted(name.rpartition("-")[0] for name in cluster.api.nodes) == ["od", "spot"]


def test_a_pool_that_is_lost_comes_back_when_its_time_has_come() -> None:
    cluster = virtual(pool("spot", 4, delay=(30.0, 30.0)))
    spot = cluster.pools["spot"]
    spot.lose(HOUR, 0.0)
    cluster.run(HOUR)
    assert not cluster.api.nodes
    cluster.run(31.0)
    assert (len(cluster.api.nodes), spot.interruptions) == (4, 4)
    spot.lose(60.0, 0.0)
    cluster.run(70.0)
    # Lost again before all had come back: the later end counts.
    spot.lose(HOUR, 0.0)
    cluster.run(HOUR)
    assert not cluster.api.nodes
    cluster.run(60.0)
    assert len(cluster.api.nodes) == 4


def test_nodes_are_told_apart_by_the_rules_and_run_up_hours() -> None:
    cluster = virtual(pool("spot", 2), pool("od", 3, "on-demand", price=0.5))
    assert {each.capacity_class for each in cluster.pools.values()} == {SPOT, "on-demand"}
    cluster.run(2 * HOUR)
    assert cluster.clock.now == MONDAY + 2 * HOUR
    assert cluster.pools["od"].running_seconds(cluster.clock.now) == 6 * HOUR
