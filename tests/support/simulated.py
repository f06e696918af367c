"""Virtual clusters in a line each."""

from random import Random
from typing import Any

from extender.core.drift.rules import DriftOptions, DriftRules
from extender.core.model.objects import Requests
from extender.core.model.selectors import LabelSelector
from extender.simulate.api import PodTemplate, VirtualPod
from extender.simulate.budgets import Amount, BudgetSpec
from extender.simulate.cluster import Cluster, Options, WorkloadSpec
from extender.simulate.machines import PoolSpec
from support.doubles import ENABLED, RULES, keys

MONDAY = 1_767_571_200.0
"""Midnight, UTC, of Monday, 5 January 2026."""
SETTLED = 300.0
DRIFT = DriftRules()


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


def budget(cluster: Cluster, *, app: str = "web", name: str = "pdb", **amounts: int) -> None:
    """Add a PodDisruptionBudget: `min_available=2` or `max_unavailable=1`."""
    spec = BudgetSpec(**{key: Amount(value) for key, value in amounts.items()})
    cluster.add_budget("shop", name, LabelSelector((("app", app),)), spec)


def reclaimed(nodes: int, workloads: int, slack: int, seed: int = 1, **options: Any) -> Cluster:
    """A cluster before a day of spot reclaims at 5 %/h: mixed policies, every second workload with a budget.

    All pods ask for a fifth of a node. The spot pools have `slack` nodes more than the policies need; a lost node takes
    ten minutes to be replaced. `options` are fields of `Options`.
    """
    sizes = [(2 + n % 19, (30, 50, 70, 90)[n % 4], n % 4) for n in range(workloads)]
    wanted = sum(max(0, min(replicas * share // 100, replicas - floor)) for replicas, share, floor in sizes)
    spot = -(-wanted // 5) + slack
    spare: dict[str, Any] = {"delay": (120.0, 600.0), "rate": 0.05, "price": 0.06}
    cluster = virtual(
        pool("od-a", (nodes - spot) // 2, "on-demand", price=0.2),
        pool("od-b", nodes - spot - (nodes - spot) // 2, "on-demand", zone="b", price=0.2),
        pool("spot-a", spot // 2, **spare),
        pool("spot-b", spot - spot // 2, zone="b", **spare),
        seed=seed,
        **{"drift": DriftOptions(DRIFT), **options},
    )
    for number, (replicas, share, floor) in enumerate(sizes):
        add(cluster, f"w{number}", replicas, cpu=800, spot_percentage=share, min_on_demand=floor)
        if number % 2:
            budget(cluster, app=f"w{number}", name=f"pdb-{number}", max_unavailable=1)
    cluster.run(SETTLED)
    cluster.begin()
    return cluster
