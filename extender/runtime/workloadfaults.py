"""Tells of faults of our own that one workload met, and that cost no other anything: log, metric and Event."""

import time
from collections.abc import Callable

from extender.core.model.eventreasons import EventReason
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.telemetry.logs import logger
from extender.telemetry.metrics import Metrics
from extender.telemetry.vocabulary import named

DOING = {
    "decision": "deciding on a pod of it",
    "plan": "planning moves of its pods, so none is moved",
    "costs": "giving its pods their deletion costs, so they keep those they have",
    "policy": "reading its policy",
    "count": "counting its replicas, so no metric shows it",
    "answer": "showing it, so the console, the API and `spotmix explain` cannot",
}
"""What was being done, by step, as its owner reads it."""


AGAIN = 60.0
"""How long the same fault of the same object is not logged again (seconds)."""

_REMEMBERED = 1000


class WorkloadFaults:
    """Takes what a workload met.

    Args:
        recorder: posts Events.
        metrics: counts.
        decides: whether this replica decides, and so speaks for all.
    """

    def __init__(self, recorder: EventRecorder, metrics: Metrics, decides: Callable[[], bool]) -> None:
        self._recorder = recorder
        self._metrics = metrics
        self._decides = decides
        self._log = logger()
        self._logged: dict[tuple[str, str, str], float] = {}

    def met(self, step: str, about: Regarding, error: str) -> None:
        """An object met a fault in a step of `DOING`."""
        self._metrics.met(step)
        if self._is_news((step, about.uid, error)):
            self._log.error(
                "fault of one workload", workload=named(about.kind, about.name), namespace=about.namespace, error=error
            )
        self.tell(step, about, error)

    def tell(self, step: str, about: Regarding, error: str) -> None:
        """Tell of it on an object."""
        if self._decides():
            text = f"Spotmix met a fault of its own in {DOING[step]}: {error}"
            self._recorder.emit(about, EventReason.WORKLOAD_FAULT, "LeaveAlone", text, same=step)

    def _is_news(self, fault: tuple[str, str, str]) -> bool:
        now = time.monotonic()
        if now - self._logged.get(fault, -AGAIN) < AGAIN:
            return False
        if len(self._logged) >= _REMEMBERED:
            self._logged.clear()
        self._logged[fault] = now
        return True
