"""What holds whatever the cluster and the change: it comes to what decisions come to."""

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

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
    make_node,
    make_owner,
    make_pod,
)
from support.examples import examples
from support.whatif import WEB, ask, fill, free, nodes, one, some

from extender.core.model.objects import OwnerRef
from extender.core.whatif.outlook import Change, LostPool
from extender.core.whatif.what_if import what_if_in_steps


@pytest.fixture
def world() -> World:
    return World()


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
    world.up(top, make_owner("ReplicaSet", f"{name}-1", replicas, owner=top.ref))


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


@examples(150)
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


@examples(150)
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


@examples(150)
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


EVENTS = st.lists(
    st.tuples(st.sampled_from(["pod", "node", "owner", "scale", "join", "new"]), st.integers(0, 50)), max_size=40
)


@examples(150)
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
