"""Batch jobs of one pod each, on a sandbox, and the classes on which their pods ran."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from extender.sandbox.podstatus import RUN_FOR
from support.cluster import Cluster, pod_template
from support.patience import eventually

GATED: Mapping[str, Any] = {"schedulingGates": [{"name": "spotmix.io/placement"}]}
"""As the webhook would have it where classes are written on pods."""

Pods = list[dict[str, Any]]


async def start_job(cluster: Cluster, name: str, labels: Mapping[str, str], seconds: float | None, **pod: Any) -> None:
    """A Job with one pod that runs so long, for ever without a number."""
    template = pod_template({"app": name}, restartPolicy="Never", **pod)
    if seconds is not None:
        template["metadata"]["annotations"] = {RUN_FOR: f"{seconds:g}s"}
    await cluster.create("Job", name, {"template": template, "backoffLimit": 10}, labels=labels)


async def done(cluster: Cluster, name: str) -> None:
    async def succeeded() -> int:
        count: int = (await cluster.get("Job", name))["status"].get("succeeded", 0)
        return count

    await eventually(succeeded, bool, f"Job {name} is done")


async def run_jobs(cluster: Cluster, names: list[str], labels: Mapping[str, str], **pod: Any) -> None:
    """One Job after another."""
    for name in names:
        await start_job(cluster, name, labels, 0.1, **pod)
        await done(cluster, name)


async def pods_of(cluster: Cluster) -> Pods:
    """All pods, those too that have ended."""
    found: Pods = json.loads(await cluster.api.request("GET", f"/api/v1/namespaces/{cluster.namespace}/pods"))["items"]
    return found


async def ran_on(cluster: Cluster) -> dict[str, int]:
    """How many pods ran on each class."""
    classes = await cluster.classes()
    return dict(Counter(classes[pod["spec"]["nodeName"]] for pod in await pods_of(cluster)))
