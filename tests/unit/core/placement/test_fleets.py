"""`count: Policy`: all workloads of a policy are placed by one sequence of seats."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.doubles import ON_DEMAND, SPOT, make_owner, make_pod, make_policy, make_view, shares
from support.examples import examples
from support.fleets import WEB, FleetWorld

from extender.core.model.policies import ClassWish
from extender.core.model.reasons import Reason
from extender.core.policy.floored import FlooredSeats, lowest
from extender.core.policy.seats import TwoClassSeats
from extender.core.state.records import Reservation


def split(spot: int, on_demand: int) -> dict[str, int]:
    return {SPOT: spot, ON_DEMAND: on_demand}


def small(count: int = 40) -> FleetWorld:
    """Deployments of one replica."""
    world = FleetWorld()
    for number in range(count):
        world.deploy(f"w-{number:02}")
    return world


def test_many_small_workloads_have_the_ratio_together() -> None:
    assert small().on() == split(28, 12)


def test_a_burst_is_exact_whoever_comes_first() -> None:
    world = FleetWorld()
    for number in range(40):
        world.deploy(f"w-{number:02}", wait=True)
    for number in reversed(range(40)):
        world.fill(f"w-{number:02}")
        placed = world.on()
        assert placed[SPOT] == (placed[SPOT] + placed[ON_DEMAND]) * 70 // 100
    assert world.on() == split(28, 12)


def test_pods_that_the_watch_does_not_know_yet_are_counted_among_each_other() -> None:
    world = FleetWorld()
    names = [f"w-{number:02}" for number in range(10)]
    for name in names:
        world.deploy(name, wait=True)
    decisions = [
        world.decide(make_view(name, world.sets[name][-1].ref), world.offered, met=False).capacity_class
        for name in names
    ]
    assert decisions.count(SPOT) == 7


def test_new_pods_of_rollouts_take_over_the_seats_of_old_ones() -> None:
    world = small()
    rolled = [f"w-{number:02}" for number in range(10)]
    before = {name: world.on(name) for name in rolled}
    for name in rolled:
        world.roll_out(name)
    # All surge before the first of the old pods is gone.
    for name in rolled:
        newest = world.sets[name][-1] = replace(world.sets[name][-1], replicas=1)
        world.up(newest)
        world.put(newest.ref)
        assert world.on(name) == {each: 2 * count for each, count in before[name].items()}
    for name in rolled:
        for old in world.sets[name][:-1]:
            world.shrink(replace(old, replicas=0), 0)
    assert world.on() == split(28, 12)


def test_a_larger_workload_rolls_out_within_the_sum() -> None:
    world = small(10)
    world.deploy("large", 30)
    assert world.on() == split(28, 12)
    world.roll_out("large")
    for _ in range(30):
        world.surge("large")
        counted = world.fleet.filled
        assert counted == world.on()
    assert world.on() == split(28, 12)


def test_one_that_grows_within_a_rollout_counts_as_large_as_its_newest_revision_says() -> None:
    world = small(10)
    world.roll_out("w-00")
    # The ReplicaSet is heard of before the Deployment.
    world.up(replace(world.sets["w-00"][-1], replicas=3))
    assert world.fleet.replicas == 12


def test_a_rollback_makes_the_old_revision_the_newest() -> None:
    world = small(10)
    world.roll_out("w-00")
    first, second = world.sets["w-00"]
    world.up(replace(second, replicas=1))
    world.put(second.ref)
    world.up(replace(first, revision=3))
    world.sets["w-00"] = [second, replace(first, revision=3)]
    assert sum(world.fleet.filled.values()) == 10
    pod, _ = world.place(first.ref, world.offered)
    world.up(pod)
    # Both pods of the first revision count then, and none of the second.
    assert sum(world.fleet.filled.values()) == 11


def test_one_that_grows_takes_the_next_seats_of_the_sum() -> None:
    world = small()
    world.scale("w-07", 5)
    assert world.on() == split(30, 14)


def test_ordinals_say_nothing_about_seats_of_many() -> None:
    world = small(9)
    assert world.on() == split(6, 3)
    world.up(make_owner("StatefulSet", "db", 1, all_labels=WEB))
    _, decision = world.place(make_owner("StatefulSet", "db").ref, world.offered, name="db-0")
    # By its ordinal it had the first seat, which is on-demand.
    assert (decision.capacity_class, decision.reason) == (SPOT, Reason.SEAT)


def test_a_floor_of_one_workload_is_kept_and_the_others_make_up_for_it() -> None:
    world = FleetWorld()
    for number in range(40):
        floor = {"min_on_demand": 1} if number >= 30 else {}
        world.deploy(f"w-{number:02}", wait=True, **floor)
    for number in range(40):
        world.fill(f"w-{number:02}")
    assert world.on() == split(28, 12)
    assert world.on(*(f"w-{number:02}" for number in range(30, 40))) == split(0, 10)


def test_floors_beyond_the_share_give_more_on_demand() -> None:
    world = FleetWorld()
    for number in range(10):
        world.deploy(f"w-{number}", wait=True, **({"min_on_demand": 2} if number < 6 else {}))
    for number in range(10):
        world.fill(f"w-{number}")
    assert world.on() == split(4, 6)


def test_a_floor_of_the_policy_is_one_of_all() -> None:
    world = FleetWorld(base=2)
    for number in range(4):
        world.deploy(f"w-{number}")
    assert world.on() == split(2, 2)


def test_a_split_of_its_own_takes_a_workload_out() -> None:
    world = small(20)
    world.deploy("alone", 10, spot_percentage=0)
    assert world.on("alone") == split(0, 10)
    world.deploy("capped", 10, max_spot=3)
    assert world.on("capped") == split(3, 7)
    assert (world.fleet.replicas, world.fleet.filled) == (20, split(14, 6))


def test_who_leaves_is_not_counted_any_more() -> None:
    world = small(20)
    world.delete("w-00")
    assert (world.fleet.replicas, sum(world.fleet.filled.values())) == (19, 19)
    world.say("w-01", {"spotmix.io/enabled": "false"})
    assert (world.fleet.replicas, sum(world.fleet.filled.values())) == (18, 18)
    world.say("w-02", spot_percentage=100)
    assert (world.fleet.replicas, sum(world.fleet.filled.values())) == (17, 17)
    world.up(make_policy("other", priority=1, **shares(50)))
    world.settle()
    assert not world.state.fleets.all()


def test_classes_that_two_keys_cannot_say_are_counted_together_as_well() -> None:
    capped = (ClassWish(ON_DEMAND, 1), ClassWish(SPOT, 9, most="50%"))
    world = FleetWorld(classes=capped)
    for number in range(10):
        world.deploy(f"w-{number}", wait=True, **({"min_on_demand": 1} if number > 6 else {}))
    for number in range(10):
        world.fill(f"w-{number}")
    assert world.on() == split(5, 5)
    assert world.on("w-7", "w-8", "w-9") == split(0, 3)
    # A split by one key takes it out of one that is said in another way, too.
    world.deploy("alone", 4, spot_percentage=100)
    assert world.on("alone") == split(4, 0)
    assert world.fleet.replicas == 10


def test_one_that_is_only_watched_takes_no_seat_from_those_that_are_placed() -> None:
    world = small(20)
    world.deploy("watched", 10, mode="audit")
    (enforced, watched) = sorted(world.state.fleets.all().values(), key=lambda each: -each.replicas)
    assert (enforced.replicas, enforced.filled) == (20, split(14, 6))
    assert watched.replicas == 10


def test_a_seat_that_was_chosen_is_kept_when_the_pod_is_tried_again() -> None:
    world = small(3)
    world.deploy("late", wait=True)
    owner = world.sets["late"][-1].ref
    first = world.decide(make_view("late", owner), world.offered)
    for number in range(7):
        world.deploy(f"more-{number}")
    again = world.decide(make_view("late", owner), world.offered)
    assert (again.wanted, again.reason) == (first.wanted, Reason.SEAT)


def test_a_fleet_of_many_namespaces() -> None:
    world = FleetWorld()
    world.up(make_policy("all", of_cluster=True, count="Policy", **shares(50)))
    world.settle()
    for number in range(4):
        world.deploy(f"w-{number}")
    # The more specific policy says the split.
    assert [each.title for each in world.state.fleets.all().values()] == ["PlacementPolicy shop/web"]
    world.gone("placementpolicies.spotmix.io", "uid-web")
    world.settle()
    assert [(each.title, each.replicas) for each in world.state.fleets.all().values()] == [
        ("ClusterPlacementPolicy all", 4)
    ]


def test_a_seat_reserved_for_a_replacement_counts_once() -> None:
    world = small(10)
    name = next(name for name in world.tops if world.on(name) == split(1, 0))
    owner = world.sets[name][-1].ref
    for pod in list(world.state.revisions[owner.uid].pods):
        world.gone("pods", pod.uid)
    world.state.apply(Reservation("replacing/x", "shop", owner, SPOT, world.now), world.now)
    assert world.fleet.reserved == {SPOT: 1}
    assert world.on() == split(7, 3)
    world.up(make_pod("new", owner))
    decision = world.decide(make_view("new", owner), world.offered)
    assert decision.capacity_class == SPOT
    assert sum(world.fleet.reserved.values()) == 1


@examples(300)
@given(st.integers(0, 100), st.integers(0, 5), st.integers(0, 12), st.integers(0, 60))
def test_floored_seats_are_house_monotone_and_agree_with_themselves(
    percentage: int, base: int, floor: int, replicas: int
) -> None:
    inner = TwoClassSeats(percentage, base=base)
    seats = FlooredSeats(inner, floor)
    target, alike = seats.target(replicas), TwoClassSeats(percentage, floor, base=base)
    assert target == alike.target(replicas)
    assert [seats.least(name) for name in target] == [alike.least(name) for name in target]
    more = seats.target(replicas + 1)
    assert sum(more.values()) == replicas + 1
    assert all(more[name] >= target[name] for name in target)
    name = seats.class_at(replicas + 1)
    assert more[name] == target[name] + 1
    assert seats.seat_of(name, more[name]) == replicas + 1


@examples(300)
@given(st.integers(0, 100), st.integers(0, 3), st.integers(0, 20), st.integers(0, 20), st.integers(0, 45))
def test_those_that_count_of_old_pods_are_on_the_lowest_seats(
    percentage: int, floor: int, spot: int, on_demand: int, most: int
) -> None:
    seats = TwoClassSeats(percentage, floor)
    held = split(spot, on_demand)
    kept = lowest(seats, held, most)
    assert sum(kept.values()) == min(most, spot + on_demand)
    assert all(kept[name] <= held[name] for name in kept)
    for more in range(most, spot + on_demand):
        larger = lowest(seats, held, more + 1)
        assert all(larger[name] >= count for name, count in kept.items())
