"""Moves in vain on a real control plane, and what is remembered of them when the process is killed."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.cluster import policy
from support.driftstage import Drifting, DriftStage, drift_stage
from support.patience import eventually

from extender.sandbox.spotmix import scheduler_config

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

STORE = "/api/v1/namespaces/default/configmaps/spotmix-drift"
# The scheduler of these tests does not ask us, and likes on-demand nodes better.
PREFERENCE = {
    "nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 100,
                "preference": {
                    "matchExpressions": [
                        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}
                    ]
                },
            }
        ]
    }
}
BACK_OFF = 12


async def entry(drifts: DriftStage, cluster: Drifting) -> dict[str, Any]:
    """What is stored of the workload."""
    uid = (await cluster.get("Deployment", "web"))["metadata"]["uid"]
    data = json.loads(await drifts.stage.api.request("GET", STORE)).get("data") or {}
    found: dict[str, Any] = json.loads(data.get(uid, "{}"))
    return found


async def test_statement_09_back_off_and_circuit_survive_being_killed(tmp_path: Path) -> None:
    opened = drift_stage(tmp_path, back_off=f"{BACK_OFF}s", circuit_moves=2)
    async with opened as drifts, drifts.namespace() as cluster:
        stage = drifts.stage
        await stage.plane.scheduler.restart({})
        await cluster.steady("web", 4, affinity=PREFERENCE)
        await cluster.annotate("Deployment", "web", policy(spot_percentage=25))

        async def evicted() -> int:
            return len(cluster.evicted())

        await eventually(evicted, lambda count: count == 1, "the first move")
        (event,) = await eventually(lambda: cluster.events("MoveInVain"), bool, "an Event that says why")
        assert "it was not placed on spot, though spot-" in event["note"]
        assert f"no other such move for {BACK_OFF} s" in event["note"]
        await eventually(lambda: entry(drifts, cluster), lambda e: "backOff" in e, "the back-off is stored")
        await stage.spotmix.restart(kill=True)
        await eventually(evicted, lambda count: count == 2, "the second move")
        before, after = (eviction.at for eviction in cluster.evictions())
        assert (after - before).total_seconds() >= BACK_OFF
        await eventually(lambda: cluster.events("CircuitOpen"), bool, "the circuit opens")
        await eventually(lambda: entry(drifts, cluster), lambda e: e["opened"] > 0, "that is stored")
        await stage.spotmix.restart(kill=True)

        async def circuits() -> float | None:
            return stage.metric("spotmix_drift_circuits_open ")

        async def given_up() -> float | None:
            return stage.metric('spotmix_drift_staying_replicas{reason="circuit-open"}')

        await eventually(circuits, lambda seen: seen == 1, "the circuit is open after the restart")
        await eventually(given_up, lambda seen: seen == 1, "the pod stays")
        assert await evicted() == 2
        await cluster.expect("web", on_demand=4)
        # Another policy is another question.
        await stage.plane.scheduler.restart(scheduler_config(stage.spotmix.url))
        await cluster.annotate("Deployment", "web", policy(spot_percentage=50))
        await cluster.expect("web", spot=2, on_demand=2)
        assert await evicted() == 4


async def test_a_move_whose_process_is_killed_is_not_made_twice(drifts: DriftStage, cluster: Drifting) -> None:
    # Its replacements take a while, so that there is a middle to be killed in.
    slow = {"sandbox.spotmix.io/start-after": "4s"}
    await cluster.steady("web", 4)
    await cluster.roll_out("web", {"metadata": {"annotations": slow}}, seconds=90)
    await cluster.expect("web", on_demand=4)
    await cluster.annotate("Deployment", "web", policy(spot_percentage=25))

    async def evicted() -> int:
        return len(cluster.evicted())

    await eventually(evicted, lambda count: count == 1, "the move")
    await drifts.stage.spotmix.stop(kill=True)
    assert len((await entry(drifts, cluster))["inFlight"]) == 1
    await drifts.stage.spotmix.start()
    await cluster.expect("web", spot=1, on_demand=3)
    await cluster.ready("web", 4)

    async def over() -> dict[str, Any]:
        return await entry(drifts, cluster)

    await eventually(over, lambda e: "inFlight" not in e, "the move is judged")

    async def moved() -> float | None:
        # Since it started anew.
        return drifts.stage.metric('spotmix_drift_moves_total{mode="enforce",reason="surplus",result="moved"}')

    await eventually(moved, lambda count: count == 1, "it is counted")
    assert await evicted() == 1
