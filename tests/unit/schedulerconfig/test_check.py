"""What is found to be wrong with a scheduler's configuration, and where."""

import json
from typing import Any

import pytest
import yaml

from extender.core.model.errors import WireError
from extender.schedulerconfig.check import check
from extender.schedulerconfig.read import API_VERSION, KIND, Stanza
from extender.schedulerconfig.render import render
from extender.schedulerconfig.scheduler import Remark

HEAD = f"apiVersion: {API_VERSION}\nkind: {KIND}\n"
STANZA = Stanza(url_prefix="http://127.0.0.1:8888/scheduler", weight=15)
SECURE = Stanza(url_prefix="https://127.0.0.1:8888/scheduler", weight=15, enable_https=True, ca_file="/ca.crt")
UNSCORED = Stanza(url_prefix=STANZA.url_prefix)
OTHER = {"urlPrefix": "http://other", "bindVerb": "bind"}
QUIET = {
    "percentageOfNodesToScore": 100,
    "clientConnection": {"kubeconfig": "/k"},
    "profiles": [{"schedulerName": "spotmix"}],
    "leaderElection": {"leaderElect": False},
}
Found = set[tuple[str, str]]


def entry(**fields: Any) -> dict[str, Any]:
    """Our entry with other fields; None takes one away."""
    merged = {**STANZA.entry(), **fields}
    return {key: value for key, value in merged.items() if value is not None}


def config(*extenders: dict[str, Any], **fields: Any) -> str:
    text: str = yaml.safe_dump({**QUIET, "extenders": list(extenders), **fields}, sort_keys=False)
    return HEAD + text


def found(findings: list[Remark]) -> Found:
    seen: Found = {(finding.severity, finding.field) for finding in findings}
    # Said of every configuration, one way or another.
    return seen - {("info", "extenders[0].ignorable"), ("info", "percentageOfNodesToScore")}


def test_our_own_rendering_has_nothing_to_fear() -> None:
    for stanza in (STANZA, SECURE, UNSCORED):
        assert found(check(render(stanza, percentage=100), stanza)) == set()


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, set()),
        ({"nodeCacheCapable": False}, {("error", "nodeCacheCapable")}),
        ({"nodeCacheCapable": None}, {("error", "nodeCacheCapable")}),
        ({"enableHTTPS": True}, {("error", "enableHTTPS")}),
        ({"urlPrefix": "https://127.0.0.1:8888/scheduler"}, {("info", "enableHTTPS")}),
        ({"urlPrefix": "https://127.0.0.1:8888/scheduler", "enableHTTPS": True}, {("error", "enableHTTPS")}),
        (
            {**SECURE.entry(), "tlsConfig": {"caFile": "/ca", "insecure": True}},
            {("error", "tlsConfig.insecure")},
        ),
        ({**SECURE.entry(), "tlsConfig": {"insecure": True}}, {("error", "enableHTTPS")}),
        ({**SECURE.entry(), "tlsConfig": {"caData": "QQ==", "certFile": "/c"}}, {("warning", "tlsConfig")}),
        ({**SECURE.entry(), "tlsConfig": {"caData": "QQ==", "certData": "QQ==", "keyFile": "/k"}}, set()),
        ({"httpTimeout": None}, {("warning", "httpTimeout")}),
        ({"httpTimeout": "0s"}, {("warning", "httpTimeout")}),
        ({"httpTimeout": "200ms"}, {("warning", "httpTimeout")}),
        ({"httpTimeout": "-5s"}, {("warning", "httpTimeout")}),
        ({"httpTimeout": "1m"}, {("warning", "httpTimeout")}),
        ({"httpTimeout": "30s"}, set()),
        ({"weight": None}, {("error", "weight")}),
        ({"weight": 0}, {("error", "weight")}),
        ({"weight": 12}, {("warning", "weight")}),
        ({"weight": 13}, {("info", "weight")}),
        ({"weight": 15.0}, set()),
        ({"filterVerb": None}, {("error", "filterVerb")}),
        ({"prioritizeVerb": None, "weight": None}, {("warning", "prioritizeVerb")}),
        ({"preemptVerb": "preempt"}, {("error", "preemptVerb")}),
        ({"bindVerb": "bind"}, {("error", "bindVerb")}),
        ({"managedResources": [{"name": "a.b/c"}]}, {("error", "managedResources")}),
        ({"managedResources": []}, set()),
        ({"nodeCachecapable": True}, {("error", "nodeCachecapable")}),
        ({"retries": 3}, {("warning", "retries")}),
    ],
)
def test_our_entry(fields: dict[str, Any], wanted: Found) -> None:
    findings = check(config(entry(**fields)), STANZA)
    assert found(findings) == {(severity, f"extenders[0].{field}") for severity, field in wanted}


def test_an_address_of_no_scheme_is_not_ours_or_no_address() -> None:
    own = Stanza(url_prefix="unix://127.0.0.1:8888/scheduler")
    findings = check(config({**own.entry()}), own)
    assert found(findings) == {("error", "extenders[0].urlPrefix")}


def test_what_is_said_names_value_effect_and_fix() -> None:
    texts = {finding.field: finding for finding in check(config(entry(weight=5, ignorable=True)), STANZA)}
    weight = texts["extenders[0].weight"]
    assert weight.text == "is 5: 500 points against up to 1200 of the plugins; write 13 or more to outweigh them"
    assert config(entry(weight=5, ignorable=True)).splitlines()[weight.line - 1].strip() == "weight: 5"
    assert texts["extenders[0].ignorable"].text.startswith("is true: while Spotmix is away pods are placed at once")


def test_findings_come_by_line() -> None:
    findings = check(config(entry(weight=5, nodeCacheCapable=False), OTHER, profiles=None), STANZA)
    assert [finding.line for finding in findings] == sorted(finding.line for finding in findings)
    assert all(finding.text and finding.line >= 1 for finding in findings)


@pytest.mark.parametrize(
    ("extenders", "wanted"),
    [
        ([], {("error", "extenders")}),
        ([{"urlPrefix": "http://other"}], {("error", "extenders")}),
        ([OTHER, entry()], {("warning", "extenders[0].bindVerb"), ("info", "extenders[1].ignorable")}),
        (
            [entry(bindVerb="x"), OTHER],
            {
                ("error", "extenders[0].bindVerb"),
                ("error", "extenders[1].bindVerb"),
                ("warning", "extenders[1].bindVerb"),
            },
        ),
        ([OTHER, OTHER], {("error", "extenders[1].bindVerb"), ("error", "extenders")}),
        ([entry(urlPrefix="http://elsewhere/scheduler")], {("warning", "extenders[0].urlPrefix")}),
        (
            [entry(), entry(urlPrefix="http://elsewhere/scheduler")],
            {("warning", "extenders[1]")},
        ),
    ],
)
def test_several_extenders(extenders: list[dict[str, Any]], wanted: Found) -> None:
    assert found(check(config(*extenders), STANZA)) == wanted


@pytest.mark.parametrize(
    ("percentage", "text"),
    [
        (None, "is not set: from 100 nodes up the scheduler offers a sample"),
        (0, "is not set: from 100 nodes up the scheduler offers a sample"),
        (30, "is 30: from 100 nodes up the scheduler offers that many percent"),
        (100, "is 100: every node is looked at for every pod"),
    ],
)
def test_what_the_sample_means(percentage: int | None, text: str) -> None:
    findings = check(config(entry(), percentageOfNodesToScore=percentage), STANZA)
    (told,) = (finding for finding in findings if finding.field == "percentageOfNodesToScore")
    assert told.severity == "info"
    assert told.text.startswith(text)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        (
            {"profiles": [{"schedulerName": "a", "percentageOfNodesToScore": 5}]},
            {("info", "profiles[0].percentageOfNodesToScore")},
        ),
        ({"profiles": [{"schedulerName": "a"}, {"schedulerName": "b"}]}, {("info", "profiles")}),
        ({"profiles": None}, {("warning", "profiles")}),
        ({"profiles": [{"schedulerName": "default-scheduler"}]}, {("warning", "profiles")}),
        ({"profiles": [{"plugins": {}}]}, {("warning", "profiles")}),
        ({"leaderElection": None}, {("error", "leaderElection.resourceName")}),
        ({"leaderElection": {"resourceName": "kube-scheduler"}}, {("error", "leaderElection.resourceName")}),
        ({"leaderElection": {"resourceName": "spotmix"}}, set()),
        ({"leaderElection": None, "profiles": None}, {("warning", "profiles")}),
        ({"clientConnection": None}, set()),
        (
            {"clientConnection": {"qps": 5}, "profiles": None},
            {("warning", "profiles"), ("warning", "clientConnection.kubeconfig")},
        ),
    ],
)
def test_the_scheduler_around_it(fields: dict[str, Any], wanted: Found) -> None:
    assert found(check(config(entry(), **fields), STANZA)) == wanted


def test_who_places_our_own_pods() -> None:
    text = config(entry(ignorable=True), profiles=[{"schedulerName": "own"}])
    assert found(check(text, STANZA)) == set()
    assert found(check(text, STANZA, "own")) == {("info", "profiles")}
    (warning,) = [f for f in check(config(entry(), profiles=None), STANZA) if f.severity == "warning"]
    assert "set ignorable: true, give those pods another schedulerName, or run Spotmix as a static pod" in warning.text


@pytest.mark.parametrize(
    ("plugins", "weight", "severity"),
    [
        ({"score": {"enabled": [{"name": "NodeAffinity", "weight": 10}]}}, 20, "warning"),
        ({"score": {"enabled": [{"name": "NodeAffinity", "weight": 10}]}}, 21, "info"),
        ({"score": {"enabled": [{"name": "NodeAffinity", "weight": 10}]}}, 23, None),
        (
            {"multiPoint": {"enabled": [{"name": "NodeAffinity", "weight": 10}, {"name": "Gang", "weight": 50}]}},
            23,
            None,
        ),
        ({"score": {"enabled": [{"name": "Custom"}]}}, 13, "warning"),
        ({"score": {"disabled": [{"name": "*"}]}}, 1, None),
        ({"multiPoint": {"disabled": [{"name": "TaintToleration"}]}}, 12, None),
        ({"score": []}, 12, "warning"),
        ([], 12, "warning"),
    ],
)
def test_weight_is_judged_by_the_profiles_plugins(plugins: Any, weight: int, severity: str | None) -> None:
    profiles = [{"schedulerName": "a", "plugins": plugins}]
    severities = {
        f.severity for f in check(config(entry(weight=weight), profiles=profiles), STANZA) if "weight" in f.field
    }
    # Where DynamicResources remains, it counts for pods with claims alone.
    assert severities - ({"info"} if severity is None else set()) == ({severity} if severity else set())


def test_several_documents() -> None:
    good = config(entry())
    assert found(check("\ufeff" + good + "---\nkind: Pod\n", STANZA)) == set()
    assert found(check("kind: Pod\n---\n" + good, STANZA)) == {("error", "")}
    (missing,) = check("kind: Pod\n", STANZA)
    assert (missing.severity, missing.line, missing.field) == ("error", 1, "kind")


def test_json_has_lines_too() -> None:
    text = json.dumps({**yaml.safe_load(config(entry(nodeCacheCapable=False)))}, indent=1)
    (finding,) = [f for f in check(text, STANZA) if f.severity == "error"]
    assert "nodeCacheCapable" in text.splitlines()[finding.line - 1]


def test_scores_that_are_not_wanted_are_not_to_be_asked_for() -> None:
    assert found(check(config(UNSCORED.entry()), UNSCORED)) == set()
    asked = check(config(entry()), UNSCORED)
    assert found(asked) == {("info", "extenders[0].prioritizeVerb")}
    text = next(finding.text for finding in asked if finding.field.endswith("prioritizeVerb"))
    assert "schedulerConfig.weight is 0" in text
    assert "remove it and weight" in text


def test_merged_fields_count() -> None:
    text = config() + "base: &b {filterVerb: filter, prioritizeVerb: prioritize, weight: 15, nodeCacheCapable: true}\n"
    text = text.replace("extenders: []\n", "").replace(HEAD, HEAD + "")
    text += "extenders:\n- <<: *b\n  urlPrefix: http://127.0.0.1:8888/scheduler\n  httpTimeout: 5s\n"
    assert found(check(text, STANZA)) == set()


def test_an_invalid_one_is_refused() -> None:
    with pytest.raises(WireError, match=r"extenders\[0\].weight is \"x\""):
        check(config(entry(weight="x")), STANZA)


def test_many_unknown_fields_are_not_all_told() -> None:
    text = config(entry(**{f"field{n}": 1 for n in range(500)}))
    assert len([f for f in check(text, STANZA) if "field" in f.field]) == 20
