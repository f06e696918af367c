"""The controllers of a workload's pods: itself, or the ReplicaSets of a Deployment.

What is below a workload but a workload itself has none of its pods: a CronJob's Jobs, a StatefulSet of a custom kind.
"""

from collections.abc import Iterator

from extender.core.model.objects import Owner
from extender.core.policy.workload import Workload
from extender.core.policy.workloads import Managed
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
        yield top, own
    for uid in known.children.get(top.uid, ()):
        owner, revision = known.owners[uid], state.revisions.get(uid)
        if (revision is not None or owner.replicas) and known.holder(owner) is top:
            yield owner, revision


def managed_controllers(state: ClusterState, workload: Workload) -> Iterator[OwnerPods]:
    """As `controllers_of`; none while it cannot be said that the workload's pods are managed."""
    top = state.workloads.owners.get(workload.uid)
    if top is not None and isinstance(state.workloads.resolve(top.namespace, top.ref), Managed):
        yield from controllers_of(state, top)


def is_divided(state: ClusterState, top: Owner) -> bool:
    """Whether others control the pods that `top` speaks for, be it that they want none."""
    known = state.workloads
    return any(known.holder(known.owners[uid]) is top for uid in known.children.get(top.uid, ()))
