"""The webhook while its certificates rotate and while one of two replicas is lost, called by the real API server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from support.cluster import ENABLED, pod_template, policy
from support.pair import REPLICAS, SHORT, opened_pair
from support.patience import eventually, within
from support.service import Service
from support.stage import metric_lines
from support.webhook import CONFIGURATIONS, SECOND, Hook

from extender.core.model.errors import ApiError
from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane
from extender.sandbox.ports import free_port
from extender.sandbox.spotmix import SpotmixServe

pytestmark = [pytest.mark.controlplane]

STREAM_SECONDS = 120.0
PODS, CERTIFICATES, BUNDLES = 100, 4, 3
"""How many of each there have to be before the stream ends."""
PACE = 0.05
"""Seconds between pods that come together: a certificate has to be found changed, not the machine busy."""
# A certificate every few seconds, and new CAs as well, by settings that nobody would choose.
FAST = {"validity": "16s", "ca-validity": "40s", "renew-before": "8s"}
SHOP = "shop"


async def replica_set(api: ApiClient) -> dict[str, Any]:
    """A managed ReplicaSet that nobody acts on; gives the reference to it."""
    body = {
        "metadata": {
            "name": "web",
            "labels": ENABLED,
            "annotations": policy(spot_percentage=100, scheduler_name=SECOND),
        },
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": pod_template({"app": "web"})},
    }
    made = json.loads(await api.request("POST", f"/apis/apps/v1/namespaces/{SHOP}/replicasets", body=body))
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }


async def create_pod(api: ApiClient, name: str, owner: Mapping[str, Any], **params: str) -> str:
    """Create a pod of the ReplicaSet; gives the scheduler that it asks for."""
    pod = pod_template({"app": "web"})
    pod["metadata"] |= {"name": name, "ownerReferences": [owner]}
    made = json.loads(await api.request("POST", f"/api/v1/namespaces/{SHOP}/pods", params=params, body=pod))
    scheduler: str = made["spec"]["schedulerName"]
    return scheduler


async def bundle(api: ApiClient) -> str:
    """The CA bundle by which the API server knows the webhook."""
    body = json.loads(await api.request("GET", CONFIGURATIONS.format("mutating") + "/spotmix"))
    found: str = body["webhooks"][0]["clientConfig"].get("caBundle", "")
    return found


async def trusted(api: ApiClient) -> None:
    """Wait until the API server has been told of the CA."""
    await eventually(lambda: bundle(api), bool, "the CA bundle")


@contextlib.asynccontextmanager
async def watched(api: ApiClient, serve: SpotmixServe) -> AsyncIterator[tuple[set[str], set[str]]]:
    """Collects the ends of the certificates that are served, and the CA bundles, from second to second."""
    ends: set[str] = set()
    bundles: set[str] = set()

    async def look() -> None:
        while True:
            lines = await asyncio.to_thread(metric_lines, serve)
            ends.update(line for line in lines if line.startswith("spotmix_certificate_expiry_timestamp_seconds{"))
            bundles.add(await bundle(api))
            await asyncio.sleep(1.0)

    task = asyncio.create_task(look())
    try:
        yield ends, bundles
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_certificates_rotate_under_a_stream_of_pods() -> None:
    async with contextlib.AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane(with_scheduler=False, with_controller_manager=False))
        api = await stack.enter_async_context(await plane.connect())
        await api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": SHOP}})
        hook = Hook.self_made(times=FAST)
        # A failed call of the webhook fails the creation of the pod: nothing can go unseen.
        await hook.register(api, failurePolicy="Fail")
        serve = SpotmixServe(plane, *hook.flags, POD_NAMESPACE="default")
        stack.push_async_callback(serve.stop)
        await serve.start()
        await trusted(api)
        owner: dict[str, Any] = {}

        async def admitted() -> str:
            with contextlib.suppress(ApiError):
                if not owner:
                    owner.update(await replica_set(api))
                return await create_pod(api, "probe", owner, dryRun="All")
            return ""

        # The API server takes a moment to hear of its own configurations, and we of the ReplicaSet.
        await eventually(admitted, lambda scheduler: scheduler == SECOND, "an admission")
        count = 0
        async with watched(api, serve) as (ends, bundles), within(STREAM_SECONDS):
            while count < PODS or len(ends) < CERTIFICATES or len(bundles) < BUNDLES:
                names = [f"pod-{count + n}" for n in range(4)]
                seen = await asyncio.gather(*(create_pod(api, name, owner) for name in names))
                assert set(seen) == {SECOND}, f"pod {count} was admitted as it came"
                count += len(names)
                await asyncio.sleep(PACE)
        serve.check()


async def test_one_of_two_replicas_is_killed() -> None:
    ports = {name: free_port() for name in REPLICAS}
    async with Service(ports) as service:
        hook = Hook.self_made(service.port)
        async with opened_pair(SHORT, lambda name: hook.flags_at(ports[name])) as (pair, cluster):
            await hook.register(pair.api)
            await trusted(pair.api)
            first = await pair.leader()
            wanted = {f"web-{n}": 20 + 15 * n for n in range(5)}
            await asyncio.gather(*(cluster.deployment(n, 20, policy(spot_percentage=p)) for n, p in wanted.items()))
            await eventually(cluster.pods, lambda pods: len(pods) >= 20, "some pods")
            await pair.replicas[first].stop(kill=True)
            for name, percentage in wanted.items():
                spot = 20 * percentage // 100
                await cluster.expect(name, seconds=60, spot=spot, on_demand=20 - spot)
                await cluster.ready(name, 20)
            # Pods made from now on are seen by the one that is left.
            await cluster.deployment("late", 10, policy(spot_percentage=50))
            await cluster.expect("late", spot=5, on_demand=5)
            for pod in await cluster.pods("late"):
                keys = {toleration["key"] for toleration in pod["spec"]["tolerations"]}
                assert "cloud.google.com/gke-spot" in keys, pod["metadata"]["name"]
