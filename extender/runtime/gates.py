"""Tells of gated pods: which were released without a class, which wait for others, and for how long all of them did."""

from collections.abc import Callable

from extender.core.answers.decisions import DecisionLog
from extender.core.capacity.fit import Needs
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.placement.decide import Decision, PodView
from extender.core.placement.gatelimits import Kept
from extender.core.placement.gatewatch import HeldByOthers, Ungated
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.runtime.placement import limit_text
from extender.telemetry.metrics import Metrics

VERB = "gate"
"""What stands in the log of decisions in place of an extender's verb."""

_FIX = {
    Reason.NO_CLASS_LABEL: "label nodes spotmix.io/capacity-class, or add a rule to classes.extraRules",
    Reason.NOT_ADMITTED: "see its own node affinity",
    Reason.OWNER_UNKNOWN: "see whether Spotmix may list and watch the kind of its owner",
}
"""What to do about a class that was not written; nothing where somebody has decided so."""


class GateReports:
    """Counts and tells what became of gated pods.

    Args:
        recorder: posts Events.
        metrics: counts.
        decides: whether this replica decides, and so counts for all.
        log: keeps decisions.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        recorder: EventRecorder,
        metrics: Metrics,
        decides: Callable[[], bool],
        log: DecisionLog,
        now: Callable[[], float],
    ) -> None:
        self._recorder, self._metrics, self._decides = recorder, metrics, decides
        self._log, self._now = log, now

    def perform(self, action: Ungated | HeldByOthers) -> None:
        """Tell of one."""
        if isinstance(action, HeldByOthers):
            gates = ", ".join(action.gates)
            text = f"waits for others to take their scheduling gates away ({gates}); its class is written after that"
            self._tell(action, EventReason.GATED_BY_OTHERS, "Wait", text)
            return
        if self._decides():
            self._metrics.ungated(action.capacity_class, action.seconds)
            self._keep(action)
        if action.why is not None:
            fix = f"; {_FIX[action.why]}" if action.why in _FIX else ""
            why = action.why.text
            text = f"was let go without a class, so that it may go to any: {why}{fix}"
            self._tell(action, EventReason.CLASS_NOT_WRITTEN, "LetGo", text)

    def keep(self, action: Kept) -> None:
        """Tell of a pod that keeps its gate for a limit."""
        decision = Decision(Reason.LIMIT_REACHED, (), action.workload, action.wanted)
        self._add(action.pod, decision)
        self._tell(
            action, EventReason.LIMIT_REACHED, "Wait", limit_text(action.wanted, action.text, "it keeps its gate")
        )

    def _keep(self, action: Ungated) -> None:
        """Have it among the last decisions."""
        given = action.capacity_class
        self._add(action.pod, Decision(action.why or Reason.WRITTEN, (), action.workload, given, given))

    def _add(self, pod: PodId, decision: Decision) -> None:
        view = PodView(pod.uid, pod.namespace, pod.name, None, "", None, Needs)
        self._log.add(self._now(), VERB, view, decision)

    def _tell(self, action: Ungated | HeldByOthers | Kept, reason: EventReason, done: str, text: str) -> None:
        on_pod = Regarding.pod(action.pod)
        on_workload = Regarding.of(action.workload) if action.workload is not None else None
        if on_workload is not None:
            self._recorder.emit(on_workload, reason, done, f"A pod {text}", same="", related=on_pod)
        self._recorder.emit(on_pod, reason, done, f"It {text}", same="", related=on_workload)
