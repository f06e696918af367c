"""Real Karpenter has no capacity of a class: pods that wait for it are replaced, once, and new ones do not wait."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.autoscaled import Autoscaled
from support.cluster import Cluster, is_ready, policy
from support.patience import eventually

from extender.core.model.errors import ApiError

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

SEVENTY = policy(spot_percentage=70, min_on_demand=2)


@dataclass
class Watched:
    """Pods by UID, as a watch shows them: the class that was written on each, which are there, and which had a node."""

    classes: dict[str, str] = field(default_factory=dict)
    placed: set[str] = field(default_factory=set)
    there: set[str] = field(default_factory=set)

    @property
    def replaced(self) -> list[str]:
        """The class of each pod that was deleted before it had a node."""
        return [self.classes[uid] for uid in self.classes if uid not in self.there and uid not in self.placed]

    async def follow(self, cluster: Cluster) -> None:
        """Look at every change until cancelled: a pod may have a node, and lose it, between two looks of a poll."""
        while True:
            with contextlib.suppress(ApiError):
                lines = cluster.api.watch(f"/api/v1/namespaces/{cluster.namespace}/pods", {})
                async with contextlib.aclosing(lines):
                    async for line in lines:
                        self._see(**json.loads(line))

    def _see(self, type: str, object: dict[str, Any]) -> None:  # noqa: A002 - as the API has it
        uid = object["metadata"]["uid"]
        written = object["metadata"].get("annotations", {}).get("spotmix.io/class", "")
        if written:
            self.classes[uid] = written
        if object["spec"].get("nodeName"):
            self.placed.add(uid)
        if type == "DELETED":
            self.there.discard(uid)
        else:
            self.there.add(uid)


@contextlib.asynccontextmanager
async def watching(cluster: Cluster) -> AsyncIterator[Watched]:
    seen = Watched()
    task = asyncio.create_task(seen.follow(cluster))

    async def unseen() -> set[str]:
        body = await cluster.api.request("GET", f"/api/v1/namespaces/{cluster.namespace}/pods")
        return seen.there ^ {pod["metadata"]["uid"] for pod in json.loads(body)["items"]}

    try:
        await eventually(unseen, lambda uids: not uids, "the watch has come as far")
        yield seen
        await eventually(unseen, lambda uids: not uids, "the watch has come as far")
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def nobody_waits(cluster: Cluster, count: int) -> None:
    async def ready() -> int:
        return sum(is_ready(pod) for pod in await cluster.pods())

    await eventually(ready, lambda found: found == count, "all are Ready")


async def test_lost_nodes_are_launched_anew(scaled: Autoscaled) -> None:
    await scaled.pool("spot", "on-demand")
    await scaled.deployment("web", 10, SEVENTY)
    await scaled.ready("web", 10)
    await scaled.karpenter.initialized()
    async with watching(scaled) as seen:
        assert await scaled.karpenter.lose("spot")
        await scaled.expect("web", spot=7, on_demand=3)
        await nobody_waits(scaled, 10)
    assert seen.replaced == []


@pytest.mark.parametrize("unavailable", ["0s", "20s"])
async def test_on_demand_stands_in_where_spot_is_refused(scaled: Autoscaled, unavailable: str) -> None:
    """Where each launch fails, and where Karpenter knows of that and says so on the pods."""
    await scaled.pool("spot", "on-demand")
    await scaled.deployment("web", 10, SEVENTY)
    await scaled.ready("web", 10)
    await scaled.karpenter.initialized()
    scaled.karpenter.refuse("spot", unavailable=unavailable)
    async with watching(scaled) as seen:
        await scaled.karpenter.lose("spot")
        await scaled.expect("web", on_demand=10)
        await nobody_waits(scaled, 10)
        # Whoever comes now does not wait anew.
        await scaled.scale("Deployment", "web", 14)
        await scaled.expect("web", on_demand=14)
        await nobody_waits(scaled, 14)
    assert 0 < len(seen.replaced) <= 7
    assert set(seen.replaced) == {"spot"}

    async def unused() -> int:
        """Nodes without a pod; those of the class that was lost may be on their way out."""
        used = {pod["spec"].get("nodeName") for pod in await scaled.pods()}
        claims = [each for each in await scaled.karpenter.claims() if scaled.namespace in each["metadata"]["name"]]
        return sum(each.get("status", {}).get("nodeName") not in used for each in claims)

    await eventually(unused, lambda left: left == 0, "every node is used")
    told = [event["note"] for event in await scaled.events("FallbackTaken")]
    assert any("no spot node can be had" in note for note in told), told


async def test_a_stateful_set_is_made_anew_too_and_who_is_to_wait_waits(scaled: Autoscaled) -> None:
    await scaled.pool("spot", "on-demand")
    scaled.karpenter.refuse("spot")
    spec = {
        "replicas": 4,
        "serviceName": "db",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": "db"}},
        "template": scaled.template("db"),
    }
    waits = policy(spot_percentage=50, when_unsatisfiable="wait")
    async with watching(scaled) as seen:
        await scaled.create("StatefulSet", "db", spec, policy(spot_percentage=50))
        await scaled.deployment("waits", 2, waits)
        await scaled.expect("db", on_demand=4)
        await scaled.ready("db", 4)
        await scaled.expect("waits", on_demand=1, pending=1)
    assert len(seen.replaced) <= 2
    scaled.karpenter.allow()
    await scaled.expect("waits", on_demand=1, spot=1)


async def test_a_floor_waits_for_its_class(scaled: Autoscaled) -> None:
    await scaled.pool("spot", "on-demand")
    scaled.karpenter.refuse("on-demand")
    async with watching(scaled) as seen:
        await scaled.deployment("web", 4, SEVENTY)
        await scaled.expect("web", spot=2, pending=2)
        await scaled.karpenter.refused()
    assert seen.replaced == []
    scaled.karpenter.allow()
    await scaled.expect("web", spot=2, on_demand=2)


async def test_slow_nodes_are_waited_for(scaled: Autoscaled) -> None:
    await scaled.pool("spot", "on-demand", registration="20s")
    impatient = policy(spot_percentage=50, fallback_after="1s")
    async with watching(scaled) as seen:
        await scaled.deployment("web", 6, impatient)
        await scaled.expect("web", spot=3, on_demand=3, seconds=120)
    assert seen.replaced == []
