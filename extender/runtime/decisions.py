"""What becomes of a decision beside its answer: metrics, logs, traces and Events."""

from collections.abc import Callable

from extender.core.answers.decisions import DecisionLog
from extender.core.model.reasons import Reason
from extender.core.placement.controller import Preference
from extender.core.placement.decide import Decision, PodView
from extender.core.policy.workload import Workload
from extender.runtime.placement import PlacementReports
from extender.runtime.tracing import of_decision, of_pod
from extender.telemetry.logs import logger
from extender.telemetry.metrics import Metrics
from extender.telemetry.traces import NO_TRACES, Tracer
from extender.telemetry.vocabulary import CLASS, REASON, named


class Decisions:
    """An `DecisionObserver` of the extender.

    Args:
        metrics: counts.
        kept: keeps each decision on a managed pod, to be explained.
        placement: tells where a pod was not given the class of its seat.
        waits: is called when a pod was rejected, to be tried again in time.
        clock: seconds since the epoch.
        logged: whether each decision on a managed pod is logged.
        tracer: knows the span of the request.

    Attributes:
        logged: as above; it may be changed.
    """

    def __init__(
        self,
        metrics: Metrics,
        kept: DecisionLog,
        placement: PlacementReports,
        waits: Callable[[], None],
        clock: Callable[[], float],
        *,
        logged: bool,
        tracer: Tracer = NO_TRACES,
    ) -> None:
        self._metrics = metrics
        self._kept = kept
        self._placement = placement
        self._waits = waits
        self._clock = clock
        self.logged = logged
        self._traced = tracer.on
        self._tracer = tracer
        self._log = logger()

    def decided(self, pod: PodView, decision: Decision) -> None:
        """See `servers.extender.DecisionObserver`."""
        outcome = "rejected" if decision.nodes is not None and not decision.nodes else "passed"
        self._metrics.decided("filter", outcome, decision.capacity_class or decision.wanted, decision.reason)
        if decision.reason is Reason.UNMANAGED:
            if self._traced:
                self._trace(pod, decision, None)
            return
        known = self._placement.knows(pod)
        number = self._kept.add(self._clock(), "filter", pod, decision, known=known)
        if self.logged:
            self._log_decision(number, pod, decision)
        if self._traced:
            self._trace(pod, decision, number)
        if known and (decision.capacity_class != decision.wanted or decision.reason is Reason.POLICY_INVALID):
            self._placement.departed(pod, decision)
        if decision.waiting is not None:
            self._waits()

    def scored(self, pod: PodView, preference: Preference) -> None:
        """See `servers.extender.DecisionObserver`."""
        reason, capacity_class = preference.reason, preference.capacity_class
        self._metrics.decided("prioritize", "scored" if capacity_class else "passed", capacity_class, reason)
        if self._traced:
            about = of_pod(pod, preference.workload)
            self._tracer.current().note({**about, REASON: str(reason), CLASS: capacity_class})

    def refused(self, verb: str, pod: PodView, reason: Reason) -> None:
        """See `servers.extender.DecisionObserver`."""
        self._metrics.decided(verb, "refused", "", reason)
        if self._traced:
            self._tracer.current().note({**of_pod(pod, None), REASON: str(reason)})

    def broke(self, pod: PodView, workload: Workload, error: Exception) -> None:
        """See `servers.extender.DecisionObserver`."""
        self._placement.broke(pod, workload, error)

    def failed(self, verb: str, text: str) -> None:
        """See `servers.extender.DecisionObserver`."""
        self._metrics.failed(verb)
        self._log.warning("request failed", verb=verb, error=text)
        if self._traced:
            self._tracer.current().fail(text)

    def _trace(self, pod: PodView, decision: Decision, number: int | None) -> None:
        span = self._tracer.current()
        if span.recorded:
            span.note(of_decision(pod, decision, number))

    def _log_decision(self, number: int, pod: PodView, decision: Decision) -> None:
        workload = decision.workload
        self._log.debug(
            "decision",
            decision=number,
            workload=named(workload.kind, workload.name) if workload is not None else "",
            namespace=pod.namespace,
            pod=pod.name,
            wanted=decision.wanted,
            class_=decision.capacity_class,
            reason=str(decision.reason),
            offered=decision.offered,
            passed=decision.offered if decision.nodes is None else len(decision.nodes),
        )
