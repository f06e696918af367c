"""Virtual clusters in a line each."""

from random import Random
from typing import Any

from extender.core.objects import Requests
from extender.core.selectors import LabelSelector
from extender.simulate.api import PodTemplate, VirtualPod
from extender.simulate.budgets import Amount, BudgetSpec
from extender.simulate.cluster import Cluster, Options, WorkloadSpec
from extender.simulate.machines import PoolSpec
from support.doubles import ENABLED, RULES, keys

MONDAY = 1_767_571_200.0
"""Midnight, UTC, of Monday, 5 January 2026."""
SETTLED = 300.0


def pool(name: str, size: int, capacity_class: str = "spot", zone: str = "a", **fields: Any) -> PoolSpec:
    """A pool of 4 cores and 16 GiB a node."""
    labels = {
        "karpenter.sh/capacity-type": capacity_class,
        "node.kubernetes.io/instance-type": f"type-{name}",
        "topology.kubernetes.io/zone": zone,
    }
    return PoolSpec(
        name, labels, fields.pop("allocatable", {"cpu": "4", "memory": "16Gi", "pods": 110}), size, **fields
    )


def virtual(*pools: PoolSpec, seed: int = 1, **options: Any) -> Cluster:
    """A cluster whose nodes are up."""
    cluster = Cluster(pools, Options(RULES, **{"start": MONDAY, **options}), Random(seed))  # noqa: S311 - has to be repeatable
    cluster.start()
    return cluster


def add(
    cluster: Cluster, name: str = "web", replicas: int = 10, kind: str = "Deployment", cpu: int = 500, **policy: Any
) -> str:
    """Add an enabled workload: `spot_percentage=70` is an annotation; a template's fields are given as `pod_...`."""
    fields = {key.removeprefix("pod_"): policy.pop(key) for key in list(policy) if key.startswith("pod_")}
    completions = policy.pop("completions", None)
    template = PodTemplate(Requests(cpu=cpu, memory=1 << 30), (("app", name),), **fields)
    return cluster.add_workload(
        WorkloadSpec(kind, "shop", name, replicas, template, ENABLED, keys(**policy), completions=completions)
    )


def pods_of(cluster: Cluster, uid: str) -> list[VirtualPod]:
    """The pods of a workload, those of its ReplicaSets too."""
    children = cluster.truth.state.workloads.children.get(uid, ())
    return [pod for each in (uid, *children) for pod in cluster.api.pods_of(each)]


def budget(cluster: Cluster, app: str = "web", name: str = "pdb", **amounts: int) -> None:
    """Add a PodDisruptionBudget: `min_available=2` or `max_unavailable=1`."""
    spec = BudgetSpec(**{key: Amount(value) for key, value in amounts.items()})
    cluster.add_budget("shop", name, LabelSelector((("app", app),)), spec)
