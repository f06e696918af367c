"""What one owner writes, or one cloud stops, costs no other workload anything, on a real control plane."""

import asyncio
from typing import Any

import pytest
from support.cluster import policy
from support.driftstage import Drifting, DriftStage
from support.patience import eventually

from extender.sandbox import SimNode, create_nodes

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

TOO_LONG = {
    **policy(spot_percentage=50, disruption_schedule="0 0 * * *"),
    "spotmix.io/disruption-duration": "99999999h",
}
MANY = {f"spotmix.io/a-key-of-no-meaning-{n:05}": "x" for n in range(5500)}
"""Nearly as much as the API server takes of annotations: 256 KiB."""


async def test_a_window_too_long_holds_its_own_moves_and_keeps_its_split(drifts: DriftStage, cluster: Drifting) -> None:
    await cluster.steady("web", 4)
    await cluster.deployment("always", 6, TOO_LONG)
    await cluster.deployment("weekend", 6, {**TOO_LONG, **policy(disruption_schedule="0 0 * * sat-sun")})
    for name in ("always", "weekend"):
        await cluster.expect(name, spot=3, on_demand=3)
    await cluster.annotate("Deployment", "web", policy(spot_percentage=50))
    await cluster.expect("web", spot=2, on_demand=2)
    events = await eventually(lambda: cluster.events("PolicyInvalid"), lambda seen: len(seen) >= 3, "they are told")
    told = " ".join(event["note"] for event in events)
    assert "'99999999h' is longer than ten years" in told
    assert "its split is kept, and none of its pods is moved until then" in told
    assert drifts.stage.metric("spotmix_drift_cycle_faults_total") == 0


async def test_machines_that_a_cloud_stopped_are_no_wave(drifts: DriftStage, cluster: Drifting) -> None:
    stopped = [{"key": "node.cloudprovider.kubernetes.io/shutdown", "effect": "NoSchedule"}]
    dead = [SimNode(f"dead-{n}", "spot", taints=stopped, ready=False) for n in range(6)]
    await create_nodes(drifts.stage.api, dead)
    try:
        await cluster.drift("web", 4, policy(spot_percentage=50))
        await cluster.expect("web", spot=2, on_demand=2)
        assert drifts.stage.metric('spotmix_drift_paused{reason="nodes-not-ready"}') == 0
    finally:
        for node in dead:
            await drifts.stage.api.request("DELETE", f"/api/v1/nodes/{node.name}")


async def test_any_amount_of_text_holds_up_nobody(drifts: DriftStage, cluster: Drifting) -> None:
    await asyncio.gather(*(cluster.deployment(f"idle-{n}", 0, policy(spot_percentage=50)) for n in range(40)))
    await cluster.deployment("web", 4, policy(spot_percentage=50))
    await cluster.expect("web", spot=2, on_demand=2)
    await cluster.annotate("Deployment", "web", MANY)
    path = f"/api/v1/namespaces/{cluster.namespace}"
    patch: dict[str, Any] = {"metadata": {"annotations": MANY}}
    await drifts.stage.api.request("PATCH", path, body=patch, content_type="application/merge-patch+json")
    events = await eventually(lambda: cluster.events("PolicyWarning"), bool, "they are told")
    assert all("spotmix.io/a-key-of-no-meaning-" in event["note"] for event in events)
    await cluster.deployment("next", 4, policy(spot_percentage=50))
    await cluster.expect("next", spot=2, on_demand=2)
    assert drifts.stage.metric("spotmix_event_loop_longest_step_seconds") is not None
