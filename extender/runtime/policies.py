"""Tells of policies that are wrong: logs on every replica, Events from the one that decides, while they are."""

import asyncio
from collections.abc import Callable

from extender.core.eventreasons import EventReason
from extender.core.workloads import PolicyChanged, Workloads
from extender.kube.occurrences import RETELL
from extender.kube.ports import Ports
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.telemetry.logs import logger
from extender.telemetry.vocabulary import named

# Workloads looked at between two looks at the event loop.
SLICE = 500


class PolicyReports:
    """See the module.

    Args:
        workloads: all that have a policy.
        recorder: posts Events.
        decides: whether this replica decides, and so speaks for all.
        ports: time.
    """

    def __init__(
        self,
        workloads: Workloads,
        recorder: EventRecorder,
        decides: Callable[[], bool],
        *,
        ports: Ports | None = None,
    ) -> None:
        self._workloads = workloads
        self._recorder = recorder
        self._decides = decides
        self._ports = ports or Ports()
        self._invalid: set[str] = set()
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

    async def run(self) -> None:
        """Post the Events of all that is wrong, and again while it is, until cancelled.

        Whoever decided before may not have come to it, and the API server forgets Events.
        """
        while True:
            workloads = list(self._workloads.by_uid.values())
            for start in range(0, len(workloads), SLICE):
                for workload in workloads[start : start + SLICE]:
                    self._post(PolicyChanged(workload))
                await asyncio.sleep(0)
            self._invalid &= self._workloads.by_uid.keys()
            await self._ports.sleep(RETELL)

    def _post(self, change: PolicyChanged) -> None:
        workload = change.workload
        if change.gone or workload.parsed.valid:
            if workload.uid in self._invalid and not change.gone:
                text = "What was wrong with its policy has been put right: it applies as it is written"
                self._recorder.emit(Regarding.of(workload), EventReason.POLICY_VALID, "ApplyPolicy", text)
            self._invalid.discard(workload.uid)
        else:
            self._invalid.add(workload.uid)
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
