"""A cluster with something to see: workloads at their split and off it, one that waits, one whose policy is wrong."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from extender.sandbox.nodes import SPOT_NOTICE
from support.cluster import Cluster, policy
from support.patience import eventually
from support.stage import Stage, open_stage, standard_nodes

FLAGS = ("--drift-min-pod-age", "1h", "--extender-interruption-half-life", "6h")
"""No pod is old enough to be moved, so that what is off its split stays so."""

NAMESPACES = ("shop", "payments", "search")


class ConsoleScene:
    """The stage, and its namespaces by name."""

    def __init__(self, stage: Stage, clusters: dict[str, Cluster]) -> None:
        self.stage = stage
        self.clusters = clusters

    @property
    def url(self) -> str:
        return f"{self.stage.spotmix.metrics_url}/console"


@contextlib.asynccontextmanager
async def open_scene() -> AsyncIterator[ConsoleScene]:
    """Open it."""
    async with open_stage(standard_nodes(spot=9, on_demand=6), FLAGS) as stage:
        clusters = {name: Cluster(stage.api, name) for name in NAMESPACES}
        for cluster in clusters.values():
            await cluster.create_namespace()
        await _fill(clusters)
        await _interrupt(stage)
        yield ConsoleScene(stage, clusters)


async def _fill(clusters: dict[str, Cluster]) -> None:
    shop, payments, search = (clusters[name] for name in NAMESPACES)
    await asyncio.gather(
        shop.deployment("web", 20, policy(spot_percentage=70, min_on_demand=2)),
        shop.deployment("cart", 12, policy(spot_percentage=50)),
        shop.deployment("catalogue", 8, policy(spot_percentage=100)),
        shop.deployment("images", 6, policy(spot_percentage=60, max_per_pool=2)),
        shop.deployment("recommendations", 10, policy(spot_percentage=80, mode="audit")),
        payments.deployment("ledger", 4, policy(min_on_demand=4)),
        payments.deployment("gateway", 9, policy(spot_percentage=40, min_on_demand=3)),
        payments.deployment("fraud", 5, policy(spot_percentage="most")),
        search.deployment("indexer", 10, policy(spot_percentage=30)),
        search.deployment("query", 16, policy(spot_percentage=75)),
        search.deployment("trainer", 6, policy(spot_percentage=100, when_unsatisfiable="wait"), cpu="5"),
    )
    await asyncio.gather(
        shop.expect("web", spot=14, on_demand=6),
        shop.ready("recommendations", 10),
        payments.expect("gateway", spot=3, on_demand=6),
        payments.expect("fraud", on_demand=5),
        search.expect("indexer", spot=3, on_demand=7),
        search.expect("query", spot=12, on_demand=4),
        search.ready("trainer", 6),
    )
    # What was right a moment ago is off its split now; no pod is old enough to be moved.
    await search.annotate("Deployment", "indexer", policy(spot_percentage=80))
    await search.scale("Deployment", "trainer", 11)
    await eventually(lambda: search.split("trainer"), lambda seen: seen.get("pending", 0) > 0, "trainers that wait")


async def _interrupt(stage: Stage) -> None:
    """Announce that one spot node will be taken away."""
    nodes = json.loads(await stage.api.request("GET", "/api/v1/nodes"))["items"]
    name = next(node["metadata"]["name"] for node in nodes if "spot" in node["metadata"]["name"])
    patch = {"spec": {"taints": [SPOT_NOTICE]}}
    await stage.api.request("PATCH", f"/api/v1/nodes/{name}", body=patch, content_type="application/merge-patch+json")
