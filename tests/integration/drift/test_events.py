"""What `kubectl describe deployment` tells of a workload whose class comes late, on a real control plane."""

import json
from pathlib import Path

import pytest
from support.cluster import eventually, policy
from support.driftstage import Drifting, drift_stage
from support.stage import ZONES

from extender.sandbox import create_nodes, node_pool

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]


async def described(cluster: Drifting, name: str) -> list[str]:
    """The reasons of our Events on a Deployment, oldest first, selected as `kubectl describe` does."""
    uid = (await cluster.get("Deployment", name))["metadata"]["uid"]
    fields = f"involvedObject.uid={uid},reportingComponent=spotmix.io/extender"
    path = f"/api/v1/namespaces/{cluster.namespace}/events"
    body = await cluster.api.request("GET", path, params={"fieldSelector": fields})
    return [event["reason"] for event in sorted(json.loads(body)["items"], key=lambda e: e["eventTime"])]


async def test_the_events_of_a_deployment_tell_of_fallback_and_of_the_move_back(tmp_path: Path) -> None:
    on_demand = node_pool(3, capacity_class="on-demand", zones=ZONES)
    async with drift_stage(tmp_path, on_demand) as drifts, drifts.namespace() as cluster:
        await cluster.deployment("web", 4, policy(spot_percentage=25))
        await cluster.expect("web", on_demand=4)
        await cluster.ready("web", 4)
        await cluster.deployment("strict", 4, policy(spot_percentage=25, when_unsatisfiable="wait"))
        await eventually(lambda: described(cluster, "strict"), lambda seen: seen == ["ClassUnavailable"], "it waits")
        assert await described(cluster, "web") == ["FallbackTaken"]
        await create_nodes(drifts.stage.api, node_pool(3, capacity_class="spot", zones=ZONES))
        await cluster.expect("web", spot=1, on_demand=3)
        await cluster.expect("strict", spot=1, on_demand=3)
        story = ["FallbackTaken", "MoveStarted", "Moved"]
        await eventually(lambda: described(cluster, "web"), lambda seen: seen == story, "its story")
        assert await described(cluster, "strict") == ["ClassUnavailable"]
