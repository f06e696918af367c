"""The committed dashboards: current, readable, and about metrics that there are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring.files import render
from monitoring.promql import SERVICE, grown, most, quantile, rate, select, total
from programs import ROOT
from support.dashboards import LABEL, load, panels, targets, variable_names

from extender.telemetry.catalogue import (
    DECISIONS,
    FAMILIES,
    NODES,
    PODS_WAITING,
    REQUEST_DURATION,
    Family,
)

RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
RUNBOOK = ROOT / "docs" / "how-to" / "alerts.md"
_METRIC = re.compile(r"(?<![:\w])(spotmix_\w+)(?:{([^}]*)})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_RECORDED = re.compile(r"(?<!\w)\w+:spotmix_\w+:\w+")


def exposed() -> dict[str, Family]:
    """Metrics by the names of their series."""
    names = {}
    for family in FAMILIES:
        suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
        names.update({f"{family.name}{suffix}": family for suffix in suffixes})
    return names


def marks() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, dashboard in load().items():
        for mark in dashboard["annotations"]["list"]:
            yield name, mark


def expressions() -> Iterator[tuple[str, str]]:
    """Where, and what is asked there."""
    for target in targets():
        yield str(target), target.expr
    for name, mark in marks():
        yield f"{name}: {mark['name']}", mark["expr"]
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for name, dashboard in load().items():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                yield f"{name}: {variable['name']}", variable["query"]["query"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("path", render(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_committed_is_current(path: Path) -> None:
    assert path.read_text() == render()[path], "run `make dashboards`"


@pytest.mark.parametrize(("where", "expr"), list(expressions()), ids=lambda text: text[:60])
def test_only_metrics_and_labels_that_there_are_are_asked_for(where: str, expr: str) -> None:
    known, recorded = exposed(), {rule["record"] for rule in rules() if "record" in rule}
    own = set(_RECORDED.findall(expr))
    assert own <= recorded, where
    found = _METRIC.findall(expr)
    assert found or own or "process_" in expr, where
    for name, matchers in found:
        assert name in known, f"{where}: the program has no metric {name}"
        labels = {*known[name].labels, "cluster", "job", "instance", "pod", "le"}
        assert set(_MATCHER.findall(matchers)) <= labels, f"{where}: {name} has no such label: {matchers}"


@pytest.mark.parametrize("name", load())
def test_a_dashboard_is_whole(name: str) -> None:
    dashboard = load()[name]
    all_panels = list(panels(dashboard))
    ids = [panel["id"] for panel in all_panels if "id" in panel]
    assert len(ids) == len(set(ids))
    assert variable_names(dashboard)[:3] == ["datasource", "cluster", "job"]
    taken: set[tuple[int, int]] = set()
    for panel in all_panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies upon another panel"
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"], panel["title"]
        refs = [query["refId"] for query in panel["targets"]]
        assert len(refs) == len(set(refs))
        if panel["type"] != "table":
            assert panel["fieldConfig"]["defaults"]["unit"]
        if len(refs) > 1:
            assert all(query["legendFormat"] for query in panel["targets"]), panel["title"]
    known = {*variable_names(dashboard), "__rate_interval", "__range", "__range_s", "__interval"}
    for target in targets():
        if target.dashboard == name:
            assert {a or b for a, b in re.findall(r"\$(\w+)|\$\{(\w+)\}", target.expr)} <= known, target


@pytest.mark.parametrize("name", load())
def test_a_dashboard_marks_changes_of_the_leader_and_rollouts(name: str) -> None:
    found = {mark["name"]: mark for of, mark in marks() if of == name}
    assert set(found) == {"Leader changes", "Rollouts"}
    for mark in found.values():
        assert mark["datasource"]["uid"] == "${datasource}"
        assert SERVICE in mark["expr"]
        assert mark["titleFormat"]
        assert mark["enable"]
    # A start is marked at its own time, not at each scrape.
    assert found["Rollouts"]["useValueForTime"]
    assert not found["Leader changes"]["useValueForTime"]


def test_rules_keep_clusters_apart() -> None:
    for rule in rules():
        joins = re.findall(r"\b(?:by|on) \(([^)]*)\)", rule["expr"])
        assert all(re.match(r"cluster\b", join) for join in joins), rule
        assert joins or _RECORDED.search(rule["expr"]), rule


def test_the_workload_page_is_chosen_by_namespace_and_workload() -> None:
    assert variable_names(load()["spotmix-workload.json"]) == ["datasource", "cluster", "job", "namespace", "workload"]


@pytest.mark.parametrize("rule", [r for r in rules() if "alert" in r], ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    notes = rule["annotations"]
    assert notes["summary"].endswith(".")
    assert "{{" not in notes["summary"], "a summary is the same for all of its alerts"
    assert notes["description"]
    page, _, anchor = notes["runbook_url"].partition("#")
    assert ROOT / page == RUNBOOK
    assert f"\n## {rule['alert']}\n" in RUNBOOK.read_text()
    assert anchor == rule["alert"].lower()


def test_the_runbook_is_about_alerts_that_there_are() -> None:
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert set(re.findall(r"^## (Spotmix\w+)$", RUNBOOK.read_text(), re.MULTILINE)) == alerts


def test_queries_are_put_together_of_what_a_metric_has() -> None:
    assert SERVICE == 'cluster="$cluster",job=~"$job"'
    assert select(NODES, 'capacity_class="spot"') == f'spotmix_nodes{{{SERVICE},capacity_class="spot"}}'
    assert most(NODES, by=("capacity_class",)) == f"max by (capacity_class) (spotmix_nodes{{{SERVICE}}})"
    waiting = f"sum by () (max by (reason) (spotmix_pods_waiting{{{SERVICE}}}))"
    assert total(PODS_WAITING, each=("reason",)) == waiting
    decided = f'spotmix_decisions_total{{{SERVICE},verb!="filter"}}'
    assert rate(DECISIONS, 'verb!="filter"') == f"sum by () (rate({decided}[$__rate_interval]))"
    assert grown(DECISIONS, 'verb!="filter"', window="1h") == f"sum by () (increase({decided}[1h]))"
    assert quantile(0.9, REQUEST_DURATION).startswith("histogram_quantile(0.9, sum by (le) (rate(")
    with pytest.raises(ValueError, match="spotmix_nodes has no label zone"):
        select(NODES, 'zone="a"')
    with pytest.raises(ValueError, match="spotmix_nodes has no label zone"):
        most(NODES, by=("zone",))


def test_legends_name_labels() -> None:
    assert LABEL.findall("{{ a }}/{{b}} c") == ["a", "b"]
