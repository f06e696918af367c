"""Metrics of the gRPC API."""

from prometheus_client import CollectorRegistry

from extender.telemetry.catalogue import API_REFUSED, API_REQUEST_DURATION, API_REQUESTS
from extender.telemetry.counting import counter, histogram

RPCS = ("ListWorkloads", "GetWorkload", "ExplainPod", "PlanDrift", "Simulate", "WatchDecisions", "BestOptions")
LIMITED = ("stranger", "call", "watch", "health", "health-watch", "reflection", "expander")
"""Kinds of calls, of which there are not more at a time than may be."""
STREAM = "WatchDecisions"
"""It ends when its caller leaves: how long it took says nothing."""

CODES = (
    "OK",
    "CANCELLED",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "ABORTED",
    "RESOURCE_EXHAUSTED",
    "INTERNAL",
)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ApiMetrics:
    """Counters of calls.

    Args:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = counter(API_REQUESTS, registry)
        self._refused = counter(API_REFUSED, registry)
        for kind in LIMITED:
            for limit in ("all", "caller"):
                self._refused.labels(kind, limit)
        self._durations = histogram(API_REQUEST_DURATION, _SECONDS, registry)
        for rpc in RPCS:
            for code in CODES:
                self._calls.labels(rpc, code)
            if rpc != STREAM:
                self._durations.labels(rpc)

    def refused(self, kind: str, limit: str) -> None:
        """Count a call that found as many of its kind as may be."""
        self._refused.labels(kind, limit).inc()

    def answered(self, rpc: str, code: str, seconds: float) -> None:
        """Count a call that has ended."""
        self._calls.labels(rpc, code).inc()
        if rpc != STREAM:
            self._durations.labels(rpc).observe(seconds)
