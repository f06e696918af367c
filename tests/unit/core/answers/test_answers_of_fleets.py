"""What is told of workloads that are counted together: the sum where it is of all, and their own where it is theirs."""

import pytest
from support.doubles import ON_DEMAND, SPOT, make_owner
from support.fleets import FleetWorld

from extender.core.answers.overview import Condition, overview
from extender.core.answers.pod import explain_pod
from extender.core.answers.replicas import standing_of
from extender.core.policy.provenance import settings_in_force
from extender.core.policy.workload import Workload
from extender.telemetry.catalogue import OFF_TARGET, REPLICAS_SURPLUS, REPLICAS_WANTED
from extender.telemetry.workloads import WorkloadSums


@pytest.fixture
def world() -> FleetWorld:
    """Ten Deployments of one replica, whose pods are all on-demand."""
    made = FleetWorld()
    made.offered = [name for name in made.offered if name.startswith(ON_DEMAND)]
    for number in range(10):
        made.deploy(f"w-{number}")
    return made


TEXT = "counted over PlacementPolicy shop/web: 7/3 of 10, 0/10 there"


def test_a_row_has_its_own_replicas_and_a_line_about_all(world: FleetWorld) -> None:
    row = next(row for row in overview(world.state, world.now).workloads if row.name == "w-3")
    assert row.counted == TEXT
    assert (row.wanted[ON_DEMAND], row.actual[ON_DEMAND], row.surplus, row.missing) == (1, 1, 0, 0)
    assert row.conditions == (Condition.OFF_TARGET,)
    world.nodes(spot=2)
    world.converge()
    rows = overview(world.state, world.now).workloads
    assert {row.counted for row in rows} == {"counted over PlacementPolicy shop/web: 7/3 of 10"}
    assert not any(row.conditions for row in rows)


def test_what_is_missing_is_wanted_on_the_seats_that_are_free(world: FleetWorld) -> None:
    world.up(make_owner("Deployment", "w-3", 3, all_labels={"tier": "web"}))
    row = next(row for row in overview(world.state, world.now).workloads if row.name == "w-3")
    assert (row.wanted, row.missing) == ({SPOT: 2, ON_DEMAND: 1}, 2)


def test_metrics_have_the_sum_of_all(world: FleetWorld) -> None:
    sums = WorkloadSums()
    for workload in world.state.workloads.by_uid.values():
        standing = standing_of(world.state, workload)
        assert standing is not None
        sums.add(standing)
    told = {reading.family: reading.values for reading in sums.readings()}
    assert told[REPLICAS_WANTED]["enforce", SPOT] == 7
    assert told[REPLICAS_WANTED]["enforce", ON_DEMAND] == 3
    assert told[REPLICAS_SURPLUS]["enforce",] == 7
    assert told[OFF_TARGET]["enforce",] == 10


def test_a_pod_is_explained_by_the_seats_of_all(world: FleetWorld) -> None:
    explained = explain_pod(world.state, world.state.pods["pod-0004"], world.now)
    assert (explained.counted, explained.seat) == (TEXT, None)
    assert {each.capacity_class: (each.target, each.filled) for each in explained.seats} == {
        SPOT: (7, 0),
        ON_DEMAND: (3, 10),
    }
    assert explained.outcome is not None
    assert explained.outcome.wanted == SPOT


def test_a_floor_of_its_own_is_told_as_its_own(world: FleetWorld) -> None:
    def floor(name: str) -> tuple[str, str, bool]:
        workload: Workload = world.state.workloads.by_uid[world.tops[name].uid]
        (found,) = (each for each in settings_in_force(world.state.workloads, workload) if each.key == "min-on-demand")
        return found.value, found.source, found.applied

    world.say("w-0", min_on_demand=1)
    assert floor("w-0") == ("1", "Deployment shop/w-0", True)
    assert floor("w-1")[0] == "0"
