"""The last look before an eviction: are the pod, its node and its workload still what the move was planned with?"""

from extender.core.drift.drain import is_interrupted
from extender.core.drift.moves import Move
from extender.core.model.objects import Pod
from extender.core.model.reasons import Reason
from extender.core.placement.limits import limit_on
from extender.core.state.state import ClusterState


def last_look(state: ClusterState, move: Move, pod: Pod | None, now: float, *, dry: bool) -> str:
    """Say why a pod is not to be evicted after all, in words that follow its name; empty when it is to be.

    Args:
        state: the cluster: workloads and nodes as they are now.
        move: as planned.
        pod: as the API server has it now; None when it has none of that name.
        now: seconds since the epoch.
        dry: whether the eviction is a dry run, which audit mode allows.
    """
    if pod is None:
        return "is not there any more"
    return (
        _fault_of_pod(state, move, pod, now)
        or _fault_of_workload(state, move, pod, now, dry=dry)
        or _fault_of_namespace(state, move)
    )


def _fault_of_pod(state: ClusterState, move: Move, pod: Pod, now: float) -> str:
    if pod.uid != move.pod.uid:
        return "was made anew"
    if pod.terminating or pod.ended:
        return "ends already"
    if pod.node != move.node:
        return f"is on node {pod.node!r}, not {move.node!r}"
    if move.reason is Reason.INTERRUPTED and not is_interrupted(state, pod.uid):
        return f"is on node {pod.node!r}, which is not about to be taken away any more, or drained by somebody else"
    if pod.pending:
        return "is not running yet"
    if pod.constraints.unmodelled:
        return f"has {', '.join(pod.constraints.unmodelled)}: {Reason.UNMODELLED.text}"
    protection = pod.protection
    if protection is not None and protection.holds(now):
        return f"may not be moved: {protection.key}={protection.value}"
    return ""


def _fault_of_workload(state: ClusterState, move: Move, pod: Pod, now: float, *, dry: bool) -> str:
    workload = state.workloads.by_uid.get(move.workload.uid)
    if workload is None:
        return "is not managed any more"
    if workload.policy.mode != "enforce" and not dry:
        return "is of a workload in audit mode"
    protection = workload.opt_out.of_pod(pod.created) if workload.opt_out is not None else None
    if protection is not None and protection.holds(now):
        return f"may not be moved: its workload has {protection.key}={protection.value}"
    return ""


def _fault_of_namespace(state: ClusterState, move: Move) -> str:
    # A pod that leaves an interrupted node may go to a class that stands in.
    limited = move.reason is Reason.SURPLUS and limit_on(state, move.pod.namespace, move.pod.uid, move.destination)
    return f"is of a namespace that holds as much {move.destination} as a limit allows" if limited else ""
