"""In virtual time as in the service: what changes between plan and eviction keeps the pod, and haste has its bounds."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from support.simulated import DRIFT, SETTLED, add, pods_of, pool, virtual

from extender.core.drift.attention import HASTENED
from extender.core.drift.controller import TICK
from extender.core.drift.moves import Move
from extender.core.drift.rules import DriftOptions
from extender.core.model.objects import Protection
from extender.core.model.reasons import Reason
from extender.simulate.cluster import Cluster
from extender.simulate.drift import POST, VirtualDrift
from extender.simulate.spotmix import SpotmixOptions

STEP = POST / 5
"""Plans are seen so soon (seconds), and the watch delivers a change so soon."""
OPT_OUT = "spotmix.io/do-not-disrupt"


def off_its_split() -> tuple[Cluster, VirtualDrift, str]:
    """A workload of 10 that wanted no spot until now, and wants 6 on it."""
    cluster = virtual(
        pool("od", 4, "on-demand"), pool("spot", 4), drift=DriftOptions(DRIFT), spotmix=SpotmixOptions(lag=STEP)
    )
    uid = add(cluster, "web", 10, spot_percentage=0)
    cluster.run(SETTLED)
    cluster.annotate(uid, {"spotmix.io/spot-percentage": "60"})
    cluster.begin()
    assert cluster.drift is not None
    return cluster, cluster.drift, uid


def run_to_a_plan(cluster: Cluster, loop: VirtualDrift) -> Move:
    """Let time pass until a move is planned whose eviction is not sent yet."""
    for _ in range(int(SETTLED / STEP)):
        cluster.run(STEP)
        planned = [entry.move for entry in loop.memory.history.in_flight()]
        if planned:
            (move,) = planned
            assert loop.evictions.total() == 0
            return move
    raise AssertionError("nothing was planned")


def pod_opts_out(cluster: Cluster, uid: str, move: Move) -> None:
    (pod,) = (pod for pod in pods_of(cluster, uid) if pod.uid == move.pod.uid)
    pod.template = replace(pod.template, protection=Protection(OPT_OUT, "true", None))


def workload_opts_out(cluster: Cluster, uid: str, _move: Move) -> None:
    cluster.annotate(uid, {OPT_OUT: "true"})


def workload_is_audited(cluster: Cluster, uid: str, _move: Move) -> None:
    cluster.annotate(uid, {"spotmix.io/mode": "audit"})


def workload_is_managed_no_more(cluster: Cluster, uid: str, _move: Move) -> None:
    cluster.api.edit_owner(uid, labels={})


@pytest.mark.parametrize("change", [pod_opts_out, workload_opts_out, workload_is_audited, workload_is_managed_no_more])
def test_statement_22_what_changed_since_the_plan_keeps_the_pod(change: Callable[[Cluster, str, Move], None]) -> None:
    cluster, loop, uid = off_its_split()
    move = run_to_a_plan(cluster, loop)
    change(cluster, uid, move)
    cluster.run(2 * POST)
    assert loop.evictions.total() == 0
    assert move.pod.uid in {pod.uid for pod in pods_of(cluster, uid) if not pod.terminating}
    # It was taken back: nothing is held for a replacement, and nothing is in flight.
    assert list(loop.memory.history.in_flight()) == []
    assert cluster.spotmix is not None
    assert cluster.spotmix.state.reserved == 0
    assert not loop.refused


def test_without_a_change_the_planned_pod_is_evicted() -> None:
    cluster, loop, _ = off_its_split()
    run_to_a_plan(cluster, loop)
    cluster.run(2 * POST)
    assert loop.evictions == {Reason.SURPLUS: 1}


def test_a_workload_in_audit_mode_loses_no_pod() -> None:
    cluster, loop, uid = off_its_split()
    cluster.annotate(uid, {"spotmix.io/mode": "audit"})
    before = {pod.uid for pod in pods_of(cluster, uid)}
    cluster.run(2 * SETTLED)
    assert {pod.uid for pod in pods_of(cluster, uid)} == before
    assert loop.evictions.total() == 0
    assert list(loop.memory.history.in_flight()) == []


def test_of_very_many_workloads_on_interrupted_nodes_some_are_looked_at_after_others() -> None:
    count = HASTENED + 50
    wide = {"cpu": "64", "memory": "1Ti", "pods": 2 * count}
    cluster = virtual(
        pool("od", 1, "on-demand", allocatable=wide, delay=(0.0, 0.0)),
        pool("spot", 1, allocatable=wide),
        drift=DriftOptions(replace(DRIFT, dwell=0.0)),
    )
    cluster.pools["od"].lose(SETTLED + 60.0, notice=0.0)
    for number in range(count):
        add(cluster, f"w{number}", 1, cpu=10, spot_percentage=100)
    cluster.run(SETTLED)
    cluster.begin()
    loop = cluster.drift
    assert loop is not None
    cluster.pools["spot"].lose(SETTLED, notice=600.0)
    cluster.run(30.0)
    # Nowhere is room for them. The node that brings it touches no workload.
    assert not loop.evictions
    while not loop.evictions:
        cluster.run(STEP)
    cluster.run(TICK - 2 * STEP)
    assert loop.evictions == {Reason.INTERRUPTED: HASTENED}
    cluster.run(2 * TICK)
    assert loop.evictions == {Reason.INTERRUPTED: count}
