"""What the drift loop does for workloads that are counted together."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.doubles import ON_DEMAND, SPOT, make_node
from support.examples import examples
from support.fleets import FREE, FleetWorld

from extender.core.drift.attention import Attention
from extender.core.model.reasons import Reason
from extender.core.state.fleets import FleetKey, Fleets


def split(spot: int, on_demand: int) -> dict[str, int]:
    return {SPOT: spot, ON_DEMAND: on_demand}


@pytest.fixture
def world() -> FleetWorld:
    """Two large workloads and ten small ones, 70 replicas on their split."""
    made = FleetWorld()
    for number in range(10):
        made.deploy(f"small-{number}")
    made.deploy("a", 30)
    made.deploy("b", 30)
    assert made.on() == split(49, 21)
    return made


def test_a_fleet_on_its_split_has_nothing_to_do(world: FleetWorld) -> None:
    assert world.plan().off_target == ()


def test_scale_in_leaves_the_sum_to_the_loop(world: FleetWorld) -> None:
    for name in ("small-0", "small-1", "small-2", "small-3", "small-4", "small-5"):
        world.delete(name)
    held, wanted = world.on(), 64 * 70 // 100
    surplus = abs(held[SPOT] - wanted)
    assert world.converge() == surplus
    assert world.on() == split(wanted, 64 - wanted)


def test_no_more_is_moved_than_the_fleet_has_too_many_of() -> None:
    made = FleetWorld()
    made.offered = [name for name in made.offered if name.startswith(ON_DEMAND)]
    for name in ("a", "b", "c"):
        made.deploy(name, 20)
    assert made.on() == split(0, 60)
    moves = made.plan().moves
    assert len(moves) == 42
    assert {move.workload.name for move in moves} >= {"a", "b"}
    for name in ("a", "b", "c"):
        part = made.plan(only=[made.tops[name].uid])
        assert len(part.moves) <= 20
    # What was started for one workload is off what is left to the others.
    started = made.plan(only=[made.tops["a"].uid]).moves
    for move in started:
        made.start(move)
    assert len(made.plan().moves) == 42 - len(started)
    assert len(made.plan(only=[made.tops["b"].uid]).moves) == 20


def test_as_many_stay_as_are_too_many_whoever_could_go() -> None:
    made = FleetWorld()
    made.offered = [name for name in made.offered if name.startswith(ON_DEMAND)]
    for number in range(10):
        made.deploy(f"w-{number}")
    made.rules = replace(FREE, singletons=False)
    told = made.plan()
    assert not told.moves
    assert [stay.reason for stay in told.stays] == [Reason.SINGLETON] * 7


def test_an_own_floor_is_seen_to_though_the_sum_is_right() -> None:
    made = FleetWorld()
    for number in range(10):
        made.deploy(f"w-{number}")
    assert made.on() == split(7, 3)
    name = next(name for name in made.tops if made.on(name) == split(1, 0))
    made.say(name, min_on_demand=1)
    assert made.converge() == 2
    assert made.on() == split(7, 3)
    assert made.on(name) == split(0, 1)


def test_pods_of_a_floor_are_not_moved() -> None:
    made = FleetWorld()
    made.offered = [name for name in made.offered if name.startswith(ON_DEMAND)]
    for number in range(10):
        floor: dict[str, Any] = {"min_on_demand": 1} if number < 3 else {}
        made.deploy(f"w-{number}", **floor)
    made.converge()
    assert made.on() == split(7, 3)
    assert made.on("w-0", "w-1", "w-2") == split(0, 3)


def test_a_rolling_workload_is_left_alone_and_the_others_are_not() -> None:
    made = FleetWorld()
    made.offered = [name for name in made.offered if name.startswith(ON_DEMAND)]
    made.deploy("a", 10)
    made.deploy("b", 10)
    made.roll_out("a")
    made.surge("a")
    assert {move.workload.name for move in made.plan().moves} == {"b"}


def test_a_threatened_fleet_leaves_for_the_seats_of_the_sum() -> None:
    made = FleetWorld()
    for number in range(10):
        made.deploy(f"w-{number}")
    made.up(make_node("spot-0", SPOT, going_away="taint", interrupted=True, reclaimed=True))
    destinations = [move.destination for move in made.plan().moves]
    assert destinations == [SPOT] * 7


def test_when_one_changes_the_others_are_looked_at() -> None:
    made = FleetWorld(50)
    for number in range(4):
        made.deploy(f"w-{number}")
    attention = Attention(made.state)
    made.state.outbox.clear()
    name = next(name for name in made.tops if made.on(name) == split(1, 0))
    made.scale(name, 0)
    other = next(other for other in made.tops if made.on(other) == split(1, 0))
    made.scale(other, 0)
    assert made.on() == split(0, 2)
    assert set(attention.due((), (), drain=False)) == {top.uid for top in made.tops.values()}
    assert made.converge() == 1
    attention.due((), (), drain=False)
    assert not attention.due((), (), drain=False)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["deploy", "scale", "scale", "roll", "surge", "finish", "delete", "floor", "out"]),
        st.integers(0, 5),
        st.integers(0, 6),
        st.integers(0, 3),
    ),
    max_size=25,
)


def walk(world: FleetWorld, operations: list[tuple[str, int, int, int]]) -> None:
    """Deployments come, go, are scaled and rolled out."""
    for what, which, size, floor in operations:
        name = f"w-{which}"
        policy: dict[str, Any] = {"min_on_demand": floor} if floor else {}
        if name not in world.tops:
            world.deploy(name, size, **policy)
        elif what == "scale":
            world.finish(name)
            world.scale(name, size)
        elif what == "roll":
            world.roll_out(name)
        elif what in ("surge", "finish"):
            getattr(world, what)(name)
        elif what == "delete":
            world.delete(name)
        elif what == "floor":
            world.say(name, **policy)
        elif what == "out":
            world.say(name, spot_percentage=50)


@examples(150)
@given(st.integers(0, 100), st.integers(0, 3), OPERATIONS)
def test_any_walk_ends_at_the_split_of_the_sum_with_every_floor_kept(
    percentage: int, base: int, operations: list[tuple[str, int, int, int]]
) -> None:
    world = FleetWorld(percentage, base)
    walk(world, operations)
    for name in world.tops:
        world.finish(name)
    world.converge()
    members = [name for name in world.tops if "spotmix.io/spot-percentage" not in world.tops[name].annotations]
    floors = {name: int(world.tops[name].annotations.get("spotmix.io/min-on-demand", "0")) for name in members}
    sizes = {name: world.tops[name].replicas or 0 for name in members}
    total = sum(sizes.values())
    least = sum(min(floors[name], sizes[name]) for name in members)
    spot = max(0, min(total * percentage // 100, total - max(base, least)))
    held = Counter[str]()
    for name in members:
        held.update(world.on(name))
    assert {SPOT: held[SPOT], ON_DEMAND: held[ON_DEMAND]} == split(spot, total - spot)
    for name in members:
        assert world.on(name)[ON_DEMAND] >= min(floors[name], sizes[name])


@examples(60)
@given(OPERATIONS.filter(bool))
def test_sums_that_are_kept_are_those_that_are_counted_anew(operations: list[tuple[str, int, int, int]]) -> None:
    world = FleetWorld()
    for operation in operations:
        walk(world, [operation])
        kept = sums(world.state.fleets)
    for gone in (True, False):
        for workload in world.state.workloads.by_uid.values():
            world.state.fleets.policy_changed(workload, gone=gone)
        if gone:
            assert not world.state.fleets.all()
    assert kept == sums(world.state.fleets)


def sums(fleets: Fleets) -> dict[FleetKey, tuple[object, ...]]:
    return {
        key: (each.replicas, each.floor, each.owed, *(+Counter(c) for c in (each.filled, each.bound, each.reserved)))
        for key, each in fleets.all().items()
    }
