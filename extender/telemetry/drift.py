"""Metrics of the drift loop. What can be read off its plans and memory is read by `runtime.drift`."""

from prometheus_client import CollectorRegistry

from extender.core.drift.eviction import Answer
from extender.core.drift.placeholder import Ending
from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.reasons import OF_MOVES, Reason
from extender.telemetry.catalogue import (
    DRIFT_CIRCUITS_OPENED,
    DRIFT_CYCLE_DURATION,
    DRIFT_CYCLE_FAULTS,
    DRIFT_EVICTIONS,
    DRIFT_MOVES,
    DRIFT_PLAN_DURATION,
    PLACEHOLDER_SECONDS,
    PLACEHOLDERS_ENDED,
)
from extender.telemetry.counting import counter, histogram

ENFORCE, DRY_RUN = "enforce", "dry_run"
WHY = tuple(map(str, OF_MOVES))
ATTEMPTS = ("blocked", "refused", "changed", "unanswered")
VERDICTS = tuple(
    str(reason)
    for reason in (
        Reason.MOVED,
        Reason.LANDED_WRONG,
        Reason.NO_REPLACEMENT,
        Reason.NOT_REPLACED,
        Reason.STUCK,
    )
)
EVICTIONS = tuple(answer for answer in Answer if answer is not Answer.DROPPED)
"""Answers of the API server; what was dropped was not asked for."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class DriftMetrics:
    """Counters of what the loop does.

    Args:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._moves = counter(DRIFT_MOVES, registry)
        self._evictions = counter(DRIFT_EVICTIONS, registry)
        self._circuits = counter(DRIFT_CIRCUITS_OPENED, registry)
        self._faults = counter(DRIFT_CYCLE_FAULTS, registry)
        self._plan = histogram(DRIFT_PLAN_DURATION, _SECONDS, registry)
        self._cycle = histogram(DRIFT_CYCLE_DURATION, _SECONDS, registry)
        self._placeholders = counter(PLACEHOLDERS_ENDED, registry)
        self._placeholder_seconds = counter(PLACEHOLDER_SECONDS, registry)
        for name in (SPOT, ON_DEMAND):
            self._placeholder_seconds.labels(name)
            for ending in Ending:
                self._placeholders.labels(name, str(ending))
        for why in WHY:
            for result in ("started", *ATTEMPTS, *(VERDICTS if why == WHY[0] else ())):
                self._moves.labels(result, why, ENFORCE)
            for result in ("would-move", *ATTEMPTS):
                self._moves.labels(result, why, DRY_RUN)
        for mode in (ENFORCE, DRY_RUN):
            for answer in EVICTIONS:
                self._evictions.labels(str(answer), mode)

    def moved(self, result: str, reason: Reason, *, dry: bool) -> None:
        """Count a step of a move."""
        self._moves.labels(result, str(reason), DRY_RUN if dry else ENFORCE).inc()

    def evicted(self, answer: Answer, *, dry: bool) -> None:
        """Count an answer to an eviction."""
        self._evictions.labels(str(answer), DRY_RUN if dry else ENFORCE).inc()

    def placeholder_ended(self, capacity_class: str, ending: Ending, seconds: float) -> None:
        """Count a placeholder that is no more, and for how long it was there."""
        self._placeholders.labels(capacity_class, str(ending)).inc()
        self._placeholder_seconds.labels(capacity_class).inc(seconds)

    def gave_up(self) -> None:
        """Count a circuit that opened."""
        self._circuits.inc()

    def failed(self) -> None:
        """Count a cycle that ended with a fault."""
        self._faults.inc()

    def planned(self, seconds: float) -> None:
        """Observe how long a plan took."""
        self._plan.observe(seconds)

    def cycled(self, seconds: float) -> None:
        """Observe how long a cycle took."""
        self._cycle.observe(seconds)
