"""How annotations become a policy, and what is said of values that cannot be read."""

import difflib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import keys, two_classes
from support.rare import Met

from extender.core.policy.keys import KEYS
from extender.core.policy.policy import Layer, ParsedPolicy, Policy, Problem, parse_enabled, parse_policy
from extender.core.policy.schedule import window_open
from extender.core.policy.seats import TwoClassSeats
from extender.core.policy.values import PoolCap, parse_duration

PREFIXES = ("spotmix.io", "spotalis.io")


def parse(*layers: dict[str, str]) -> ParsedPolicy:
    names = ("Deployment shop/web", "Namespace shop", "configuration policy.defaults")
    named = [Layer(name, layer) for name, layer in zip(names, layers, strict=False)]
    return parse_policy(named, PREFIXES)


def problem(*layers: dict[str, str]) -> Problem:
    parsed = parse(*layers)
    assert len(parsed.problems) == 1, parsed.problems
    return parsed.problems[0]


def test_nothing_said_is_all_on_demand() -> None:
    assert parse() == ParsedPolicy(Policy())
    assert Policy().seats.target(9) == {"spot": 0, "on-demand": 9}


@pytest.mark.parametrize(
    ("annotations", "wanted"),
    [
        (keys(spot_percentage="70"), Policy(TwoClassSeats(70))),
        (keys(spot_percentage=" 70% "), Policy(TwoClassSeats(70))),
        (keys(spot_percentage="0"), Policy()),
        (keys(spot_percentage="100"), Policy(TwoClassSeats(100))),
        (keys(min_on_demand="2"), Policy(TwoClassSeats(floor=2))),
        (keys(min_on_demand="10000"), Policy(TwoClassSeats(floor=10000))),
        (keys(max_spot="0"), Policy(TwoClassSeats(cap=0))),
        (keys(on_demand_base="3"), Policy(TwoClassSeats(base=3))),
        (keys(when_unsatisfiable="Any"), Policy(when_unsatisfiable="any")),
        (keys(when_unsatisfiable="wait"), Policy(when_unsatisfiable="wait")),
        (keys(fallback_after="1h30m"), Policy(fallback_after=5400, written_after=5400)),
        (keys(fallback_after="0"), Policy(written_after=0.0)),
        (keys(max_per_pool="3"), Policy(max_per_pool=PoolCap(3))),
        (keys(max_per_pool="25%"), Policy(max_per_pool=PoolCap(25, percent=True))),
        (keys(max_per_pool="100%"), Policy(max_per_pool=PoolCap(100, percent=True))),
        (
            keys(disruption_schedule="0 2 * * 1-5", disruption_duration="2h", timezone="Europe/Berlin"),
            Policy(disruption_schedule="0 2 * * 1-5", disruption_duration=7200, timezone="Europe/Berlin"),
        ),
        (keys(max_moves_per_hour="0"), Policy(max_moves_per_hour=0)),
        (keys(mode="audit"), Policy(mode="audit")),
        (keys(scheduler_name=" spotmix "), Policy(scheduler_name="spotmix")),
        (keys(scheduler_name="example.org/My_scheduler-2"), Policy(scheduler_name="example.org/My_scheduler-2")),
        (keys(scheduler_name=""), Policy(scheduler_name="")),
    ],
)
def test_valid(annotations: dict[str, str], wanted: Policy) -> None:
    assert parse(annotations) == ParsedPolicy(wanted)


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [
        ("spot-percentage", "101", "0 to 100"),
        ("spot-percentage", "-1", "0 to 100"),
        ("spot-percentage", "70.5", "0 to 100"),
        ("spot-percentage", "seventy", '"70"'),
        ("spot-percentage", "", '"70"'),
        ("spot-percentage", "%", '"70"'),
        ("spot-percentage", "\u0667\u0660", '"70"'),
        ("spot-percentage", "9" * 5000, '"70"'),
        ("min-on-demand", "10001", "0 to 10000"),
        ("min-on-demand", "1.0", '"2"'),
        ("max-spot", "none", '"2"'),
        ("on-demand-base", "25%", '"2"'),
        ("when-unsatisfiable", "never", '"fallback", "any", "wait"'),
        ("fallback-after", "30", '"30s"'),
        ("fallback-after", "-5s", '"30s"'),
        ("fallback-after", "", '"30s"'),
        ("fallback-after", "9" * 400 + "s", '"30s"'),
        ("fallback-after", "9" * 400 + "h", '"30s"'),
        ("max-per-pool", "0", '"max-spot: 0"'),
        ("max-per-pool", "101%", '"25"'),
        ("timezone", "Mars/Olympus", '"Europe/Berlin"'),
        ("max-moves-per-hour", "many", '"2"'),
        ("mode", "dry-run", '"enforce", "audit"'),
    ],
)
def test_invalid_names_object_key_value_and_fix(key: str, value: str, fix: str) -> None:
    annotations = {f"spotmix.io/{key}": value}
    found = problem(annotations)
    assert found.text.startswith(f"Deployment shop/web: spotmix.io/{key}={value!r} ")
    assert fix in found.fix
    assert not found.warning


@pytest.mark.parametrize(
    ("annotations", "fault"),
    [
        (keys(disruption_schedule="0 2 * * *"), "has no duration"),
        (keys(disruption_duration="2h"), "has no schedule"),
        (keys(disruption_schedule="0 2 * *", disruption_duration="2h"), "five fields"),
        (keys(disruption_schedule="", disruption_duration="2h"), "five fields"),
        (keys(disruption_schedule="99 2 * * *", disruption_duration="2h"), "cron expression"),
        (keys(disruption_schedule="0 0 30 2 *", disruption_duration="2h"), "cron expression"),
        (keys(disruption_schedule=f"{'9' * 5000} 2 * * *", disruption_duration="2h"), "cron expression"),
        (keys(disruption_schedule="0 2 * * *", disruption_duration="2h", timezone=""), "time zone"),
    ],
)
def test_windows_that_cannot_be(annotations: dict[str, str], fault: str) -> None:
    assert fault in problem(annotations).fault


def test_an_invalid_policy_is_all_on_demand_in_the_mode_asked_for() -> None:
    parsed = parse(keys(spot_percentage="x", when_unsatisfiable="wait", mode="audit"))
    assert not parsed.valid
    assert parsed.policy == Policy(mode="audit")


@pytest.mark.parametrize(
    ("wrong", "read_as"),
    [
        (keys(disruption_schedule="0 0 * * sat-sun", disruption_duration="2h"), Policy(TwoClassSeats(50, 1))),
        (keys(disruption_schedule="0 0 * * *", disruption_duration="99999999h"), Policy(TwoClassSeats(50, 1))),
        (keys(disruption_schedule="0 0 * * *", disruption_duration="weekend"), Policy(TwoClassSeats(50, 1))),
        (keys(disruption_schedule="0 0 * * *"), Policy(TwoClassSeats(50, 1))),
        (keys(timezone="Mars/Olympus"), Policy(TwoClassSeats(50, 1))),
        (keys(max_moves_per_hour="some"), Policy(TwoClassSeats(50, 1), max_moves_per_hour=0)),
        (keys(when_unsatisfiable="never"), Policy(TwoClassSeats(50, 1))),
        (keys(fallback_after="999999999h"), Policy(TwoClassSeats(50, 1))),
        # Without these there is no split.
        (keys(min_on_demand="x"), Policy()),
        (keys(max_spot="-1"), Policy()),
        (keys(max_per_pool="0"), Policy()),
        (keys(mode="?"), Policy()),
    ],
)
def test_a_slip_in_one_key_costs_no_other_its_meaning(wrong: dict[str, str], read_as: Policy) -> None:
    parsed = parse({**keys(spot_percentage=50, min_on_demand=1), **wrong})
    assert not parsed.valid
    assert parsed.policy == read_as
    assert parsed.splits == (read_as != Policy())


@pytest.mark.parametrize("text", ["87601h", "99999999h", "999999999h", "999999999m", "999999999s"])
def test_durations_that_times_cannot_be_reckoned_with_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="longer than ten years"):
        parse_duration(text)


@given(
    st.text(alphabet="0123456789*/,-# LWsunmo", max_size=12),
    st.text(alphabet="0123456789hms.", max_size=12),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo", "../UTC", "", "Europe"]),
    st.sampled_from([0.0, 1.7e9, 4.1e9]),
)
def test_a_window_that_is_taken_can_be_reckoned_with(cron: str, duration: str, zone: str, now: float) -> None:
    for schedule in (cron, f"0 0 {cron} * *", "0 0 29 2 *"):
        annotations = keys(disruption_schedule=schedule, disruption_duration=duration, timezone=zone)
        policy = parse(annotations).policy
        window_open(policy.disruption_schedule, policy.disruption_duration, policy.timezone, now)


def test_of_ten_thousand_unknown_keys_a_few_are_told() -> None:
    many = {f"spotmix.io/a-key-of-no-meaning-{n:05}": "x" for n in range(10_000)}
    parsed = parse({**many, **keys(spot_percentage=60)}, many)
    assert two_classes(parsed.policy).percentage == 60
    assert [p.fault for p in parsed.problems] == ["is not a key"] * 5 + ["is not a key, nor are others there"] + [
        "is not a key"
    ] * 5 + ["is not a key, nor are others there"]


def test_what_a_key_was_meant_to_be_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def find(key: str, _known: Any, _count: int) -> list[str]:
        asked.append(key)
        return []

    monkeypatch.setattr(difflib, "get_close_matches", find)
    for _ in range(100):
        parse({f"spotmix.io/a-slip-that-many-share-{n}": "x" for n in range(1000)})
    assert len(asked) <= 6


def test_all_problems_are_told_at_once() -> None:
    parsed = parse(keys(spot_percentage="x", max_spot="y"), keys(mode="z"))
    assert [p.key.partition("/")[2] for p in parsed.problems] == ["spot-percentage", "max-spot", "mode"]


VALUES = {
    "spot-percentage": ("10", "20", "30"),
    "min-on-demand": ("1", "2", "3"),
    "max-spot": ("4", "5", "6"),
    "on-demand-base": ("7", "8", "9"),
    "classes": ("spot weight=1", "reserved max=4, spot weight=1", "on-demand base=2 weight=1, spot weight=1"),
    "when-unsatisfiable": ("any", "wait", "fallback"),
    "fallback-to": ("spot", "on-demand, reserved", "reserved"),
    "fallback-after": ("1s", "2s", "3s"),
    "max-per-pool": ("1", "2", "3%"),
    "disruption-schedule": ("0 1 * * *", "0 2 * * *", "0 3 * * *"),
    "disruption-duration": ("1h", "2h", "3h"),
    "timezone": ("Europe/Berlin", "Asia/Tokyo", "UTC"),
    "max-moves-per-hour": ("1", "2", "3"),
    "mode": ("audit", "enforce", "audit"),
    "scheduler-name": ("first", "second", "third"),
    "enforcement": ("affinity", "extender", "affinity"),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("present", [(0, 1, 2), (1, 2), (2,), (0, 2), (0,)])
def test_each_key_comes_from_the_most_specific_layer(key: str, present: tuple[int, ...]) -> None:
    partner = {"disruption-schedule": "disruption-duration", "disruption-duration": "disruption-schedule"}

    def layer(index: int) -> dict[str, str]:
        found = {f"spotmix.io/{key}": VALUES[key][index]}
        if key in partner:
            found[f"spotmix.io/{partner[key]}"] = VALUES[partner[key]][0]
        return found

    layers = [layer(index) if index in present else {} for index in range(3)]
    assert parse(*layers) == parse(layer(present[0]))
    assert parse(*layers).valid


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ((keys(min_on_demand=2), keys(on_demand_base=3)), TwoClassSeats(floor=2)),
        ((keys(on_demand_base=3), keys(min_on_demand=2)), TwoClassSeats(base=3)),
        (({}, keys(min_on_demand=2), keys(on_demand_base=3)), TwoClassSeats(floor=2)),
        ((keys(min_on_demand=1), keys(min_on_demand=2, on_demand_base=3)), TwoClassSeats(floor=1)),
    ],
)
def test_floor_and_base_exclude_each_other_across_layers(layers: Any, wanted: TwoClassSeats) -> None:
    parsed = parse(*layers)
    assert (parsed.problems, parsed.policy.seats) == ((), wanted)


def test_floor_and_base_in_one_layer_are_a_fault() -> None:
    found = problem({"spotmix.io/on-demand-base": "3", "spotalis.io/min-on-demand": "2"})
    assert "spotalis.io/min-on-demand exclude each other" in found.fault


def test_the_earlier_tools_annotations_work_and_ours_win() -> None:
    old = {
        "spotalis.io/spot-percentage": "40",
        "spotalis.io/min-on-demand": "2",
        "spotalis.io/disruption-schedule": "0 2 * * *",
        "spotalis.io/disruption-duration": "3h",
        "spotalis.io/whatever": "is not ours to judge",
    }
    parsed = parse(old)
    assert parsed.problems == ()
    assert parsed.policy.seats == TwoClassSeats(40, 2)
    assert parsed.policy.disruption_duration == 10800
    assert two_classes(parse({**old, "spotmix.io/spot-percentage": "50"}).policy).percentage == 50
    # A more specific layer wins whatever its prefix.
    assert two_classes(parse({"spotalis.io/spot-percentage": "40"}, keys(spot_percentage=60)).policy).percentage == 40


def test_unknown_keys_are_warnings_with_a_suggestion() -> None:
    parsed = parse(keys(spot_precentage=70, spot_percentage=60, colour="red"))
    assert parsed.valid
    assert two_classes(parsed.policy).percentage == 60
    texts = [p.text for p in parsed.problems]
    assert "did you mean spotmix.io/spot-percentage?" in texts[0]
    assert "known keys are spot-percentage, " in texts[1]
    assert all(p.warning for p in parsed.problems)


@pytest.mark.parametrize("name", ["my scheduler", "-", "a" * 254, "a\nb"])
def test_what_is_no_schedulers_name_is_ignored_with_a_warning(name: str) -> None:
    parsed = parse(keys(scheduler_name=name, spot_percentage=50), keys(scheduler_name="general"))
    assert (parsed.valid, parsed.policy) == (True, Policy(TwoClassSeats(50)))
    assert "is no scheduler's name and is ignored; write it as" in parsed.problems[0].text


def test_an_invalid_policy_keeps_the_scheduler() -> None:
    parsed = parse(keys(scheduler_name="spotmix", spot_percentage="half", mode="audit"))
    assert (parsed.valid, parsed.policy) == (False, Policy(mode="audit", scheduler_name="spotmix"))


def test_enabled_as_an_annotation_is_a_warning() -> None:
    assert problem(keys(enabled="true")).text.endswith("is an annotation; write it as a label")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("False", False),
        ("yes", None),
        ("", None),
        ("1", None),
    ],
)
def test_the_enabled_label_in_any_case(value: str, wanted: bool | None) -> None:
    assert parse_enabled(value) is wanted


@given(st.integers(0, 999), st.integers(0, 9999), st.integers(0, 99999))
def test_durations(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f" {hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


def test_no_text_breaks_the_parser_and_what_it_does_not_take_is_named() -> None:
    met = Met()

    @given(st.sampled_from(KEYS), st.text(max_size=20) | st.text(alphabet="0123456789hms.%", max_size=20))
    def holds(key: str, text: str) -> None:
        parsed = parse({f"spotmix.io/{key}": text})
        assert all(f"spotmix.io/{key}={text!r}" in problem.text for problem in parsed.problems)
        assert parsed.valid == all(problem.warning for problem in parsed.problems)
        met.example(taken=not parsed.problems, refused=not parsed.valid)

    holds()
    met.at_least(taken=1, refused=10)


@pytest.mark.parametrize(("cap", "limits"), [(PoolCap(3), [3, 3, 3]), (PoolCap(25, percent=True), [1, 2, 25])])
def test_pool_caps(cap: PoolCap, limits: list[int]) -> None:
    assert [cap.limit(replicas) for replicas in (1, 10, 100)] == limits
