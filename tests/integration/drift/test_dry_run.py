"""Dry runs on a real control plane: the same plan, asked with dryRun, nothing changed."""

from pathlib import Path

import pytest
from support.cluster import policy
from support.driftstage import DriftStage, drift_stage
from support.patience import eventually

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]


async def count(drifts: DriftStage, result: str) -> float:
    line = f'spotmix_drift_moves_total{{mode="dry_run",reason="surplus",result="{result}"}}'
    return drifts.stage.metric(line) or 0.0


@pytest.mark.parametrize("read_only", [True, False])
async def test_statement_28_a_dry_run_says_what_it_would_do(tmp_path: Path, *, read_only: bool) -> None:
    """By the setting, with leader election on; and by a workload's own mode."""
    election = ("--leader-election-enabled", "true", "--leader-election-namespace", "default")
    flags = election if read_only else ()
    wanted = policy(spot_percentage=50) | ({} if read_only else policy(mode="audit"))
    async with drift_stage(tmp_path, flags=flags, read_only=read_only) as drifts, drifts.namespace() as cluster:
        for name in ("free", "bound"):
            await cluster.steady(name, 4)
        await cluster.budget("all", "bound", minAvailable=4)
        before = {name: await cluster.uids(name) for name in ("free", "bound")}
        for name in ("free", "bound"):
            await cluster.annotate("Deployment", name, wanted)
        await eventually(lambda: count(drifts, "would-move"), bool, "a pod would be moved")
        await eventually(lambda: count(drifts, "blocked"), bool, "a pod is blocked")
        events = await eventually(lambda: cluster.events("WouldMove"), bool, "an Event")
        assert {event["regarding"]["name"] for event in events} == {"free"}
        assert {(e.pod.split("-")[0], e.status) for e in cluster.evictions(dry_run=True)} == {
            ("free", 201),
            ("bound", 429),
        }
        assert cluster.evictions() == []
        assert {name: await cluster.uids(name) for name in before} == before
        assert drifts.stage.metric('spotmix_drift_moves_total{mode="enforce",reason="surplus",result="started"}') == 0
        assert drifts.stage.metric("spotmix_drift_in_flight") == 0
        assert drifts.stage.metric("spotmix_leader") == 1
