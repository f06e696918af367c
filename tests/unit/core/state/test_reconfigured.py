"""Other rules while the state is in use: who is managed, by which policy, and what is woken."""

from typing import Any

from msgspec.structs import replace
from support.doubles import RULES, SPOT, World, keys, make_node, make_view

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.reasons import Reason
from extender.core.policy.managed import Managed
from extender.core.policy.provenance import why_unmanaged
from extender.core.policy.rules import PolicyRules
from extender.core.state.events import Continued, Listed, Reconfigured
from extender.core.state.outbox import Wake
from extender.core.state.records import Reservation, replacing
from extender.core.state.state import JUDGED


def reconfigure(world: World, rules: PolicyRules | None = None, **fields: Any) -> None:
    given = {"reservation_ttl": 900.0, "half_life": 3600.0, "startup": 600.0, **fields}
    world.state.apply(Reconfigured(rules or RULES, **given), world.now)


def woken(world: World) -> list[str]:
    return [effect.name for effect in world.state.outbox.take_effects() if isinstance(effect, Wake)]


def percentage(world: World, owner: Any) -> int:
    seats: Any = world.workload(owner).policy.seats
    found: int = seats.percentage
    return found


def test_other_defaults_judge_workloads_anew_a_few_at_a_time_and_at_once_where_one_is_asked_for() -> None:
    world = World()
    owners = [world.deployment(f"web-{number}", 2) for number in range(JUDGED + 10)]
    own = world.deployment("own", 2, spot_percentage=30)
    world.state.outbox.take_effects()
    reconfigure(world, replace(RULES, defaults=keys(spot_percentage=80)))
    world.state.apply(Continued(), world.now)
    left = len(world.state.workloads.stale)
    assert left == len(world.state.workloads.owners) - JUDGED
    assert percentage(world, owners[-1]) == 80
    for _ in range(left // JUDGED + 1):
        world.state.apply(Continued(), world.now)
    assert not world.state.workloads.is_behind
    assert {percentage(world, owner) for owner in owners} == {80}
    assert percentage(world, own) == 30
    seats: Any = world.state.workloads.default_policy.seats
    assert seats.percentage == 80


def test_the_same_defaults_judge_nobody() -> None:
    world = World()
    world.deployment("web", 2)
    reconfigure(world, reservation_ttl=5.0)
    assert not world.state.workloads.is_behind


def test_a_namespace_that_is_protected_from_now_on_is_managed_no_more_and_the_other_way_round() -> None:
    world = World()
    owner = world.deployment("web", 2, spot_percentage=100, when_unsatisfiable="wait")
    world.nodes(on_demand=1)
    _, decision = world.place(owner, ["on-demand-0"], uid="waits")
    assert decision.nodes == ()
    world.state.outbox.take_touched()
    world.state.outbox.take_effects()
    reconfigure(world, replace(RULES, protected_namespaces=frozenset({"kube-system", "shop"})))
    assert world.state.workloads.resolve("shop", owner) is None
    assert why_unmanaged(world.state.workloads, "shop", owner).reason is Reason.PROTECTED_NAMESPACE
    world.state.apply(Continued(), world.now)
    assert world.state.revisions[owner.uid] in world.state.outbox.take_touched()
    assert woken(world) == ["waits"]
    reconfigure(world)
    assert isinstance(world.state.workloads.resolve("shop", owner), Managed)


def test_other_class_rules_wake_who_waits_once_the_nodes_are_listed_anew() -> None:
    world = World()
    owner = world.deployment("web", 2, spot_percentage=100, when_unsatisfiable="wait")
    world.nodes(on_demand=1)
    world.decide(make_view("waits", owner), ["on-demand-0"])
    world.state.outbox.take_effects()
    reconfigure(world, replace(RULES, classes=ClassRules(default_class=SPOT)))
    assert woken(world) == []
    world.up(make_node("on-demand-0", SPOT))
    world.state.apply(Listed("nodes", frozenset({"uid-on-demand-0"})), world.now)
    assert woken(world) == ["waits"]
    assert list(world.state.placeable[SPOT]) == ["on-demand-0"]
    world.state.apply(Listed("nodes", frozenset({"uid-on-demand-0"})), world.now)
    assert woken(world) == []


def test_reservations_are_held_for_as_long_as_is_said_now() -> None:
    world = World()
    owner = world.deployment("web", 2, spot_percentage=100)
    world.nodes(spot=1)
    world.state.apply(Reservation(replacing("gone"), "shop", owner, SPOT, world.now), world.now)
    world.state.expire(world.now + 60)
    assert world.state.reserved == 1
    reconfigure(world, reservation_ttl=30)
    world.state.expire(world.now + 60)
    assert world.state.reserved == 0


def test_a_class_that_rules_name_from_now_on_makes_policies_valid_that_were_not() -> None:
    world = World()
    owner = world.deployment("web", 2, classes="reserved max=4, spot weight=1")
    assert not world.workload(owner).parsed.valid
    rules = ClassRules(extra_rules=(ClassRule("market", "reserved"),))
    reconfigure(world, replace(RULES, classes=rules))
    assert world.workload(owner).parsed.valid
    reconfigure(world)
    assert not world.workload(owner).parsed.valid
