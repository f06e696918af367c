"""What a policy object says: each field as the key it stands for, and what cannot be had yet, which is told."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import SPOT, make_policy

from extender.core.model.classes import ON_DEMAND
from extender.core.model.policies import ClassWish, LimitWish, PolicySpec
from extender.core.policy.objects import policy_object
from extender.core.policy.policy import parse_policy
from extender.core.policy.seats import TwoClassSeats

PREFIXES = ("example.org", "spotmix.io")


def said(**spec: Any) -> dict[str, tuple[str, str]]:
    """Value and field of each key."""
    found = policy_object(make_policy("web", **spec), PREFIXES)
    assert found.acts
    return {
        full.removeprefix("example.org/"): (value, found.layer.fields[full])
        for full, value in found.layer.annotations.items()
    }


def classes(*wishes: ClassWish) -> dict[str, Any]:
    return {"classes": wishes}


def test_a_policy_without_classes_leaves_the_split_to_others() -> None:
    assert said(mode="Audit") == {"mode": ("audit", "spec.mode")}


@pytest.mark.parametrize(
    ("spot", "on_demand", "percentage"), [(70, 30, 70), (7, 3, 70), (0, 1, 0), (1, 0, 100), (1, 1, 50), (2, 3, 40)]
)
def test_weights_are_a_percentage(spot: int, on_demand: int, percentage: int) -> None:
    found = said(**classes(ClassWish(ON_DEMAND, on_demand), ClassWish(SPOT, spot)))
    assert found == {"spot-percentage": (str(percentage), "spec.classes[].weight")}


def test_a_class_alone_has_all() -> None:
    assert said(**classes(ClassWish(SPOT, 5)))["spot-percentage"][0] == "100"
    assert said(**classes(ClassWish(ON_DEMAND, 5)))["spot-percentage"][0] == "0"


def test_every_field_is_the_key_it_stands_for() -> None:
    spec = PolicySpec(
        classes=(ClassWish(ON_DEMAND, 30, base=2), ClassWish(SPOT, 70, most="8", most_per_pool="25%")),
        action="Fallback",
        after="3m",
        stand_ins=(ON_DEMAND,),
        schedule="0 2 * * *",
        duration="4h",
        timezone="Europe/Berlin",
        moves_per_hour=0,
        mode="Enforce",
    )
    found = policy_object(replace(make_policy("web"), spec=spec), PREFIXES)
    assert (found.unbuilt, found.problems) == ((), ())
    assert set(found.layer.fields.values()) == {
        "spec.classes[].weight",
        "spec.classes[0].base",
        "spec.classes[1].max",
        "spec.classes[1].maxPerPool",
        "spec.unsatisfiable.action",
        "spec.unsatisfiable.to",
        "spec.unsatisfiable.after",
        "spec.moves.schedule",
        "spec.moves.duration",
        "spec.moves.timeZone",
        "spec.moves.maxPerHour",
        "spec.mode",
    }
    policy = parse_policy([found.layer], PREFIXES).policy
    assert policy.seats == TwoClassSeats(70, floor=2, cap=8)
    assert policy.max_per_pool is not None
    assert (policy.max_per_pool.amount, policy.max_per_pool.percent) == (25, True)
    assert (policy.when_unsatisfiable, policy.fallback_after, policy.written_after) == ("fallback", 180.0, 180.0)
    assert (policy.disruption_schedule, policy.disruption_duration, policy.timezone) == (
        "0 2 * * *",
        4 * 3600.0,
        "Europe/Berlin",
    )
    assert (policy.max_moves_per_hour, policy.mode) == (0, "enforce")


BOTH = (ClassWish(ON_DEMAND, 30), ClassWish(SPOT, 70))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"count": "Policy"}, "spec.count='Policy' is for the split that spec.classes says, and there are none; add"),
        (
            {"action": "Any", "stand_ins": (ON_DEMAND, "reserved")},
            "spec.unsatisfiable.to=[on-demand, reserved] says what stands in by action Fallback, and the action is",
        ),
        (
            {"limits": (LimitWish("spot", "cpu", "1"),)},
            "spec.limits[0] is of no use in a PlacementPolicy",
        ),
        ({"malformed": "does not decode: no"}, "spec does not decode: no; write it as"),
    ],
)
def test_what_cannot_be_had_yet_is_told_and_nothing_of_it_acts(spec: dict[str, Any], told: str) -> None:
    found = policy_object(make_policy("web", mode="Audit", **spec), PREFIXES)
    assert not found.acts
    assert any(told in text for text in found.unbuilt), found.unbuilt
    assert found.layer.annotations == {}


def test_a_value_that_no_schema_judges_is_a_problem_of_its_field() -> None:
    found = policy_object(make_policy("web", schedule="0 25 * * *", duration="4h", timezone="UTC"), PREFIXES)
    assert found.acts
    (problem,) = found.problems
    assert problem.text.startswith(
        "PlacementPolicy shop/web: spec.moves.schedule='0 25 * * *' is not a cron expression"
    )
    assert problem.text.endswith('write five cron fields, such as "0 2 * * 1-5"')


THREE = (ClassWish("reserved", most="4"), ClassWish(ON_DEMAND, 30, base=2), ClassWish(SPOT, 70, most="80%"))


def test_more_than_two_classes_are_one_key() -> None:
    found = said(**classes(THREE[0], replace(THREE[1], most_per_pool="3"), replace(THREE[2], most_per_pool="25%")))
    text = "reserved max=4, on-demand base=2 weight=30 maxPerPool=3, spot weight=70 max=80%"
    assert found == {
        "classes": (text, "spec.classes"),
        "max-per-pool": ("25%", "spec.classes[2].maxPerPool"),
    }


@pytest.mark.parametrize(
    "wishes",
    [
        (ClassWish(ON_DEMAND, 1, most="4"), ClassWish(SPOT, 1)),
        (ClassWish(ON_DEMAND, 1, most_per_pool="4"),),
        (ClassWish(SPOT, 1, most="80%"), ClassWish(ON_DEMAND, 1)),
        (ClassWish(SPOT, 1, base=2), ClassWish(ON_DEMAND, 1)),
        (ClassWish(ON_DEMAND, 1), ClassWish(SPOT, most="4")),
        (ClassWish(ON_DEMAND, 1), ClassWish(SPOT, 0, most="4")),
        (ClassWish(ON_DEMAND, 1), ClassWish(SPOT, 2)),
    ],
)
def test_so_are_two_that_their_keys_cannot_say(wishes: tuple[ClassWish, ...]) -> None:
    found = policy_object(make_policy("web", classes=wishes), PREFIXES)
    assert (found.unbuilt, found.problems) == ((), ())
    assert list(found.layer.annotations) == ["example.org/classes"]


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ((ClassWish(SPOT, 1), ClassWish(SPOT, 1)), "spec.classes='spot weight=1, spot weight=1' names spot twice"),
        ((ClassWish(ON_DEMAND, base=2),), "has no class with a weight; give one"),
        (
            (*THREE, ClassWish("gold", 1)),
            "names gold, a class that no rule of the cluster knows; write one of on-demand,",
        ),
        ((ClassWish("reserved", 1, most="5%"), THREE[2]), "has a max in percent for reserved and spot; keep one"),
    ],
)
def test_classes_that_cannot_be_had_are_told_with_the_field(wishes: tuple[ClassWish, ...], told: str) -> None:
    found = policy_object(make_policy("web", classes=wishes), PREFIXES, (ON_DEMAND, "reserved", SPOT))
    (problem,) = found.problems
    assert problem.key == "spec.classes"
    assert told in problem.text, problem.text


def test_stand_ins_are_known_classes() -> None:
    thing = make_policy("web", action="Fallback", stand_ins=("reserved", "gold"))
    (problem,) = policy_object(thing, PREFIXES, (ON_DEMAND, "reserved", SPOT)).problems
    assert problem.text == (
        "PlacementPolicy shop/web: spec.unsatisfiable.to='reserved, gold' names gold, a class that no rule of the "
        "cluster knows; write one of on-demand, reserved, spot, or add a rule for it to classes.extraRules"
    )
