"""Workloads on the sandbox for the scheduler's benchmarks: made without controllers, counted without them.

Pods are made by us with the ownerReferences that a ReplicaSet controller would write, so the scheduler sees what it
sees in a cluster, default topology spread included, and nobody but the scheduler works while it is timed.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from math import ceil
from typing import Any

import msgspec
from rich.progress import Progress

from bench.objects import TOLERATIONS, api_access, container
from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.errors import ApiError
from extender.core.policy.seats import TwoClassSeats
from extender.kube.client import ApiClient
from extender.sandbox import SimNode, bulk, create_nodes, node_pool

NAMESPACE = "bench"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
REPLICASETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets"
ZONES = ("a", "b", "c")
TYPES = ("m6i.4xlarge", "m6a.4xlarge", "c6i.4xlarge", "r6i.4xlarge")
SPOT_SHARE = 0.3


Requires = Callable[[str], Mapping[str, Any]]
"""What a pod's spec says so that it gets a class."""


class _Meta(msgspec.Struct, frozen=True):
    uid: str = ""
    name: str = ""
    labels: dict[str, str] = {}


class _Spec(msgspec.Struct, frozen=True, rename={"node": "nodeName"}):
    node: str = ""


class _Object(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: _Spec = _Spec()


class _ListMeta(msgspec.Struct, frozen=True, rename={"version": "resourceVersion"}):
    version: str = ""


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: list[_Object]


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment with one ReplicaSet of `replicas` pods."""

    name: str
    replicas: int
    percentage: int
    floor: int = 0

    def target(self) -> dict[str, int]:
        """The split its owner asks for."""
        target = TwoClassSeats(self.percentage, self.floor).target(self.replicas)
        return {name: count for name, count in target.items() if count}

    def class_at(self, seat: int) -> str:
        """The class of a seat; 1 is the first."""
        return TwoClassSeats(self.percentage, self.floor).class_at(seat)

    def annotations(self) -> dict[str, str]:
        """The policy."""
        return {"spotmix.io/spot-percentage": str(self.percentage), "spotmix.io/min-on-demand": str(self.floor)}

    def labels(self) -> dict[str, str]:
        """Of the Deployment and its ReplicaSet."""
        return {"spotmix.io/enabled": "true"}

    def pod_spec(self, requires: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Of its pods: a realistic template that asks for 100m, and what it requires of nodes."""
        volumes = [{"name": "config", "configMap": {"name": "app-config"}}, api_access()]
        return {
            **(requires or {}),
            "containers": [container("app", "100m", "64Mi")],
            "serviceAccountName": "default",
            "tolerations": TOLERATIONS,
            "volumes": volumes,
        }


def nodes(start: int, count: int) -> list[SimNode]:
    """Nodes number `start` and on: three in ten spot, every pool (instance type x zone) with its share."""
    made = []
    for part, capacity_class in (("spot", SPOT), ("on-demand", ON_DEMAND)):
        share = SPOT_SHARE if part == "spot" else 1 - SPOT_SHARE
        first, last = round(start * share), round((start + count) * share)
        made += node_pool(
            last - first,
            capacity_class="spot" if capacity_class == SPOT else "on-demand",
            zones=ZONES,
            instance_types=TYPES,
            start=first,
            cpu="16",
            memory="64Gi",
        )
    return made


async def add_nodes(api: ApiClient, progress: Progress, made: Sequence[SimNode]) -> None:
    """Create nodes."""
    task = progress.add_task("nodes", total=len(made))
    for at in range(0, len(made), 250):
        batch = made[at : at + 250]
        await create_nodes(api, batch)
        progress.advance(task, len(batch))
    progress.remove_task(task)


_IDENTITY = re.compile(rb'(?:"uid":"(?P<uid>[^"]+)",)?"resourceVersion":"(?P<version>\d+)"')


class Fleet:
    """Workloads in a namespace of their own, and their pods."""

    def __init__(self, api: ApiClient, workloads: Sequence[Workload]) -> None:
        self.workloads = workloads
        self.pods = sum(w.replicas for w in workloads)
        self._api = api
        self._revisions: dict[str, str] = {}

    async def create_workloads(self) -> None:
        """Create namespace, Deployments and ReplicaSets, without pods."""
        try:
            await self._api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": NAMESPACE}})
        except ApiError as error:
            if error.status != 409:
                raise
        await bulk(self.workloads, self._create_workload)

    async def _create_workload(self, workload: Workload) -> None:
        labels = {"app": workload.name}
        template = {"metadata": {"labels": labels}, "spec": workload.pod_spec()}
        spec = {"replicas": workload.replicas, "selector": {"matchLabels": labels}, "template": template}
        metadata: dict[str, Any] = {
            "name": workload.name,
            "labels": workload.labels(),
            "annotations": workload.annotations(),
        }
        answer = await self._api.request("POST", DEPLOYMENTS, body={"metadata": metadata, "spec": spec})
        owner = _owner("Deployment", workload.name, msgspec.json.decode(answer, type=_Object).metadata.uid)
        metadata = {**metadata, "name": f"{workload.name}-1", "ownerReferences": [owner]}
        answer = await self._api.request("POST", REPLICASETS, body={"metadata": metadata, "spec": spec})
        self._revisions[workload.name] = msgspec.json.decode(answer, type=_Object).metadata.uid

    async def create_pods(self, progress: Progress | None = None, requires: Requires | None = None) -> None:
        """Create all pods, the workloads' in turn, as when a cluster is rolled; `requires`: each requires its class."""
        task = progress.add_task("pods", total=self.pods) if progress else None
        ranks = range(max(w.replicas for w in self.workloads))

        async def create(item: tuple[Workload, int]) -> None:
            workload, rank = item
            owner = _owner("ReplicaSet", f"{workload.name}-1", self._revisions[workload.name])
            labels = {"app": workload.name, "pod-template-hash": "1"}
            metadata = {"name": f"{workload.name}-1-{rank:04d}", "labels": labels, "ownerReferences": [owner]}
            spec = workload.pod_spec(requires(workload.class_at(rank + 1)) if requires is not None else None)
            await self._api.request("POST", PODS, body={"metadata": metadata, "spec": spec})
            if progress is not None and task is not None:
                progress.advance(task)

        await bulk(((w, rank) for rank in ranks for w in self.workloads if rank < w.replicas), create)
        if progress is not None and task is not None:
            progress.remove_task(task)

    async def delete_pods(self) -> None:
        """Delete all pods and wait until they are gone."""
        while True:
            await self._api.request("DELETE", PODS, body={"gracePeriodSeconds": 0}, timeout=120)
            if not (await self._list(PODS)).items:
                return
            await asyncio.sleep(0.2)

    async def delete_workloads(self) -> None:
        """Delete Deployments and ReplicaSets."""
        for path in (DEPLOYMENTS, REPLICASETS):
            await self._api.request("DELETE", path, body={"propagationPolicy": "Background"}, timeout=120)

    async def version(self) -> str:
        """The resource version to watch pods from."""
        return (await self._list(PODS, limit="1")).metadata.version

    async def splits(self) -> dict[str, dict[str, int]]:
        """How many pods of each workload sit on nodes of each class; `pending` for those that sit on none."""
        counts: dict[str, Counter[str]] = {w.name: Counter() for w in self.workloads}
        for pod in (await self._list(PODS)).items:
            node = pod.spec.node
            counts[pod.metadata.labels["app"]]["pending" if not node else _class_of(node)] += 1
        return {name: dict(count) for name, count in counts.items()}

    async def bindings(self, version: str) -> AsyncGenerator[float, None]:
        """When each pod was bound that is since a resource version (monotonic seconds); ends when all are."""
        params = {"fieldSelector": "spec.nodeName!=", "timeoutSeconds": "600", "allowWatchBookmarks": "true"}
        seen: set[bytes] = set()
        # The server ends a watch that it thinks too slow: go on where it ended.
        while len(seen) < self.pods:
            async with aclosing(self._api.watch(PODS, {**params, "resourceVersion": version})) as lines:
                async for line in lines:
                    found = _IDENTITY.search(line)
                    if found is None:
                        raise RuntimeError(f"the watch of bound pods says {line[:300]!r}")
                    version = found["version"].decode()
                    # To a watch with this selector a pod is new when it gets its node.
                    if line.startswith(b'{"type":"ADDED"') and found["uid"] not in seen:
                        seen.add(found["uid"])
                        yield time.perf_counter()
                        if len(seen) == self.pods:
                            return

    async def wrong(self) -> list[str]:
        """The workloads whose split is not exactly what their owner asked for, in words."""
        splits = await self.splits()
        return [f"{w.name}: {splits[w.name]}, not {w.target()}" for w in self.workloads if splits[w.name] != w.target()]

    async def crowding(self, pools: Mapping[str, tuple[str, str]]) -> list[int]:
        """By workload and class: how many more pods its fullest pool holds than it would if all pools held as many.

        `pools` has the pool of each node.
        """
        placed: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
        for pod in (await self._list(PODS)).items:
            node = pod.spec.node
            placed.setdefault((pod.metadata.labels["app"], _class_of(node)), Counter())[pools[node]] += 1
        number = len(set(pools.values()))
        return [max(held.values()) - ceil(held.total() / number) for held in placed.values()]

    async def _list(self, path: str, **params: str) -> _List:
        body = await self._api.request("GET", path, params=params, timeout=120)
        return msgspec.json.decode(body, type=_List)


def _class_of(node: str) -> str:
    return SPOT if node.startswith("spot") else ON_DEMAND


def _owner(kind: str, name: str, uid: str) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": True}
