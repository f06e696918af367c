"""Fifty workloads drift at once; the limits of the whole cluster hold."""

import asyncio
from pathlib import Path

import pytest
from support.cluster import policy
from support.convergence import follow
from support.driftstage import drift_stage

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]


async def test_fifty_workloads_at_once(tmp_path: Path) -> None:
    """The budget of the cluster holds at every moment, and everyone gets his turn."""
    names = [f"web-{number}" for number in range(50)]
    async with drift_stage(tmp_path, max_moves_in_flight=10) as drifts, drifts.namespace() as cluster:
        await asyncio.gather(*(cluster.steady(name, 4) for name in names))
        seen: list[float] = []

        async def watch() -> None:
            while True:
                seen.append(drifts.stage.metric("spotmix_drift_in_flight") or 0.0)
                await asyncio.sleep(0.2)

        watching = asyncio.create_task(watch())
        try:
            async with follow("50 workloads of 4 replicas drift at once", cluster, 100) as course:
                await asyncio.gather(*(cluster.annotate("Deployment", n, policy(spot_percentage=50)) for n in names))
                for name in names:
                    await cluster.expect(name, spot=2, on_demand=2, seconds=180)
                    await cluster.ready(name, 4)
        finally:
            watching.cancel()
        assert course.evictions == 100
        assert 2 <= max(seen) <= 10
