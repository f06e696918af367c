"""Real Karpenter with NodePools as clusters have them, and what its consolidation leaves of the split and the floor."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from support.autoscaled import Autoscaled
from support.cluster import policy
from support.gates import OTHER, gated_twice, let_go
from support.karpenter import CAPACITY_TYPE
from support.looks import looking
from support.patience import eventually

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

SEVENTY = policy(spot_percentage=70, min_on_demand=2)
SPOT_TAINT = {"key": CAPACITY_TYPE, "value": "spot", "effect": "NoSchedule"}
TOLERATED = {"key": CAPACITY_TYPE, "operator": "Equal", "value": "spot", "effect": "NoExecute"}
QUARTER = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}


@pytest.mark.parametrize("taints", [[SPOT_TAINT], []], ids=["tainted", "untainted"])
async def test_a_pool_of_spot_nodes_and_one_of_on_demand(scaled: Autoscaled, taints: list[dict[str, str]]) -> None:
    await scaled.pool("spot", name="spot", taints=taints)
    await scaled.pool("on-demand", name="on-demand")
    await scaled.deployment("web", 10, SEVENTY)
    await scaled.expect("web", spot=7, on_demand=3)
    await scaled.ready("web", 10)


async def test_a_taint_that_is_first_seen_while_pods_are_gated_is_tolerated(scaled: Autoscaled) -> None:
    taint = {**SPOT_TAINT, "effect": "NoExecute"}
    await scaled.deployment("web", 10, SEVENTY, schedulingGates=[OTHER])
    await gated_twice(scaled, "web", 10)
    assert all(pod["spec"]["tolerations"].count(TOLERATED) == 0 for pod in await scaled.pods("web"))
    await scaled.pool("spot", name="spot", taints=[taint])
    await scaled.pool("on-demand", name="on-demand")
    # A node that is there has been seen, with its taint.
    where = {CAPACITY_TYPE: "spot"}
    await scaled.deployment("first", 1, labels={}, nodeSelector=where, tolerations=[{**taint, "operator": "Equal"}])
    await scaled.ready("first", 1)
    await let_go(scaled, "web")
    await scaled.expect("web", spot=7, on_demand=3)
    await scaled.ready("web", 10)
    for pod in await scaled.pods("web"):
        spot = pod["metadata"]["annotations"]["spotmix.io/class"] == "spot"
        assert pod["spec"]["tolerations"].count(TOLERATED) == spot
        # Those that others gave it are as they were.
        assert all(each["tolerationSeconds"] == 300 for each in pod["spec"]["tolerations"] if "node." in each["key"])


async def test_a_walk_through_sizes_is_exact_and_evicts_nobody(scaled: Autoscaled) -> None:
    await scaled.pool("spot", "on-demand")
    await scaled.deployment("web", 10, SEVENTY, cpu="250m", strategy=QUARTER)
    await scaled.expect("web", spot=7, on_demand=3)
    await scaled.ready("web", 10)
    async with looking(scaled, "web", spot=7, on_demand=3) as looks:
        await scaled.patch("Deployment", "web", {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}})

        async def revisions() -> Counter[str]:
            return Counter(pod["metadata"].get("annotations", {}).get("v", "1") for pod in await scaled.pods("web"))

        await eventually(revisions, lambda seen: seen == {"2": 10}, "the rollout is done")
        await scaled.expect("web", spot=7, on_demand=3)
        await scaled.seated("web", range(1, 11))
        for size, spot in ((25, 17), (6, 4), (14, 9), (3, 1)):
            await scaled.scale("Deployment", "web", size)
            await scaled.expect("web", spot=spot, on_demand=size - spot)
            await scaled.ready("web", size)
            await scaled.seated("web", range(1, size + 1))
        assert looks.least["on-demand"] >= 2
    assert scaled.evictions() == []


async def test_consolidation_after_a_scale_in_leaves_split_and_floor(scaled: Autoscaled) -> None:
    pool = await scaled.pool("spot", "on-demand")
    await scaled.deployment("web", 20, SEVENTY)
    await scaled.expect("web", spot=14, on_demand=6)
    await scaled.ready("web", 20)
    await scaled.seated("web", range(1, 21))
    await scaled.scale("Deployment", "web", 6)
    await scaled.expect("web", spot=4, on_demand=2)
    await scaled.ready("web", 6)
    path = f"/apis/policy/v1/namespaces/{scaled.namespace}/poddisruptionbudgets"
    budget = {"minAvailable": 5, "selector": {"matchLabels": {"app": "web"}}}
    await scaled.api.request("POST", path, body={"metadata": {"name": "web"}, "spec": budget})
    await scaled.karpenter.consolidate(pool, "1s")

    async def rested() -> tuple[dict[Any, int], int]:
        """The split, and the nodes: as many as two smallest ones hold."""
        mine = [n for n in await scaled.nodes() if n["metadata"]["labels"].get("karpenter.sh/nodepool") == pool]
        return await scaled.split("web"), len(mine)

    await eventually(rested, lambda seen: seen[0] == {"spot": 4, "on-demand": 2} and seen[1] <= 3, "few nodes", 120)
    await asyncio.sleep(2)
    await scaled.expect("web", spot=4, on_demand=2)
    await scaled.ready("web", 6)
    by = Counter(eviction.user for eviction in scaled.evictions() if eviction.status == 201)
    assert by["spotmix"] <= 2, by
    assert sum(by.values()) <= 12, by
