"""Karpenter by itself on the sandbox does what it does in a cluster: the ground that the other tests stand on."""

import asyncio
from typing import Any

import pytest
from support.autoscaled import Autoscaled
from support.cluster import policy
from support.karpenter import CAPACITY_TYPE
from support.patience import eventually

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

STAYS = 3.0
NOBODYS: dict[str, str] = {}


async def nodes_of(scaled: Autoscaled, pool: str) -> list[dict[str, Any]]:
    return [node for node in await scaled.nodes() if node["metadata"]["labels"].get("karpenter.sh/nodepool") == pool]


async def test_nodes_start_and_are_lost(scaled: Autoscaled) -> None:
    starts = {"key": "node.cilium.io/agent-not-ready", "effect": "NoExecute"}
    pool = await scaled.pool("on-demand", startup_taints=[starts])
    await scaled.deployment("web", 9, labels=NOBODYS)
    await scaled.ready("web", 9)
    claims = await scaled.karpenter.initialized(pool)
    assert {claim["metadata"]["labels"]["karpenter.sh/capacity-type"] for claim in claims} == {"on-demand"}
    before = await nodes_of(scaled, pool)
    assert not any(node["spec"].get("taints") for node in before)

    (pod, *_) = await scaled.pods("web")
    assert await scaled.karpenter.lose("on-demand") >= 1
    await scaled.ready("web", 9)
    assert pod["spec"]["nodeName"] not in {other["spec"]["nodeName"] for other in await scaled.pods("web")}


async def test_a_class_that_cannot_be_launched_is_refused_then_unavailable_then_there(scaled: Autoscaled) -> None:
    await scaled.pool("spot", "on-demand")
    scaled.karpenter.refuse("spot", unavailable="15s")
    await scaled.deployment("web", 1, labels=NOBODYS, nodeSelector={CAPACITY_TYPE: "spot"})
    await scaled.karpenter.refused()

    async def told() -> list[str]:
        return [event["message"] for event in await scaled.karpenter.events("FailedScheduling")]

    await eventually(told, lambda seen: any("had a required offering" in text for text in seen), "Karpenter says so")
    scaled.karpenter.allow()
    await scaled.ready("web", 1)


async def test_a_class_that_cannot_be_launched_leaves_others_alone(scaled: Autoscaled) -> None:
    await scaled.pool("spot", "on-demand")
    scaled.karpenter.refuse("spot")
    await scaled.deployment("web", 2, labels=NOBODYS)
    await scaled.expect("web", on_demand=2)


async def test_a_slow_node_is_launched_long_before_it_is_there(scaled: Autoscaled) -> None:
    pool = await scaled.pool("spot", registration="5s")
    await scaled.deployment("web", 1, labels=NOBODYS)

    async def launched() -> list[dict[str, Any]]:
        claims = await scaled.karpenter.claims()
        return [claim for claim in claims if claim["metadata"]["labels"]["karpenter.sh/nodepool"] == pool]

    await eventually(launched, bool, "a node is launched")
    assert await nodes_of(scaled, pool) == []
    await scaled.karpenter.slow(pool, "0s")
    await scaled.ready("web", 1)


async def test_a_class_that_only_an_extender_knows_is_launched_for_nobody(scaled: Autoscaled) -> None:
    """What `enforcement: extender` is with an autoscaler: to Karpenter the pods fit nodes that the extender rejects."""
    await scaled.pool("spot", "on-demand")
    wanted = policy(spot_percentage=70, min_on_demand=2, enforcement="extender", when_unsatisfiable="wait")
    await scaled.deployment("web", 10, wanted, schedulerName="default-scheduler")
    # Either class may be the one that is launched.
    ends = ({"spot": 7, "pending": 3}, {"on-demand": 3, "pending": 7})
    seen = await eventually(lambda: scaled.split("web"), lambda split: split in ends, "the rest is pending")
    await eventually(lambda: scaled.karpenter.events("Nominated"), bool, "Karpenter counts on nodes that are there")
    await asyncio.sleep(STAYS)
    assert await scaled.split("web") == seen
