"""A storm of requests that no scheduler sent, while a real one places pods: the split and the caps stay exact."""

import asyncio
import contextlib
import itertools
import json
import urllib.request
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from support.cluster import Cluster, policy
from support.patience import eventually, stretched
from support.stage import Stage

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

CALLERS = 4


class Forger:
    """Asks in the name of a workload's pods: ones that there are not, and those that there are."""

    def __init__(self, stage: Stage, cluster: Cluster, app: str) -> None:
        self.stage, self.cluster, self.app = stage, cluster, app
        self.sent = 0
        self.nodes: list[str] = []
        self.owner: dict[str, Any] = {}
        self.real: list[dict[str, Any]] = []

    async def look(self) -> None:
        """Learn what a user of the cluster can see."""
        self.nodes = [node["metadata"]["name"] for node in await self.cluster.nodes()]
        path = f"/apis/apps/v1/namespaces/{self.cluster.namespace}/replicasets"
        found = json.loads(await self.stage.api.request("GET", path))["items"]
        sets = [each for each in found if each["metadata"]["name"].startswith(f"{self.app}-")]
        if sets:
            meta = sets[0]["metadata"]
            self.owner = {"kind": "ReplicaSet", "name": meta["name"], "uid": meta["uid"]}
            self.owner |= {"apiVersion": "apps/v1", "controller": True}
        self.real = [pod["metadata"] for pod in await self.cluster.pods(self.app)]

    def request(self, number: int) -> Mapping[str, Any]:
        meta: dict[str, Any] = {"name": f"{self.app}-forged-{number}", "uid": str(uuid.uuid4())}
        if self.real and number % 3 == 0:
            # A pod that is there, said to be another's or to have another name.
            victim = self.real[number % len(self.real)]
            meta = {"name": victim["name"] if number % 2 else f"{self.app}-other", "uid": victim["uid"]}
        meta |= {"namespace": self.cluster.namespace, "ownerReferences": [self.owner] if self.owner else []}
        return {"Pod": {"metadata": meta, "spec": {"containers": []}}, "NodeNames": self.nodes}

    @contextlib.asynccontextmanager
    async def storm(self) -> AsyncIterator[None]:
        """Ask without a break."""
        numbers = itertools.count()

        async def ask() -> None:
            while True:
                verb = "prioritize" if self.sent % 5 == 4 else "filter"
                body = json.dumps(self.request(next(numbers))).encode()
                await asyncio.to_thread(post, f"{self.stage.spotmix.url}/{verb}", body)
                self.sent += 1

        async def watch() -> None:
            while True:
                await self.look()
                await asyncio.sleep(0.05)

        await self.look()
        tasks = [asyncio.create_task(watch()), *(asyncio.create_task(ask()) for _ in range(CALLERS))]
        try:
            yield
            assert not [task for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def post(url: str, body: bytes) -> None:
    with urllib.request.urlopen(url, body, timeout=stretched(30)) as answer:  # noqa: S310 - http on loopback
        answer.read()


async def no_pod_is_pending(cluster: Cluster, app: str) -> None:
    async def pending() -> list[str]:
        return [pod["metadata"]["name"] for pod in await cluster.pods(app) if not pod["spec"].get("nodeName")]

    await eventually(pending, lambda names: not names, "all pods are bound")


async def test_the_split_is_exact_in_a_storm_of_forged_requests(stage: Stage, cluster: Cluster) -> None:
    forger = Forger(stage, cluster, "web")
    await cluster.deployment("web", 2, policy(spot_percentage=70, min_on_demand=3))
    await cluster.expect("web", on_demand=2)
    async with forger.storm():
        await eventually(lambda: asyncio.sleep(0, forger.sent), lambda sent: sent > 50, "the storm is on")
        await cluster.scale("Deployment", "web", 10)
        await cluster.expect("web", spot=7, on_demand=3)
        await no_pod_is_pending(cluster, "web")
    named = [
        event["regarding"]["name"]
        for event in json.loads(
            await stage.api.request("GET", f"/apis/events.k8s.io/v1/namespaces/{cluster.namespace}/events")
        )["items"]
    ]
    assert not [name for name in named if "forged" in name or "other" in name]


async def test_no_pool_is_filled_by_forged_requests(stage: Stage, cluster: Cluster) -> None:
    forger = Forger(stage, cluster, "web")
    rules = policy(spot_percentage=100, max_per_pool=1, when_unsatisfiable="wait")
    await cluster.deployment("web", 0, rules)
    await eventually(
        lambda: cluster.get("Deployment", "web"), lambda d: d.get("status", {}).get("observedGeneration"), ""
    )
    async with forger.storm():
        await eventually(lambda: asyncio.sleep(0, forger.sent), lambda sent: sent > 50, "the storm is on")
        await cluster.scale("Deployment", "web", 5)
        await cluster.expect("web", spot=5)
        await no_pod_is_pending(cluster, "web")
