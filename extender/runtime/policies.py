"""Tells of policies that are wrong: logs on every replica, Events from the one that decides."""

from collections.abc import Callable

from extender.core.eventreasons import EventReason
from extender.core.workloads import PolicyChanged, Workloads
from extender.kube.recorder import EventRecorder, Regarding
from extender.telemetry.logs import logger
from extender.telemetry.vocabulary import named


class PolicyReports:
    """See the module.

    Args:
        workloads: all that have a policy.
        recorder: posts Events.
        decides: whether this replica decides, and so speaks for all.
    """

    def __init__(self, workloads: Workloads, recorder: EventRecorder, decides: Callable[[], bool]) -> None:
        self._workloads = workloads
        self._recorder = recorder
        self._decides = decides
        self._log = logger()

    def changed(self, change: PolicyChanged) -> None:
        """A policy was read for the first time, changed, or went with its workload."""
        workload = change.workload
        problems = () if change.gone else workload.parsed.problems
        for problem in problems:
            self._log.warning(
                "policy warning" if problem.warning else "policy invalid",
                workload=named(workload.kind, workload.name),
                namespace=workload.namespace,
                error=problem.text,
            )
        if self._decides():
            self._post(change)

    def announce(self) -> None:
        """Post the Events of all that is wrong now: whoever decided before may not have come to it."""
        for workload in list(self._workloads.by_uid.values()):
            self._post(PolicyChanged(workload))

    def _post(self, change: PolicyChanged) -> None:
        workload = change.workload
        for problem in () if change.gone else workload.parsed.problems:
            self._recorder.emit(
                Regarding.of(workload),
                EventReason.POLICY_WARNING if problem.warning else EventReason.POLICY_INVALID,
                "HoldOnDemand" if workload.held else "KeepPolicy",
                problem.text if problem.warning else f"{problem.text}; {_consequence(change)}",
            )


def _consequence(change: PolicyChanged) -> str:
    if change.workload.held:
        return "all its pods are held on-demand until then"
    return "its last valid policy keeps applying until then"
