"""What is counted as it happens. Every series that can be known exists from the start: a rate needs a first point."""

from collections.abc import Iterable
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.reasons import GIVES_A_CLASS, OBSTACLES, REJECTS, Reason
from extender.telemetry.apiserver import ApiServerMetrics
from extender.telemetry.catalogue import (
    ADMISSIONS,
    API_FAULTS,
    CONFIG_RELOADS,
    CONNECTIONS_ENDED,
    DECISIONS,
    DELETION_COSTS,
    EVENTS,
    GATE_DURATION,
    PLACING_DURATION,
    PODS_REPLACED,
    RELEASE_DURATION,
    REQUEST_DURATION,
    REQUEST_ERRORS,
    WAKES,
    WORKLOAD_FAULTS,
)
from extender.telemetry.counting import counter, histogram
from extender.telemetry.drift import DriftMetrics
from extender.telemetry.grpc import ApiMetrics

LATENCIES = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds of the buckets of request durations (seconds)."""

VERBS = ("filter", "prioritize")
ADMISSION_VERBS = ("mutate-pods", "mutate-scheduler-configs", "validate-workloads")
OUTCOMES = ("mutated", "unchanged", "warned", "denied", "failed")
COST_OUTCOMES = ("written", "removed", "foreign", "gone")
GATE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
"""Upper bounds of the buckets of `GATE_DURATION`."""

RELEASE_SECONDS = (0.001, 0.0025, 0.005, *GATE_SECONDS[:10])
"""Upper bounds of the buckets of `RELEASE_DURATION`."""

PLACING_SECONDS = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Upper bounds of the buckets of `PLACING_DURATION`."""

REPLACED = ("refused", "closed", "timeout")

NOTHING = "none"
"""In place of a class where none was written."""

STEPS = ("decision", "plan", "costs", "policy", "count", "answer")
PORTS = ("extender", "webhook", "metrics")
ENDED = ("full", "headers", "body", "memory", "stalled", "idle")
RELOADS = ("applied", "unchanged", "restart", "invalid")
EVENT_OUTCOMES = ("posted", "repeated", "dropped")

Decided = tuple[str, str, str, Reason]
"""Verb, outcome (passed, rejected, scored, refused), capacity class, reason."""


def known_decisions() -> Iterable[Decided]:
    """Every decision that can be made."""
    classes = (SPOT, ON_DEMAND)
    for reason in (*GIVES_A_CLASS, Reason.AUDIT):
        yield from (("filter", "passed", name, reason) for name in classes)
    for reason in REJECTS:
        yield from (("filter", "rejected", name, reason) for name in classes)
    for reason in (Reason.SEAT, Reason.ORDINAL, Reason.FALLBACK):
        yield from (("prioritize", "scored", name, reason) for name in classes)
    yield "filter", "passed", "", Reason.UNMANAGED
    yield "filter", "rejected", ON_DEMAND, Reason.OWNER_UNKNOWN
    yield from (("prioritize", "passed", "", r) for r in (Reason.UNMANAGED, Reason.AUDIT, Reason.OWNER_UNKNOWN))
    yield from ((verb, "refused", "", reason) for verb in VERBS for reason in OBSTACLES)


class Metrics:
    """The metrics of one process, on a registry of their own.

    Args:
        sources: what faults of the API are reported of.
    """

    def __init__(self, sources: Iterable[str] = ()) -> None:
        # A creation time for each series doubles their number and tells nothing that `up` does not.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.drift = DriftMetrics(self.registry)
        self.apiserver = ApiServerMetrics(self.registry)
        self.api = ApiMetrics(self.registry)
        self._decisions = counter(DECISIONS, self.registry)
        self._errors = counter(REQUEST_ERRORS, self.registry)
        self._admissions = counter(ADMISSIONS, self.registry)
        self._wakes = counter(WAKES, self.registry)
        self._costs = counter(DELETION_COSTS, self.registry)
        self._faults = counter(API_FAULTS, self.registry)
        self._events = counter(EVENTS, self.registry)
        self._ended = counter(CONNECTIONS_ENDED, self.registry)
        durations = histogram(REQUEST_DURATION, LATENCIES, self.registry)
        verbs = (*VERBS, *ADMISSION_VERBS)
        self._timed = {verb: durations.labels(verb) for verb in verbs}
        self._gated = _gated(self.registry)
        self._placed = _placed(self.registry)
        self._released = histogram(RELEASE_DURATION, RELEASE_SECONDS, self.registry)
        self._decided: dict[Decided, Counter] = {}
        for decided in known_decisions():
            self._of_decision(decided)
        for verb in verbs:
            self._errors.labels(verb)
        self._admitted = {(v, o): self._admissions.labels(v, o) for v in ADMISSION_VERBS for o in OUTCOMES}
        for how in ("annotate", "nominate"):
            self._wakes.labels(how)
        for outcome in COST_OUTCOMES:
            self._costs.labels(outcome)
        for outcome in EVENT_OUTCOMES:
            self._events.labels(outcome)
        self._replaced = counter(PODS_REPLACED, self.registry)
        for name, cause in product((SPOT, ON_DEMAND), REPLACED):
            self._replaced.labels(name, cause)
        self._met = counter(WORKLOAD_FAULTS, self.registry)
        for step in STEPS:
            self._met.labels(step)
        self._reloads = _reloads(self.registry)
        for port, why in product(PORTS, ENDED):
            self._ended.labels(port, why)
        for source in sources:
            self._faults.labels(source)

    def _of_decision(self, decided: Decided) -> Counter:
        verb, outcome, capacity_class, reason = decided
        known = self._decided[decided] = self._decisions.labels(verb, outcome, capacity_class, str(reason))
        return known

    def decided(self, verb: str, outcome: str, capacity_class: str, reason: Reason) -> None:
        """Count a decision; the series is looked up once, for this is on the path of every pod."""
        decided = (verb, outcome, capacity_class, reason)
        (self._decided.get(decided) or self._of_decision(decided)).inc()

    def answered(self, verb: str, seconds: float) -> None:
        """Observe how long a request took."""
        self._timed[verb].observe(seconds)

    def failed(self, verb: str) -> None:
        """Count a request that was answered with an error."""
        self._errors.labels(verb).inc()

    def admitted(self, verb: str, outcome: str) -> None:
        """Count what became of an object."""
        self._admitted[verb, outcome].inc()

    def woke(self, how: str) -> None:
        """Count a patch that makes the scheduler try a pod again."""
        self._wakes.labels(how).inc()

    def ungated(self, capacity_class: str, seconds: float) -> None:
        """Observe for how long a pod waited for its gate to go, and the class written, empty for none."""
        self._gated.labels(capacity_class or NOTHING).observe(seconds)

    def released(self, seconds: float) -> None:
        """Observe how long after it was seen a pod's gate was asked to go."""
        self._released.observe(seconds)

    def placed(self, capacity_class: str, reason: Reason, seconds: float) -> None:
        """Observe how long after its creation a pod had a node, of which class, and why it waited last."""
        self._placed.labels(capacity_class or NOTHING, str(reason)).observe(seconds)

    def replaced(self, capacity_class: str, cause: str) -> None:
        """Count a pod that was deleted since its class could not be had."""
        self._replaced.labels(capacity_class, cause).inc()

    def sent_cost(self, outcome: str) -> None:
        """Count what became of a deletion cost."""
        self._costs.labels(outcome).inc()

    def told(self, outcome: str) -> None:
        """Count what became of an Event."""
        self._events.labels(outcome).inc()

    def disconnected(self, port: str, why: str) -> None:
        """Count a connection that a limit has ended or refused."""
        self._ended.labels(port, why).inc()

    def reloaded(self, outcome: str) -> None:
        """Count what became of a changed configuration."""
        self._reloads.labels(outcome).inc()

    def faulted(self, source: str) -> None:
        """Count a fault in talking to the API."""
        self._faults.labels(source).inc()

    def met(self, step: str) -> None:
        """Count a fault of our own that one workload met."""
        self._met.labels(step).inc()

    def render(self) -> tuple[bytes, bytes]:
        """The exposition and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4.encode()


def _gated(registry: CollectorRegistry) -> Histogram:
    found = histogram(GATE_DURATION, GATE_SECONDS, registry)
    for capacity_class in (SPOT, ON_DEMAND, NOTHING):
        found.labels(capacity_class)
    return found


def _placed(registry: CollectorRegistry) -> Histogram:
    found = histogram(PLACING_DURATION, PLACING_SECONDS, registry)
    for name, reason in product((SPOT, ON_DEMAND), (Reason.SEAT, Reason.WRITTEN, *REJECTS)):
        found.labels(name, str(reason))
    return found


def _reloads(registry: CollectorRegistry) -> Counter:
    found = counter(CONFIG_RELOADS, registry)
    for outcome in RELOADS:
        found.labels(outcome)
    return found
