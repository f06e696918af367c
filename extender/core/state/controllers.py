"""The controllers of a workload's pods: itself, or the ReplicaSets of a Deployment.

What is below a workload but a workload itself has none of its pods: a CronJob's Jobs, a StatefulSet of a custom kind.
"""

from collections.abc import Iterator

from extender.core.model.objects import Owner
from extender.core.policy.managed import Managed
from extender.core.policy.workload import Workload
from extender.core.state.records import Revision
from extender.core.state.state import ClusterState

OwnerPods = tuple[Owner, Revision | None]
"""An object that controls pods, and these; None while it has none."""


def controllers_of(state: ClusterState, top: Owner) -> Iterator[OwnerPods]:
    """The controllers of the pods that `top` speaks for, whether it is managed or not.

    Those that have pods, and those below `top` that want some. `top` itself is one only once it has pods: a Deployment,
    too, says how many it wants.
    """
    known = state.workloads
    own = state.revisions.get(top.uid)
    if own is not None:
        yield known.controller(top), own
    for uid in known.children.get(top.uid, ()):
        owner, revision = known.owners[uid], state.revisions.get(uid)
        if (revision is not None or owner.replicas) and known.holder(owner) is top:
            yield known.controller(owner), revision


def managed_controllers(state: ClusterState, workload: Workload) -> Iterator[OwnerPods]:
    """As `controllers_of`; none while it cannot be said that the workload's pods are managed."""
    top = state.workloads.owners.get(workload.uid)
    if top is not None and isinstance(state.workloads.resolve(top.namespace, top.ref), Managed):
        yield from controllers_of(state, top)


def size_of(state: ClusterState, owner: Owner) -> int | None:
    """How many replicas an owner wants; where it does not say, how many pods it has. None of a Job in its tail."""
    if owner.replicas is not None or owner.tail:
        return owner.replicas
    revision = state.revisions.get(owner.uid)
    return sum(not pod.terminating for pod in revision.pods) if revision is not None else 0


def size_of_workload(state: ClusterState, workload: Workload) -> int | None:
    """As `size_of`; None for a workload that is gone."""
    owner = state.workloads.owners.get(workload.uid)
    return size_of(state, owner) if owner is not None else None


def is_divided(state: ClusterState, top: Owner) -> bool:
    """Whether others control the pods that `top` speaks for, be it that they want none."""
    known = state.workloads
    return any(known.holder(known.owners[uid]) is top for uid in known.children.get(top.uid, ()))
