"""Finds pods and workloads by what people call them."""

from collections.abc import Iterator

from extender.core.model.objects import Owner
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState

SHORT = {
    "po": "pod",
    "deploy": "deployment",
    "rs": "replicaset",
    "sts": "statefulset",
    "rc": "replicationcontroller",
    "cj": "cronjob",
}


def kind_named(text: str) -> tuple[str, str]:
    """A kind in small letters, and its group or an empty text: `deploy`, `Deployments`, `rollouts.argoproj.io`."""
    name, _, group = text.lower().partition(".")
    name = SHORT.get(name, name)
    return name.removesuffix("s"), group


def find_pod(state: ClusterState, namespace: str, name: str) -> PodRecord | None:
    """A live pod; of namesakes the one that is not about to end."""
    found = [pod for pod in state.pods.values() if pod.name == name and pod.namespace == namespace]
    return min(found, key=lambda pod: (pod.terminating, -pod.created), default=None)


def find_owner(state: ClusterState, kind: str, group: str, namespace: str, name: str) -> Owner | None:
    """An owner of a kind and, unless empty, group as `kind_named` gives them; of namesakes the youngest."""
    found = [owner for owner in _named(state, kind, group, name) if owner.namespace == namespace]
    return max(found, key=lambda owner: owner.created, default=None)


def namespaces_with(state: ClusterState, kind: str, group: str, name: str) -> list[str]:
    """The namespaces that have a pod or an owner of this name."""
    if kind == "pod":
        return sorted({pod.namespace for pod in state.pods.values() if pod.name == name})
    return sorted({owner.namespace for owner in _named(state, kind, group, name)})


def _named(state: ClusterState, kind: str, group: str, name: str) -> Iterator[Owner]:
    for owner in state.workloads.owners.values():
        if owner.name == name and owner.kind.lower().removesuffix("s") == kind and group in ("", owner.group):
            yield owner
