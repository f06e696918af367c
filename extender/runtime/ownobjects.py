"""This process as the cluster knows it: its pod, and the Deployment that this belongs to."""

from extender.core.model.objects import OwnerRef
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState
from extender.kube.incluster import own_namespace
from extender.runtime.whoami import pod_name


def own_pod(state: ClusterState) -> PodRecord | None:
    """The pod that this process runs in; None where it is not known, or there is none."""
    for namespace in own_namespace() if pod_name() else ():
        for group in state.pod_labels(namespace):
            for pod in group.pods:
                if pod.name == pod_name():
                    return pod
    return None


def own_deployment(state: ClusterState) -> OwnerRef | None:
    """What made that pod by way of a ReplicaSet; None where it is not known, or was made otherwise."""
    pod = own_pod(state)
    if pod is None or pod.revision is None:
        return None
    replicas = state.workloads.owners.get(pod.revision.owner.uid)
    return replicas.owner if replicas is not None else None
