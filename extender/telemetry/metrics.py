"""Prometheus metrics. Every series that can be known exists from the start, so that a rate has a first point."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from extender.core.classes import ON_DEMAND, SPOT
from extender.core.policy import Problem
from extender.core.reasons import GIVES_A_CLASS, OF_DECISIONS, Reason
from extender.core.records import Workload
from extender.telemetry.drift import DriftMetrics

_LATENCIES = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_OBJECT = ("kind", "namespace", "name")
VERBS = ("filter", "prioritize")
ADMISSION_VERBS = ("mutate-pods", "mutate-scheduler-configs", "validate-workloads")
OUTCOMES = ("mutated", "unchanged", "warned", "denied", "failed")
COST_OUTCOMES = ("written", "removed", "foreign", "gone")


Reading = tuple[str, str, tuple[str, ...], Mapping[tuple[str, ...], float]]
"""Metric name, help, label names, values by label values."""


class Gauges(Collector):
    """Values that are read when they are asked for.

    Args:
        read: gives the readings.
    """

    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        for name, text, labels, values in self._read():
            family = GaugeMetricFamily(name, text, labels=labels)
            for key, value in values.items():
                family.add_metric(key, value)
            yield family


class Metrics:
    """The metrics of one process, on a registry of their own."""

    def __init__(self) -> None:
        # A creation time for each series doubles their number and tells nothing that `up` does not.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.decisions = Counter(
            "spotmix_decisions",
            "Decisions of filter by reason and the capacity class given; class is empty when none was given",
            ("reason", "capacity_class"),
            registry=self.registry,
        )
        self.requests = Histogram(
            "spotmix_extender_request_seconds",
            "Time to answer a request of the scheduler, or a review of the API server",
            ("verb",),
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self.errors = Counter(
            "spotmix_extender_errors", "Requests answered with an error", ("verb",), registry=self.registry
        )
        self.admissions = Counter(
            "spotmix_admissions",
            "Objects that the API server asked about, by what became of them",
            ("verb", "outcome"),
            registry=self.registry,
        )
        self.reports = Counter(
            "spotmix_api_faults",
            "Faults in talking to the Kubernetes API",
            ("source",),
            registry=self.registry,
        )
        self.wakes = Counter(
            "spotmix_wakes",
            "Patches that make the scheduler try a pod again",
            ("how",),
            registry=self.registry,
        )
        self.costs = Counter(
            "spotmix_deletion_costs",
            "Deletion costs sent, by what became of them; foreign is one that somebody else set, and that stays",
            ("outcome",),
            registry=self.registry,
        )
        self.drift = DriftMetrics(self.registry)
        self.invalid = Gauge(
            "spotmix_policy_invalid",
            "1 for each annotation or label that is wrong",
            (*_OBJECT, "key"),
            registry=self.registry,
        )
        self._decided: dict[tuple[Reason, str], Counter] = {}
        self._invalid: dict[tuple[str, str, str], tuple[str, set[str]]] = {}
        for reason in OF_DECISIONS:
            for capacity_class in (SPOT, ON_DEMAND) if reason in GIVES_A_CLASS else ("",):
                self.decisions.labels(str(reason), capacity_class)
        self._timed = {verb: self.requests.labels(verb) for verb in (*VERBS, *ADMISSION_VERBS)}
        for verb in VERBS:
            self.errors.labels(verb)
        self._admitted = {(v, o): self.admissions.labels(v, o) for v in ADMISSION_VERBS for o in OUTCOMES}
        for outcome in COST_OUTCOMES:
            self.costs.labels(outcome)
        for how in ("annotate", "nominate"):
            self.wakes.labels(how)

    def answered(self, verb: str, seconds: float) -> None:
        """Observe how long a request took."""
        self._timed[verb].observe(seconds)

    def admitted(self, verb: str, outcome: str) -> None:
        """Count what became of an object."""
        self._admitted[verb, outcome].inc()

    def decided(self, reason: Reason, capacity_class: str) -> None:
        """Count a decision; the series is looked up once, for this is on the path of every pod."""
        counter = self._decided.get((reason, capacity_class))
        if counter is None:
            counter = self.decisions.labels(str(reason), capacity_class)
            self._decided[(reason, capacity_class)] = counter
        counter.inc()

    def policy(self, workload: Workload, problems: Iterable[Problem]) -> None:
        """Set the series of a workload's wrong keys, and remove those that are right again."""
        keys = {problem.key for problem in problems}
        where = (workload.kind, workload.namespace, workload.name)
        uid, before = self._invalid.get(where, (workload.uid, set()))
        if uid != workload.uid and not keys:
            # A namesake made since has taken the series over.
            return
        for key in before - keys:
            self.invalid.remove(*where, key)
        for key in keys:
            self.invalid.labels(*where, key).set(1)
        if keys:
            self._invalid[where] = (workload.uid, keys)
        else:
            self._invalid.pop(where, None)

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4
