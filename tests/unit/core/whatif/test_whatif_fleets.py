"""What it would come to for a workload that is counted with others."""

from typing import Any

from support.doubles import ON_DEMAND, SPOT
from support.fleets import FleetWorld
from support.whatif import ask, one, some

from extender.core.answers.plan import WorkloadName
from extender.core.whatif.outlook import Change, LostPool


def fleet() -> FleetWorld:
    world = FleetWorld()
    for number in range(10):
        floor: dict[str, Any] = {} if number else {"min_on_demand": 1}
        world.deploy(f"w-{number}", **floor)
    assert world.on() == {SPOT: 7, ON_DEMAND: 3}
    return world


def test_new_pods_take_the_next_seats_of_the_sum() -> None:
    world = fleet()
    name = next(name for name in world.tops if world.on(name) == {SPOT: 1, ON_DEMAND: 0})
    before, after = one(ask(world, Change(WorkloadName("shop", "deploy", name), replicas=11)))
    assert (some(before.actual), some(before.wanted)) == ({SPOT: 1}, {SPOT: 1})
    assert some(after.actual) == some(after.wanted) == {SPOT: 8, ON_DEMAND: 3}
    assert (after.surplus, after.moves.needed) == (0, 0)


def test_lost_pods_come_back_to_the_seats_that_they_had() -> None:
    world = fleet()
    world.nodes(spot=1, instance_type="m.small")
    seen = ask(world, Change(lost_pools=(LostPool(ON_DEMAND),)))
    eventual = [sum(each.after.actual.get(name, 0) for each in seen.workloads) for name in (SPOT, ON_DEMAND)]
    pending = sum(sum(each.after.pending.values()) for each in seen.workloads)
    assert (eventual, pending) == ([0, 0], 3)
