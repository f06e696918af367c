"""What a change would come to: scale, policy, lost pools, any of them at once."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import (
    ENABLED,
    ON_DEMAND,
    SPOT,
    World,
    keys,
    make_claim,
    make_namespace,
    make_node,
    make_owner,
    make_pod,
    make_volume,
    ref,
)

from extender.core.drift.rules import DriftRules
from extender.core.errors import ChangeError, NotFoundError
from extender.core.objects import OwnerRef, Protection, Requests
from extender.core.outlook import Change, LostPool, Moves, Outlook, WhatIf, WorkloadName
from extender.core.reasons import Reason
from extender.core.selectors import Requirement
from extender.core.whatif import what_if, what_if_in_steps

WEB = WorkloadName("deploy", "shop", "web")
ROOM_FOR = 1000


@pytest.fixture
def world() -> World:
    return World()


def nodes(world: World, capacity_class: str, *rooms: int, **fields: object) -> list[str]:
    """Nodes with room for so many pods of 100m each."""
    names = []
    for number, room in enumerate(rooms):
        name = f"{capacity_class}-{fields.get('zone', 'a')}-{number}"
        world.up(make_node(name, capacity_class, allocatable=Requests(cpu=100 * room), **fields))
        names.append(name)
    return names


def free(world: World, names: Sequence[str], cpu: int = 100) -> list[str]:
    """Those that a scheduler would offer."""
    return [
        name
        for name in names
        if (node := world.state.nodes[name]).facts is not None and node.cpu + cpu <= node.facts.allocatable.cpu
    ]


def fill(world: World, owner: OwnerRef, count: int, names: Sequence[str]) -> None:
    """Pods one by one, each decided on and bound as soon as it is made."""
    for _ in range(count):
        add(world, owner, names)


def add(world: World, owner: OwnerRef, names: Sequence[str]) -> None:
    number = len(world.state.pods)
    offered = free(world, names)
    pod, decision = world.place(owner, offered, uid=f"{owner.name}-{number}")
    bound = bool(decision.nodes if decision.nodes is not None else offered)
    world.up(msgspec.structs.replace(pod, node=pod.node if bound else "", created=float(number)))


def ask(world: World, change: Change) -> WhatIf:
    before = frozen(world)
    seen = what_if(world.state, change, world.now)
    assert frozen(world) == before, "the state was changed"
    msgspec.json.encode(seen)
    check(world, seen)
    return seen


def frozen(world: World) -> object:
    state = world.state
    return (
        {name: (len(node.pods), node.cpu, node.facts) for name, node in state.nodes.items()},
        {uid: (pod.node.name if pod.node else "", pod.counted, pod.terminating) for uid, pod in state.pods.items()},
        {uid: (dict(each.filled), dict(each.reserved)) for uid, each in state.revisions.items()},
        {uid: (owner.replicas, owner.annotations) for uid, owner in state.workloads.owners.items()},
        {uid: each.parsed for uid, each in state.workloads.by_uid.items()},
        set(state.unbound),
    )


def check(world: World, seen: WhatIf) -> None:
    """What holds of every answer."""
    for row in seen.workloads:
        for outlook in (row.before, row.after):
            assert sum(outlook.actual.values()) + sum(outlook.pending.values()) == outlook.replicas
            assert outlook.moves.needed == outlook.moves.possible + sum(outlook.moves.blocked.values())
            assert outlook.below_floor <= outlook.floor
    for side, outlooks in (
        (seen.before, [row.before for row in seen.workloads]),
        (seen.after, [row.after for row in seen.workloads]),
    ):
        assert side.replicas == sum(each.replicas for each in outlooks)
        assert sum(side.actual.values()) == sum(sum(each.actual.values()) for each in outlooks)


def one(seen: WhatIf) -> tuple[Outlook, Outlook]:
    (row,) = seen.workloads
    return row.before, row.after


def some(counts: object) -> dict[str, int]:
    assert isinstance(counts, dict)
    return {str(name): count for name, count in counts.items() if count}


# Scale


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
    assert (after.pending, after.moves, after.floor, after.below_floor) == ({}, Moves(), 2, 0)


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
    assert after.moves == Moves(2, 0, {Reason.NO_ROOM: 2})


def test_scaled_down_the_highest_seats_leave(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 20, spot_percentage=70, min_on_demand=2), 20, names)
    for size in range(21):
        seen = ask(world, Change(WEB, replicas=size))
        _, after = one(seen)
        assert some(after.actual) == some(after.wanted)
        assert (seen.workloads[0].removed, seen.workloads[0].made) == (20 - size, 0)


def test_what_leaves_makes_room_for_what_waits(world: World) -> None:
    names = nodes(world, SPOT, 10)
    fill(world, world.deployment("web", 8, spot_percentage=100, when_unsatisfiable="wait"), 8, names)
    fill(world, world.deployment("late", 6, spot_percentage=100, when_unsatisfiable="wait"), 6, names)
    seen = ask(world, Change(WEB, 6, lost_pools=(LostPool(ON_DEMAND),)) if False else Change(WEB, 6))
    assert some(one(seen)[1].actual) == {SPOT: 6}
    late = WorkloadName("deploy", "shop", "late")
    before, after = one(ask(world, Change(late, 9)))
    assert (some(before.actual), before.pending) == ({SPOT: 2}, {Reason.NO_ROOM: 4})
    assert (some(after.actual), after.pending) == ({SPOT: 2}, {Reason.NO_ROOM: 7})


def test_a_stateful_set_is_scaled_by_ordinals(world: World) -> None:
    names = nodes(world, SPOT, 50) + nodes(world, ON_DEMAND, 50)
    db = make_owner("StatefulSet", "db", 4, labels=ENABLED, annotations=keys(spot_percentage=50))
    world.up(db)
    for ordinal in range(4):
        pod, _ = world.place(ref(db), names, uid=f"u{ordinal}", name=f"db-{ordinal}")
        world.up(pod)
    name = WorkloadName("sts", "shop", "db")
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
    from extender.core.constraints import Constraints

    for ordinal, zone in enumerate("ab"):
        pod = make_pod(
            f"u{ordinal}",
            ref(db),
            f"spot-{zone}-0",
            name=f"db-{ordinal}",
            constraints=Constraints(claims=(f"data-db-{ordinal}",)),
        )
        world.up(
            pod,
            make_claim(f"data-db-{ordinal}", f"v{ordinal}"),
            make_volume(f"v{ordinal}", Requirement("zone", "In", (zone,))),
        )
    name = WorkloadName("sts", "shop", "db")
    seen = ask(world, Change(name, 4, lost_pools=(LostPool(zone="b"),)))
    _, after = one(seen)
    assert (some(after.actual), after.pending) == ({SPOT: 3}, {Reason.VOLUME: 1})
