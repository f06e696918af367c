"""Whom policy objects speak for: levels, opting in and out, several that match, and what follows a change of one."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import World, keys, make_namespace, make_owner, make_policy, selector, shares, two_classes

from extender.core.model.objects import Owner
from extender.core.model.policies import CLUSTER_PLACEMENT_POLICIES, PLACEMENT_POLICIES
from extender.core.model.selectors import LabelSelector, Requirement
from extender.core.policy.advice import examine
from extender.core.policy.managed import Managed, PolicyChanged
from extender.core.policy.matching import LOSERS
from extender.core.policy.policy import Policy
from extender.core.policy.provenance import settings_in_force, why_unmanaged
from extender.core.policy.rules import PolicyRules
from extender.core.state.events import Continued, Listed
from extender.core.state.state import JUDGED

WEB = {"tier": "web"}


def web(name: str = "web", labels: dict[str, str] | None = None, **policy: Any) -> Owner:
    given = {key: value for key, value in (labels or {}).items() if "/" in key}
    everything = {**WEB, **(labels or {})}
    return make_owner("Deployment", name, 10, labels=given, annotations=keys(**policy), all_labels=everything)


def policy_of(world: World, owner: Owner) -> Policy | None:
    found = world.state.workloads.resolve("shop", owner.ref)
    return found.workload.policy if isinstance(found, Managed) else None


def percentage(world: World, owner: Owner) -> int | None:
    policy = policy_of(world, owner)
    return two_classes(policy).percentage if policy is not None else None


def test_whoever_is_matched_is_opted_in_and_the_label_opts_out() -> None:
    world = World()
    mine, out, other = web(), web("out", {"spotmix.io/enabled": "false"}), web("other", {"tier": "db"})
    world.up(make_policy("a", selector(tier="web"), **shares(70)), mine, out, other)
    assert [percentage(world, each) for each in (mine, out, other)] == [70, None, None]


def test_a_policy_that_comes_or_goes_later_is_heeded_at_once() -> None:
    world = World()
    mine = web()
    world.up(mine)
    assert percentage(world, mine) is None
    thing = make_policy("a", **shares(70))
    world.up(thing)
    assert percentage(world, mine) == 70
    world.up(replace(thing, generation=2, selector=selector(tier="db")))
    assert percentage(world, mine) is None
    world.up(replace(thing, generation=3))
    world.gone(PLACEMENT_POLICIES, thing.uid)
    assert percentage(world, mine) is None


def test_a_policy_of_another_namespace_says_nothing() -> None:
    world = World()
    mine = web()
    world.up(replace(make_policy("a", **shares(70)), namespace="bank"), mine)
    assert percentage(world, mine) is None


LEVELS = {"own": 10, "policy": 20, "namespace": 30, "cluster": 40, "default": 50}


@pytest.mark.parametrize("number", range(len(LEVELS)))
def test_each_level_beats_those_below_it(number: int) -> None:
    there = dict(list(LEVELS.items())[number:])
    world = World(PolicyRules(defaults=keys(spot_percentage=there["default"])))
    own: dict[str, Any] = {"spot_percentage": there["own"]} if "own" in there else {}
    mine = web(labels={"spotmix.io/enabled": "true"}, **own)
    if "policy" in there:
        world.up(make_policy("a", **shares(there["policy"])))
    if "namespace" in there:
        world.up(make_namespace(annotations=keys(spot_percentage=there["namespace"])))
    if "cluster" in there:
        world.up(make_policy("b", of_cluster=True, **shares(there["cluster"])))
    world.up(mine)
    assert percentage(world, mine) == list(LEVELS.values())[number]


def test_keys_are_looked_for_level_by_level() -> None:
    world = World(PolicyRules(defaults=keys(max_moves_per_hour=1)))
    mine = web(max_spot=3)
    world.up(
        make_namespace(annotations=keys(min_on_demand=2, when_unsatisfiable="any")),
        make_policy("a", selector(tier="web"), **shares(70), action="Wait"),
        make_policy("b", of_cluster=True, **shares(20), mode="Audit", moves_per_hour=4),
        mine,
    )
    found = policy_of(world, mine)
    assert found is not None
    seats = two_classes(found)
    assert (seats.percentage, seats.cap, seats.floor) == (70, 3, 2)
    assert (found.when_unsatisfiable, found.mode, found.max_moves_per_hour) == ("wait", "audit", 4)
    workload = world.workload(mine.ref)
    sources = {each.key: each.source for each in settings_in_force(world.state.workloads, workload)}
    assert sources["spot-percentage"] == "PlacementPolicy shop/a spec.classes[].weight"
    assert sources["max-spot"] == "Deployment shop/web"
    assert sources["min-on-demand"] == "Namespace shop"
    assert sources["mode"] == "ClusterPlacementPolicy b spec.mode"


def test_a_namespace_that_opts_out_is_above_a_cluster_policy_alone() -> None:
    world = World()
    mine = web()
    world.up(make_namespace(labels={"spotmix.io/enabled": "false"}), mine)
    world.up(make_policy("b", of_cluster=True, **shares(20)))
    assert percentage(world, mine) is None
    assert why_unmanaged(world.state.workloads, "shop", mine.ref).detail == "Namespace shop"
    world.up(make_policy("a", **shares(70)))
    assert percentage(world, mine) == 70


def test_namespaces_are_selected_by_labels_as_they_are_now() -> None:
    world = World()
    mine = web()
    world.up(mine, make_policy("b", of_cluster=True, namespaces=selector(team="a"), **shares(20)))
    assert percentage(world, mine) is None
    world.up(make_namespace(all_labels={"team": "a"}))
    assert percentage(world, mine) == 20
    world.up(make_namespace(all_labels={"team": "b"}))
    assert percentage(world, mine) is None


def test_labels_of_what_is_above_select_too() -> None:
    world = World()
    cron = make_owner("CronJob", "nightly", all_labels=WEB)
    job = make_owner("Job", "nightly-1", 1, owner=cron.ref, all_labels={"app": "x"})
    world.up(cron, job, make_policy("a", selector(tier="web"), **shares(70)))
    assert percentage(world, job) == 70


def test_of_many_that_lose_the_first_are_told() -> None:
    world = World()
    mine = web()
    things = [make_policy(f"p-{number}", priority=-number, **shares(number)) for number in range(LOSERS + 4)]
    world.up(mine, *things)
    assigned = world.state.workloads.assignments
    assert percentage(world, mine) == 0
    assert list(assigned.lost) == [each.uid for each in things[1 : LOSERS + 1]]
    world.gone(PLACEMENT_POLICIES, things[0].uid)
    assert percentage(world, mine) == 1
    assert set(assigned.lost) == {each.uid for each in things[2 : LOSERS + 2]}
    world.gone("deployments.apps", mine.uid)
    assert (assigned.lost, assigned.of_workload) == ({}, {})


def test_of_several_the_higher_priority_speaks_then_the_older() -> None:
    world = World()
    mine = web()
    young, old = make_policy("young", created=20.0, **shares(10)), make_policy("old", created=10.0, **shares(20))
    world.up(mine, young, old)
    assert percentage(world, mine) == 20
    assigned = world.state.workloads.assignments
    assert assigned.lost == {young.uid: {mine.uid: old.uid}}
    world.up(make_policy("first", created=30.0, priority=1, **shares(30)))
    assert percentage(world, mine) == 30
    assert assigned.lost == {young.uid: {mine.uid: "uid-first"}, old.uid: {mine.uid: "uid-first"}}
    # The loser says nothing, not even what the winner leaves unsaid.
    world.up(make_policy("second", priority=-1, mode="Audit"))
    found = policy_of(world, mine)
    assert found is not None
    assert found.mode == "enforce"
    world.gone("deployments.apps", mine.uid)
    assert (assigned.lost, assigned.workloads, assigned.of_workload) == ({}, {}, {})


def test_what_is_not_accepted_speaks_for_nobody() -> None:
    world = World()
    mine = web()
    world.up(mine, make_policy("a", malformed="is odd", priority=5, **shares(10)), make_policy("b", **shares(20)))
    assert percentage(world, mine) == 20


def test_a_wrong_value_keeps_the_split_and_moves_nothing() -> None:
    world = World()
    mine = web()
    world.up(mine, make_policy("a", **shares(70), timezone="Nowhere", schedule="0 2 * * *", duration="4h"))
    workload = world.workload(mine.ref)
    assert (two_classes(workload.policy).percentage, workload.parsed.valid, workload.held) == (70, False, False)
    assert [each.source for each in workload.parsed.problems] == ["PlacementPolicy shop/a"]


def test_all_that_a_change_may_concern_is_judged_anew_in_steps_and_at_once_where_asked() -> None:
    world = World()
    many = [web(f"web-{n}") for n in range(3 * JUDGED)]
    world.up(*many)
    world.up(make_policy("a", **shares(70)))
    workloads = world.state.workloads
    world.state.apply(Continued(), world.now)
    assert len(workloads.by_uid) == JUDGED
    last = many[-1]
    assert last.uid not in workloads.by_uid
    assert percentage(world, last) == 70
    world.state.outbox.take_effects()
    steps = 0
    while workloads.is_behind:
        world.state.apply(Continued(), world.now)
        steps += 1
    assert steps == 2
    changed = {each.workload.name for each in world.state.outbox.take_effects() if isinstance(each, PolicyChanged)}
    assert len(workloads.by_uid) == 3 * JUDGED
    assert last.name in changed
    assert len(changed) == 2 * JUDGED


def test_nothing_is_judged_anew_for_a_status() -> None:
    world = World()
    thing = make_policy("a", **shares(70))
    world.up(web(), thing)
    world.state.apply(Continued(), world.now)
    world.up(replace(thing, status=replace(thing.status, generation=1)))
    assert not world.state.workloads.is_behind
    assert world.state.workloads.objects.by_uid[thing.uid].policy.status.generation == 1


def test_a_list_without_a_policy_takes_it_away() -> None:
    world = World()
    mine = web()
    world.up(mine, make_policy("a", **shares(70)), make_policy("b", of_cluster=True, **shares(20)))
    world.state.apply(Listed(PLACEMENT_POLICIES, frozenset()), world.now)
    assert percentage(world, mine) == 20
    world.state.apply(Listed(CLUSTER_PLACEMENT_POLICIES, frozenset()), world.now)
    assert percentage(world, mine) is None


def test_a_workload_is_not_told_that_its_word_is_in_vain_where_an_object_makes_it_count() -> None:
    world = World()
    mine = web(min_on_demand=2)
    world.up(make_namespace(), mine)
    rules, layer = world.state.workloads.rules, world.state.workloads.default_layer
    matching = world.state.workloads.matching(mine)
    assert [each.key for each in examine(mine, make_namespace(), layer, rules, matching)] == [
        "spotmix.io/min-on-demand",
        "spotmix.io/min-on-demand",
    ]
    for thing in (make_policy("a", **shares(70)), make_policy("b", of_cluster=True, **shares(70))):
        world.up(thing)
        assert examine(mine, make_namespace(), layer, rules, world.state.workloads.matching(mine)) == ()
        world.gone(thing.resource, thing.uid)


def test_a_label_that_all_policies_share_does_not_have_all_of_them_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world, looked = World(), 0
    shared = {"app": "shop"}
    world.up(*(make_policy(f"p-{n}", selector(**shared, zone=f"z-{n}"), **shares(n)) for n in range(100)))
    matches = LabelSelector.matches

    def counted(self: LabelSelector, labels: Mapping[str, str]) -> bool:
        nonlocal looked
        looked += 1
        return matches(self, labels)

    monkeypatch.setattr(LabelSelector, "matches", counted)
    mine = web(labels={**shared, "zone": "z-7"})
    world.up(mine)
    assert percentage(world, mine) == 7
    assert looked < 10


def test_every_way_to_select_is_found_by_labels() -> None:
    world = World()
    anywhere = (
        selector(),
        selector(tier="web"),
        selector(tier="web", zone="a"),
        selector(Requirement("zone", "In", ("a", "b"))),
        selector(Requirement("zone", "In", ("b", "c")), Requirement("tier", "In", ("web",))),
        selector(Requirement("zone", "NotIn", ("a",))),
        selector(Requirement("zone", "Exists")),
        selector(Requirement("zone", "DoesNotExist"), tier="web"),
        selector(Requirement("zone", "In", ("a",)), tier="db"),
    )
    things = [make_policy(f"p-{n}", each, priority=n, **shares(50)) for n, each in enumerate(anywhere)]
    world.up(*things)
    for zone in ({}, {"zone": "a"}, {"zone": "b"}, {"zone": "c"}):
        for tier in ({}, {"tier": "web"}, {"tier": "db"}):
            owner = make_owner("Deployment", "x", 1, all_labels={**zone, **tier})
            found = world.state.workloads.matching(owner).own
            chosen = [each for each in things if each.selector.matches(owner.all_labels)]
            assert [each.policy.uid for each in found] == [each.uid for each in reversed(chosen)]
