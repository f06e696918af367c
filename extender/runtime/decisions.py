"""What becomes of a decision beside its answer: metrics, logs, Events, and waking the pod when its time has come."""

from collections.abc import Callable

from extender.core.answers.decisions import DecisionLog
from extender.core.model.reasons import Reason
from extender.core.placement.decide import Decision, PodView
from extender.core.policy.workload import Workload
from extender.core.state.waiting import Waiting
from extender.kube.waker import Waker
from extender.runtime.placement import PlacementReports
from extender.runtime.tracing import of_decision, of_pod
from extender.telemetry.logs import logger
from extender.telemetry.metrics import Metrics
from extender.telemetry.traces import NO_TRACES, Tracer
from extender.telemetry.vocabulary import CLASS, REASON, named


class Decisions:
    """An `Observer` of the extender.

    Args:
        metrics: counts.
        waker: makes the scheduler try pods again.
        kept: keeps each decision on a managed pod, to be explained.
        placement: tells where a pod was not given the class of its seat.
        clock: seconds since the epoch.
        logged: whether each decision on a managed pod is logged.
        tracer: knows the span of the request.
    """

    def __init__(
        self,
        metrics: Metrics,
        waker: Waker,
        kept: DecisionLog,
        placement: PlacementReports,
        clock: Callable[[], float],
        *,
        logged: bool,
        tracer: Tracer = NO_TRACES,
    ) -> None:
        self._metrics = metrics
        self._waker = waker
        self._kept = kept
        self._placement = placement
        self._clock = clock
        self._logged = logged
        self._traced = tracer.on
        self._tracer = tracer
        self._log = logger()

    def decided(self, pod: PodView, decision: Decision) -> None:
        """See `servers.extender.Observer`."""
        outcome = "rejected" if decision.nodes is not None and not decision.nodes else "passed"
        self._metrics.decided("filter", outcome, decision.capacity_class or decision.wanted, decision.reason)
        if decision.reason is Reason.UNMANAGED:
            if self._traced:
                self._trace(pod, decision, None)
            return
        number = self._kept.add(self._clock(), "filter", pod, decision)
        if self._logged:
            self._log_decision(number, pod, decision)
        if self._traced:
            self._trace(pod, decision, number)
        if decision.capacity_class != decision.wanted or decision.reason is Reason.POLICY_INVALID:
            self._placement.departed(pod, decision)
        waiting = next((event for event in decision.events if isinstance(event, Waiting)), None)
        if waiting is not None:
            self._waker.rejected(waiting, written=pod.unscheduled_since is not None)
        else:
            self._waker.forget(pod.uid)

    def scored(self, pod: PodView, workload: Workload | None, reason: Reason, capacity_class: str) -> None:
        """See `servers.extender.Observer`."""
        self._metrics.decided("prioritize", "scored" if capacity_class else "passed", capacity_class, reason)
        if self._traced:
            about = of_pod(pod, workload)
            self._tracer.current().note({**about, REASON: str(reason), CLASS: capacity_class})

    def refused(self, verb: str, pod: PodView, reason: Reason) -> None:
        """See `servers.extender.Observer`."""
        self._metrics.decided(verb, "refused", "", reason)
        if self._traced:
            self._tracer.current().note({**of_pod(pod, None), REASON: str(reason)})

    def failed(self, verb: str, text: str) -> None:
        """See `servers.extender.Observer`."""
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
