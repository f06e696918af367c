"""What a change would come to: scale, policy, lost pools, any of them at once."""

import contextlib
import itertools
from collections.abc import Generator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
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

from extender.core.constraints import Constraints, Spread
from extender.core.drift.report import WorkloadName
from extender.core.drift.rules import DriftRules
from extender.core.errors import ChangeError, NotFoundError
from extender.core.objects import OwnerRef, Protection, Requests
from extender.core.outlook import Change, LostPool, Moves, Outlook, WhatIf
from extender.core.reasons import Reason
from extender.core.selectors import LabelSelector, Requirement
from extender.core.whatif import what_if, what_if_in_steps

WEB = WorkloadName("shop", "deploy", "web")
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
    check(seen)
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


def check(seen: WhatIf) -> None:
    """What holds of every answer."""
    for row in seen.workloads:
        for outlook in (row.before, row.after):
            assert sum(outlook.actual.values()) + sum(outlook.pending.values()) == outlook.replicas
            assert outlook.moves.needed == outlook.moves.possible + sum(outlook.moves.blocked.values())
            assert outlook.below_floor <= outlook.floor
            assert sum(outlook.eventual.values()) == sum(outlook.actual.values())
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
        pod, _ = world.place(ref(db), names, uid=f"u{ordinal}", name=f"db-{ordinal}")
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
    name = WorkloadName("shop", "sts", "db")
    seen = ask(world, Change(name, 4, lost_pools=(LostPool(zone="b"),)))
    _, after = one(seen)
    assert (some(after.actual), after.pending) == ({SPOT: 3}, {Reason.VOLUME: 1})


def test_a_rollout_stays_where_it_is(world: World) -> None:
    names = nodes(world, SPOT, 50) + nodes(world, ON_DEMAND, 50)
    old = world.deployment("web", 6, spot_percentage=50)
    new = make_owner("ReplicaSet", "web-2", 4, owner=ref(make_owner("Deployment", "web")), created=5.0)
    world.up(new)
    fill(world, old, 6, names)
    fill(world, ref(new), 4, names)
    world.annotate("web", 10, spot_percentage=50)
    seen = ask(world, Change(WEB, 16))
    assert some(one(seen)[1].actual) == {SPOT: 8, ON_DEMAND: 8}
    assert len(seen.notes) == 1
    assert "rollout" in seen.notes[0]
    _, after = one(ask(world, Change(WEB, 3)))
    assert (after.replicas, some(after.actual)) == (3, {SPOT: 1, ON_DEMAND: 2})


def test_without_pods_needs_are_not_known(world: World) -> None:
    nodes(world, SPOT, 5)
    world.deployment("web", 0, spot_percentage=100)
    seen = ask(world, Change(WEB, 3))
    assert some(one(seen)[1].actual) == {SPOT: 3}
    assert "no pods to know their needs from" in seen.notes[0]


# Policy


def test_another_policy_makes_moves_where_there_is_room(world: World) -> None:
    names = nodes(world, SPOT, 4) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 10), 10, names)
    seen = ask(world, Change(WEB, policy={"spot": "60", "max-moves-per-hour": "2"}))
    before, after = one(seen)
    assert (before.moves, before.surplus) == (Moves(), 0)
    assert (some(after.wanted), some(after.actual), after.surplus) == ({SPOT: 6, ON_DEMAND: 4}, {ON_DEMAND: 10}, 6)
    assert after.moves == Moves(6, 4, {Reason.NO_ROOM: 2}, 2.0)
    assert (some(after.eventual), after.nodes) == ({SPOT: 4, ON_DEMAND: 6}, {SPOT: 1.0, ON_DEMAND: 0.06})
    assert (seen.workloads[0].made, seen.workloads[0].removed, seen.problems) == (0, 0, ())


def test_what_would_last_for_ever_blocks_moves(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 4), 3, names)
    owner = next(iter(world.state.revisions.values())).owner
    world.up(make_pod("kept", owner, names[1], created=9.0, protection=Protection("do-not", "true")))
    _, after = one(ask(world, Change(WEB, policy={"spot": "100"})))
    assert after.moves == Moves(4, 3, {Reason.PROTECTED: 1}, 0.5)
    _, after = one(ask(world, Change(WEB, policy={"spot": "100", "mode": "audit"})))
    assert (after.moves, after.surplus) == (Moves(4, 0, {Reason.AUDIT: 4}), 4)
    _, after = one(ask(world, Change(WEB, policy={"spot": "100", "max-moves-per-hour": "0"})))
    assert after.moves == Moves(4, 0, {Reason.HOURLY_BUDGET: 4})
    _, after = one(ask(world, Change(WEB, 1, {"spot": "100"})))
    assert after.moves == Moves(1, 0, {Reason.SINGLETON: 1})
    singletons = DriftRules(lambda *_: True, singletons=True)
    assert what_if(world.state, Change(WEB, 1, {"spot": "100"}), world.now, singletons).after.moves.possible == 1


def test_a_policy_that_is_wrong_does_what_it_would_do(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 4, spot_percentage=50), 4, names)
    world.deployment("bad", 2, spot_percentage="most")
    seen = ask(world, Change(WEB, policy={"spot": "lots"}))
    assert [problem.key for problem in seen.problems] == ["spotmix.io/spot-percentage"]
    assert seen.workloads[0].policy == "last-valid"
    assert some(one(seen)[1].wanted) == {SPOT: 2, ON_DEMAND: 2}
    seen = ask(world, Change(WorkloadName("shop", "deploy", "bad"), policy={"max-spot": "1"}))
    assert (seen.workloads[0].policy, some(one(seen)[1].wanted)) == ("held-on-demand", {ON_DEMAND: 2})
    seen = ask(world, Change(WorkloadName("shop", "deploy", "bad"), policy={"spot-percentage": "50%"}))
    assert (seen.workloads[0].policy, seen.problems) == ("valid", ())


def test_an_empty_value_takes_a_key_away_under_every_prefix(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    annotations = {"spotalis.io/spot-percentage": "50", "spotmix.io/max-spot": "1"}
    world.up(
        make_owner("Deployment", "web", 4, labels=ENABLED, annotations=annotations),
        make_owner("ReplicaSet", "web-1", 4, owner=ref(make_owner("Deployment", "web"))),
        make_namespace(annotations=keys(spot_percentage=100)),
    )
    fill(world, OwnerRef("uid-ReplicaSet-web-1", "apps/v1", "ReplicaSet", "web-1"), 4, names)
    before, after = one(ask(world, Change(WEB, policy={"max-spot": ""})))
    assert (some(before.wanted), some(after.wanted)) == ({SPOT: 1, ON_DEMAND: 3}, {SPOT: 2, ON_DEMAND: 2})
    _, after = one(ask(world, Change(WEB, policy={"spot-percentage": " ", "spotmix.io/max-spot": ""})))
    assert some(after.wanted) == {SPOT: 4}


def test_a_policy_can_be_tried_before_opting_in(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    owner = world.deployment("web", 6, labels={})
    for number in range(6):
        world.up(make_pod(f"w{number}", owner, names[1]))
    with pytest.raises(ChangeError, match=r"not managed.*spot-percentage=70"):
        ask(world, Change(WEB, replicas=9))
    seen = ask(world, Change(WEB, policy={"spot": "50"}))
    before, after = one(seen)
    assert (seen.workloads[0].managed, seen.workloads[0].mode) == (False, "enforce")
    assert (some(before.wanted), some(before.actual), before.moves) == ({}, {ON_DEMAND: 6}, Moves())
    assert (some(after.wanted), after.moves.possible) == ({SPOT: 3, ON_DEMAND: 3}, 3)
    _, after = one(ask(world, Change(WEB, 8, {"enabled": "true"})))
    assert (some(after.wanted), some(after.actual)) == ({ON_DEMAND: 8}, {ON_DEMAND: 8})


def test_opting_out_ends_the_steering(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 4, spot_percentage=50), 4, names)
    seen = ask(world, Change(WEB, 6, {"enabled": "false"}))
    _, after = one(seen)
    assert (seen.workloads[0].mode, some(after.wanted), sum(after.actual.values())) == ("", {}, 6)


# Lost pools


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
    before, after = one(ask(world, change))
    assert (some(after.wanted), some(after.actual), after.stand_ins) == (
        {SPOT: 16, ON_DEMAND: 4},
        {SPOT: 4, ON_DEMAND: 16},
        11,
    )
    assert after.surplus == 12
    assert after.moves == Moves(12, 0, {Reason.POOL_CAP: 12})
    assert before.nodes == {SPOT: 0.25, ON_DEMAND: 0.167}
    assert (before.cost, after.cost) == (0.242, 0.593)


def test_prices_of_classes_that_are_used_have_to_be_known(world: World) -> None:
    names = nodes(world, SPOT, 20) + nodes(world, ON_DEMAND, 20)
    fill(world, world.deployment("web", 4, spot_percentage=50), 4, names)
    assert one(ask(world, Change(WEB, 6, prices={SPOT: 0.3})))[1].cost is None
    assert ask(world, Change(WEB, 6)).after.cost is None


# What cannot be


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (Change(), ChangeError, "nothing is changed"),
        (Change(replicas=3), ChangeError, "name one"),
        (Change(WEB, -1), ChangeError, "replicas is -1; write a whole number from 0"),
        (Change(WEB, 10_001), ChangeError, "10000"),
        (Change(WEB, policy={"spot-percent": "3"}), ChangeError, "did you mean spot-percentage"),
        (Change(WEB, policy={"colour": "red"}), ChangeError, "keys are spot-percentage, min-on-demand"),
        (Change(WEB, 1, prices={SPOT: -1.0}), ChangeError, "price of spot"),
        (Change(lost_pools=(LostPool(),)), ChangeError, "no class, instance type or zone"),
        (Change(lost_pools=(LostPool(SPOT, "m5"),)), NotFoundError, r"spot/m5/\*; there are on-demand/m.large/a, spot"),
        (Change(WorkloadName("shop", "deploy", "none"), 1), NotFoundError, 'no deployment "none" in namespace "shop"'),
        (Change(WorkloadName("lab", "deploy", "web"), 1), NotFoundError, "there is one in shop"),
        (Change(WorkloadName("shop", "cj", "night"), 1), ChangeError, "name one of these"),
        (Change(WorkloadName("shop", "rollout", "r"), 1), ChangeError, "cannot be scaled"),
        (
            Change(WorkloadName("kube-system", "sts", "dns"), 1, {"spot": "1"}),
            ChangeError,
            "so that a cluster can boot",
        ),
    ],
)
def test_what_cannot_be_is_said(world: World, change: Change, error: type[Exception], says: str) -> None:
    names = nodes(world, SPOT, 9) + nodes(world, ON_DEMAND, 9)
    fill(world, world.deployment("web", 2, spot_percentage=50), 2, names)
    world.up(
        make_owner("CronJob", "night", labels=ENABLED),
        make_owner("Rollout", "r", labels=ENABLED),
        make_owner("StatefulSet", "dns", 2, namespace="kube-system"),
    )
    with pytest.raises(error, match=says):
        what_if(world.state, change, world.now)


def test_a_cluster_without_nodes(world: World) -> None:
    world.deployment("web", 2, spot_percentage=50)
    with pytest.raises(NotFoundError, match="the cluster has no nodes"):
        ask(world, Change(lost_pools=(LostPool(SPOT),)))
    before, after = one(ask(world, Change(WEB, 3)))
    assert (before.pending, after.pending) == ({Reason.NO_NODE: 2}, {Reason.NO_NODE: 3})


def test_a_replica_set_of_a_deployment_means_the_deployment(world: World) -> None:
    names = nodes(world, SPOT, 9) + nodes(world, ON_DEMAND, 9)
    fill(world, world.deployment("web", 2, spot_percentage=50), 2, names)
    assert ask(world, Change(WorkloadName("shop", "rs", "web-1"), 4)).workloads[0].kind == "Deployment"


# Properties


POLICIES = st.fixed_dictionaries(
    {
        "spot_percentage": st.integers(0, 100),
        "min_on_demand": st.integers(0, 4),
        "when_unsatisfiable": st.sampled_from(["fallback", "any", "wait"]),
        "fallback_after": st.sampled_from(["0s", "5m"]),
    },
    optional={"max_spot": st.integers(0, 8), "max_per_pool": st.integers(1, 4)},
)
CLUSTERS = st.fixed_dictionaries(
    {
        "a": st.lists(st.integers(0, 6), max_size=3),
        "b": st.lists(st.integers(0, 6), max_size=3),
        "on": st.lists(st.integers(0, 8), max_size=3),
    }
)


def made(cluster: dict[str, list[int]], **policies: dict[str, Any]) -> tuple[World, list[str], dict[str, OwnerRef]]:
    world = World()
    names = [*nodes(world, SPOT, *cluster["a"]), *nodes(world, SPOT, *cluster["b"], zone="b")]
    names += nodes(world, ON_DEMAND, *cluster["on"])
    return world, names, {name: world.deployment(name, 0, **policy) for name, policy in policies.items()}


def scale(world: World, name: str, replicas: int, policy: dict[str, Any]) -> None:
    top = make_owner("Deployment", name, replicas, labels=ENABLED, annotations=keys(**policy))
    world.up(top, make_owner("ReplicaSet", f"{name}-1", replicas, owner=ref(top)))


def settle(world: World, names: Sequence[str]) -> None:
    """Let the scheduler try the pods that wait, until none finds a node any more; the first time all wait."""
    for _ in range(3):
        world.now += 600.0
        for pod in sorted(world.state.unbound.values(), key=lambda pod: (pod.created, pod.uid)):
            assert pod.revision is not None
            offered = free(world, names)
            bound, decision = world.place(pod.revision.owner, offered, uid=pod.uid)
            if decision.nodes:
                world.up(msgspec.structs.replace(bound, created=pod.created))


def standing(world: World, owner: OwnerRef) -> dict[str, int]:
    revision = world.state.revisions.get(owner.uid)
    return some(revision.filled) if revision is not None else {}


@settings(max_examples=150, deadline=None)
@given(CLUSTERS, POLICIES, st.integers(1, 14), st.integers(0, 14))
def test_scaling_comes_to_what_decisions_come_to(
    cluster: dict[str, list[int]], policy: dict[str, Any], first: int, size: int
) -> None:
    world, names, owners = made(cluster, web=policy)
    web = owners["web"]
    scale(world, "web", first, policy)
    fill(world, web, first, names)
    settle(world, names)
    before, after = one(ask(world, Change(WEB, size)))
    assert some(before.actual) == standing(world, web)
    if size < first:
        return
    scale(world, "web", size, policy)
    fill(world, web, size - first, names)
    settle(world, names)
    assert some(after.actual) == standing(world, web)


@settings(max_examples=150, deadline=None)
@given(CLUSTERS, POLICIES, POLICIES, st.tuples(st.integers(1, 14), st.integers(0, 14), st.integers(0, 14)))
def test_counts_add_up_and_nothing_is_overfull(
    cluster: dict[str, list[int]], policy: dict[str, Any], other: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    first, second, size = sizes
    world, names, owners = made(cluster, web=policy, cart=other)
    for name, count, each in (("web", first, policy), ("cart", second, other)):
        scale(world, name, count, each)
        fill(world, owners[name], count, names)
    settle(world, names)
    same = ask(world, Change(WEB, first))
    assert [row.before for row in same.workloads] == [row.after for row in same.workloads]
    left = {SPOT: sum(cluster["b"]), ON_DEMAND: sum(cluster["on"])}
    changes = [Change(WEB, size, {key.replace("_", "-"): str(value) for key, value in other.items()})]
    if cluster["a"]:
        changes += [
            Change(WEB, size, lost_pools=(LostPool(SPOT, zone="a"),)),
            Change(lost_pools=(LostPool(SPOT, "", "a"),)),
        ]
    for change in changes:
        seen = ask(world, change)
        if change.lost_pools:
            rows = {row.name for row in seen.workloads}
            others = [standing(world, owner) for name, owner in owners.items() if name not in rows]
            for name, room in left.items():
                taken = seen.after.actual.get(name, 0) + sum(each.get(name, 0) for each in others)
                assert taken <= room


@settings(max_examples=150, deadline=None)
@given(CLUSTERS, POLICIES, st.integers(0, 14))
def test_a_lost_pool_comes_to_what_decisions_come_to(
    cluster: dict[str, list[int]], policy: dict[str, Any], size: int
) -> None:
    world, names, owners = made(cluster, web=policy)
    web = owners["web"]
    scale(world, "web", size, policy)
    fill(world, web, size, names)
    settle(world, names)
    if not cluster["a"]:
        return
    seen = ask(world, Change(WEB, size, lost_pools=(LostPool(SPOT, zone="a"),)))
    gone = [name for name in names if name.startswith("spot-a")]
    lost = [pod.uid for name in gone for pod in world.state.nodes[name].pods]
    for name in gone:
        world.gone("nodes", f"uid-{name}")
    for uid in lost:
        world.gone("pods", uid)
    names = [name for name in names if name not in gone]
    settle(world, names)
    number = size
    for _ in lost:
        number += 1
        offered = free(world, names)
        pod, decision = world.place(web, offered, uid=f"new-{number}")
        world.up(msgspec.structs.replace(pod, node=pod.node if decision.nodes else "", created=float(number)))
    settle(world, names)
    assert some(one(seen)[1].actual) == standing(world, web)


def test_it_can_be_made_in_steps(world: World) -> None:
    names = nodes(world, SPOT, 1000) + nodes(world, ON_DEMAND, 1000)
    fill(world, world.deployment("web", 900, spot_percentage=50), 900, names)
    change = Change(WEB, 1200, lost_pools=(LostPool(SPOT),))
    pauses, found = through(what_if_in_steps(world.state, change, world.now))
    assert found == what_if(world.state, change, world.now)
    assert pauses > 5


def through(steps: Generator[None, None, WhatIf]) -> tuple[int, WhatIf]:
    for pauses in itertools.count():
        try:
            next(steps)
        except StopIteration as end:
            return pauses, end.value
    raise AssertionError


EVENTS = st.lists(
    st.tuples(st.sampled_from(["pod", "node", "owner", "scale", "join", "new"]), st.integers(0, 50)), max_size=40
)


@settings(max_examples=150, deadline=None)
@given(CLUSTERS, POLICIES, EVENTS)
def test_the_cluster_may_change_during_pauses(
    cluster: dict[str, list[int]], policy: dict[str, Any], events: list[tuple[str, int]]
) -> None:
    both = {"web": policy, "cart": {**policy, "spot_percentage": 100 - policy["spot_percentage"]}}
    world, names, owners = made({**cluster, "a": [*cluster["a"], 5]}, **both)
    for name, each in both.items():
        scale(world, name, 9, each)
        fill(world, owners[name], 9, names)
    steps = what_if_in_steps(world.state, Change(WEB, 14, {"spot": "60"}, (LostPool(SPOT, zone="a"),)), world.now)
    left = iter(events)
    with contextlib.suppress(StopIteration):
        while True:
            next(steps)
            for what, number in itertools.islice(left, 3):
                happen(world, names, what, number)
    assert next(steps, None) is None


def happen(world: World, names: list[str], what: str, number: int) -> None:
    pods = sorted(world.state.pods)
    match what:
        case "pod" if pods:
            world.gone("pods", pods[number % len(pods)])
        case "node" if names:
            world.gone("nodes", f"uid-{names[number % len(names)]}")
        case "owner":
            world.gone("deployments.apps", f"uid-Deployment-{('web', 'cart')[number % 2]}")
        case "scale":
            scale(world, "web", number, {"spot_percentage": number})
        case "join":
            world.up(make_node(f"joined-{number}", SPOT))
        case "new":
            world.up(make_pod(f"more-{number}", OwnerRef("uid-ReplicaSet-web-1", "apps/v1", "ReplicaSet", "web-1")))
