"""Which objects control a workload's pods, and what of those that are below it but have pods of their own."""

import pytest
from support.doubles import ENABLED, World, make_owner, make_pod

from extender.core.state.controllers import controllers_of, is_divided, managed_controllers


@pytest.fixture
def world() -> World:
    return World()


def names(world: World, uid: str) -> tuple[list[str], list[str]]:
    """The controllers of a workload, and those of them that are managed."""
    top, workload = world.state.workloads.owners[uid], world.state.workloads.by_uid.get(uid)
    managed = managed_controllers(world.state, workload) if workload is not None else ()
    return [owner.name for owner, _ in controllers_of(world.state, top)], [owner.name for owner, _ in managed]


def test_replicasets_that_want_pods_or_have_some(world: World) -> None:
    top = make_owner("Deployment", "web", 3, labels=ENABLED)
    sets = [make_owner("ReplicaSet", f"web-{n}", size, owner=top.ref) for n, size in enumerate((0, 0, 3))]
    world.up(top, *sets, make_pod("a", sets[1].ref))
    assert names(world, top.uid) == (["web-1", "web-2"], ["web-1", "web-2"])
    assert [revision is not None for _, revision in controllers_of(world.state, top)] == [True, False]


def test_an_object_that_controls_pods_itself_once_it_has_some(world: World) -> None:
    top = make_owner("StatefulSet", "db", 3, labels=ENABLED)
    world.up(top)
    assert names(world, top.uid) == ([], [])
    world.up(make_pod("db-0", top.ref))
    assert names(world, top.uid) == (["db"], ["db"])


def test_a_workload_below_another_has_its_own_pods(world: World) -> None:
    cron = make_owner("CronJob", "report", labels=ENABLED)
    job = make_owner("Job", "report-1", 2, owner=cron.ref)
    world.up(cron, job, make_pod("a", job.ref))
    assert names(world, cron.uid) == ([], [])
    assert names(world, job.uid) == (["report-1"], ["report-1"])
    assert not is_divided(world.state, cron)


def test_one_whose_owner_is_not_known_is_not_managed_yet(world: World) -> None:
    above = make_owner("Database", "db")
    top = make_owner("StatefulSet", "db", 1, labels=ENABLED, owner=above.ref)
    world.up(top, make_pod("db-0", top.ref))
    assert names(world, top.uid) == (["db"], [])
    world.up(above)
    assert names(world, top.uid) == (["db"], ["db"])


def test_one_is_divided_be_it_that_nobody_wants_pods(world: World) -> None:
    top = make_owner("Deployment", "web", 0, labels=ENABLED)
    world.up(top)
    assert not is_divided(world.state, top)
    world.up(make_owner("ReplicaSet", "web-0", 0, owner=top.ref))
    assert is_divided(world.state, top)
    assert names(world, top.uid) == ([], [])
