"""What it would come to if policy objects were applied: whom they speak for, whom they lose, and the split then."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ON_DEMAND, SPOT, World, make_namespace, make_owner, make_pod, make_policy, selector, shares
from support.whatif import WEB, ask, fill, nodes, one, some

from extender.core.answers.plan import WorkloadName
from extender.core.model.errors import ChangeError
from extender.core.model.objects import OwnerRef
from extender.core.model.policies import PlacementPolicy
from extender.core.policy.rules import PolicyRules
from extender.core.whatif.outlook import Change, LostPool, LostWorkload, PolicyForecast, WhatIf

TIER = {"tier": "web"}


@pytest.fixture
def world() -> World:
    return World()


def labelled(world: World, name: str, replicas: int, labels: Any = None, **fields: Any) -> OwnerRef:
    """A Deployment that nobody opts in, with these labels."""
    top = make_owner("Deployment", name, replicas, all_labels=TIER if labels is None else labels, **fields)
    pods = make_owner("ReplicaSet", f"{name}-1", replicas, owner=top.ref, namespace=top.namespace)
    world.up(top, pods)
    return pods.ref


def written(name: str, *given: Any, **fields: Any) -> PlacementPolicy:
    """An object as it is in a file."""
    return replace(make_policy(name, *given, **fields), uid="", created=0.0, generation=0)


def forecast(seen: WhatIf) -> PolicyForecast:
    (found,) = seen.policies
    return found


def test_a_new_object_opts_in_whom_it_selects(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, labelled(world, "web", 10), 10, names[1:])
    fill(world, labelled(world, "db", 4, {"tier": "db"}), 4, names[1:])
    seen = ask(world, Change(), written("web", selector(**TIER), **shares(70, floor=2)))
    before, after = one(seen)
    assert (some(before.wanted), some(before.actual)) == ({}, {ON_DEMAND: 10})
    assert (some(after.wanted), after.floor) == ({SPOT: 7, ON_DEMAND: 3}, 2)
    assert (after.moves.needed, after.moves.possible) == (7, 7)
    (row,) = seen.workloads
    assert (row.name, row.managed, row.mode) == ("web", False, "enforce")
    assert (row.policies_before, row.policies_after) == ((), ("PlacementPolicy shop/web",))
    assert forecast(seen) == PolicyForecast("PlacementPolicy", "shop", "web", False, True, 0, 1, 0, (), ())


def test_it_takes_the_place_of_its_namesake(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    world.up(make_policy("web", selector(**TIER), **shares(50)))
    kept, left = labelled(world, "kept", 4, {**TIER, "app": "a"}), labelled(world, "left", 4)
    fill(world, kept, 4, names)
    fill(world, left, 4, names)
    seen = ask(world, Change(), written("web", selector(app="a"), **shares(100)))
    assert {row.name: (some(row.before.wanted), some(row.after.wanted)) for row in seen.workloads} == {
        "kept": ({SPOT: 2, ON_DEMAND: 2}, {SPOT: 4}),
        "left": ({SPOT: 2, ON_DEMAND: 2}, {}),
    }
    assert {row.name: row.policies_after for row in seen.workloads} == {
        "kept": ("PlacementPolicy shop/web",),
        "left": (),
    }
    found = forecast(seen)
    assert (found.replaces, found.before, found.after) == (True, 2, 1)
    # The same once more touches nobody.
    seen = ask(world, Change(), written("web", selector(**TIER), **shares(50)))
    assert (seen.workloads, forecast(seen).before, forecast(seen).after) == ((), 2, 2)


def test_whom_it_loses_and_to_whom(world: World) -> None:
    world.up(make_policy("first", selector(**TIER), priority=1, **shares(50)))
    for name in ("a", "b"):
        labelled(world, name, 2)
    labelled(world, "c", 2, {"tier": "db"})
    seen = ask(world, Change(), written("all", **shares(100)))
    found = forecast(seen)
    assert (found.before, found.after, found.lost) == (0, 1, 2)
    assert found.losses[0] == LostWorkload("Deployment", "shop", "a", "PlacementPolicy shop/first")
    assert [row.name for row in seen.workloads] == ["c"]
    # Of two of the same priority the older one wins, and what is new is the youngest.
    assert forecast(ask(world, Change(), written("all", priority=1, **shares(100)))).lost == 2
    seen = ask(world, Change(), written("all", priority=2, **shares(100)))
    assert (forecast(seen).lost, forecast(seen).after) == (0, 3)
    assert {row.policies_before + row.policies_after for row in seen.workloads if row.name != "c"} == {
        ("PlacementPolicy shop/first", "PlacementPolicy shop/all")
    }


def test_of_a_cluster_and_of_several_at_once(world: World) -> None:
    world.up(make_namespace(all_labels={"team": "a"}), make_namespace("lab", all_labels={"team": "b"}))
    labelled(world, "web", 4)
    labelled(world, "other", 4, namespace="lab")
    labelled(world, "dns", 4, namespace="kube-system")
    wide = written("wide", of_cluster=True, namespaces=selector(team="a"), **shares(50))
    seen = ask(world, Change(), wide, written("own", selector(**TIER), mode="Audit"))
    assert [(each.name, each.after) for each in seen.policies] == [("wide", 1), ("own", 1)]
    (row,) = seen.workloads
    assert row.policies_after == ("PlacementPolicy shop/own", "ClusterPlacementPolicy wide")
    assert (row.mode, some(row.after.wanted)) == ("audit", {SPOT: 2, ON_DEMAND: 2})


def test_one_that_opts_out_is_not_touched(world: World) -> None:
    labelled(world, "out", 2)
    top = next(each for each in world.state.workloads.owners.values() if each.kind == "Deployment")
    world.up(replace(top, labels={"spotmix.io/enabled": "false"}))
    seen = ask(world, Change(), written("web", **shares(50)))
    assert (forecast(seen).after, [some(row.after.wanted) for row in seen.workloads]) == (0, [{}])


def test_an_object_that_cannot_act_says_so_and_speaks_for_nobody(world: World) -> None:
    labelled(world, "web", 2)
    seen = ask(world, Change(), written("web", malformed="does not decode"))
    found = forecast(seen)
    assert (found.acts, found.after, seen.workloads) == (False, 0, ())
    assert found.problems[0].startswith("spec does not decode; write it as")
    seen = ask(world, Change(), written("web", timezone="Mars/Base", schedule="0 2 * * *", duration="1h", **shares(50)))
    assert (forecast(seen).acts, forecast(seen).after) == (True, 1)
    assert "spec.moves.timeZone='Mars/Base' names no known time zone" in forecast(seen).problems[0]


def test_together_with_other_changes(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 4, spot_percentage=50), 4, names)
    fill(world, labelled(world, "api", 4), 4, names[1:])
    policy = written("all", **shares(100))
    seen = ask(world, Change(WorkloadName("shop", "deploy", "api"), 8), policy)
    row = seen.workloads[0]
    assert (row.name, row.made, some(row.after.wanted)) == ("api", 4, {SPOT: 8})
    seen = ask(world, Change(WEB, policy={"min-on-demand": "1"}, lost_pools=(LostPool(SPOT),)), policy)
    assert {row.name: some(row.after.wanted) for row in seen.workloads} == {
        "web": {SPOT: 2, ON_DEMAND: 2},
        "api": {SPOT: 4},
    }
    assert {row.name: row.lost for row in seen.workloads} == {"web": 2, "api": 0}


def test_a_namesake_of_another_namespace_is_another(world: World) -> None:
    labelled(world, "web", 2)
    world.up(make_policy("web", **shares(50)))
    seen = ask(world, Change(), replace(written("web", **shares(100)), namespace="lab"))
    assert (forecast(seen).replaces, seen.workloads) == (False, ())


def test_workloads_that_are_counted_together_then_share_the_seats_of_their_sum(world: World) -> None:
    world.nodes(spot=3, on_demand=3)
    for number in range(10):
        owner = labelled(world, f"web-{number}", 1)
        world.up(make_pod(f"pod-{number}", owner, "on-demand-0"))
    labelled(world, "new", 4)
    seen = ask(world, Change(), written("web", count="Policy", **shares(70)))
    (told,) = seen.notes
    assert told == (
        "Replicas are counted over PlacementPolicy shop/web: 9/5 of 14, 4/10 there; moves of such are not forecast"
    )
    assert some(next(row for row in seen.workloads if row.name == "new").after.actual) == {SPOT: 4}
    # The same object with another word of it: its other members are known, and the seats are those of the new word.
    world.up(make_policy("web", count="Policy", **shares(70)))
    seen = ask(world, Change(), written("web", count="Policy", **shares(20)))
    assert "2/12 of 14" in seen.notes[0]


def test_what_is_not_forecast_is_told(world: World) -> None:
    labelled(world, "web", 1)
    seen = ask(world, Change(), written("web", count="Runs", **shares(70)))
    told = "PlacementPolicy shop/web: spec.count=Runs is left out of the split here: each workload is counted alone"
    assert seen.notes == (told,)


def test_namespaces_outside_are_left_alone() -> None:
    world = World(rules=PolicyRules(namespaces=frozenset({"lab"})))
    labelled(world, "web", 1)
    seen = ask(world, Change(), written("web", **shares(70)))
    assert (forecast(seen).after, seen.workloads) == (0, ())


def test_nothing_supposed_is_refused(world: World) -> None:
    with pytest.raises(ChangeError, match="nothing is changed"):
        ask(world, Change())
