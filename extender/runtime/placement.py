"""Tells the owners of workloads where placement departs from their policy: another class stands in, or pods wait.

Texts are constant for a workload's policy, so that the Events of a burst of pods are one.
"""

from extender.core.decide import Decision, stand_ins
from extender.core.eventreasons import EventReason
from extender.core.reasons import Reason
from extender.kube.recorder import EventRecorder, Regarding


class PlacementReports:
    """See the module.

    Args:
        recorder: posts Events.
    """

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def departed(self, decision: Decision) -> None:
        """A pod was not given the class of its seat."""
        workload, wanted = decision.workload, decision.wanted
        if workload is None:
            return
        if decision.reason is Reason.FALLBACK:
            given = decision.capacity_class
            reason, action = EventReason.FALLBACK_TAKEN, "StandIn"
            text = f"No {wanted} node has room for pods with a {wanted} seat: {given} nodes stand in"
        elif decision.reason is Reason.WAIT_CLASS:
            others = " or ".join(stand_ins(workload.policy, wanted))
            nodes = f"No {wanted} node, and no {others} node that may stand in," if others else f"No {wanted} node"
            why = "" if others else f", and nothing stands in (when-unsatisfiable={workload.policy.when_unsatisfiable})"
            reason, action = EventReason.CLASS_UNAVAILABLE, "Wait"
            text = f"{nodes} has room for pods with a {wanted} seat{why}: they wait"
        elif decision.reason is Reason.POOL_FULL:
            reason, action = EventReason.POOLS_FULL, "Wait"
            text = "Every spot pool with room holds as many of its pods as max-per-pool allows: others wait"
        else:
            return
        self._recorder.emit(Regarding.of(workload), reason, action, text, once=True)
