"""Faults in talking to the API: counted all, logged in measure."""

import time

from extender.telemetry.logs import logger
from extender.telemetry.metrics import Metrics

# An API server that is away is told of by every watch, at every attempt: once in this time for each (seconds).
REPORT_SECONDS = 10.0
SOURCES = (
    "access",
    "autoscalers",
    "certificates",
    "drift",
    "event loop",
    "events",
    "expander",
    "leadership",
    "lease",
    "own pod",
    "patches",
)
"""What faults are reported of, beside the resources that are followed."""


class Faults:
    """Takes the name of what went wrong and a text; a `Report`.

    Args:
        metrics: counts.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = logger()
        self._reported: dict[str, float] = {}

    def __call__(self, source: str, text: str) -> None:
        """Report a fault."""
        self._metrics.faulted(source)
        now = time.monotonic()
        if now - self._reported.get(source, -REPORT_SECONDS) >= REPORT_SECONDS:
            self._reported[source] = now
            self._log.warning("api fault", source=source, error=text)
