"""Gated pods: their gates, which class is written on them, and another's gate, taken away when a test says."""

import json
from typing import Any

from extender.sandbox import bulk
from support.cluster import Cluster
from support.patience import eventually

GATE = "spotmix.io/placement"
OTHER = {"name": "kueue.x-k8s.io/admission"}
"""As a pod template has it: a gate that somebody else takes away."""
_JSON_PATCH = "application/json-patch+json"


async def gated_twice(cluster: Cluster, app: str, count: int) -> None:
    """Wait until so many pods of an app have our gate behind that of another."""

    async def gates() -> list[list[str]]:
        return [[gate["name"] for gate in pod["spec"].get("schedulingGates", ())] for pod in await cluster.pods(app)]

    await eventually(gates, lambda seen: seen == [[OTHER["name"], GATE]] * count, "both gates")


async def let_go(cluster: Cluster, app: str = "") -> None:
    """Take the gate of the other away."""
    body = json.dumps([{"op": "remove", "path": "/spec/schedulingGates/0"}]).encode()

    async def remove(pod: dict[str, Any]) -> None:
        path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod['metadata']['name']}"
        await cluster.api.request("PATCH", path, body=body, content_type=_JSON_PATCH)

    held = [pod for pod in await cluster.pods(app) if OTHER in pod["spec"].get("schedulingGates", ())]
    await bulk(held, remove)


async def decided(cluster: Cluster) -> int:
    """How many pods have a class written on them."""
    return sum("spotmix.io/class" in pod["metadata"].get("annotations", {}) for pod in await cluster.pods())
