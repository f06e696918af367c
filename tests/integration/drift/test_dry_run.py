"""Dry runs on a real control plane: the same plan, asked with dryRun, nothing changed."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.cluster import policy
from support.driftstage import Drifting, DriftStage, drift_stage
from support.patience import eventually

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

STARTED = 'spotmix_drift_moves_total{mode="enforce",reason="surplus",result="started"}'


async def says_what_it_would_do(drifts: DriftStage, cluster: Drifting, wanted: Mapping[str, str]) -> None:
    def count(result: str) -> float:
        line = f'spotmix_drift_moves_total{{mode="dry_run",reason="surplus",result="{result}"}}'
        return drifts.stage.metric(line) or 0.0

    for name in ("free", "bound"):
        await cluster.steady(name, 4)
    await cluster.budget("all", "bound", minAvailable=4)
    before = {name: await cluster.uids(name) for name in ("free", "bound")}
    told = {result: count(result) for result in ("would-move", "blocked")}
    started = drifts.stage.metric(STARTED)
    for name in ("free", "bound"):
        await cluster.annotate("Deployment", name, wanted)

    async def further(result: str) -> bool:
        return count(result) > told[result]

    await eventually(lambda: further("would-move"), bool, "a pod would be moved")
    await eventually(lambda: further("blocked"), bool, "a pod is blocked")
    events = await eventually(lambda: cluster.events("WouldMove"), bool, "an Event")
    assert {event["regarding"]["name"] for event in events} == {"free"}

    async def asked() -> set[tuple[str, int]]:
        return {(each.pod.split("-")[0], each.status) for each in cluster.evictions(dry_run=True)}

    await eventually(asked, lambda seen: seen == {("free", 201), ("bound", 429)}, "the API server was asked")
    assert cluster.evictions() == []
    assert {name: await cluster.uids(name) for name in before} == before
    assert drifts.stage.metric(STARTED) == started
    assert drifts.stage.metric("spotmix_drift_in_flight") == 0
    assert drifts.stage.metric("spotmix_leader") == 1


async def test_statement_28_a_dry_run_says_what_it_would_do(tmp_path: Path) -> None:
    """By the setting, with leader election on."""
    election = ("--leader-election-enabled", "true", "--leader-election-namespace", "default")
    async with drift_stage(tmp_path, flags=election, read_only=True) as drifts, drifts.namespace() as cluster:
        await says_what_it_would_do(drifts, cluster, policy(spot_percentage=50))


async def test_statement_28_so_does_a_workload_in_audit_mode(drifts: DriftStage, cluster: Drifting) -> None:
    await says_what_it_would_do(drifts, cluster, policy(spot_percentage=50, mode="audit"))
