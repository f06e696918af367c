"""Events that say a node is interrupted, as tools post them, and what is counted."""

import asyncio
from collections.abc import Mapping
from typing import Any

from extender.kube.client import ApiClient
from support.stage import Stage, metric_lines


def about(node: Mapping[str, Any]) -> dict[str, str]:
    """A node as Karpenter refers to it."""
    return {"kind": "Node", "apiVersion": "v1", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"]}


async def post_notice(
    api: ApiClient, reason: str, by: str, involved: Mapping[str, str], namespace: str = "default"
) -> None:
    """Post an Event as client-go's recorder does."""
    body = {
        "metadata": {"generateName": f"{involved['name']}.", "namespace": namespace},
        "involvedObject": involved,
        "reason": reason,
        "message": "Spot interruption warning was triggered",
        "source": {"component": by},
        "reportingComponent": by,
        "firstTimestamp": "2026-11-29T12:00:00Z",
        "lastTimestamp": "2026-11-29T12:00:00Z",
        "count": 1,
        "type": "Warning",
    }
    await api.request("POST", f"/api/v1/namespaces/{namespace}/events", body=body)


def counted(stage: Stage) -> dict[str, float]:
    """Interruptions of spot nodes by zone since the start, as the metrics tell."""
    found: dict[str, float] = {}
    for line in metric_lines(stage.spotmix):
        if line.startswith("spotmix_pool_interruptions_total{"):
            zone = line.partition('zone="')[2].partition('"')[0]
            found[zone] = found.get(zone, 0.0) + float(line.rsplit(" ", 1)[1])
    return {zone: count for zone, count in found.items() if count}


async def heard(stage: Stage, reason: str) -> float:
    """How many Events with a reason the service has taken in."""
    line = f'spotmix_cache_events_total{{resource="events/{reason}"}}'
    return await asyncio.to_thread(stage.metric, line) or 0.0
