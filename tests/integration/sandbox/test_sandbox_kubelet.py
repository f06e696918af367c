"""Simulated nodes and their kubelet, on the real control plane."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from support.cluster import Cluster, is_ready, pod_template
from support.patience import eventually

from extender.core.model.errors import ApiError
from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane, SimKubelet, SimNode, bulk, create_nodes, node_pool, terminate_node
from extender.sandbox.nodes import SPOT_NOTICE, add_taint, remove_taint
from extender.sandbox.podstatus import RUN_FOR, START_AFTER

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]
NO_LABELS: dict[str, str] = {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(plane: ControlPlane) -> AsyncIterator[ApiClient]:
    async with await plane.connect() as client:
        await create_nodes(client, node_pool(4, capacity_class="spot", zones=("a", "b")))
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubelet(api: ApiClient) -> AsyncIterator[SimKubelet]:
    async with SimKubelet(api) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(api: ApiClient, kubelet: SimKubelet, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    name = request.node.name.replace("_", "-").lower()[:60].strip("-")
    namespace = Cluster(api, name)
    await namespace.create_namespace()
    yield namespace
    await namespace.delete()
    assert kubelet.problems == []


async def node(api: ApiClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(await api.request("GET", f"/api/v1/nodes/{name}"))
    return found


async def live_names(cluster: Cluster) -> set[str]:
    return {pod["metadata"]["name"] for pod in await cluster.pods()}


async def test_a_node_is_created_ready_with_room(api: ApiClient) -> None:
    spot = await node(api, "spot-0")
    assert spot["status"]["allocatable"]["cpu"] == "8"
    assert spot["status"]["conditions"][0]["status"] == "True"
    assert spot["metadata"]["labels"]["karpenter.sh/capacity-type"] == "spot"
    assert "taints" not in spot["spec"]


async def test_pods_become_ready_and_go_when_scaled_in(cluster: Cluster, kubelet: SimKubelet) -> None:
    await cluster.deployment("web", 20, labels=NO_LABELS, terminationGracePeriodSeconds=30)
    await cluster.ready("web", 20)
    removed = kubelet.removed
    await cluster.scale("Deployment", "web", 5)

    async def all_pods() -> int:
        path = f"/api/v1/namespaces/{cluster.namespace}/pods"
        return len(msgspec.json.decode(await cluster.api.request("GET", path))["items"])

    await eventually(all_pods, lambda count: count == 5, "the terminating pods are gone")

    async def gone() -> int:
        return kubelet.removed - removed

    await eventually(gone, lambda count: count == 15, "the kubelet knows of the last one too")


async def test_a_rollout_completes(cluster: Cluster) -> None:
    await cluster.deployment("web", 8, labels=NO_LABELS)
    await cluster.ready("web", 8)
    await cluster.roll_out("web", {"metadata": {"annotations": {"v": "2"}}})


async def test_a_job_completes_after_the_time_its_pods_name(cluster: Cluster) -> None:
    template = pod_template({"app": "batch"}, restartPolicy="Never")
    template["metadata"]["annotations"] = {RUN_FOR: "200ms"}
    await cluster.create("Job", "batch", {"parallelism": 4, "completions": 4, "template": template}, labels=NO_LABELS)

    async def succeeded() -> int:
        count: int = (await cluster.get("Job", "batch"))["status"].get("succeeded", 0)
        return count

    await eventually(succeeded, lambda count: count == 4, "four pods of the Job have succeeded")


async def test_a_job_without_that_keeps_running_until_it_is_deleted(cluster: Cluster) -> None:
    spec = {"parallelism": 2, "template": pod_template({"app": "batch"}, restartPolicy="Never")}
    await cluster.create("Job", "batch", spec, labels=NO_LABELS)
    await cluster.ready("batch", 2)
    params = {"propagationPolicy": "Foreground"}
    await cluster.api.request("DELETE", cluster.path("Job", "batch"), params=params)

    async def everything() -> int:
        path = f"/api/v1/namespaces/{cluster.namespace}/pods"
        return len(msgspec.json.decode(await cluster.api.request("GET", path))["items"])

    await eventually(everything, lambda count: count == 0, "the Job's pods are gone, finalizers and all")


async def test_a_pod_can_take_its_time_to_start(cluster: Cluster) -> None:
    template = pod_template({"app": "slow"}, nodeName="spot-0")
    template["metadata"] |= {"name": "slow", "annotations": {START_AFTER: "1h"}}
    path = f"/api/v1/namespaces/{cluster.namespace}/pods"
    await cluster.api.request("POST", path, body=template)
    template["metadata"] |= {"name": "quick", "annotations": {START_AFTER: "0s"}}
    await cluster.api.request("POST", path, body=template)

    async def ready() -> set[str]:
        return {pod["metadata"]["name"] for pod in await cluster.pods() if is_ready(pod)}

    await eventually(ready, lambda names: names == {"quick"}, "the quick one alone is ready")


async def test_a_wrong_duration_is_a_problem_and_the_default_counts(cluster: Cluster, kubelet: SimKubelet) -> None:
    template = pod_template({"app": "p"}, nodeName="spot-0")
    template["metadata"] |= {"name": "p", "annotations": {START_AFTER: "soon"}}
    await cluster.api.request("POST", f"/api/v1/namespaces/{cluster.namespace}/pods", body=template)
    await cluster.ready("p", 1)
    assert f"pod {cluster.namespace}/p: annotation {START_AFTER} is 'soon'" in kubelet.problems.pop()


async def test_a_terminated_node_is_marked_and_then_gone_with_its_pods(cluster: Cluster) -> None:
    await create_nodes(cluster.api, [SimNode("doomed", "spot", labels={"only": "here"})])
    await cluster.deployment("web", 3, labels=NO_LABELS, nodeSelector={"only": "here"})
    await cluster.ready("web", 3)
    before = await live_names(cluster)
    ending = asyncio.create_task(terminate_node(cluster.api, "doomed", notice=1.0))

    async def taints() -> list[dict[str, str]]:
        found: list[dict[str, str]] = (await node(cluster.api, "doomed"))["spec"].get("taints", [])
        return found

    await eventually(taints, lambda seen: seen == [dict(SPOT_NOTICE)], "the node is marked")
    await ending
    with pytest.raises(ApiError) as caught:
        await node(cluster.api, "doomed")
    assert caught.value.status == 404

    async def replaced() -> bool:
        pods = await cluster.pods()
        return len(pods) == 3 and not before & await live_names(cluster) and not any(map(is_ready, pods))

    await eventually(replaced, bool, "the pods are gone and their replacements find no room")


async def test_taints_of_others_are_kept(api: ApiClient) -> None:
    taints = [{"key": key, "effect": "PreferNoSchedule"} for key in "abcdefgh"]
    await bulk(taints, lambda taint: add_taint(api, "spot-1", taint))
    await add_taint(api, "spot-1", taints[0])
    assert sorted(taint["key"] for taint in (await node(api, "spot-1"))["spec"]["taints"]) == list("abcdefgh")
    await bulk("abcdefgh", lambda key: remove_taint(api, "spot-1", key))
    assert "taints" not in (await node(api, "spot-1"))["spec"]


async def test_a_silent_node_catches_up_when_it_is_back(cluster: Cluster, kubelet: SimKubelet) -> None:
    await create_nodes(cluster.api, [SimNode("silent", labels={"which": "silent"})])
    await cluster.deployment("web", 2, labels=NO_LABELS, nodeSelector={"which": "silent"})
    await cluster.ready("web", 2)
    before = await live_names(cluster)
    kubelet.fail_node("silent")
    for name in before:
        await cluster.api.request(
            "DELETE", f"/api/v1/namespaces/{cluster.namespace}/pods/{name}", body={"gracePeriodSeconds": 30}
        )

    async def everything() -> list[tuple[str, bool, bool]]:
        path = f"/api/v1/namespaces/{cluster.namespace}/pods"
        items = msgspec.json.decode(await cluster.api.request("GET", path))["items"]
        return [(p["metadata"]["name"], "nodeName" in p["spec"], is_ready(p)) for p in items]

    # Two that should go and two new ones that are bound, and none of them hears of it.
    seen = await eventually(everything, lambda pods: len(pods) == 4 and all(p[1] for p in pods), "replacements bound")
    assert {name for name, _, ready in seen if ready} == before
    kubelet.revive_node("silent")
    await cluster.ready("web", 2)
    seen = await eventually(everything, lambda pods: len(pods) == 2, "the old ones are gone")
    assert not before & {name for name, _, _ in seen}


async def test_a_restart_of_the_api_server_in_a_burst_loses_nothing(
    cluster: Cluster, plane: ControlPlane, kubelet: SimKubelet
) -> None:
    started = kubelet.started
    await cluster.deployment("web", 100, labels=NO_LABELS)

    async def so_far() -> int:
        return kubelet.started - started

    await eventually(so_far, lambda count: count >= 20, "the burst is under way")
    await plane.apiserver.restart(kill=True)
    await cluster.ready("web", 100)
    await cluster.scale("Deployment", "web", 0)

    async def left() -> int:
        path = f"/api/v1/namespaces/{cluster.namespace}/pods"
        return len(msgspec.json.decode(await cluster.api.request("GET", path))["items"])

    await eventually(left, lambda count: count < 80, "the scale-in is under way")
    await plane.apiserver.restart()
    await eventually(left, lambda count: count == 0, "all pods are gone")


async def test_a_kubelet_that_starts_late_takes_over_what_is_there(
    api: ApiClient, plane: ControlPlane, kubelet: SimKubelet
) -> None:
    # The one of the other tests has nothing to do with the node.
    kubelet.fail_node("elsewhere")
    namespace = Cluster(api, "late")
    await namespace.create_namespace()
    template = pod_template({"app": "p"}, nodeName="elsewhere")

    async def create(name: str) -> None:
        body = {**template, "metadata": {"name": name, "labels": {"app": "p"}}}
        await api.request("POST", "/api/v1/namespaces/late/pods", body=body)

    async with await plane.connect() as own:
        async with SimKubelet(own, start_delay=3600) as early:

            async def taken() -> int:
                return len(early._stages)

            await bulk("abc", create)
            await eventually(taken, lambda count: count >= 3, "all are seen")
            assert early.started == 0
        async with SimKubelet(own) as late:

            async def started() -> int:
                return late.started

            await eventually(started, lambda count: count == 3, "it starts them")
            await namespace.ready("p", 3)
    await namespace.delete()
