"""Real Karpenter brings nodes for placeholders: surplus returns to spot behind them, and Jobs start behind them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from support.cluster import Cluster, is_ready, pod_template, policy
from support.driftstage import drift_flags
from support.karpenter import CAPACITY_TYPE, Karpenter, running_karpenter
from support.patience import eventually
from support.placeholders import allow_placeholders
from support.stage import Stage
from support.webhook import open_hooked_stage

from extender.core.model.errors import ApiError

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="module")]

STOCK = "stock"
SEVENTY = policy(spot_percentage=70, min_on_demand=2, max_moves_per_hour=100)
ON_DEMAND = policy(spot_percentage=0)
LABEL = "spotmix.io/placeholder"
MOST = 3
"""Placeholders at the same time, as the default is."""
ONE_AT_A_TIME = drift_flags(max_unavailable=5, workload_in_flight=10, back_off="2s", dwell="5m")


@dataclass
class Ground:
    """A stage without nodes, a scheduler that has never heard of Spotmix, and Karpenter."""

    stage: Stage
    karpenter: Karpenter

    async def placeholders(self) -> list[dict[str, Any]]:
        """Those that there are."""
        body = await self.stage.api.request("GET", "/api/v1/pods", params={"labelSelector": LABEL})
        found: list[dict[str, Any]] = json.loads(body)["items"]
        return found

    async def without_spot(self) -> None:
        """There is no spot node any more."""

        async def left() -> list[dict[str, Any]]:
            claims = [each["metadata"] for each in await self.karpenter.claims()]
            there = [each for each in claims if each.get("labels", {}).get(CAPACITY_TYPE) == "spot"]
            # One may be launched while others are taken back, and one be gone before it can be.
            if any("deletionTimestamp" not in each for each in there):
                with contextlib.suppress(ApiError):
                    await self.karpenter.lose("spot", notice=0.0)
            return there

        await eventually(left, lambda found: not found, "no spot node is left")

    async def none_left(self) -> None:
        await eventually(self.placeholders, lambda found: not found, "no placeholder is left")


@dataclass
class Watched:
    """How many replicas of a workload were Ready at each look; `least` of them all."""

    cluster: Cluster
    app: str
    looks: list[int] = field(default_factory=list)

    @property
    def least(self) -> int:
        return min(self.looks)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        async def look() -> None:
            while True:
                self.looks.append(sum(is_ready(pod) for pod in await self.cluster.pods(self.app)))
                await asyncio.sleep(0.05)

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with open_hooked_stage(tmp_path_factory.mktemp("placeholders"), [], ONE_AT_A_TIME) as stage:
        await allow_placeholders(stage.api)
        await stage.plane.start_scheduler(STOCK)
        async with running_karpenter(stage.plane, stage.api) as karpenter:
            await karpenter.pool("mixed", "spot", "on-demand")
            yield Ground(stage, karpenter)


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(ground: Ground) -> AsyncIterator[Cluster]:
    ground.karpenter.refuse()
    async with ground.stage.namespace() as namespace:
        yield namespace
    # What room one test leaves there is proof of room in another, and what was refused is so for a minute.
    await ground.without_spot()
    if ground.stage.metric('spotmix_classes_closed{capacity_class="spot"}'):
        await ground.stage.spotmix.restart()


async def standing_in(cluster: Cluster) -> None:
    """Ten replicas on on-demand nodes alone, of which one may be away at a time; seven want to be on spot."""
    await cluster.deployment("web", 10, ON_DEMAND, cpu="500m", schedulerName=STOCK)
    await cluster.expect("web", on_demand=10)
    await cluster.ready("web", 10)
    path = f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets"
    spec = {"selector": {"matchLabels": {"app": "web"}}, "maxUnavailable": 1}
    await cluster.api.request("POST", path, body={"metadata": {"name": "web"}, "spec": spec})
    await cluster.annotate("Deployment", "web", SEVENTY)


async def test_all_surplus_returns_behind_placeholders(ground: Ground, cluster: Cluster) -> None:
    ground.karpenter.refuse("spot")
    await standing_in(cluster)
    await eventually(ground.placeholders, bool, "a placeholder asks")
    # Nothing leaves for a node that is not there.
    assert await cluster.split("web") == {"on-demand": 10}
    watched = Watched(cluster, "web")
    async with watched.watching():
        ground.karpenter.refuse()
        await cluster.expect("web", spot=7, on_demand=3)
        await cluster.ready("web", 10)
    assert watched.least >= 9
    await ground.none_left()


async def test_a_leader_that_dies_leaves_none(ground: Ground, cluster: Cluster) -> None:
    ground.karpenter.refuse("spot")
    await standing_in(cluster)
    asked = await eventually(ground.placeholders, lambda found: len(found) == MOST, "placeholders ask")
    first = {pod["metadata"]["uid"] for pod in asked}
    await ground.stage.spotmix.stop(kill=True)
    assert {pod["metadata"]["uid"] for pod in await ground.placeholders()} == first
    await ground.stage.spotmix.start()

    async def left() -> set[str]:
        return first & {pod["metadata"]["uid"] for pod in await ground.placeholders()}

    await eventually(left, lambda those: not those, "those of the one that died are gone")
    ground.karpenter.refuse()
    await cluster.expect("web", spot=7, on_demand=3)
    await ground.none_left()


async def test_one_that_ends_in_order_leaves_none(ground: Ground, cluster: Cluster) -> None:
    ground.karpenter.refuse("spot")
    await standing_in(cluster)
    await eventually(ground.placeholders, bool, "a placeholder asks")
    await ground.stage.spotmix.stop()
    assert await ground.placeholders() == []
    await ground.stage.spotmix.start()
    await eventually(ground.placeholders, bool, "a placeholder asks")
    await cluster.annotate("Deployment", "web", ON_DEMAND)
    await ground.none_left()


async def job(cluster: Cluster, name: str, pods: int, **keys: str) -> None:
    """A Job that fails by its first failed pod; half of its pods want spot."""
    template = pod_template({"app": name}, cpu="500m", schedulerName=STOCK, restartPolicy="Never")
    spec = {"parallelism": pods, "completions": pods, "backoffLimit": 0, "template": template}
    await cluster.create("Job", name, spec, policy(spot_percentage=50, **keys))


async def failed(cluster: Cluster, name: str) -> int:
    status = (await cluster.get("Job", name))["status"]
    return int(status.get("failed", 0))


async def test_a_job_starts_behind_placeholders(ground: Ground, cluster: Cluster) -> None:
    await job(cluster, "job", 6, fallback_after="3m")
    await cluster.expect("job", spot=3, on_demand=3)
    await cluster.ready("job", 6)
    assert await failed(cluster, "job") == 0
    await ground.none_left()


async def test_a_job_waits_while_its_nodes_are_coming(ground: Ground, cluster: Cluster) -> None:
    await ground.karpenter.slow("mixed", "8s")
    try:
        await job(cluster, "job", 4, fallback_after="4s")
        await cluster.expect("job", spot=2, on_demand=2)
    finally:
        await ground.karpenter.slow("mixed", "0s")
    assert await failed(cluster, "job") == 0


async def test_a_job_without_its_class_is_let_go_with_the_one_that_stands_in(ground: Ground, cluster: Cluster) -> None:
    ground.karpenter.refuse("spot")
    await job(cluster, "job", 4, fallback_after="5s")
    await cluster.expect("job", on_demand=4)
    await cluster.ready("job", 4)
    assert await failed(cluster, "job") == 0
    await ground.none_left()


async def test_what_the_api_server_refuses_is_told(ground: Ground, cluster: Cluster) -> None:
    ground.karpenter.refuse("spot")
    api, quota = ground.stage.api, "/api/v1/namespaces/default/resourcequotas"
    await api.request("POST", quota, body={"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    try:
        await standing_in(cluster)

        async def told() -> list[dict[str, Any]]:
            return await cluster.events("PlaceholderDenied")

        event, *_ = await eventually(told, bool, "it is told")
        assert "exceeded quota" in event["note"]
        assert await cluster.split("web") == {"on-demand": 10}
    finally:
        await api.request("DELETE", f"{quota}/none")
