"""A spot storm by script on a real control plane, with all that can go wrong beside it, while Prometheus looks on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from extender.sandbox import create_nodes, node_pool, terminate_node
from extender.sandbox.nodes import SPOT_NOTICE, add_taint
from extender.sandbox.ports import free_port
from support.cluster import Cluster, policy
from support.driftstage import drift_flags
from support.pair import REPLICAS, SHORT, Pair, opened_pair
from support.patience import eventually, stretched
from support.prometheus import JOB, Prometheus, scraping
from support.stage import ZONES
from support.webhook import Hook

MARKED = "spot-8"
"""A spot node that is announced to go away, and stays."""
TAKEN = tuple(f"spot-{number}" for number in range(8))
"""Spot nodes that are taken away."""
SETTLED = 2.5
"""Seconds in which Prometheus has scraped each replica twice and evaluated rules on that."""


@dataclass
class Storm:
    """What happened when (seconds since the epoch).

    Attributes:
        prometheus: looked on.
        namespace: of the workloads.
        start: the first scrape.
        peak: all that the storm did can be seen, and nothing has been moved back.
        end: pods have been moved back, and the API server was away for a moment.
    """

    prometheus: Prometheus
    namespace: str
    start: float
    peak: float = 0.0
    end: float = 0.0
    variables: dict[str, str] = field(default_factory=lambda: {"cluster": "", "job": JOB, "spot_price": "35"})


async def _settle(cluster: Cluster) -> None:
    """Workloads of every kind of trouble, at their splits where they can be."""
    budget = {"selector": {"matchLabels": {"app": "kept"}}, "maxUnavailable": 0}
    path = f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets"
    await cluster.api.request("POST", path, body={"metadata": {"name": "kept"}, "spec": budget})
    await cluster.deployment("web", 12, policy(spot_percentage=75, min_on_demand=2))
    await cluster.deployment("kept", 4, policy(spot_percentage=0))
    await cluster.deployment("waits", 3, policy(spot_percentage=100, when_unsatisfiable="wait"))
    await cluster.deployment("watched", 4, policy(spot_percentage=50, mode="audit"))
    await cluster.deployment("wrong", 2, policy(spot_percentage="most"))
    # No node takes such pods.
    await cluster.deployment("floor", 3, policy(spot_percentage=50, min_on_demand=2), cpu="100")
    await cluster.expect("web", spot=9, on_demand=3)
    await cluster.expect("waits", spot=3)
    await cluster.expect("kept", on_demand=4)
    await cluster.ready("web", 12)
    # From now on two of its pods are too many, and its budget lets none go.
    await cluster.annotate("Deployment", "kept", policy(spot_percentage=50))


async def _strike(pair: Pair, cluster: Cluster) -> None:
    await add_taint(pair.api, MARKED, SPOT_NOTICE)
    await asyncio.gather(*(terminate_node(pair.api, name, notice=1.0) for name in TAKEN))
    await cluster.expect("web", on_demand=12)

    async def waiting() -> int:
        return (await cluster.split("waits")).get("pending", 0)

    await eventually(waiting, bool, "a pod waits for spot")


async def _return(pair: Pair, cluster: Cluster) -> None:
    """Spot capacity comes back, and the API server is away for a moment."""
    pool = node_pool(4, capacity_class="spot", zones=ZONES, instance_types=("m.large", "c.large"), prefix="back")
    await create_nodes(pair.api, pool)
    await cluster.expect("waits", spot=3)

    async def moved() -> int:
        return (await cluster.split("web")).get("spot", 0)

    await eventually(moved, lambda spot: spot >= 2, "pods are moved back to spot", 40)
    await pair.plane.apiserver.restart()

    async def follow() -> list[int]:
        return [len(await cluster.pods("web"))]

    await eventually(follow, bool, "the API server is back")
    await asyncio.sleep(stretched(2 * SETTLED))


@contextlib.asynccontextmanager
async def storm(folder: Path, rules: Path) -> AsyncIterator[Storm]:
    """Run the script on two replicas, of which one leads.

    Args:
        folder: for the files of Prometheus and of the webhook.
        rules: what Prometheus evaluates.
    """
    hook = Hook.of_files(folder)
    ports = dict(zip(REPLICAS, (hook.port, free_port()), strict=True))

    def flags(name: str) -> list[str]:
        return [*hook.flags_at(ports[name]), *drift_flags()]

    async with opened_pair(SHORT, flags, weight=15) as (pair, cluster):
        targets = {name: replica.metrics_url for name, replica in pair.replicas.items()}
        async with scraping(folder, targets, rules) as prometheus:
            await pair.leader()
            await hook.register(pair.api)
            seen = Storm(prometheus, cluster.namespace, time.time())
            await asyncio.sleep(stretched(SETTLED))
            await _settle(cluster)
            await asyncio.sleep(stretched(SETTLED))
            await _strike(pair, cluster)
            await asyncio.sleep(stretched(SETTLED))
            seen.peak = time.time()
            await _return(pair, cluster)
            seen.end = time.time()
            yield seen
