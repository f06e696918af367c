"""What is counted, and that the catalogue knows all of it and nothing else."""

import re

import pytest
from generate.reference import PAGES, REFERENCE
from prometheus_client.parser import text_string_to_metric_families

from extender.core.model.reasons import Reason
from extender.telemetry.catalogue import FAMILIES, LABELS
from extender.telemetry.metrics import ADMISSION_VERBS, OUTCOMES, VERBS, Metrics, known_decisions
from extender.telemetry.readings import Reading, Readings


def series(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """By label values, in the order of the labels' names."""
    body, content_type = metrics.render()
    assert content_type.startswith(b"text/plain")
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == name
    }


def test_every_series_that_can_be_known_is_there_from_the_start() -> None:
    metrics = Metrics(("pods", "lease"))
    decisions = series(metrics, "spotmix_decisions_total")
    assert set(decisions.values()) == {0.0}
    assert ("on-demand", "passed", "fallback", "filter") in decisions
    assert ("spot", "rejected", "wait-class", "filter") in decisions
    assert ("", "refused", "not-leader", "prioritize") in decisions
    verbs = {(verb,): 0.0 for verb in (*VERBS, *ADMISSION_VERBS)}
    assert series(metrics, "spotmix_request_errors_total") == verbs
    assert series(metrics, "spotmix_request_duration_seconds_count") == verbs
    admissions = series(metrics, "spotmix_admissions_total")
    assert set(admissions) == {(outcome, verb) for verb in ADMISSION_VERBS for outcome in OUTCOMES}
    assert set(admissions.values()) == {0.0}
    assert series(metrics, "spotmix_wakes_total") == {("annotate",): 0.0, ("nominate",): 0.0}
    assert series(metrics, "spotmix_api_faults_total") == {("pods",): 0.0, ("lease",): 0.0}


def test_what_happens_is_counted_where_it_was_expected() -> None:
    metrics = Metrics()
    metrics.decided("filter", "passed", "spot", Reason.SEAT)
    metrics.decided("filter", "passed", "reserved", Reason.SEAT)
    metrics.decided("filter", "passed", "reserved", Reason.SEAT)
    metrics.answered("filter", 0.0007)
    metrics.failed("filter")
    metrics.admitted("mutate-pods", "mutated")
    metrics.woke("nominate")
    metrics.faulted("pods")
    decisions = series(metrics, "spotmix_decisions_total")
    assert decisions["spot", "passed", "seat", "filter"] == 1.0
    assert decisions["reserved", "passed", "seat", "filter"] == 2.0
    buckets = series(metrics, "spotmix_request_duration_seconds_bucket")
    assert (buckets["0.0005", "filter"], buckets["0.001", "filter"]) == (0.0, 1.0)
    assert series(metrics, "spotmix_request_errors_total")["filter",] == 1.0
    assert series(metrics, "spotmix_admissions_total")["mutated", "mutate-pods"] == 1.0
    assert series(metrics, "spotmix_wakes_total")["nominate",] == 1.0
    assert series(metrics, "spotmix_api_faults_total")["pods",] == 1.0


def test_requests_to_the_api_server_are_counted_by_what_is_asked_for() -> None:
    metrics = Metrics()
    answered = metrics.apiserver.answered
    answered("GET", "pods", 200, 0.2, named=False)
    answered("GET", "leases.coordination.k8s.io", 404, 0.01, named=True)
    answered("WATCH", "pods", 410, 0.01, named=False)
    answered("POST", "pods/eviction", 429, 0.01, named=True)
    answered("PATCH", "pods", 0, 10.0, named=True)
    answered("GET", "", 200, 0.01, named=False)
    # By code, resource and verb.
    assert series(metrics, "spotmix_apiserver_requests_total") == {
        ("200", "pods", "list"): 1.0,
        ("404", "leases.coordination.k8s.io", "get"): 1.0,
        ("410", "pods", "watch"): 1.0,
        ("429", "pods/eviction", "create"): 1.0,
        ("0", "pods", "patch"): 1.0,
        ("200", "none", "get"): 1.0,
    }
    assert series(metrics, "spotmix_apiserver_request_duration_seconds_sum")["pods", "list"] == 0.2


def test_durations_are_told_from_100_microseconds_to_a_second() -> None:
    bounds = {bound for bound, verb in series(Metrics(), "spotmix_request_duration_seconds_bucket") if verb == "filter"}
    assert {"0.0001", "1.0", "+Inf"} <= bounds


def test_no_decision_is_known_twice() -> None:
    known = list(known_decisions())
    assert len(known) == len(set(known))


def test_readings_are_read_when_they_are_asked_for() -> None:
    metrics = Metrics()
    gauge = next(family for family in FAMILIES if family.name == "spotmix_nodes")
    counter = next(family for family in FAMILIES if family.name == "spotmix_cache_relists_total")
    values: dict[tuple[str, ...], float] = {("a",): 1.0}
    metrics.registry.register(Readings(lambda: [Reading(gauge, values), Reading(counter, values)]))
    assert series(metrics, "spotmix_nodes") == {("a",): 1.0}
    values["b",] = 2.0
    assert (
        series(metrics, "spotmix_nodes") == series(metrics, "spotmix_cache_relists_total") == {("a",): 1.0, ("b",): 2.0}
    )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_follow_the_conventions(family: object) -> None:
    name, kind, labels = family.name, family.kind, family.labels  # type: ignore[attr-defined]
    assert re.fullmatch(r"spotmix(_[a-z]+)+", name)
    assert name.endswith("_total") == (kind == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent|count|sum|bucket)$", name)
    for label in labels:
        assert label in LABELS
        assert label not in {"pod", "node", "message", "error", "instance", "job", "le"}
    assert list(labels) == list(dict.fromkeys(labels))


def test_no_label_is_told_of_that_nothing_has() -> None:
    assert set(LABELS) == {label for family in FAMILIES for label in family.labels}


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_current(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name](), "run `make reference`"
