"""What is true in the cluster, asked of the API server itself and not of Spotmix."""

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from support.cluster import Cluster, is_ready

from extender.core.model.errors import ApiError

SPOT, ON_DEMAND = "spot", "on-demand"


@dataclass(frozen=True)
class Wanted:
    """What a workload was made with."""

    kind: str
    replicas: int
    spot_percentage: int
    min_on_demand: int

    @property
    def split(self) -> dict[str, int]:
        """Pods by class at rest: the percentage rounded down to whole pods, but no fewer on-demand than the floor."""
        on_demand = max(self.min_on_demand, self.replicas - self.replicas * self.spot_percentage // 100)
        on_demand = min(on_demand, self.replicas)
        counts = {SPOT: self.replicas - on_demand, ON_DEMAND: on_demand}
        return {name: count for name, count in counts.items() if count}


@dataclass
class Eviction:
    """One that was asked for."""

    granted: bool = False


@dataclass
class Truth:
    """What the workloads of a namespace want, and have.

    Attributes:
        cluster: the namespace.
        wanted: the workloads by name; those of whoever makes and changes them.
        evictions: how many were granted.
        dry: how many were only tried.
        breaches: what an eviction left of a floor, a sentence for each.
    """

    cluster: Cluster
    wanted: dict[str, Wanted] = field(default_factory=dict)
    evictions: int = 0
    dry: int = 0
    breaches: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def eviction(self, namespace: str, pod: str, *, dry: bool) -> AsyncIterator[Eviction]:
        """Hold an eviction that is asked for meanwhile against the floor of its workload."""
        seen = Eviction()
        try:
            left = await self._left(pod) if namespace == self.cluster.namespace and not dry else None
        except ApiError:
            # The API server is away, and so it will be for the eviction.
            left = None
        yield seen
        if dry:
            self.dry += 1
        elif seen.granted:
            self.evictions += 1
            if left is not None:
                self.breaches.append(left)

    async def _left(self, name: str) -> str | None:
        """What is wrong with the floor once this pod is gone; None when nothing is."""
        pods, classes = await self.cluster.pods(), await self.cluster.classes()
        pod = next((p for p in pods if p["metadata"]["name"] == name), None)
        if pod is None or classes.get(pod["spec"].get("nodeName", "")) != ON_DEMAND:
            return None
        app = pod["metadata"]["labels"].get("app", "")
        wanted = self.wanted.get(app)
        if wanted is None:
            return None
        others = sum(
            classes.get(p["spec"].get("nodeName", "")) == ON_DEMAND and is_ready(p)
            for p in pods
            if p["metadata"]["labels"].get("app") == app and p is not pod
        )
        if others >= wanted.min_on_demand:
            return None
        return f"eviction of {name} leaves {others} Ready on-demand pods of {app}, floor {wanted.min_on_demand}"

    async def unrest(self) -> list[str]:
        """What is not at rest, a line for each workload; empty when all is."""
        pods, classes, sizes = await self.cluster.pods(), await self.cluster.classes(), await self.sizes()
        by_app: dict[str, Counter[str]] = {name: Counter() for name in self.wanted}
        waiting: Counter[str] = Counter()
        for pod in pods:
            app = pod["metadata"]["labels"].get("app", "")
            if app not in by_app:
                return [f"{app}: its pods are not gone"]
            node = pod["spec"].get("nodeName")
            by_app[app][classes.get(node, "gone") if node else "pending"] += 1
            waiting[app] += not is_ready(pod)
        lines = []
        for name, made in self.wanted.items():
            # A change may be lost together with the server that was asked for it: what it says now counts.
            wanted = replace(made, replicas=sizes.get(name, 0))
            if by_app[name] != wanted.split or waiting[name]:
                lines.append(f"{name}: {dict(by_app[name])}, {waiting[name]} not Ready; wants {wanted.split}")
        return lines

    async def sizes(self) -> dict[str, int]:
        """How many replicas each workload asks for."""
        found: dict[str, int] = {}
        for kind in ("Deployment", "StatefulSet"):
            listed = json.loads(await self.cluster.api.request("GET", self.cluster.path(kind)))["items"]
            found |= {each["metadata"]["name"]: each["spec"]["replicas"] for each in listed}
        return found


def policy_of(wanted: Wanted) -> dict[str, Any]:
    """Its annotations, by name without the prefix."""
    return {"spot_percentage": wanted.spot_percentage, "min_on_demand": wanted.min_on_demand}
