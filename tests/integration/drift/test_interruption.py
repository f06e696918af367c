"""Pods leave a spot node that is about to be taken away: before it goes, within their budgets, by nobody's help."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.cluster import ENABLED, is_ready, pod_template, policy
from support.driftstage import Drifting, drift_stage
from support.patience import eventually, stretched

from extender.kube.client import MERGE_PATCH
from extender.sandbox import SimNode, create_nodes, terminate_node
from extender.sandbox.nodes import SPOT_NOTICE, CapacityClass, add_taint, remove_taint
from extender.sandbox.podstatus import START_AFTER

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

DRAINED = {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}
STARTS = 0.5
"""Seconds that a pod takes to become Ready, longer where looks at it come more rarely."""
LEAVES = 30.0
"""Seconds that pods have to leave."""


class InterruptedLot:
    """Nodes that only one workload selects, and that workload: 6 of 10 pods on spot nodes, 3 of them on the first."""

    def __init__(self, cluster: Drifting, name: str = "web") -> None:
        self.cluster, self.api, self.name = cluster, cluster.api, name
        self.lost, self.spared, self.solid = (f"{cluster.namespace}-{name}-{node}" for node in ("lost", "spared", "od"))

    async def open(self, kind: str = "Deployment", *, room: int = 110, **policies: Any) -> None:
        """Create nodes and workload; the spot node that is to be spared takes `room` pods, the on-demand one 4."""
        await self._add(self.lost, "spot", 3)
        await self._add(self.spared, "spot", 3)
        await self._add(self.solid, "on-demand", 4)
        # A budget knows who was evicted by name (`buildDisruptedPodMap` in `pkg/controller/disruption`): it takes a pod
        # for disrupted, two minutes long, that is back under its name before the other was seen to end.
        ends: dict[str, Any] = {"terminationGracePeriodSeconds": 1} if kind == "StatefulSet" else {}
        template = pod_template({"app": self.name}, nodeSelector={"lot": self.solid}, **ends)
        template["metadata"]["annotations"] = {START_AFTER: f"{stretched(STARTS):.1f}s"}
        spec: dict[str, Any] = {
            "replicas": 10,
            "selector": {"matchLabels": {"app": self.name}},
            "template": template,
        }
        if kind == "StatefulSet":
            spec |= {"serviceName": self.name, "podManagementPolicy": "Parallel"}
        await self.cluster.create(kind, self.name, spec, policy(spot_percentage=60, **policies), ENABLED)
        await self.cluster.expect(self.name, spot=6, on_demand=4)
        await self.cluster.ready(self.name, 10)
        await self.make_room(self.spared, room)

    async def _add(self, name: str, capacity: CapacityClass, pods: int) -> None:
        await create_nodes(self.api, [SimNode(name, capacity, pods=pods, labels={"lot": self.solid})])

    async def make_room(self, name: str, pods: int) -> None:
        body = {"status": {"allocatable": {"pods": str(pods)}}}
        await self.api.request("PATCH", f"/api/v1/nodes/{name}/status", body=body, content_type=MERGE_PATCH)

    async def notice(self) -> None:
        await add_taint(self.api, self.lost, SPOT_NOTICE)

    async def on_lost(self) -> int:
        return sum(pod["spec"].get("nodeName") == self.lost for pod in await self.cluster.pods(self.name))

    def evictions(self) -> list[int]:
        """The answers to the evictions that were asked for."""
        return [each.status for each in self.cluster.evictions() if each.pod.startswith(f"{self.name}-")]

    async def left(self, watch: "Watch") -> None:
        """Wait until nothing runs on the node any more, and take it away."""
        await eventually(self.on_lost, lambda count: count == 0, "all pods left the node", LEAVES)
        # Not a pod was there when the node went.
        await terminate_node(self.api, self.lost, marker=None)
        await self.cluster.expect(self.name, spot=6, on_demand=4)
        await self.cluster.ready(self.name, 10)
        await watch.stop()

    async def close(self) -> None:
        for node in await self.cluster.nodes():
            if node["metadata"]["labels"].get("lot") == self.solid:
                await self.api.request("DELETE", f"/api/v1/nodes/{node['metadata']['name']}")


class Watch:
    """The fewest pods of an app that were Ready at any time."""

    def __init__(self, cluster: Drifting, app: str) -> None:
        self.fewest = 10**6
        self._task = asyncio.create_task(self._look(cluster, app))

    async def _look(self, cluster: Drifting, app: str) -> None:
        while True:
            ready = sum(is_ready(pod) for pod in await cluster.pods(app))
            self.fewest = min(self.fewest, ready)
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="session")
async def lot(cluster: Drifting) -> AsyncIterator[InterruptedLot]:
    lot = InterruptedLot(cluster)
    yield lot
    await lot.close()


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_all_have_left_before_the_node_goes_and_the_budget_holds(lot: InterruptedLot, kind: str) -> None:
    await lot.open(kind)
    await lot.cluster.budget("web", "web", minAvailable=9)
    watch = Watch(lot.cluster, "web")
    await lot.notice()
    await lot.left(watch)
    assert watch.fewest == 9
    assert lot.evictions().count(201) == 3


async def test_without_a_budget_a_quarter_is_lost_at_a_time(lot: InterruptedLot) -> None:
    await lot.open()
    watch = Watch(lot.cluster, "web")
    await lot.notice()
    await lot.left(watch)
    assert watch.fewest == 8
    assert lot.evictions() == [201] * 3


async def test_a_class_that_stands_in_is_room_enough(lot: InterruptedLot) -> None:
    await lot.open(room=3)
    await lot.make_room(lot.solid, 110)
    await lot.notice()
    await lot.cluster.expect("web", spot=3, on_demand=7)
    assert lot.evictions() == [201] * 3


async def test_some_nodes_are_left_alone(cluster: Drifting) -> None:
    others = {
        name: InterruptedLot(cluster, name) for name in ("drained", "cordoned", "crowded", "withdrawn", "forbidden")
    }
    control = InterruptedLot(cluster, "control")
    try:
        await asyncio.gather(*(each.open(room=3 if each.name == "crowded" else 110) for each in others.values()))
        await control.open()
        # Somebody else drains it, or is about to.
        await add_taint(cluster.api, others["drained"].lost, DRAINED)
        cordon = {"spec": {"unschedulable": True}}
        path = f"/api/v1/nodes/{others['cordoned'].lost}"
        await cluster.api.request("PATCH", path, body=cordon, content_type=MERGE_PATCH)
        # No disruption is allowed until the notice is withdrawn, or ever.
        await cluster.budget("withdrawn", "withdrawn", maxUnavailable=0)
        await cluster.budget("forbidden", "forbidden", maxUnavailable=0)
        for each in others.values():
            await each.notice()
        await remove_taint(cluster.api, others["withdrawn"].lost, SPOT_NOTICE["key"])
        budget = f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets/withdrawn"
        await cluster.api.request("DELETE", budget)
        # By the time that another node is empty they would be too.
        await control.notice()
        await eventually(control.on_lost, lambda count: count == 0, "all pods left the other node", LEAVES)
        for each in others.values():
            assert (each.name, each.evictions(), await each.on_lost()) == (each.name, [], 3)
    finally:
        for each in (control, *others.values()):
            await each.close()


async def test_nothing_is_evicted_when_that_is_switched_off(tmp_path: Path) -> None:
    async with drift_stage(tmp_path, drain_on_interruption=False) as stage, stage.namespace() as cluster:
        lot = InterruptedLot(cluster)
        await lot.open()
        await lot.notice()
        # The loop runs: it moves what is too many elsewhere.
        await cluster.drift("other", 4, policy(spot_percentage=50))
        await cluster.expect("other", spot=2, on_demand=2)
        assert (lot.evictions(), await lot.on_lost()) == ([], 3)
        await terminate_node(lot.api, lot.lost, marker=None)
        await cluster.expect("web", spot=6, on_demand=4)
        assert lot.evictions() == []
