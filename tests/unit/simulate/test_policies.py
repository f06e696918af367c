"""Policy objects of a scenario and a snapshot: whom they speak for, and what happens as they come and go."""

import json
from collections import Counter

import pytest
from support.kubectl import Kubectl

from extender.core.model.classes import ClassRules
from extender.core.model.errors import ConfigError
from extender.settings import Settings
from extender.settings.load import settings_of
from extender.simulate.build import Built, build
from extender.simulate.run import run
from extender.simulate.scenario import Scenario, parse_scenario
from extender.simulate.snapshot import parse_snapshot

HALF = "spec: {classes: [{name: spot, weight: 50}, {name: on-demand, weight: 50}]}"
ALL = "spec: {classes: [{name: spot, weight: 100}]}"
BASE = """
apiVersion: spotmix.io/v1alpha1
kind: Simulation
duration: 2h
pools:
  - {name: a, class: spot, size: 4}
  - {name: b, class: on-demand, size: 4}
namespaces:
  shop: {labels: {team: a}}
workloads:
  - {name: web, namespace: shop, replicas: 4, labels: {tier: web}, requests: {cpu: 100m}}
  - {name: db, namespace: shop, replicas: 4, labels: {tier: db}, requests: {cpu: 100m}}
"""
WEB = "apiVersion: spotmix.io/v1alpha1, kind: PlacementPolicy, metadata: {name: web, namespace: shop}"


MISTAKEN = "events: [{at: 1h, delete: {kind: PlacementPolicy, namespace: shop, name: wbe}}]"


def made(text: str) -> Built:
    scenario = parse_scenario(BASE + text, "day.yaml")
    return build(scenario, settings_of({}, "day.yaml"), "day.yaml", seed=1)


def fault(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        made(text)
    return str(caught.value)


def split(built: Built, name: str) -> dict[str, int]:
    return built.cluster.split(built.workloads[name][0])


def managed(built: Built, name: str) -> bool:
    return built.workloads[name][0] in built.cluster.truth.state.workloads.by_uid


def test_it_speaks_for_whom_it_selects() -> None:
    spec = HALF.replace("{classes", "{selector: {matchLabels: {tier: web}}, classes")
    built = made(f"policies: [{{{WEB}, {spec}}}]")
    built.cluster.run(600.0)
    assert split(built, "web") == {"spot": 2, "on-demand": 2}
    assert (managed(built, "web"), managed(built, "db")) == (True, False)
    (report,) = [row for row in run(made(f"policies: [{{{WEB}, {spec}}}]"), 1, lambda _: None).workloads if row.managed]
    assert report.name == "web"


def test_workloads_that_are_counted_together_keep_the_split_of_the_sum() -> None:
    spec = "spec: {count: Policy, classes: [{name: spot, weight: 70}, {name: on-demand, weight: 30}]}"
    built = made(f"policies: [{{{WEB}, {spec}}}]")
    built.cluster.run(600.0)
    both = Counter(split(built, "web")) + Counter(split(built, "db"))
    assert both == {"spot": 5, "on-demand": 3}
    grown = "events: [{at: 1h, scale: {workload: web, replicas: 6}}]"
    report = run(made(f"policies: [{{{WEB}, {spec}}}]\n{grown}"), 1, lambda _: None)
    # Of none of them it is told that it is off a split of its own.
    assert [row.misplaced for row in report.workloads] == [0, 0]


def test_one_of_the_cluster_goes_by_the_labels_of_namespaces() -> None:
    wide = "kind: ClusterPlacementPolicy, metadata: {name: wide}"
    for team, expected in (("a", True), ("b", False)):
        spec = HALF.replace("{classes", f"{{namespaceSelector: {{matchLabels: {{team: {team}}}}}, classes")
        assert managed(made(f"policies: [{{{wide}, {spec}}}]"), "db") is expected


def test_one_that_comes_changes_and_goes() -> None:
    applied = [f"{{at: {at}, apply: {{{WEB}, {spec}}}}}" for at, spec in (("10m", HALF), ("1h", ALL))]
    deleted = "{at: 100m, delete: {kind: PlacementPolicy, namespace: shop, name: web}}"
    built = made(f"warmUp: 1m\nevents: [{', '.join([*applied, deleted])}]\n")
    cluster = built.cluster
    cluster.run(60.0)
    assert not managed(built, "web")
    cluster.begin()
    cluster.run(3000.0)
    assert split(built, "web") == {"spot": 2, "on-demand": 2}
    cluster.run(2700.0)
    assert (split(built, "web"), split(built, "db")) == ({"spot": 4}, {"spot": 4})
    ((uid, policy),) = cluster.api.policies.items()
    assert (policy.generation, cluster.spotmix is not None) == (2, True)
    cluster.run(600.0)
    assert (uid in cluster.api.policies, managed(built, "web")) == (False, False)
    assert cluster.spotmix is not None
    assert cluster.spotmix.state.workloads.by_uid == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            f"policies: [{{{WEB}, spec: {{mode: audit}}}}]",
            "day.yaml: policies[0]: spec.mode is 'audit': Unsupported value: 'audit': supported values",
        ),
        (f"policies: [{{{WEB}, spec: {{}}}}]", "policies[0]: spec: Invalid value: the policy says nothing"),
        (f"policies: [{{{WEB}, spec: {{clases: []}}}}]", "did you mean classes?"),
        ("policies: [{kind: Policy, metadata: {name: a}, spec: {}}]", "write one of PlacementPolicy"),
        (f"events: [{{at: 1h, apply: {{{WEB}, spec: {{mode: audit}}}}}}]", "events[0].apply: spec.mode is 'audit'"),
        (
            f"policies: [{{{WEB}, {HALF}}}]\n{MISTAKEN}",
            "events[0].delete: there is no PlacementPolicy shop/wbe; did you mean PlacementPolicy shop/web?",
        ),
        ("events: [{at: 1h}]", "give one of scale, annotate, rollOut, lose, apply and delete"),
    ],
)
def test_what_is_wrong_names_field_and_fix(text: str, says: str) -> None:
    assert says in fault(text)


def test_what_is_wrong_with_a_value_is_noted() -> None:
    moves = "spec: {moves: {schedule: 0 2 * * *, duration: 1h, timeZone: Mars/Base}}"
    (note,) = made(f"policies: [{{{WEB}, {moves}}}]").notes
    assert note.startswith("PlacementPolicy shop/web: spec.moves.timeZone='Mars/Base' names no known time zone")


def test_a_snapshot_has_them() -> None:
    kubectl = Kubectl()
    kubectl.nodes(2, "on-demand")
    kubectl.nodes(2, "spot", zone="b")
    kubectl.deployment("web", ["n0", "n1", "n2", "n3"])
    listed = json.loads(kubectl.text)
    metadata = {"name": "all", "namespace": "shop", "uid": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}
    spec = {"classes": [{"name": "spot", "weight": 100}], "moves": {"maxPerHour": 60}}
    head = {"apiVersion": "spotmix.io/v1alpha1", "metadata": metadata, "spec": spec}
    listed["items"] += [{**head, "kind": "PlacementPolicy"}]
    taken = parse_snapshot(json.dumps(listed).encode(), "cluster.json", ClassRules(), ("spotmix.io",))
    assert [(each.title, each.created > 0) for each in taken.policies] == [("PlacementPolicy shop/all", True)]
    built = build(Scenario(), Settings(), "day.yaml", seed=1, snapshot=taken)
    cluster = built.cluster
    cluster.run(60.0)
    cluster.begin()
    cluster.run(2 * 3600.0)
    assert cluster.split("deployment-web") == {"spot": 4}
    scenario = "events: [{at: 1h, delete: {kind: PlacementPolicy, namespace: shop, name: all}}]"
    head_of_scenario = "apiVersion: spotmix.io/v1alpha1\nkind: Simulation\n"
    deleting = parse_scenario(head_of_scenario + scenario, "day.yaml")
    assert build(deleting, Settings(), "day.yaml", seed=1, snapshot=taken).cluster.api.policies
