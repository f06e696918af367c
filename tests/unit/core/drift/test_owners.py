"""Sizes that are not those of the pods, rollouts at rest, and Jobs that are nearly done."""

from typing import Any

import pytest
from support.doubles import ENABLED, ON_DEMAND, SPOT, keys, make_owner, make_pod
from support.drifting import DriftWorld

from extender.core.answers.overview import Condition, overview
from extender.core.answers.pod import explain_pod
from extender.core.drift.judge import judge
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason


@pytest.fixture
def world() -> DriftWorld:
    made = DriftWorld()
    made.nodes(spot=2, on_demand=2)
    return made


def task_managers(world: DriftWorld, spot: int, on_demand: int, kind: str = "Deployment") -> OwnerRef:
    """A Deployment of one JobManager that controls other pods itself."""
    top = make_owner(kind, "jm", 1, labels=ENABLED, annotations=keys(spot_percentage=70))
    world.up(top)
    if kind == "Deployment":
        rs = make_owner("ReplicaSet", "jm-1", 1, owner=top.ref)
        world.up(rs)
        world.pods(rs.ref, 1, "on-demand-0")
    world.pods(top.ref, on_demand, "on-demand-1")
    world.pods(top.ref, spot, "spot-0", start=on_demand)
    return top.ref


class TestPodsOfADeploymentItself:
    def test_their_own_number_is_their_size(self, world: DriftWorld) -> None:
        owner = task_managers(world, spot=7, on_demand=3)
        plan = world.plan()
        assert (plan.moves, plan.stays, plan.off_target) == ((), (), ())
        (row,) = overview(world.state, world.now).workloads
        assert (row.conditions, row.surplus, row.replicas) == ((), 0, 11)
        assert row.wanted == {SPOT: 7, ON_DEMAND: 4}
        explained = explain_pod(world.state, world.state.pods["jm-0"], world.now)
        assert (explained.surplus, explained.replicas) == (None, None)
        assert world.state.workloads.by_uid.keys() == {owner.uid}

    def test_they_are_moved_back_one_after_another(self, world: DriftWorld) -> None:
        owner = task_managers(world, spot=5, on_demand=5)
        (move,) = world.plan().moves
        assert (move.source, move.destination) == (ON_DEMAND, SPOT)
        for _ in range(4):
            world.cycle()
        assert world.split(owner) == {SPOT: 7, ON_DEMAND: 3}
        assert not world.plan().off_target

    def test_a_move_waits_for_the_replacement_although_the_deployment_has_as_many_as_it_says(
        self, world: DriftWorld
    ) -> None:
        task_managers(world, spot=5, on_demand=5)
        (move,) = world.plan().moves
        world.start(move)
        world.gone("pods", move.pod.uid)
        assert list(judge(world.state, world.history, world.rules, world.now)) == []

    def test_a_rollout_of_the_deployment_is_one_of_theirs_no_longer_than_it_lasts(self, world: DriftWorld) -> None:
        task_managers(world, spot=5, on_demand=5)
        world.up(make_owner("Deployment", "jm", 1, labels=ENABLED, annotations=keys(spot_percentage=70), rolling=True))
        assert world.reasons() == [Reason.ROLLOUT]
        world.up(make_owner("Deployment", "jm", 1, labels=ENABLED, annotations=keys(spot_percentage=70)))
        assert world.plan().moves

    def test_a_custom_kind_that_has_others_make_pods(self, world: DriftWorld) -> None:
        """Its size may be that of its StatefulSet, so that nothing is moved by it; of one with a Job it is its own."""
        owner = task_managers(world, spot=5, on_demand=5, kind="Database")
        (off,) = world.plan().off_target
        assert (off.replicas, off.surplus) == (1, 9)
        world.up(make_owner("Job", "prepare", 1, owner=owner))
        assert world.plan().off_target[0].replicas == 1
        world.up(make_owner("StatefulSet", "db", 1, owner=owner))
        (off,) = world.plan().off_target
        assert (off.replicas, off.target) == (10, {SPOT: 7, ON_DEMAND: 3})
        assert world.reasons() == [Reason.SIZE_UNKNOWN]
        world.gone("statefulsets.apps", "uid-StatefulSet-db")
        assert world.plan().off_target[0].replicas == 1


class TestRolloutsAtRest:
    def half_way(self, world: DriftWorld, **fields: Any) -> None:
        top = make_owner("Rollout", "web", 10, labels=ENABLED, annotations=keys(spot_percentage=50), **fields)
        world.up(top)
        for number, count in ((1, 8), (2, 2)):
            rs = make_owner("ReplicaSet", f"web-{number}", count, owner=top.ref)
            world.up(rs)
            world.pods(rs.ref, count, f"on-demand-{number - 1}")

    def test_pods_are_moved_while_a_canary_waits(self, world: DriftWorld) -> None:
        self.half_way(world, resting=True)
        assert world.plan().moves

    @pytest.mark.parametrize("rolling", [True, False])
    def test_none_is_while_it_goes_on(self, world: DriftWorld, rolling: bool) -> None:
        self.half_way(world, rolling=rolling)
        assert world.reasons() == [Reason.ROLLOUT]

    def test_one_object_with_pods_of_two_revisions(self, world: DriftWorld) -> None:
        for resting in (True, False):
            owner = make_owner(
                "Database",
                "db",
                10,
                labels=ENABLED,
                annotations=keys(spot_percentage=50),
                resting=resting,
                rolling=not resting,
            )
            world.up(owner)
            world.pods(owner.ref, 10, "on-demand-0")
            assert bool(world.plan().moves) is resting


class TestTailsOfJobs:
    @pytest.mark.parametrize("replicas", [None, 1, 0])
    def test_nothing_is_to_report_of_the_pods_that_are_left(self, world: DriftWorld, replicas: int | None) -> None:
        policy = keys(spot_percentage=50, min_on_demand=2)
        job = make_owner("Job", "wq", replicas, labels=ENABLED, annotations=policy, tail=True)
        world.up(job)
        world.pods(job.ref, 1, "spot-0")
        (row,) = overview(world.state, world.now).workloads
        assert (row.conditions, row.below_floor, row.surplus) == ((), 0, 0)
        assert row.wanted == row.actual == {SPOT: 1, ON_DEMAND: 0}
        plan = world.plan()
        assert (plan.off_target, plan.stays) == ((), ())

    def test_a_pod_that_is_missing_is(self, world: DriftWorld) -> None:
        policy = keys(spot_percentage=50, min_on_demand=2)
        job = make_owner("Job", "wq", 2, labels=ENABLED, annotations=policy, tail=True)
        world.up(job, make_pod("new", job.ref))
        world.pods(job.ref, 1, "spot-0")
        (row,) = overview(world.state, world.now).workloads
        assert row.wanted == {SPOT: 1, ON_DEMAND: 1}
        assert row.conditions == (Condition.FLOOR_BREACHED, Condition.WAITING)
