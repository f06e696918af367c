"""A preview is what plans say one after another, in order and in slices, on a history that stays as it is."""

from typing import Any

import pytest
from support.doubles import ENABLED, keys, make_budget, make_owner, selector
from support.drifting import DriftWorld

from extender.core.drift.moves import DriftPlan
from extender.core.drift.preview import Knowledge, held_back, paused_by, preview
from extender.core.drift.turns import SLICE, in_turn, slices
from extender.core.model.reasons import Reason
from extender.core.model.steps import run_steps


@pytest.fixture
def world() -> DriftWorld:
    made = DriftWorld()
    made.nodes(spot=1, on_demand=1)
    made.drifted("web", on_demand=7, spot=3)
    made.drifted("guarded")
    made.drifted("audited", policy={"mode": "audit"})
    made.up(make_budget("calm", selector(app="guarded-1"), 0))
    return made


def shown(world: DriftWorld, *only: str, **known: Any) -> DriftPlan:
    return run_steps(preview(world.state, Knowledge(world.history, world.rules, **known), world.now, only or None))


def test_of_a_few_workloads_it_is_their_plan_and_changes_nothing(world: DriftWorld) -> None:
    plan = world.plan()
    assert shown(world) == plan
    assert shown(world, "uid-Deployment-web") == world.plan(["uid-Deployment-web"])
    assert (world.history.workloads, world.plan()) == ({}, plan)


def test_what_is_moved_in_one_slice_is_not_there_for_the_next() -> None:
    world = DriftWorld()
    world.nodes(spot=1, on_demand=1)
    for number in range(SLICE + 20):
        world.drifted(f"w-{number:03}")
    made = shown(world)
    assert [move.workload.name for move in made.moves] == [f"w-{number:03}" for number in range(10)]
    assert {stay.reason for stay in made.stays} == {Reason.CLUSTER_BUDGET}
    assert len(made.stays) == SLICE + 10
    steps = preview(world.state, Knowledge(world.history, world.rules), world.now)
    assert sum(1 for _ in steps) == 4


def test_a_workload_whose_history_cannot_be_read_is_held_back(world: DriftWorld) -> None:
    plan = held_back(world.plan(), {"uid-Deployment-web": "it is garbled"})
    assert [move.workload.name for move in plan.moves] == ["audited"]
    kept = [(stay.reason, stay.detail) for stay in plan.stays if stay.workload.name == "web"]
    assert kept == [(Reason.MEMORY, "it is garbled")] * 2
    assert held_back(world.plan(), {}) == world.plan()


def test_who_is_held_back_takes_nothing_from_others() -> None:
    world = DriftWorld()
    world.nodes(spot=1, on_demand=1)
    for number in range(11):
        world.drifted(f"w-{number:02}")
    assert [move.workload.name for move in shown(world).moves] == [f"w-{number:02}" for number in range(10)]
    made = shown(world, unreadable={"uid-Deployment-w-00": "it is garbled"})
    assert [move.workload.name for move in made.moves] == [f"w-{number:02}" for number in range(1, 11)]
    (stay,) = made.stays
    assert (stay.workload.name, stay.reason, stay.detail) == ("w-00", Reason.MEMORY, "it is garbled")


def test_while_the_loop_is_paused_every_pod_stays(world: DriftWorld) -> None:
    plan = shown(world)
    assert paused_by(plan, None) == plan
    paused = paused_by(plan, Reason.MEMORY)
    assert (paused.moves, paused.paused) == ((), Reason.MEMORY)
    assert len(paused.stays) == len(plan.moves) + len(plan.stays)
    assert {stay.reason for stay in paused.stays[: len(plan.moves)]} == {Reason.MEMORY}


def test_it_says_that_nothing_is_moved_even_where_there_is_nothing_to_move() -> None:
    world = DriftWorld()
    assert shown(world, current=False) == DriftPlan(paused=Reason.STALE)


def test_all_jobs_of_a_cron_job_are_in_it(world: DriftWorld) -> None:
    cron = make_owner("CronJob", "nightly", labels=ENABLED, annotations=keys(spot_percentage=100))
    jobs = [make_owner("Job", f"nightly-{number}", 1, owner=cron.ref) for number in range(2)]
    world.up(cron, *jobs)
    for job in jobs:
        world.pods(job.ref, 1, "on-demand-0")
    stays = [stay for stay in shown(world).stays if stay.workload.kind == "Job"]
    assert [stay.workload.name for stay in stays] == ["nightly-0", "nightly-1"]
    assert {stay.reason for stay in stays} == {Reason.RUNS_TO_COMPLETION}


def test_each_workload_has_one_turn() -> None:
    turns = in_turn(["a"], ["c", "a"], {"d", "b", "c"}, ["e", "a"])
    assert turns == ["a", "c", "b", "d", "e"]
    assert [len(part) for part in slices([str(number) for number in range(2 * SLICE + 1)])] == [SLICE, SLICE, 1]
