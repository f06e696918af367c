"""A scenario's file: defaults, and faults that name field, value and fix."""

import pytest

from extender.core.model.errors import ConfigError
from extender.simulate.scenario import Scenario, parse_scenario, parse_share

HEAD = "apiVersion: spotmix.io/v1alpha1\nkind: Simulation\n"
POOL = "name: a, class: spot, size: 3"


def fault(text: str, head: str = HEAD) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_scenario(head + text, "day.yaml")
    text = str(caught.value)
    assert text.startswith("day.yaml: ")
    return text.removeprefix("day.yaml: ")


def test_what_is_not_said_has_a_default() -> None:
    assert parse_scenario(HEAD, "day.yaml") == Scenario()
    found = parse_scenario(HEAD + f"pools: [{{{POOL}}}]\nworkloads: [{{name: web}}]", "day.yaml")
    assert (found.pools[0].zone, found.workloads[0].kind, found.duration) == ("a", "Deployment", "24h")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("pols: []", "the file has no key 'pols'; did you mean pools?"),
        (f"pools: [{{{POOL}, nodes: {{}}}}]", "pools[0] has no key 'nodes'; did you mean node?"),
        (
            f"pools: [{{{POOL}, reclaim: {{perhour: 5%}}}}]",
            "pools[0].reclaim has no key 'perhour'; did you mean perHour?",
        ),
        ("classes: {spot: {pric: 1}}", "classes[...] has no key 'pric'; did you mean price?"),
        (
            "events: [{at: 1h, lose: {pool: a, until: 3h}}]",
            "events[0].lose has no key 'until'; known are pool, for, notice",
        ),
    ],
)
def test_unknown_keys_are_named_with_the_nearest(text: str, wanted: str) -> None:
    assert fault(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("pools: [{name: a, class: spot}]", "pools[0]: Object missing required field `size`"),
        ("pools: [{name: a, class: spot, size: -3}]", "pools[0].size: Expected `int` >= 0; seen -3"),
        (
            f"pools: [{{{POOL}, reclaim: {{perHour: five}}}}]",
            "pools[0].reclaim: perHour is 'five'; write a percentage such as 5%, or a number such as 0.05",
        ),
        (
            f"pools: [{{{POOL}, node: {{cpu: 4x}}}}]",
            "pools[0]: node.cpu: '4x' is not a resource quantity; write one such as 250m, 2 or 1.5Gi",
        ),
        (
            "workloads: [{name: web, kind: Deploymnt}]",
            "workloads[0].kind: Invalid enum value 'Deploymnt'; write one of Deployment, StatefulSet, ReplicaSet, Job",
        ),
        (
            "workloads: [{name: web, annotations: {spotmix.io/spot-percentage: 70}}]",
            'workloads[0].annotations: a value is of type int; write it in quotes, as "70"',
        ),
        (
            "workloads: [{name: web, completions: 3}]",
            "workloads[0]: completions is for a Job; this is a Deployment",
        ),
        (
            "workloads: [{name: web, requests: {cpu: 1}, template: {spec: {}}}]",
            "workloads[0]: requests and template exclude each other; write the requests into the template",
        ),
        ("pdbs: [{workload: web}]", "pdbs[0]: give one of minAvailable and maxUnavailable"),
        (
            "pdbs: [{workload: web, maxUnavailable: half}]",
            "pdbs[0]: 'half' is no amount of pods; write a number, or a percentage such as \"50%\"",
        ),
        ("events: [{at: 1h}]", "events[0]: give one of scale, annotate, rollOut, lose"),
        ("start: yesterday", "start: Invalid RFC3339 encoded datetime; seen 'yesterday'"),
        (
            "duration: 1 day",
            "duration is '1 day', which is not a duration; write hours, minutes and seconds, such as",
        ),
        ("duration: 0s", "duration is 0; write how long to simulate, such as 24h"),
        (
            "classes: {spot: {replacement: {min: 5m, mean: 1m}}}",
            "classes[...].replacement: mean is '1m', which is below min ('5m'); raise it",
        ),
        ("[", "is not YAML"),
    ],
)
def test_faults_name_field_value_and_fix(text: str, wanted: str) -> None:
    assert fault(text).startswith(wanted)


def test_a_file_of_another_kind() -> None:
    assert fault("kind: Deployment\napiVersion: apps/v1", head="") == (
        "apiVersion is 'apps/v1'; write apiVersion: spotmix.io/v1alpha1"
    )
    assert fault("[]", head="") == "is no mapping; start with apiVersion: spotmix.io/v1alpha1"


@pytest.mark.parametrize(("text", "wanted"), [("5%", 0.05), ("0.05", 0.05), (0.5, 0.5), (" 100 %", 1.0), (0, 0.0)])
def test_shares(text: str | float, wanted: float) -> None:
    assert parse_share("x", text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["nan", "-5%", "inf", "5%%", ""])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(ValueError, match="write a percentage"):
        parse_share("x", text)
