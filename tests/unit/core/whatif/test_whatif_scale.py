"""What it would come to if a workload had another size."""

import pytest
from support.doubles import ENABLED, ON_DEMAND, SPOT, World, keys, make_claim, make_owner, make_pod, make_volume
from support.whatif import WEB, ask, fill, nodes, one, some

from extender.core.answers.plan import WorkloadName
from extender.core.model.constraints import Constraints
from extender.core.model.reasons import Reason
from extender.core.model.selectors import Requirement
from extender.core.whatif.outlook import Change, LostPool, MoveForecast


@pytest.fixture
def world() -> World:
    return World()


def test_scaled_up_new_pods_take_the_next_seats(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 10, spot_percentage=70, min_on_demand=2), 10, names)
    before, after = one(ask(world, Change(WEB, replicas=20)))
    assert (before.replicas, some(before.actual), some(before.wanted)) == (
        10,
        {SPOT: 7, ON_DEMAND: 3},
        {SPOT: 7, ON_DEMAND: 3},
    )
    assert (after.replicas, some(after.actual), some(after.wanted)) == (
        20,
        {SPOT: 14, ON_DEMAND: 6},
        {SPOT: 14, ON_DEMAND: 6},
    )
    assert (after.pending, after.moves, after.floor, after.below_floor) == ({}, MoveForecast(), 2, 0)


def test_what_finds_no_room_falls_back_or_waits(world: World) -> None:
    names = nodes(world, SPOT, 8) + nodes(world, ON_DEMAND, 5)
    owner = world.deployment("web", 10, spot_percentage=70)
    fill(world, owner, 10, names)
    _, after = one(ask(world, Change(WEB, replicas=12)))
    assert (some(after.actual), after.stand_ins) == ({SPOT: 8, ON_DEMAND: 4}, 0)
    _, after = one(ask(world, Change(WEB, replicas=20)))
    assert (some(after.actual), after.pending) == ({SPOT: 8, ON_DEMAND: 5}, {Reason.NO_ROOM: 7})
    assert sum(after.pending_classes.values()) == 7
    _, after = one(ask(world, Change(WEB, 14, {"when-unsatisfiable": "wait", "spot": "100%"})))
    assert (some(after.actual), after.pending, after.pending_classes) == (
        {SPOT: 8, ON_DEMAND: 3},
        {Reason.NO_ROOM: 3},
        {SPOT: 3},
    )


def test_fallback_waits_its_turn(world: World) -> None:
    """Pods that wait for spot hold their seats, so that on-demand seats are filled first; then they fall back."""
    names = nodes(world, SPOT, 2) + nodes(world, ON_DEMAND, 4)
    fill(world, world.deployment("web", 2, spot_percentage=50, fallback_after="5m"), 2, names)
    _, after = one(ask(world, Change(WEB, replicas=8)))
    assert (some(after.actual), after.stand_ins, after.pending_classes) == ({SPOT: 2, ON_DEMAND: 4}, 0, {SPOT: 2})
    nodes(world, ON_DEMAND, 2, zone="b")
    _, after = one(ask(world, Change(WEB, replicas=8)))
    assert (some(after.actual), after.stand_ins, after.surplus) == ({SPOT: 2, ON_DEMAND: 6}, 2, 2)
    assert after.moves == MoveForecast(2, 0, {Reason.NO_ROOM: 2})


def test_scaled_down_the_highest_seats_leave(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 20, spot_percentage=70, min_on_demand=2), 20, names)
    for size in range(21):
        seen = ask(world, Change(WEB, replicas=size))
        _, after = one(seen)
        assert some(after.actual) == some(after.wanted)
        assert (seen.workloads[0].removed, seen.workloads[0].made) == (20 - size, 0)


def test_scaled_down_pods_without_seats_leave_as_their_replicaset_deletes_them(world: World) -> None:
    world.now = 100_000.0
    world.nodes(spot=1, on_demand=2)
    owner = world.deployment("web", 4, mode="audit", spot_percentage=50)
    top = world.state.workloads.owners["uid-Deployment-web"]
    old = make_owner("ReplicaSet", "web-0", 1, owner=top.ref, created=-1.0)
    world.up(old, make_pod("old", old.ref, "on-demand-1"))
    for uid, node, ready_after in (
        # Ready for a long time, for less, and for as long but beside a pod of the old ReplicaSet.
        ("a", "on-demand-0", 10),
        ("b", "on-demand-0", 99_990),
        ("c", "spot-0", 10),
        ("d", "on-demand-1", 10),
    ):
        world.up(make_pod(uid, owner, node, ready_after=ready_after))
    for size, left in ((4, (1, 4)), (3, (1, 3)), (2, (1, 2)), (1, (1, 1))):
        _, after = one(ask(world, Change(WEB, replicas=size)))
        assert (after.actual[SPOT], after.actual[ON_DEMAND]) == left, size


def test_a_replicaset_of_its_own_does_not_ask_where_its_pods_are(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    alone = make_owner("ReplicaSet", "web", 3, labels=ENABLED, annotations=keys(mode="audit", spot_percentage=50))
    world.up(alone, *(make_pod(uid, alone.ref, node) for uid, node in (("a", "spot-0"), ("b", "on-demand-0"))))
    world.up(make_pod("c", alone.ref, "on-demand-0"))
    _, after = one(ask(world, Change(WorkloadName("shop", "rs", "web"), replicas=2)))
    assert some(after.actual) == {ON_DEMAND: 2}


def test_what_waits_takes_no_room_and_goes_on_waiting(world: World) -> None:
    names = nodes(world, SPOT, 10)
    fill(world, world.deployment("web", 8, spot_percentage=100, when_unsatisfiable="wait"), 8, names)
    fill(world, world.deployment("late", 6, spot_percentage=100, when_unsatisfiable="wait"), 6, names)
    late = WorkloadName("shop", "deploy", "late")
    before, after = one(ask(world, Change(late, 9)))
    assert (some(before.actual), before.pending) == ({SPOT: 2}, {Reason.NO_ROOM: 4})
    assert (some(after.actual), after.pending) == ({SPOT: 2}, {Reason.NO_ROOM: 7})


def test_a_stateful_set_is_scaled_by_ordinals(world: World) -> None:
    names = nodes(world, SPOT, 50) + nodes(world, ON_DEMAND, 50)
    db = make_owner("StatefulSet", "db", 4, labels=ENABLED, annotations=keys(spot_percentage=50))
    world.up(db)
    for ordinal in range(4):
        pod, _ = world.place(db.ref, names, uid=f"u{ordinal}", name=f"db-{ordinal}")
        world.up(pod)
    name = WorkloadName("shop", "sts", "db")
    for size in (0, 1, 3, 4, 7):
        _, after = one(ask(world, Change(name, size)))
        assert some(after.actual) == some(after.wanted)
        assert after.surplus == 0


def test_volumes_bind_the_lost_and_not_the_new(world: World) -> None:
    nodes(world, SPOT, 5, zone="a", labels={"zone": "a"})
    nodes(world, SPOT, 5, zone="b", labels={"zone": "b"})
    db = make_owner(
        "StatefulSet", "db", 2, labels=ENABLED, annotations=keys(spot_percentage=100, when_unsatisfiable="wait")
    )
    world.up(db)

    for ordinal, zone in enumerate("ab"):
        pod = make_pod(
            f"u{ordinal}",
            db.ref,
            f"spot-{zone}-0",
            name=f"db-{ordinal}",
            constraints=Constraints(claims=(f"data-db-{ordinal}",)),
        )
        world.up(
            pod,
            make_claim(f"data-db-{ordinal}", f"v{ordinal}"),
            make_volume(f"v{ordinal}", Requirement("zone", "In", (zone,))),
        )
    name = WorkloadName("shop", "sts", "db")
    seen = ask(world, Change(name, 4, lost_pools=(LostPool(zone="b"),)))
    _, after = one(seen)
    assert (some(after.actual), after.pending) == ({SPOT: 3}, {Reason.VOLUME: 1})


def test_a_rollout_stays_where_it_is(world: World) -> None:
    names = nodes(world, SPOT, 50) + nodes(world, ON_DEMAND, 50)
    old = world.deployment("web", 6, spot_percentage=50)
    new = make_owner("ReplicaSet", "web-2", 4, owner=make_owner("Deployment", "web").ref, created=5.0)
    world.up(new)
    fill(world, old, 6, names)
    fill(world, new.ref, 4, names)
    world.annotate("web", 10, spot_percentage=50)
    seen = ask(world, Change(WEB, 16))
    assert some(one(seen)[1].actual) == {SPOT: 8, ON_DEMAND: 8}
    assert len(seen.notes) == 1
    assert "rollout" in seen.notes[0]
    _, after = one(ask(world, Change(WEB, 3)))
    assert (after.replicas, some(after.actual)) == (3, {SPOT: 1, ON_DEMAND: 2})


def test_a_replicaset_that_lags_its_deployment_comes_to_the_size_asked_for(world: World) -> None:
    names = nodes(world, SPOT, 50) + nodes(world, ON_DEMAND, 50)
    fill(world, world.deployment("web", 8, spot_percentage=50), 8, names)
    world.annotate("web", 10, spot_percentage=50)
    for size in (12, 10, 3):
        _, after = one(ask(world, Change(WEB, size)))
        assert (after.replicas, sum(after.actual.values())) == (size, size)


def test_a_rollout_keeps_its_surge(world: World) -> None:
    names = nodes(world, SPOT, 50) + nodes(world, ON_DEMAND, 50)
    old = world.deployment("web", 6, spot_percentage=50)
    new = make_owner("ReplicaSet", "web-2", 6, owner=make_owner("Deployment", "web").ref, created=5.0)
    world.up(new)
    fill(world, old, 6, names)
    fill(world, new.ref, 6, names)
    world.annotate("web", 10, spot_percentage=50)
    # Two more than the Deployment wants, before and after.
    before, after = one(ask(world, Change(WEB, 14)))
    assert (before.replicas, after.replicas, sum(after.actual.values())) == (12, 16, 16)


def test_a_replicaset_that_wants_pods_and_has_none_yet_is_part_of_the_rollout(world: World) -> None:
    names = nodes(world, SPOT, 50) + nodes(world, ON_DEMAND, 50)
    fill(world, world.deployment("web", 6, spot_percentage=50), 6, names)
    world.up(make_owner("ReplicaSet", "web-2", 4, owner=make_owner("Deployment", "web").ref, created=5.0))
    world.annotate("web", 10, spot_percentage=50)
    seen = ask(world, Change(WEB, 12))
    assert one(seen)[1].replicas == 12
    assert "rollout" in seen.notes[0]
    # One that wants none is over and done with.
    world.up(make_owner("ReplicaSet", "web-2", 0, owner=make_owner("Deployment", "web").ref, created=5.0))
    assert not ask(world, Change(WEB, 12)).notes


def test_without_pods_needs_are_not_known(world: World) -> None:
    nodes(world, SPOT, 5)
    world.deployment("web", 0, spot_percentage=100)
    seen = ask(world, Change(WEB, 3))
    assert some(one(seen)[1].actual) == {SPOT: 3}
    assert "no pods to know their needs from" in seen.notes[0]
