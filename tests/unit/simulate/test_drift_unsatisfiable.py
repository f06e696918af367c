"""Statement 32 of a safe loop: on a steady cluster that cannot be satisfied, 1,000 cycles evict a bounded number."""

from collections.abc import Callable
from typing import Any

import pytest
from support.simulated import DRIFT, SETTLED, add, budget, pods_of, pool, virtual

from extender.core.drift.rules import DriftOptions
from extender.core.model.constraints import Constraints, PodTerm
from extender.core.model.reasons import Reason
from extender.core.model.selectors import LabelSelector
from extender.simulate.cluster import Cluster
from extender.simulate.drift import VirtualDrift
from extender.simulate.machines import PoolSpec
from extender.wire.kube_v1 import RawTaint

CYCLES, INTERVAL, WORKLOADS = 1000, 30.0, 3
ON_DEMAND = pool("od", 8, "on-demand")
TINY = {"cpu": "600m", "memory": "16Gi", "pods": 110}
TAINTED = (RawTaint("dedicated", "NoSchedule", "db"),)
ALONE_IN_ITS_ZONE = Constraints(anti_affinity=(PodTerm("topology.kubernetes.io/zone", LabelSelector()),))
Steady = tuple[Cluster, VirtualDrift, list[str]]


def started(*pools: PoolSpec) -> tuple[Cluster, VirtualDrift]:
    cluster = virtual(*pools, drift=DriftOptions(DRIFT, INTERVAL))
    assert cluster.drift is not None
    return cluster, cluster.drift


def workloads(cluster: Cluster, kind: str = "Deployment", **policy: Any) -> list[str]:
    """Three workloads that want six of ten replicas on spot, settled."""
    wanted = {"spot_percentage": 60, "min_on_demand": 2, **policy}
    uids = [add(cluster, f"w{n}", 10, kind, **wanted) for n in range(WORKLOADS)]
    cluster.run(2 * SETTLED)
    return uids


def steady(*pools: PoolSpec, kind: str = "Deployment", **policy: Any) -> Steady:
    cluster, loop = started(*pools)
    return cluster, loop, workloads(cluster, kind, **policy)


def repelled() -> Steady:
    """The only zone with spot nodes has a pod that wants no other there."""
    cluster, loop = started(ON_DEMAND, pool("spot", 4, zone="b"))
    add(cluster, "alone", 1, spot_percentage=100, pod_constraints=ALONE_IN_ITS_ZONE)
    cluster.run(SETTLED)
    return cluster, loop, workloads(cluster)


def budgeted(count: int) -> Steady:
    """Spot has room, and all that is to move has `count` budgets, of which one would allow it if it were alone."""
    cluster, loop, uids = steady(ON_DEMAND, pool("spot", 8), spot_percentage=0)
    for n in range(WORKLOADS):
        for number in range(count):
            budget(cluster, app=f"w{n}", name=f"pdb-{n}-{number}", max_unavailable=count - 1)
    cluster.run(SETTLED)
    for uid in uids:
        cluster.annotate(uid, {"spotmix.io/spot-percentage": "60"})
    return cluster, loop, uids


def run(cluster: Cluster, loop: VirtualDrift, cycles: int = CYCLES) -> int:
    """Run that many cycles; the evictions in them."""
    before = loop.evictions.total()
    cluster.run(cycles * INTERVAL)
    return loop.evictions.total() - before


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: steady(ON_DEMAND), Reason.NO_NODE, id="no spot nodes"),
        pytest.param(lambda: steady(ON_DEMAND, pool("spot", 1, allocatable=TINY)), Reason.NO_ROOM, id="spot is full"),
        pytest.param(
            lambda: steady(ON_DEMAND, pool("spot", 4, taints=TAINTED)), Reason.NOT_ADMITTED, id="spot is not tolerated"
        ),
        pytest.param(repelled, Reason.AFFINITY, id="a pod on spot wants no other there"),
        pytest.param(lambda: budgeted(1), Reason.BUDGET, id="budgets that allow nothing"),
        pytest.param(lambda: budgeted(2), Reason.BUDGETS, id="two budgets"),
    ],
)
def test_what_the_plan_sees_costs_no_eviction_at_all(make: Callable[[], Steady], reason: Reason) -> None:
    cluster, loop, uids = make()
    cluster.begin()
    assert run(cluster, loop) == 0
    assert loop.cycles >= CYCLES
    assert set(loop.view.stays) == {reason}
    assert sum(loop.view.stays.values()) >= WORKLOADS * 5
    assert all(pod.ready for uid in uids for pod in pods_of(cluster, uid))
    assert not loop.refused


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_what_the_plan_does_not_see_costs_a_few_evictions_until_the_circuit_opens(kind: str) -> None:
    cluster, loop, uids = steady(ON_DEMAND, pool("spot", 4, refused=True), kind=kind)
    cluster.begin()
    assert run(cluster, loop, CYCLES // 10) == WORKLOADS * DRIFT.circuit_moves
    assert loop.circuits == WORKLOADS
    assert run(cluster, loop, CYCLES) == 0
    assert set(loop.view.stays) == {Reason.CIRCUIT_OPEN}
    assert loop.outcomes == {Reason.LANDED_WRONG: WORKLOADS * DRIFT.circuit_moves}
    assert all(pod.ready for uid in uids for pod in pods_of(cluster, uid))


def test_a_workload_that_rather_waits_loses_one_pod_at_the_most() -> None:
    """Its replacement stays Pending, as its owner asks for; while it does, no other pod is moved."""
    cluster, loop = started(ON_DEMAND, pool("spot", 4, refused=True))
    uids = workloads(cluster, spot_percentage=0, when_unsatisfiable="wait")
    for uid in uids:
        cluster.annotate(uid, {"spotmix.io/spot-percentage": "60"})
    cluster.begin()
    assert run(cluster, loop) == WORKLOADS
    assert loop.outcomes == {Reason.NO_REPLACEMENT: WORKLOADS}
    assert [sum(pod.ready for pod in pods_of(cluster, uid)) for uid in uids] == [9, 9, 9]


def test_spot_that_never_stays_for_long_draws_no_moves() -> None:
    flapping = pool("spot", 4, delay=(0.0, 0.0), noticed=1.0)
    cluster, loop = started(ON_DEMAND, flapping)
    cluster.pools["spot"].lose(60.0, 0.0)
    uids = workloads(cluster)

    def flap() -> None:
        cluster.pools["spot"].lose(60.0, 0.0)
        cluster.later(DRIFT.dwell, flap)

    flap()
    cluster.run(INTERVAL)
    cluster.begin()
    assert run(cluster, loop) == 0
    assert all(pod.node.startswith("od") for uid in uids for pod in pods_of(cluster, uid))


def test_room_that_comes_is_used_and_then_there_is_rest() -> None:
    cluster, loop = started(ON_DEMAND, pool("spot", 4))
    cluster.pools["spot"].lose(SETTLED + 3600.0, 0.0)
    uids = workloads(cluster)
    cluster.begin()
    surplus = WORKLOADS * 6
    assert run(cluster, loop, 600) == surplus
    assert run(cluster, loop) == 0
    assert loop.outcomes == {Reason.MOVED: surplus}
    assert all(cluster.split(uid) == {"spot": 6, "on-demand": 4} for uid in uids)
