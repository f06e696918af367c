"""Tells where placement departs from what an owner asked for: another class stands in, pods wait or are held.

It is told on the workload, and on each pod that it happens to: whoever describes either is to see why. What is told of
a workload is the same for all of its pods, so that the Events of a burst are one.
"""

from msgspec import Struct

from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.placement.decide import Decision, PodView
from extender.core.placement.limits import limits_told
from extender.core.policy.provenance import key_as_written
from extender.core.policy.stand_ins import stand_ins
from extender.core.policy.workload import Workload
from extender.core.state.state import ClusterState
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.runtime.workloadfaults import WorkloadFaults


class _Told(Struct, frozen=True, gc=False):
    """What to tell; empty where nothing is."""

    reason: EventReason
    action: str
    workload: str
    pod: str


def limit_text(wanted: str, limit: str, consequence: str) -> str:
    """Why a pod waits for a limit, as a sentence about it."""
    return f"is to go to {wanted} and waits ({consequence}): {limit}; raise the limit, or scale something down"


class PlacementReports:
    """Events about pods that were not given the class of their seat.

    Args:
        state: the cluster.
        recorder: posts Events.
        faults: tells of faults that one workload met.
    """

    def __init__(self, state: ClusterState, recorder: EventRecorder, faults: WorkloadFaults | None = None) -> None:
        self._state = state
        self._recorder = recorder
        self._faults = faults

    def knows(self, pod: PodView) -> bool:
        """Whether there is such a pod, and it waits for a node: of others nothing is told."""
        return self._state.awaits_node(pod.uid)

    def departed(self, pod: PodView, decision: Decision) -> None:
        """A pod was not given the class of its seat, or is held on-demand."""
        workload = decision.workload
        told = self._told(workload, decision, pod) if workload is not None else None
        if workload is None or told is None:
            return
        on_pod = Regarding.pod(PodId(pod.namespace, pod.name, pod.uid))
        on_workload = Regarding.of(workload)
        if told.workload:
            self._recorder.emit(on_workload, told.reason, told.action, told.workload, same="", related=on_pod)
        self._recorder.emit(on_pod, told.reason, told.action, told.pod, same="", related=on_workload)

    def broke(self, pod: PodView, workload: Workload, error: Exception) -> None:
        """A decision on a pod met a fault of our own."""
        if self._faults is not None:
            self._faults.met("decision", Regarding.of(workload), repr(error))
            self._faults.tell("decision", Regarding.pod(PodId(pod.namespace, pod.name, pod.uid)), repr(error))

    def _written(self, workload: Workload, key: str, value: object = "") -> str:
        return key_as_written(self._state.workloads, workload, key, value)

    def _told(self, workload: Workload, decision: Decision, pod: PodView) -> _Told | None:
        policy, wanted, given = workload.policy, decision.wanted, decision.capacity_class
        limits = limits_told(self._state, pod.namespace, pod.uid, decision.limited)
        there_are = bool(self._state.placeable.get(wanted))
        lacking = f"no {wanted} node takes" if there_are else f"there is no {wanted} node for"
        if limits and wanted in decision.limited:
            lacking = f"its class may not be used any more ({limits[0]}) by"
        others = " or ".join(stand_ins(policy, wanted))
        rule = self._written(workload, "when-unsatisfiable", policy.when_unsatisfiable)
        if decision.reason is Reason.LIMIT_REACHED:
            # A pod that is not known yet waits for a moment, and there is nothing to tell.
            text = limit_text(wanted, limits[0], f"{others} may stand in" if others else rule) if limits else ""
            return _Told(EventReason.LIMIT_REACHED, "Wait", f"A pod {text}", f"It {text}") if limits else None
        if decision.reason is Reason.FALLBACK:
            return _Told(
                EventReason.FALLBACK_TAKEN,
                "StandIn",
                f"Pods that were to go to {wanted} go to {given}, as {lacking} them ({rule})",
                f"It was to go to {wanted} and goes to {given}, as {lacking} it ({rule})",
            )
        if decision.reason is Reason.WAIT_CLASS:
            why = (
                f", nor is there an {others} node that may stand in" if others else f", and nothing stands in ({rule})"
            )
            fix = f"add {wanted} nodes" + ", or see `spotmix explain` for what is in the way on each" * there_are
            return _Told(
                EventReason.CLASS_UNAVAILABLE,
                "Wait",
                f"Pods that are to go to {wanted} wait: {lacking} them{why}; {fix}",
                f"It is to go to {wanted} and waits: {lacking} it{why}; {fix}",
            )
        if decision.reason is Reason.WAIT_FALLBACK:
            # By the policy, and for a while: a matter for who looks at the pod.
            text = (
                f"It is to go to {wanted} and waits: {lacking} it; "
                f"{others} may stand in when it has waited for {policy.fallback_after:g} s "
                f"({self._written(workload, 'fallback-after')})"
            )
            return _Told(EventReason.CLASS_UNAVAILABLE, "Wait", "", text)
        if decision.reason is Reason.POOL_FULL:
            cap = self._written(workload, "max-per-pool")
            full = f"every pool with room holds as many of the workload as {cap} allows"
            fix = f"add nodes in other zones or of other instance types, or raise {cap}"
            return _Told(EventReason.POOLS_FULL, "Wait", f"Pods wait, as {full}; {fix}", f"It waits, as {full}; {fix}")
        if decision.reason is Reason.POLICY_INVALID:
            name = f"{workload.kind} {workload.name}"
            text = f"It is held on-demand: the policy of {name} is invalid; the Events of that say what to put right"
            return _Told(EventReason.POLICY_INVALID, "HoldOnDemand", "", text)
        return None
