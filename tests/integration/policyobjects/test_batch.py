"""Batch jobs under policy objects: runs share one sequence of seats, and many interruptions end on on-demand."""

import asyncio
from functools import partial
from typing import Any

import pytest
from support.batch import GATED, done, pods_of, ran_on, run_jobs, start_job
from support.cluster import Cluster
from support.objects import Objects
from support.patience import eventually
from support.policyobjects import placement_policy, shares

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

CI = {"tier": "ci"}
FOR_CI = {"selector": {"matchLabels": CI}}


async def runs(objects: Objects, thing: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = (await objects.get(thing) or {}).get("status", {}).get("runs", {})
    return found


async def test_one_after_another_and_beside_each_other(objects: Objects, cluster: Cluster) -> None:
    thing = placement_policy("ci", cluster.namespace, {**FOR_CI, "count": "Runs", "classes": shares(70)})
    await objects.apply(thing)
    await eventually(
        partial(objects.get, thing), lambda seen: "runs" in (seen or {}).get("status", {}), "it is followed"
    )
    # By the extender, and by what is written on pods: it is one sequence.
    await run_jobs(cluster, [f"step-{n}" for n in range(5)], CI)
    await run_jobs(cluster, [f"step-{n}" for n in range(5, 10)], CI, **GATED)
    assert await ran_on(cluster) == {"spot": 7, "on-demand": 3}
    await asyncio.gather(*(start_job(cluster, f"beside-{n}", CI, 0.1, **(GATED if n % 2 else {})) for n in range(10)))
    await asyncio.gather(*(done(cluster, f"beside-{n}") for n in range(10)))
    assert await ran_on(cluster) == {"spot": 14, "on-demand": 6}
    await eventually(partial(runs, objects, thing), lambda seen: seen == {"spot": 14, "on-demand": 6}, "they are told")


async def test_a_job_that_was_interrupted_twice_ends_on_on_demand(objects: Objects, cluster: Cluster) -> None:
    thing = placement_policy(
        "batch", cluster.namespace, {**FOR_CI, "classes": shares(100), "interruptions": {"onDemandAfter": 2}}
    )
    await objects.apply(thing)
    await eventually(partial(objects.get, thing), lambda seen: "status" in (seen or {}), "it is followed")
    await start_job(cluster, "render", CI, None)
    for number in range(2):
        await cluster.expect("render", spot=1)
        await cluster.ready("render", 1)
        (pod,) = await cluster.pods("render")
        await interrupt(cluster, pod)

        async def told(number: int = number) -> int:
            lost = (await objects.get(thing) or {}).get("status", {}).get("lost", [])
            return sum(len(each["pods"]) for each in lost) - number

        await eventually(told, lambda count: count == 1, "the loss is told")
    await cluster.expect("render", on_demand=1)
    await cluster.ready("render", 1)
    (event,) = await eventually(partial(cluster.events, "InterruptedTooOften"), bool, "an Event of the Job")
    assert (event["regarding"]["kind"], event["regarding"]["name"]) == ("Job", "render")
    (pod,) = await cluster.pods("render")
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod['metadata']['name']}/status"
    ended = {"status": {"phase": "Succeeded"}}
    await cluster.api.request("PATCH", path, body=ended, content_type="application/merge-patch+json")
    await done(cluster, "render")


async def interrupt(cluster: Cluster, pod: dict[str, Any]) -> None:
    """Take a pod's node back, as far as the pod can tell; the node is as before afterwards."""
    name = pod["spec"]["nodeName"]
    (node,) = (each for each in await cluster.nodes() if each["metadata"]["name"] == name)
    before = node["spec"].get("taints", [])

    async def taint(taints: list[dict[str, str]]) -> None:
        kind = "application/merge-patch+json"
        await cluster.api.request(
            "PATCH", f"/api/v1/nodes/{name}", body={"spec": {"taints": taints}}, content_type=kind
        )

    async def there() -> bool:
        return any(each["metadata"]["uid"] == pod["metadata"]["uid"] for each in await pods_of(cluster))

    await taint([*before, {"key": "example.org/reclaimed", "effect": "NoExecute"}])
    await eventually(there, lambda seen: not seen, "the pod is gone")
    await taint(before)
