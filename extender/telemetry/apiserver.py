"""Metrics of what the service asks the API server, as client-go has them of itself (`rest_client_*`)."""

from prometheus_client import CollectorRegistry

from extender.telemetry.catalogue import APISERVER_DURATION, APISERVER_REQUESTS
from extender.telemetry.counting import counter, histogram

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
"""Upper bounds of the buckets."""

NOTHING = "none"
"""In place of a resource where none is asked for."""

_OF_OBJECTS = {"POST": "create", "PUT": "update"}


class ApiServerMetrics:
    """Counters of requests. Series appear as requests are made: which kinds there are depends on the cluster.

    Args:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = counter(APISERVER_REQUESTS, registry)
        self._durations = histogram(APISERVER_DURATION, _SECONDS, registry)

    def answered(self, method: str, resource: str, code: int, seconds: float, *, named: bool) -> None:
        """Count an answer.

        Args:
            method: the HTTP verb, or WATCH.
            resource: such as `pods/eviction`; empty where none is asked for.
            code: the HTTP status; 0 where the server was not reached.
            seconds: until it began to answer.
            named: one object is asked for, not a list.
        """
        verb = "list" if method == "GET" and resource and not named else _OF_OBJECTS.get(method, method.lower())
        self._requests.labels(verb, resource or NOTHING, str(code)).inc()
        self._durations.labels(verb, resource or NOTHING).observe(seconds)
