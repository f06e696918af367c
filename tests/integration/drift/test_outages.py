"""All spot nodes or the API server are gone for a while; the drift loop goes on where it was.

Each story prints how long that took; `pytest -rP` shows it.
"""

import asyncio
from pathlib import Path

import pytest
from support.cluster import policy
from support.convergence import follow
from support.driftstage import drift_stage
from support.patience import eventually
from support.stage import ZONES, begin_anew

from extender.sandbox import create_nodes, node_pool, terminate_node

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]
SEVENTY = policy(spot_percentage=70, min_on_demand=2)


async def test_all_spot_goes_and_comes_back(tmp_path: Path) -> None:
    spot = node_pool(4, capacity_class="spot", zones=ZONES)
    on_demand = node_pool(3, capacity_class="on-demand", zones=ZONES)
    async with drift_stage(tmp_path, [*spot, *on_demand]) as drifts, drifts.namespace() as cluster:
        await cluster.deployment("web", 10, SEVENTY)
        await cluster.expect("web", spot=7, on_demand=3)
        await cluster.ready("web", 10)
        async with follow("all spot nodes end at once", cluster, 0) as lost:
            await asyncio.gather(*(terminate_node(cluster.api, node.name, marker=None) for node in spot))
            await cluster.expect("web", on_demand=10)
            await cluster.ready("web", 10)
        async with follow(".. and are back", cluster, 7) as back:
            await create_nodes(cluster.api, spot)
            await cluster.expect("web", spot=7, on_demand=3, seconds=120)
            await cluster.ready("web", 10)
        assert (lost.evictions, back.evictions) == (0, 7)
        assert cluster.deleted() == []


async def test_the_api_server_is_away_for_half_a_minute(tmp_path: Path) -> None:
    async with drift_stage(tmp_path, replacement_timeout="2m") as drifts, drifts.namespace() as cluster:
        await cluster.drift("web", 10, SEVENTY)
        async with follow("the API server is away for 30 s while 10 replicas drift", cluster, 7) as course:

            async def evicted() -> int:
                return len(cluster.evicted())

            await eventually(evicted, lambda count: count > 0, "the first eviction")
            apiserver = drifts.stage.plane.apiserver
            await apiserver.stop()
            await asyncio.sleep(30)
            await apiserver.start()
            await begin_anew(drifts.stage.plane)
            await cluster.expect("web", spot=7, on_demand=3, seconds=150)
            await cluster.ready("web", 10)
        assert course.evictions == 7
        assert cluster.deleted() == []
