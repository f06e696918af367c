from prometheus_client.parser import text_string_to_metric_families

from extender.core.policy import ParsedPolicy, Policy, Problem
from extender.core.reasons import OF_DECISIONS
from extender.core.records import Workload
from extender.telemetry.metrics import ADMISSION_VERBS, OUTCOMES, Gauges, Metrics


def series(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """By label values, in the order of the labels' names."""
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == name
    }


def workload(uid: str, name: str = "web") -> Workload:
    return Workload(uid, "apps/v1", "Deployment", "shop", name, managed=True, parsed=ParsedPolicy(Policy()))


def problem(key: str) -> Problem:
    return Problem("Deployment shop/web", key, "x", "is wrong", "fix it")


def test_every_series_is_there_from_the_start() -> None:
    metrics = Metrics()
    decisions = series(metrics, "spotmix_decisions_total")
    assert {labels[1] for labels in decisions} == {str(reason) for reason in OF_DECISIONS}
    assert set(decisions.values()) == {0.0}
    assert set(series(metrics, "spotmix_extender_errors_total")) == {("filter",), ("prioritize",)}
    verbs = {("filter",), ("prioritize",), *((verb,) for verb in ADMISSION_VERBS)}
    assert set(series(metrics, "spotmix_extender_request_seconds_count")) == verbs
    admissions = series(metrics, "spotmix_admissions_total")
    assert set(admissions) == {(outcome, verb) for verb in ADMISSION_VERBS for outcome in OUTCOMES}
    assert set(admissions.values()) == {0.0}
    assert set(series(metrics, "spotmix_wakes_total")) == {("annotate",), ("nominate",)}


def test_wrong_keys_have_a_series_while_they_are_wrong() -> None:
    metrics = Metrics()
    metrics.policy(workload("1"), [problem("a"), problem("b")])
    assert set(series(metrics, "spotmix_policy_invalid")) == {(key, "Deployment", "web", "shop") for key in "ab"}
    metrics.policy(workload("1"), [problem("b"), problem("b")])
    assert set(series(metrics, "spotmix_policy_invalid")) == {("b", "Deployment", "web", "shop")}
    metrics.policy(workload("2", "other"), [])
    metrics.policy(workload("1"), [])
    metrics.policy(workload("1"), [])
    assert series(metrics, "spotmix_policy_invalid") == {}


def test_a_workload_made_anew_keeps_its_series_when_the_end_of_the_old_one_comes_late() -> None:
    metrics = Metrics()
    metrics.policy(workload("old"), [problem("a"), problem("b")])
    metrics.policy(workload("new"), [problem("a")])
    metrics.policy(workload("old"), [])
    assert set(series(metrics, "spotmix_policy_invalid")) == {("a", "Deployment", "web", "shop")}
    metrics.policy(workload("new"), [])
    assert series(metrics, "spotmix_policy_invalid") == {}


def test_gauges_are_read_when_they_are_asked_for() -> None:
    metrics = Metrics()
    values: dict[tuple[str, ...], float] = {("a",): 1.0}
    metrics.registry.register(Gauges(lambda: [("spotmix_test", "A test", ("key",), values)]))
    assert series(metrics, "spotmix_test") == {("a",): 1.0}
    values[("b",)] = 2.0
    assert series(metrics, "spotmix_test") == {("a",): 1.0, ("b",): 2.0}
