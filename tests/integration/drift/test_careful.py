"""What keeps the loop back on a real control plane: budgets, opt-outs, its own limits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.cluster import is_ready, policy
from support.driftstage import Drifting, DriftStage
from support.patience import eventually

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

HALF = policy(spot_percentage=50)


@contextlib.asynccontextmanager
async def watched(cluster: Drifting, app: str) -> AsyncIterator[list[int]]:
    """The number of Ready pods, seen again and again."""
    seen: list[int] = []

    async def look() -> None:
        while True:
            seen.append(sum(is_ready(pod) for pod in await cluster.pods(app)))
            await asyncio.sleep(0.05)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stays(drifts: DriftStage, reason: str, count: int) -> None:
    """Wait until so many pods stay for a reason."""

    async def staying() -> float | None:
        return drifts.stage.metric(f'spotmix_drift_staying_replicas{{reason="{reason}"}}')

    await eventually(staying, lambda seen: seen == count, f"{count} stay: {reason}")


async def cycles(drifts: DriftStage, count: int) -> None:
    """Wait for further cycles."""

    async def so_far() -> float:
        return drifts.stage.metric("spotmix_drift_cycle_duration_seconds_count") or 0.0

    before = await so_far()
    await eventually(so_far, lambda seen: seen >= before + count, "further cycles")


async def test_statement_10_an_exhausted_budget_is_not_even_asked(drifts: DriftStage, cluster: Drifting) -> None:
    await cluster.steady("web", 4)
    await cluster.budget("all", "web", minAvailable=4)
    await cluster.annotate("Deployment", "web", HALF)
    await stays(drifts, "budget", 2)
    await cycles(drifts, 2)
    assert cluster.evictions() == []
    path = f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets/all"
    patch = {"spec": {"minAvailable": 3}}
    await cluster.api.request("PATCH", path, body=patch, content_type="application/merge-patch+json")
    await cluster.expect("web", spot=2, on_demand=2)
    assert [eviction.status for eviction in cluster.evictions()] == [201, 201]


async def test_statement_11_two_budgets_are_named_once(drifts: DriftStage, cluster: Drifting) -> None:
    await cluster.steady("web", 4)
    for name in ("first", "second"):
        await cluster.budget(name, "web", maxUnavailable=1)
    await cluster.annotate("Deployment", "web", HALF)
    await stays(drifts, "budgets", 2)
    await cycles(drifts, 2)
    events = await eventually(lambda: cluster.events("BudgetsOverlap"), bool, "an Event")
    assert [(event["regarding"]["kind"], event["regarding"]["name"]) for event in events] == [("Deployment", "web")]
    assert "first, second" in events[0]["note"] or "second, first" in events[0]["note"]
    assert cluster.evictions() == []


async def test_statement_14_a_budget_of_one_is_never_overdrawn(cluster: Drifting) -> None:
    """The loop may move three at once, the budget one: none is refused."""
    await cluster.steady("web", 10)
    await cluster.budget("one", "web", maxUnavailable=1)
    async with watched(cluster, "web") as ready:
        await cluster.annotate("Deployment", "web", HALF)
        await cluster.expect("web", spot=5, on_demand=5)
        await cluster.ready("web", 10)
    assert min(ready) >= 9
    assert [eviction.status for eviction in cluster.evictions()] == [201] * 5


async def test_statement_16_without_a_budget_our_own_limit_holds(cluster: Drifting) -> None:
    """30 % of 10 replicas."""
    await cluster.steady("web", 10)
    async with watched(cluster, "web") as ready:
        await cluster.annotate("Deployment", "web", HALF)
        await cluster.expect("web", spot=5, on_demand=5)
        await cluster.ready("web", 10)
    assert min(ready) >= 7
    assert len(cluster.evicted()) == 5


@pytest.mark.parametrize("value", ["true", "yes, please"])
async def test_statement_23_an_opt_out_is_heeded(drifts: DriftStage, cluster: Drifting, value: str) -> None:
    await cluster.steady("web", 4)

    async def annotate(annotation: str | None) -> None:
        patch: dict[str, Any] = {"metadata": {"annotations": {"spotmix.io/do-not-disrupt": annotation}}}
        for pod in await cluster.pods("web"):
            path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod['metadata']['name']}"
            await cluster.api.request("PATCH", path, body=patch, content_type="application/merge-patch+json")

    await annotate(value)
    await cluster.annotate("Deployment", "web", HALF)
    await stays(drifts, "protected" if value == "true" else "protection-malformed", 2)
    await cycles(drifts, 2)
    assert cluster.evictions() == []
    if value != "true":
        events = await eventually(lambda: cluster.events("ProtectionMalformed"), bool, "an Event")
        assert {event["regarding"]["kind"] for event in events} == {"Pod"}
        assert all(value in event["note"] for event in events)
    await annotate(None)
    await cluster.expect("web", spot=2, on_demand=2)
    assert len(cluster.evicted()) == 2
