"""How workloads stand: what metrics and pages show of them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.doubles import ENABLED, ON_DEMAND, SPOT, World, keys, make_node, make_owner, make_pod

from extender.core.answers.replicas import Standing, name_of, standing_of
from extender.core.answers.seats import seats_of
from extender.core.drift.surplus import drifted
from extender.core.model.objects import OwnerRef
from extender.core.policy.managed import Managed
from extender.core.state.counting import count_of


def bound(world: World, owner: OwnerRef, **nodes: int) -> None:
    """Pods of `owner`: so many on each node."""
    for node, count in nodes.items():
        name = node.replace("_", "-")
        world.up(*(make_pod(f"{owner.name}-{name}-{n}", owner, name) for n in range(count)))


def standings(world: World) -> list[Standing]:
    found = (standing_of(world.state, workload) for workload in world.state.workloads.by_uid.values())
    return [each for each in found if each is not None]


def the_only(world: World) -> Standing:
    (standing,) = standings(world)
    return standing


def test_pods_are_counted_by_their_nodes_against_the_seats() -> None:
    world = World()
    world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 10, spot_percentage=70, min_on_demand=2)
    bound(world, owner, spot_0=4, on_demand_0=5)
    replicas = the_only(world).replicas
    assert (replicas.wanted, replicas.actual) == ({SPOT: 7, ON_DEMAND: 3}, {SPOT: 4, ON_DEMAND: 5})
    assert (replicas.surplus, replicas.missing, replicas.below_floor) == (2, 1, 0)


def test_pods_on_a_node_that_goes_away_are_missing_and_may_break_the_floor() -> None:
    world = World()
    world.nodes(spot=1, on_demand=2)
    owner = world.deployment("web", 4, spot_percentage=50, min_on_demand=2)
    bound(world, owner, spot_0=2, on_demand_0=1, on_demand_1=1)
    world.up(make_node("on-demand-1", ON_DEMAND, going_away="drain"))
    replicas = the_only(world).replicas
    assert (replicas.actual, replicas.missing, replicas.below_floor) == ({SPOT: 2, ON_DEMAND: 1}, 1, 1)
    world.annotate("web", 4, spot_percentage=50, on_demand_base=1)
    assert the_only(world).replicas.below_floor == 0


def test_a_pod_with_a_written_class_is_missing_until_it_is_on_a_node() -> None:
    world = World()
    world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 4, spot_percentage=50, min_on_demand=2, enforcement="affinity")
    bound(world, owner, spot_0=2, on_demand_0=1)
    waits = make_pod("waits", owner, written=ON_DEMAND, unscheduled=True)
    world.up(waits)
    replicas = the_only(world).replicas
    assert (replicas.actual, replicas.missing, replicas.below_floor) == ({SPOT: 2, ON_DEMAND: 1}, 1, 1)
    managed = world.state.workloads.resolve("shop", owner)
    assert isinstance(managed, Managed)
    seats = seats_of(count_of(world.state, managed, world.state.revisions[owner.uid]))
    assert [(each.filled, each.reserved) for each in seats if each.capacity_class == ON_DEMAND] == [(1, 1)]
    world.up(make_pod("waits", owner, "on-demand-0", written=ON_DEMAND))
    replicas = the_only(world).replicas
    assert (replicas.actual, replicas.missing, replicas.below_floor) == ({SPOT: 2, ON_DEMAND: 2}, 0, 0)
    world.gone("pods", "waits")
    assert the_only(world).replicas.actual == {SPOT: 2, ON_DEMAND: 1}


def test_each_revision_of_a_rollout_has_seats_of_its_own() -> None:
    world = World()
    world.nodes(spot=1, on_demand=1)
    top = make_owner("Deployment", "web", 4, labels=ENABLED, annotations=keys(spot_percentage=50))
    old, new, first = (make_owner("ReplicaSet", f"web-{n}", n, owner=top.ref) for n in (3, 2, 0))
    world.up(top, old, new, first)
    bound(world, old.ref, spot_0=1, on_demand_0=2)
    bound(world, new.ref, on_demand_0=2)
    standing = the_only(world)
    assert (standing.name.kind, standing.name.name) == ("Deployment", "web")
    assert (standing.replicas.wanted, standing.replicas.surplus) == ({SPOT: 2, ON_DEMAND: 3}, 1)


def test_a_stateful_sets_pods_sit_on_the_seats_of_their_ordinals() -> None:
    world = World()
    world.nodes(spot=1, on_demand=1)
    db = make_owner("StatefulSet", "db", 4, labels=ENABLED, annotations=keys(spot_percentage=50), first_ordinal=1)
    world.up(db)
    # The seats are on-demand, spot, on-demand, spot; what is beyond them is not drift.
    for ordinal, node in ((1, "spot-0"), (2, "on-demand-0"), (3, "on-demand-0"), (4, "spot-0"), (5, "spot-0")):
        world.up(make_pod(f"pod-{ordinal}", db.ref, node, name=f"db-{ordinal}"))
    assert the_only(world).replicas.surplus == 2


def test_what_has_no_pods_yet_wants_them_all() -> None:
    world = World()
    labels: dict[str, Any] = {"labels": ENABLED, "annotations": keys(spot_percentage=50, min_on_demand=2)}
    world.up(make_owner("StatefulSet", "db", 4, **labels))
    replicas = the_only(world).replicas
    assert (replicas.wanted, replicas.actual) == ({SPOT: 2, ON_DEMAND: 2}, {SPOT: 0, ON_DEMAND: 0})
    assert (replicas.surplus, replicas.missing, replicas.below_floor) == (0, 4, 2)
    world.up(make_owner("StatefulSet", "db", 0, **labels))
    assert the_only(world).replicas.wanted == {SPOT: 0, ON_DEMAND: 0}


def test_a_size_that_nobody_knows_is_that_of_the_pods() -> None:
    world = World()
    world.nodes(spot=1)
    database = make_owner("Database", "db", None, labels=ENABLED, annotations=keys(spot_percentage=50))
    world.up(database)
    assert standings(world) == []
    bound(world, database.ref, spot_0=4)
    replicas = the_only(world).replicas
    assert (replicas.wanted, replicas.surplus, replicas.missing) == ({SPOT: 2, ON_DEMAND: 2}, 2, 0)


def test_what_controls_workloads_instead_of_pods_does_not_stand() -> None:
    world = World()
    world.nodes(spot=1)
    database = make_owner("Database", "db", 3, labels=ENABLED, annotations=keys(spot_percentage=100))
    stateful = make_owner("StatefulSet", "db", 3, owner=database.ref)
    world.up(database, stateful)
    bound(world, stateful.ref, spot_0=3)
    standing = the_only(world)
    assert (standing.name.kind, standing.replicas.wanted[SPOT]) == ("StatefulSet", 3)


def test_a_deployment_without_replicas_stands_with_none() -> None:
    world = World()
    world.deployment("web", 0, spot_percentage=50)
    assert the_only(world).replicas.wanted == {SPOT: 0, ON_DEMAND: 0}


def test_jobs_of_a_cron_job_go_by_its_name_and_only_while_they_run() -> None:
    world = World()
    world.nodes(spot=1, on_demand=1)
    cron = make_owner(
        "CronJob", "report", labels=ENABLED, annotations=keys(spot_percentage=50, min_on_demand=1), created=7.0
    )
    jobs = [make_owner("Job", f"report-{n}", 2, owner=cron.ref, created=100.0 + n) for n in range(3)]
    world.up(cron, *jobs)
    for job in jobs[:2]:
        bound(world, job.ref, spot_0=2)
    first, second = standings(world)
    assert first.name == second.name
    assert (first.name.kind, first.name.name, first.name.created) == ("CronJob", "report", 7.0)
    replicas = first.replicas
    replicas.add(second.replicas)
    assert replicas.actual == {SPOT: 4, ON_DEMAND: 0}
    assert (replicas.surplus, replicas.missing, replicas.below_floor) == (2, 0, 2)
    for job in jobs[:2]:
        for n in range(2):
            world.gone("pods", f"{job.name}-spot-0-{n}")
    assert standings(world) == []
    world.gone("cronjobs.batch", cron.uid)
    assert name_of(world.state, world.state.workloads.by_uid[jobs[0].uid]).name == "report"


def test_older_workloads_come_first() -> None:
    world = World()
    for name, created in (("new", 3.0), ("b", 2.0), ("a", 2.0), ("old", 1.0)):
        world.up(make_owner("StatefulSet", name, 1, labels=ENABLED, created=created))
    assert [each.name.name for each in sorted(standings(world), key=lambda each: each.name)] == ["old", "a", "b", "new"]


def test_nothing_stands_where_nothing_is_managed() -> None:
    world = World()
    world.up(make_owner("StatefulSet", "dns", 2, namespace="kube-system", labels=ENABLED))
    world.up(make_owner("StatefulSet", "plain", 2))
    assert standings(world) == []


@given(
    st.sampled_from(("Deployment", "StatefulSet")),
    st.integers(0, 8),
    st.fixed_dictionaries({"spot_percentage": st.integers(0, 100), "min_on_demand": st.integers(0, 4)}),
    st.lists(st.sampled_from(("spot-0", "on-demand-0", "")), max_size=9),
)
def test_the_surplus_is_what_the_drift_loop_finds(
    kind: str, replicas: int, policy: dict[str, Any], nodes: list[str]
) -> None:
    world = World()
    world.nodes(spot=1, on_demand=1)
    if kind == "Deployment":
        owner = world.deployment("web", replicas, **policy)
    else:
        stateful = make_owner(kind, "web", replicas, labels=ENABLED, annotations=keys(**policy))
        world.up(stateful)
        owner = stateful.ref
    world.up(*(make_pod(f"pod-{n}", owner, node, name=f"web-{n}") for n, node in enumerate(nodes)))
    drifts = list(drifted(world.state, frozenset(), None))
    (standing,) = standings(world)
    assert standing.replicas.surplus == sum(drift.surplus for drift in drifts)
