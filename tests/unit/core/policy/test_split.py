"""A split over any classes as a text: what it asks for, what is wrong with it, and how it goes with other keys."""

from typing import Any

import pytest
from support.doubles import ON_DEMAND, SPOT, World, keys

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.policy.apportionment import ApportionedSeats, ClassShare
from extender.core.policy.policy import Layer, ParsedPolicy, parse_policy
from extender.core.policy.provenance import settings_in_force
from extender.core.policy.rules import PolicyRules
from extender.core.policy.seats import Seats, TwoClassSeats
from extender.core.policy.split import parse_split, split_text
from extender.core.policy.values import BadValueError, PoolCap

RESERVED = "reserved"
TEXT = "reserved max=4, on-demand base=2 weight=30 maxPerPool=3, spot weight=70 max=80%"
SHARES = (
    ClassShare(RESERVED, cap=4),
    ClassShare(ON_DEMAND, 30, floor=2),
    ClassShare(SPOT, 70, cap_percent=80),
)


def parse(*layers: dict[str, str]) -> ParsedPolicy:
    return parse_policy([Layer(f"place {number}", layer) for number, layer in enumerate(layers)], ("spotmix.io",))


def seats(*layers: dict[str, str]) -> Seats:
    parsed = parse(*layers)
    assert parsed.problems == ()
    return parsed.policy.seats


def test_what_it_asks_for() -> None:
    policy = parse(keys(classes=TEXT, max_per_pool="25%")).policy
    assert policy.seats == ApportionedSeats(SHARES)
    assert policy.pool_caps == ((ON_DEMAND, PoolCap(3)),)
    assert policy.pool_limits(40) == {SPOT: 10, ON_DEMAND: 3}
    assert policy.seats.target(40) == {RESERVED: 4, ON_DEMAND: 11, SPOT: 25}
    assert policy.seats.least(ON_DEMAND) == 2


def test_it_is_written_as_it_is_read() -> None:
    policy = parse(keys(classes=TEXT)).policy
    assert split_text(policy.seats, policy.pool_caps) == TEXT
    assert split_text(TwoClassSeats(70), ()) == ""


@pytest.mark.parametrize(
    "share",
    [ClassShare(SPOT, 0, cap=4), ClassShare(SPOT, cap=4), ClassShare(SPOT, 1, cap=0), ClassShare(SPOT, cap_percent=0)],
)
def test_no_weight_is_another_than_none_and_so_is_no_cap(share: ClassShare) -> None:
    written = split_text(ApportionedSeats((ClassShare(ON_DEMAND, 1), share)), ())
    assert parse_split(written).shares == (ClassShare(ON_DEMAND, 1), share)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has a part that begins with no class"),
        ("spot weight=1,", "has a part that begins with no class"),
        ("weight=1", "has a part that begins with no class"),
        ("spot", "has no class with a weight"),
        ("spot weight=0", "has no class with a weight"),
        ("spot weight", "says 'weight' of spot; write base, weight, max, maxPerPool"),
        ("spot share=1", "says 'share=1' of spot; write base"),
        ("spot weight=1 maxPerPool=3", "says 'maxPerPool=3' of spot; write max-per-pool"),
        ("spot weight=x", "says weight=x of spot, which is not a number of replicas"),
        ("spot weight=1 base=-1", "says base=-1 of spot, which is not a number"),
        ("spot weight=1 max=101%", "says max=101% of spot, which is not a percentage"),
        ("on-demand weight=1 maxPerPool=0", "says maxPerPool=0 of on-demand, which leaves no room in any pool"),
        ("spot weight=1 base=5 max=4", "has a base of spot above its max"),
        ("spot weight=1, spot max=3", "names spot twice"),
        ("spot weight=1 max=5%, on-demand max=5%", "has a max in percent for spot and on-demand"),
        (", ".join(f"c{n} weight=1" for n in range(17)), "names 17 classes; name at most 16"),
    ],
)
def test_what_is_wrong_is_told_with_the_fix(text: str, told: str) -> None:
    with pytest.raises(BadValueError) as met:
        parse_split(text)
    assert told in "; ".join(met.value.args)
    parsed = parse(keys(classes=text, spot_percentage=50), keys(max_spot=3))
    assert not parsed.splits


THREE = keys(classes=TEXT)


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ((THREE, keys(spot_percentage=50, min_on_demand=9, max_spot=1)), ApportionedSeats(SHARES)),
        ((keys(spot_percentage=50), THREE), TwoClassSeats(50)),
        ((keys(spot_percentage=50), THREE, keys(min_on_demand=3)), TwoClassSeats(50, floor=3)),
        (
            (keys(min_on_demand=5), THREE),
            ApportionedSeats((SHARES[0], ClassShare(ON_DEMAND, 30, floor=5), SHARES[2])),
        ),
        (
            (keys(on_demand_base=5), THREE, keys(min_on_demand=9)),
            ApportionedSeats((SHARES[0], ClassShare(ON_DEMAND, 30, base=5), SHARES[2])),
        ),
        (
            (keys(max_spot=6), THREE),
            ApportionedSeats((*SHARES[:2], ClassShare(SPOT, 70, cap=6, cap_percent=80))),
        ),
        (
            (keys(min_on_demand=1), keys(classes="spot weight=1")),
            ApportionedSeats((ClassShare(SPOT, 1), ClassShare(ON_DEMAND, floor=1))),
        ),
        ((keys(max_spot=1), keys(classes="on-demand weight=1")), ApportionedSeats((ClassShare(ON_DEMAND, 1),))),
        ((keys(classes="spot weight=1"), THREE), ApportionedSeats((ClassShare(SPOT, 1),))),
    ],
)
def test_how_it_goes_with_keys_of_other_places(layers: tuple[dict[str, str], ...], wanted: Seats) -> None:
    assert seats(*layers) == wanted


@pytest.mark.parametrize("key", ["spot_percentage", "min_on_demand", "on_demand_base", "max_spot"])
def test_beside_them_in_one_place_it_is_a_fault(key: str) -> None:
    parsed = parse(THREE | keys(**{key: 3}))
    (problem,) = parsed.problems
    assert problem.fault == f"and spotmix.io/{key.replace('_', '-')} exclude each other"
    assert not parsed.splits


def test_what_pools_may_hold_is_a_key_of_its_own() -> None:
    assert parse(THREE, keys(max_per_pool=2)).policy.pool_limits(9) == {SPOT: 2, ON_DEMAND: 3}


def settings(rules: PolicyRules, **own: Any) -> dict[str, tuple[str, bool]]:
    world = World(rules)
    workload = world.workload(world.deployment("web", 4, **own))
    return {each.key: (each.value, each.applied) for each in settings_in_force(world.state.workloads, workload)}


WITH_RESERVED = ClassRules(extra_rules=(ClassRule("tier", RESERVED),))


def test_explained_key_by_key() -> None:
    rules = PolicyRules(defaults=keys(classes=TEXT), classes=WITH_RESERVED)
    found = settings(rules, min_on_demand=5)
    assert found["classes"] == (TEXT.replace("base=2", "base=5"), True)
    assert found["min-on-demand"] == ("5", True)
    assert found["spot-percentage"] == ("", True)
    assert found["max-spot"] == ("", True)
    assert settings(rules, max_spot=7)["max-spot"] == ("7", True)
    found = settings(rules, spot_percentage=50)
    assert found["classes"] == ("", False)
    assert found["spot-percentage"] == ("50", True)
    found = settings(PolicyRules(defaults=keys(spot_percentage=50), classes=WITH_RESERVED), classes=TEXT)
    assert found["classes"] == (TEXT, True)
    assert found["spot-percentage"] == ("", False)


def test_a_class_that_no_rule_knows_is_told_and_all_is_on_demand() -> None:
    world = World()
    workload = world.workload(world.deployment("web", 4, classes=TEXT))
    (problem,) = workload.parsed.problems
    assert "names reserved, a class that no rule of the cluster knows; write one of on-demand, spot" in problem.text
    assert workload.policy.seats == TwoClassSeats()
