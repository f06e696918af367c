"""Real Karpenter has no capacity of a class: pods that wait for it are replaced, once, and new ones do not wait."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from support.cluster import Cluster, is_ready, pod_template, policy
from support.karpenter import Karpenter, running_karpenter
from support.patience import eventually
from support.stage import Stage
from support.webhook import open_hooked_stage

from extender.kube.client import MERGE_PATCH

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="module")]

STOCK = "stock"
SEVENTY = policy(spot_percentage=70, min_on_demand=2, enforcement="affinity")
_NODE_CLASS = "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses/default"


@dataclass
class Ground:
    """A stage without nodes, a scheduler that has never heard of Spotmix, and Karpenter."""

    stage: Stage
    karpenter: Karpenter


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with open_hooked_stage(tmp_path_factory.mktemp("refusals"), []) as stage:
        await stage.plane.start_scheduler(STOCK)
        async with running_karpenter(stage.plane, stage.api) as karpenter:
            await karpenter.pool("mixed", "spot", "on-demand")
            yield Ground(stage, karpenter)


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(ground: Ground) -> AsyncIterator[Cluster]:
    async with ground.stage.namespace() as namespace:
        yield namespace


@contextlib.contextmanager
def refused(karpenter: Karpenter, *classes: str) -> Iterator[None]:
    karpenter.refuse(*classes)
    try:
        yield
    finally:
        karpenter.refuse()


@dataclass
class Watched:
    """Pods by UID, with the class that was written on each, and those of them that were gone without a node."""

    classes: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)

    @property
    def replaced(self) -> list[str]:
        """The class of each pod that was deleted before it had a node."""
        return [self.classes[uid] for uid in self.classes if uid not in self.there and uid not in self.nodes]


@contextlib.asynccontextmanager
async def watching(cluster: Cluster) -> AsyncIterator[Watched]:
    seen = Watched()

    def look(pods: list[dict[str, Any]]) -> None:
        seen.there = {pod["metadata"]["uid"] for pod in pods}
        for pod in pods:
            uid, written = pod["metadata"]["uid"], pod["metadata"].get("annotations", {}).get("spotmix.io/class", "")
            if written:
                seen.classes[uid] = written
            if pod["spec"].get("nodeName"):
                seen.nodes[uid] = pod["spec"]["nodeName"]

    async def watch() -> None:
        while True:
            look(await cluster.pods())
            await asyncio.sleep(0.1)

    task = asyncio.create_task(watch())
    try:
        yield seen
        look(await cluster.pods())
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def nobody_waits(cluster: Cluster, count: int) -> None:
    async def ready() -> int:
        return sum(is_ready(pod) for pod in await cluster.pods())

    await eventually(ready, lambda found: found == count, "all are Ready")


async def test_lost_nodes_are_launched_anew(ground: Ground, cluster: Cluster) -> None:
    await cluster.deployment("web", 10, SEVENTY, cpu="500m", schedulerName=STOCK)
    await cluster.ready("web", 10)
    async with watching(cluster) as seen:
        assert await ground.karpenter.lose("spot")
        await cluster.expect("web", spot=7, on_demand=3)
        await nobody_waits(cluster, 10)
    assert seen.replaced == []


async def test_on_demand_stands_in_where_spot_is_refused(ground: Ground, cluster: Cluster) -> None:
    await cluster.deployment("web", 10, SEVENTY, cpu="500m", schedulerName=STOCK)
    await cluster.ready("web", 10)
    with refused(ground.karpenter, "spot"):
        async with watching(cluster) as seen:
            await ground.karpenter.lose("spot")
            await cluster.expect("web", on_demand=10)
            await nobody_waits(cluster, 10)
            # Whoever comes now does not wait anew.
            await cluster.deployment("late", 4, SEVENTY, cpu="500m", schedulerName=STOCK)
            await cluster.expect("late", on_demand=4)
            await nobody_waits(cluster, 14)
        assert 0 < len(seen.replaced) <= 7
        assert set(seen.replaced) == {"spot"}

        async def unused() -> set[str]:
            """Nodes without a pod; those of the class that was lost may be on their way out."""
            used = {pod["spec"].get("nodeName") for pod in await cluster.pods()}
            return {node["metadata"]["name"] for node in await cluster.nodes()} - used

        await eventually(unused, lambda left: not left, "every node is used")
    told = [event["note"] for event in await cluster.events("FallbackTaken")]
    assert any("there is no capacity of [spot]" in note for note in told), told


async def test_a_stateful_set_is_made_anew_too_and_who_is_to_wait_waits(ground: Ground, cluster: Cluster) -> None:
    with refused(ground.karpenter, "spot"):
        spec = {
            "replicas": 4,
            "serviceName": "db",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "db"}},
            "template": pod_template({"app": "db"}, cpu="500m", schedulerName=STOCK),
        }
        waits = policy(spot_percentage=50, when_unsatisfiable="wait", enforcement="affinity")
        async with watching(cluster) as seen:
            await cluster.create("StatefulSet", "db", spec, policy(spot_percentage=50, enforcement="affinity"))
            await cluster.deployment("waits", 2, waits, cpu="500m", schedulerName=STOCK)
            await cluster.expect("db", on_demand=4)
            await cluster.ready("db", 4)
            await cluster.expect("waits", on_demand=1, pending=1)
        assert len(seen.replaced) <= 2
    await cluster.expect("waits", on_demand=1, spot=1)


async def test_a_floor_waits_for_its_class(ground: Ground, cluster: Cluster) -> None:
    with refused(ground.karpenter, "on-demand"):
        async with watching(cluster) as seen:
            await cluster.deployment("web", 4, SEVENTY, cpu="500m", schedulerName=STOCK)
            await cluster.expect("web", spot=2, pending=2)
        assert seen.replaced == []
    await cluster.expect("web", spot=2, on_demand=2)


async def test_slow_nodes_are_waited_for(ground: Ground, cluster: Cluster) -> None:
    async def registration(seconds: int) -> None:
        body = json.dumps({"spec": {"nodeRegistrationDelay": f"{seconds}s"}}).encode()
        await ground.stage.api.request("PATCH", _NODE_CLASS, body=body, content_type=MERGE_PATCH)

    await asyncio.gather(*(ground.karpenter.lose(each) for each in ("spot", "on-demand")))
    await eventually(ground.karpenter.claims, lambda left: not left, "no node is left")
    await registration(20)
    try:
        async with watching(cluster) as seen:
            impatient = policy(spot_percentage=50, enforcement="affinity", fallback_after="1s")
            await cluster.deployment("web", 6, impatient, cpu="500m", schedulerName=STOCK)
            await cluster.expect("web", spot=3, on_demand=3, seconds=120)
        assert seen.replaced == []
    finally:
        await registration(0)
