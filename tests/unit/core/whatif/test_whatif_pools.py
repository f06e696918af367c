"""What it would come to if pools of nodes were lost, alone and with other changes."""

import pytest
from support.doubles import ON_DEMAND, SPOT, World, make_pod
from support.whatif import WEB, ask, fill, nodes, one, some

from extender.core.model.constraints import Constraints, Spread
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.core.model.selectors import LabelSelector
from extender.core.whatif.outlook import Change, LostPool, MoveForecast


@pytest.fixture
def world() -> World:
    return World()


def test_a_lost_pool_is_replaced_on_what_is_left(world: World) -> None:
    names = nodes(world, SPOT, 20) + nodes(world, SPOT, 3, zone="b") + nodes(world, ON_DEMAND, 9)
    fill(world, world.deployment("web", 10, spot_percentage=70), 10, names[:1] + names[2:])
    fill(world, world.deployment("cart", 4, spot_percentage=100, when_unsatisfiable="wait"), 4, names[:1] + names[2:])
    world.up(
        make_pod("bare", None, names[0]), make_pod("agent", OwnerRef("d", "apps/v1", "DaemonSet", "agent"), names[0])
    )
    plain = world.deployment("plain", 1, labels={})
    world.up(make_pod("other", plain, names[0]))
    seen = ask(world, Change(lost_pools=(LostPool(SPOT, zone="a"),)))
    assert [(each.nodes, each.pods, each.managed) for each in seen.lost] == [(1, 14, 11)]
    assert (seen.nodes_before, seen.nodes_after) == ({SPOT: 2, ON_DEMAND: 1}, {SPOT: 1, ON_DEMAND: 1})
    assert some(seen.before.actual) == {SPOT: 11, ON_DEMAND: 3}
    assert sum(seen.after.actual.values()) + seen.bystanders.placed == 3 + 9
    assert seen.bystanders.gone == 2
    assert seen.after.pending
    rows = {row.name: row for row in seen.workloads}
    assert (rows["cart"].lost, rows["web"].lost, rows["web"].made) == (4, 7, 7)


def test_a_lost_floor_is_told(world: World) -> None:
    names = nodes(world, SPOT, 20) + nodes(world, ON_DEMAND, 20)
    fill(world, world.deployment("web", 10, spot_percentage=70, min_on_demand=3), 10, names)
    before, after = one(ask(world, Change(lost_pools=(LostPool(ON_DEMAND),))))
    assert (before.floor, before.below_floor) == (3, 0)
    assert (after.floor, after.below_floor, after.pending_classes) == (3, 3, {ON_DEMAND: 3})
    assert after.pending == {Reason.NO_NODE: 3}


def test_a_lost_zone_is_no_domain_to_spread_over(world: World) -> None:
    spread = Constraints(spread=(Spread("zone", 1, LabelSelector((("app", "web"),))),))
    for zone in "abc":
        nodes(world, SPOT, 9, zone=zone, labels={"zone": zone})
    owner = world.deployment("web", 6, spot_percentage=100, when_unsatisfiable="wait")
    for number in range(6):
        node = f"spot-{'abc'[number % 3]}-0"
        world.up(make_pod(f"w{number}", owner, node, labels={"app": "web"}, constraints=spread))
    _, after = one(ask(world, Change(WEB, 9, lost_pools=(LostPool(zone="c"),))))
    assert (some(after.actual), after.pending) == ({SPOT: 9}, {})
    tight = World()
    for zone, size in (("a", 9), ("b", 2), ("c", 9)):
        nodes(tight, SPOT, size, zone=zone, labels={"zone": zone})
    owner = tight.deployment("web", 6, spot_percentage=100, when_unsatisfiable="wait")
    for number in range(6):
        node = f"spot-{'abc'[number % 3]}-0"
        tight.up(make_pod(f"w{number}", owner, node, labels={"app": "web"}, constraints=spread))
    _, after = one(ask(tight, Change(WEB, lost_pools=(LostPool(zone="c"),))))
    assert (some(after.actual), after.pending) == ({SPOT: 5}, {Reason.SPREAD: 1})


def test_everything_at_once(world: World) -> None:
    names = nodes(world, SPOT, 20) + nodes(world, SPOT, 20, zone="b") + nodes(world, ON_DEMAND, 30)
    fill(world, world.deployment("web", 10, spot_percentage=50), 10, names)
    change = Change(
        WEB, 20, {"spot": "80%", "max-per-pool": "4"}, (LostPool(SPOT, zone="a"),), {SPOT: 0.3, ON_DEMAND: 1.0}
    )
    seen = ask(world, change)
    before, after = one(seen)
    assert (some(after.wanted), some(after.actual), after.stand_ins) == (
        {SPOT: 16, ON_DEMAND: 4},
        {SPOT: 4, ON_DEMAND: 16},
        11,
    )
    assert after.surplus == 12
    assert after.moves == MoveForecast(12, 0, {Reason.STAY_POOL_FULL: 12})
    assert before.nodes == {SPOT: 0.25, ON_DEMAND: 0.167}
    assert (before.cost, after.cost) == (0.242, 0.593)
    assert (seen.before.nodes, seen.after.cost) == (before.nodes, after.cost)
