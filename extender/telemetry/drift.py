"""Metrics of the drift loop. Those that can be read off its plans and memory are gauges of `runtime.gauges`."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from extender.core.reasons import Reason

ENFORCE, DRY_RUN = "enforce", "dry_run"
WHY = (str(Reason.SURPLUS), str(Reason.INTERRUPTED))
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
EVICTIONS = (
    "evicted",
    "gone",
    "changed",
    "budget",
    "later",
    "budgets",
    "forbidden",
    "failed",
    "unanswered",
)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class DriftMetrics:
    """Counters of what the loop does.

    Args:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._moves = Counter(
            "spotmix_drift_moves",
            "Steps of moves: started or refused, and how those that were started ended; dry runs are moves of nothing",
            ("result", "reason", "mode"),
            registry=registry,
        )
        self._evictions = Counter(
            "spotmix_drift_evictions",
            "Answers of the API server to evictions",
            ("outcome", "mode"),
            registry=registry,
        )
        self._circuits = Counter(
            "spotmix_drift_circuits_opened", "Workloads given up on after moves in vain", registry=registry
        )
        self._faults = Counter(
            "spotmix_drift_cycle_faults", "Cycles that ended with a fault of our own", registry=registry
        )
        self._plan = Histogram(
            "spotmix_drift_plan_seconds",
            "Time to plan for one slice of the workloads; nothing else runs meanwhile",
            buckets=_SECONDS,
            registry=registry,
        )
        self._cycle = Histogram(
            "spotmix_drift_cycle_seconds",
            "Time to look at all workloads that are due, with other work in between",
            buckets=_SECONDS,
            registry=registry,
        )
        for why in WHY:
            for result in ("started", *ATTEMPTS, *(VERDICTS if why == WHY[0] else ())):
                self._moves.labels(result, why, ENFORCE)
            for result in ("would-move", *ATTEMPTS):
                self._moves.labels(result, why, DRY_RUN)
        for mode in (ENFORCE, DRY_RUN):
            for outcome in EVICTIONS:
                self._evictions.labels(outcome, mode)

    def moved(self, result: str, reason: Reason, *, dry: bool) -> None:
        """Count a step of a move."""
        self._moves.labels(result, str(reason), DRY_RUN if dry else ENFORCE).inc()

    def evicted(self, outcome: str, *, dry: bool) -> None:
        """Count an answer to an eviction."""
        self._evictions.labels(outcome, DRY_RUN if dry else ENFORCE).inc()

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
