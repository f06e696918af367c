"""Nodes that are about to be lost: no managed pod comes to them, and what runs there holds no seat any more.

Each test has nodes of its own, and its pods tolerate every taint unless it says otherwise: it is the extender alone
that keeps them off. The drift loop is off: what moves, moves for other reasons.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
import pytest_asyncio
import yaml
from support.cluster import Cluster, pod_template, policy
from support.patience import eventually
from support.stage import Stage, metric_lines, open_stage

from extender.core.model.classes import DEFAULT_GOING_AWAY_TAINTS
from extender.core.model.reasons import Reason
from extender.kube.client import MERGE_PATCH
from extender.sandbox import SimNode, create_nodes, terminate_node
from extender.sandbox.nodes import CapacityClass, add_taint, remove_taint

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

SETTINGS = {
    "apiVersion": "spotmix.io/v1alpha1",
    "kind": "SpotmixConfiguration",
    "classes": {
        "extraGoingAwayTaints": ["example.org/leaving"],
        "extraGoingAwayConditions": [{"type": "Leaving"}],
        "extraInterruptionTaints": ["example.org/reclaimed=now"],
        "extraInterruptionConditions": [{"type": "Reclaimed", "reason": "ByProvider"}],
        "extraDrainerTaints": ["example.org/drained"],
    },
    "drift": {"enabled": False},
}
ITN = "aws-node-termination-handler/spot-itn"
CONDITIONS = {
    "VMEventScheduled": "PreemptScheduled",
    "InstanceExpired": "InstanceToBeTerminated",
    "Terminating": "TerminationRequested",
    "Leaving": "Whatever",
    "Reclaimed": "ByProvider",
}
SIZE = {"Job": "parallelism"}
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def empty_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A stage without nodes, for all tests of this module."""
    config = tmp_path_factory.mktemp("going") / "spotmix.yaml"
    config.write_text(yaml.safe_dump(SETTINGS))
    async with open_stage([], ("--config", str(config))) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def lot(empty_stage: Stage) -> AsyncIterator["Lot"]:
    """Nodes and a namespace for one test; neither is there after it."""
    async with empty_stage.namespace() as cluster:
        lot = Lot(empty_stage, cluster)
        await lot.add(lot.busy, lot.calm, lot.solid)
        await lot.usable(2)
        yield lot
        await lot.clear()
    errors = empty_stage.scheduler_errors()
    if errors:
        pytest.fail("the scheduler logged errors:\n" + "\n".join(errors[:5]))


class Lot:
    """Two spot nodes, each a pool of its own, and an on-demand one, which only pods of one namespace select.

    Attributes:
        busy: the spot node that has the most pods of the workload, once it runs.
        calm: the other one.
        solid: the on-demand node.
    """

    def __init__(self, stage: Stage, cluster: Cluster) -> None:
        self.stage, self.api, self.cluster = stage, stage.api, cluster
        self.busy, self.calm, self.solid = (f"{cluster.namespace}-{name}" for name in ("spot-a", "spot-b", "solid-a"))

    def node(self, name: str, **shape: Any) -> SimNode:
        """A node whose name ends with its zone."""
        capacity: CapacityClass = "spot" if "spot" in name else "on-demand"
        mine = self.cluster.namespace
        return SimNode(name, capacity, zone=name[-1], instance_type=mine, labels={"lot": mine}, **shape)

    async def add(self, *names: str, **shape: Any) -> None:
        await create_nodes(self.api, [self.node(name, **shape) for name in names])

    async def usable(self, count: int, capacity: CapacityClass = "spot") -> None:
        """Wait until so many of its nodes are ones that pods may come to, as far as the service knows."""

        async def seen() -> float:
            lines = metric_lines(self.stage.spotmix)
            # Those of the test before may not be forgotten yet.
            pools = f'{{capacity_class="{capacity}",instance_type="{self.cluster.namespace}",'

            def total(name: str) -> float:
                mine = (line for line in lines if line.startswith(name + pools))
                return sum(float(line.rsplit(" ", 1)[1]) for line in mine)

            return total("spotmix_pool_nodes") - total("spotmix_pool_nodes_going_away")

        await eventually(seen, lambda n: n == count, f"usable {capacity} nodes", 20)

    async def clear(self) -> None:
        """Remove the nodes, and what holds them."""
        for node in json.loads(await self.api.request("GET", "/api/v1/nodes"))["items"]:
            path = f"/api/v1/nodes/{node['metadata']['name']}"
            if node["metadata"].get("finalizers"):
                await self.api.request("PATCH", path, body={"metadata": {"finalizers": []}}, content_type=MERGE_PATCH)
            if "deletionTimestamp" not in node["metadata"]:
                await self.api.request("DELETE", path)

    def pod(self, **spec: Any) -> dict[str, Any]:
        """What a pod needs to come to these nodes whatever their taints."""
        return {"nodeSelector": {"lot": self.cluster.namespace}, "tolerations": [{"operator": "Exists"}], **spec}

    async def runs(self, kind: str = "Deployment", **pod: Any) -> int:
        """Create a workload of 4 spot and 4 on-demand pods; how many of them are on the busy node."""
        spec: dict[str, Any] = {SIZE.get(kind, "replicas"): 8}
        if kind != "Job":
            labels = {"app": "web"}
            spec["selector"] = labels if kind == "ReplicationController" else {"matchLabels": labels}
        if kind == "StatefulSet":
            spec |= {"serviceName": "web", "podManagementPolicy": "Parallel"}
        spec["template"] = pod_template({"app": "web"}, **self.pod(**pod))
        if kind == "ReplicationController":
            # A kind that is met by discovery: one pod makes it known before the others come.
            await self.cluster.create(kind, "web", {**spec, "replicas": 1}, policy(spot_percentage=50))
            await self.cluster.expect("web", on_demand=1)
            # Until its kind is watched it is refused, and tried again.
            assert all(Reason.NOT_WATCHED.text in line for line in self.stage.scheduler_errors())
            await self.cluster.patch(kind, "web", {"spec": {"replicas": 8}})
        else:
            await self.cluster.create(kind, "web", spec, policy(spot_percentage=50))
        await self.cluster.expect("web", spot=4, on_demand=4)
        nodes = list((await self.where()).values())
        self.calm, self.busy = sorted((self.busy, self.calm), key=nodes.count)
        return nodes.count(self.busy)

    async def where(self) -> dict[str, str]:
        """The nodes of the workload's pods, by the pods' UIDs."""
        return {pod["metadata"]["uid"]: pod["spec"].get("nodeName", "") for pod in await self.cluster.pods("web")}

    async def scaled(self, replicas: int, kind: str = "Deployment") -> list[str]:
        """Scale the workload out; the nodes of the new pods, sorted."""
        before = await self.where()
        await self.cluster.patch(kind, "web", {"spec": {SIZE.get(kind, "replicas"): replicas}})
        return await self.joined(before, replicas)

    async def joined(self, before: Mapping[str, str], replicas: int) -> list[str]:
        """The nodes of the pods that were not there before, sorted, once all `replicas` have one."""

        async def new() -> dict[str, str]:
            pods = await self.where()
            complete = len(pods) == replicas and before.keys() <= pods.keys() and all(pods.values())
            return {uid: node for uid, node in pods.items() if uid not in before} if complete else {}

        return sorted((await eventually(new, bool, f"{replicas} bound, the former among them")).values())


Act = Callable[[Lot, str], Awaitable[None]]


class Marker:
    """How a node is marked, and how that is taken back; None where it cannot be."""

    def __init__(self, mark: Act, withdraw: Act | None = None) -> None:
        self.mark, self.withdraw = mark, withdraw


def tainted(key: str, effect: str = "NoSchedule", value: str = "") -> Marker:
    return Marker(
        lambda lot, node: add_taint(lot.api, node, {"key": key, "effect": effect, "value": value}),
        lambda lot, node: remove_taint(lot.api, node, key),
    )


def conditioned(kind: str, reason: str, status: str = "True", after: str = "False") -> Marker:
    async def put(lot: Lot, node: str, value: str) -> None:
        body = {"status": {"conditions": [{"type": kind, "status": value, "reason": reason, "message": "test"}]}}
        await lot.api.request("PATCH", f"/api/v1/nodes/{node}/status", body=body, content_type=STRATEGIC_PATCH)

    return Marker(lambda lot, node: put(lot, node, status), lambda lot, node: put(lot, node, after))


async def _delete(lot: Lot, node: str) -> None:
    path, held = f"/api/v1/nodes/{node}", {"metadata": {"finalizers": ["example.org/hold"]}}
    await lot.api.request("PATCH", path, body=held, content_type=MERGE_PATCH)
    await lot.api.request("DELETE", path)


async def _cordon(lot: Lot, node: str) -> None:
    body = {"spec": {"unschedulable": True}}
    await lot.api.request("PATCH", f"/api/v1/nodes/{node}", body=body, content_type=MERGE_PATCH)


MARKERS = {
    **{key: tainted(key) for key in (*DEFAULT_GOING_AWAY_TAINTS, "example.org/leaving", "example.org/drained")},
    "example.org/reclaimed": tainted("example.org/reclaimed", value="now"),
    "NoExecute": tainted(ITN, "NoExecute"),
    "PreferNoSchedule": tainted(ITN, "PreferNoSchedule"),
    "with a value": tainted("autoscaling.cast.ai/draining", value="spot-interruption"),
    **{kind: conditioned(kind, reason) for kind, reason in CONDITIONS.items()},
    "then unknown": conditioned("Terminating", "TerminationRequested", after="Unknown"),
    "deletionTimestamp": Marker(_delete),
}
NO_MARKERS = {
    "soft candidate": tainted("DeletionCandidateOfClusterAutoscaler", "PreferNoSchedule"),
    "another value": tainted("example.org/reclaimed", value="later"),
    "another event": conditioned("VMEventScheduled", "FreezeScheduled"),
    "another reason": conditioned("Reclaimed", "ByNobody"),
    "not true": conditioned("Terminating", "TerminationRequested", status="False"),
    "not ready": conditioned("Ready", "KubeletStopped", status="Unknown"),
    "cordoned": Marker(_cordon),
}
NOTICE = tainted(ITN)


@pytest.mark.parametrize("marker", MARKERS.values(), ids=MARKERS.keys())
async def test_a_marked_node_is_used_no_more_and_its_pods_free_their_seats(lot: Lot, marker: Marker) -> None:
    lost = await lot.runs()
    await marker.mark(lot, lot.busy)
    await lot.usable(1)
    # The seats that the pods on the marked node had are the first that are free. They themselves run on.
    assert await lot.scaled(8 + lost) == [lot.calm] * lost
    if marker.withdraw is None:
        return
    await marker.withdraw(lot, lot.busy)
    await lot.usable(2)
    # They count again: there are more spot pods than seats.
    assert await lot.scaled(9 + 2 * lost) == [lot.solid] * (1 + lost)


@pytest.mark.parametrize("marker", NO_MARKERS.values(), ids=NO_MARKERS.keys())
async def test_what_is_no_marker_takes_no_seat_away(lot: Lot, marker: Marker) -> None:
    await lot.runs()
    await marker.mark(lot, lot.busy)
    # The service hears of it before it hears of the node that comes after it.
    await lot.add(f"{lot.solid}-2-b")
    await lot.usable(2, "on-demand")
    await lot.scaled(10)
    await lot.cluster.expect("web", spot=5, on_demand=5)


@pytest.mark.parametrize("kind", ["ReplicaSet", "ReplicationController", "Job"])
async def test_so_it_is_for_every_kind_whose_replicas_are_alike(lot: Lot, kind: str) -> None:
    lost = await lot.runs(kind, **({"restartPolicy": "Never"} if kind == "Job" else {}))
    await NOTICE.mark(lot, lot.busy)
    await lot.usable(1)
    assert await lot.scaled(8 + lost, kind) == [lot.calm] * lost


async def test_an_ordinal_keeps_its_class_when_its_node_is_lost(lot: Lot) -> None:
    lost = await lot.runs("StatefulSet")
    kept = {uid: node for uid, node in (await lot.where()).items() if node != lot.busy}
    await NOTICE.mark(lot, lot.busy)
    await lot.usable(1)
    for pod in await lot.cluster.pods("web"):
        if pod["metadata"]["uid"] not in kept:
            name = pod["metadata"]["name"]
            await lot.api.request("DELETE", f"/api/v1/namespaces/{lot.cluster.namespace}/pods/{name}")
    assert await lot.joined(kept, 8) == [lot.calm] * lost


async def test_pods_that_a_marker_evicts_are_replaced_by_policy(lot: Lot) -> None:
    lost = await lot.runs(tolerations=[])
    kept = {uid: node for uid, node in (await lot.where()).items() if node != lot.busy}

    async def all_gone() -> bool:
        return lot.busy not in (await lot.where()).values()

    # The control plane deletes the pods that do not tolerate it.
    await tainted(ITN, "NoExecute").mark(lot, lot.busy)
    await eventually(all_gone, bool, "nothing runs on the marked node")
    assert await lot.joined(kept, 8) == [lot.calm] * lost


async def test_a_marked_on_demand_node_frees_on_demand_seats(lot: Lot) -> None:
    await lot.runs()
    other = f"{lot.solid}-2-b"
    await lot.add(other)
    await NOTICE.mark(lot, lot.solid)
    await lot.usable(1, "on-demand")
    await lot.add(f"{lot.calm}-2-b")
    await lot.usable(3)
    assert await lot.scaled(12) == [other] * 4


async def test_a_node_that_was_marked_from_the_outset_is_used_once_that_is_withdrawn(lot: Lot) -> None:
    new = f"{lot.busy}-2-b"
    await lot.add(new, taints=[{"key": ITN, "effect": "NoSchedule"}])
    await lot.add(f"{lot.solid}-2-b")
    await lot.usable(2, "on-demand")
    await lot.runs()
    assert new not in (await lot.where()).values()
    await remove_taint(lot.api, new, ITN)
    await lot.usable(3)
    assert new in await lot.scaled(20)


async def test_a_node_that_comes_back_under_its_name_is_not_marked(lot: Lot) -> None:
    lost = await lot.runs()
    kept = {uid: node for uid, node in (await lot.where()).items() if node != lot.busy}
    await NOTICE.mark(lot, lot.busy)
    await lot.usable(1)
    await terminate_node(lot.api, lot.busy, marker=None)
    assert await lot.joined(kept, 8) == [lot.calm] * lost
    await lot.add(lot.busy)
    await lot.usable(2)
    await NOTICE.mark(lot, lot.calm)
    await lot.usable(1)
    assert await lot.scaled(12) == [lot.busy] * 4


async def _notice(lot: Lot) -> None:
    await NOTICE.mark(lot, lot.busy)
    await lot.usable(1)
    await terminate_node(lot.api, lot.busy, marker=None)


async def _sudden_end(lot: Lot) -> None:
    await terminate_node(lot.api, lot.busy, marker=None)
    await lot.usable(1)


async def _given_back(lot: Lot) -> None:
    await tainted("ToBeDeletedByClusterAutoscaler").mark(lot, lot.busy)
    await lot.usable(1)
    await terminate_node(lot.api, lot.busy, marker=None)


async def _false_alarm(lot: Lot) -> None:
    await NOTICE.mark(lot, lot.busy)
    await lot.usable(1)
    await remove_taint(lot.api, lot.busy, ITN)


@pytest.mark.parametrize(
    ("happens", "counts"), [(_notice, True), (_sudden_end, True), (_given_back, False), (_false_alarm, False)]
)
async def test_pools_that_were_interrupted_are_used_less(
    lot: Lot, happens: Callable[[Lot], Awaitable[None]], *, counts: bool
) -> None:
    await happens(lot)
    await lot.add(lot.busy.replace("spot-a", "spot-2-a"))
    there = {node["metadata"]["name"] for node in await lot.cluster.nodes()} - {lot.solid}
    await lot.usable(len(there))
    for number in range(4):
        # Each follows the one before, and is big, so that the scheduler's own scores spread them where ours are equal.
        await lot.cluster.deployment(f"one-{number}", 1, policy(spot_percentage=100), cpu="1", **lot.pod())
        await lot.cluster.ready(f"one-{number}", 1)
    assert {pod["spec"]["nodeName"] for pod in await lot.cluster.pods()} == ({lot.calm} if counts else there)
