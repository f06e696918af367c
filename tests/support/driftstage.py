"""Workloads off their split on a real control plane, and what the drift loop did about them: by the audit log."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from extender.kube.client import ApiClient
from extender.sandbox import SimNode
from support.audit import Audit
from support.cluster import Cluster, pod_template, policy
from support.patience import eventually, stretched
from support.stage import Stage, open_stage

ON_DEMAND_ONLY = policy(spot_percentage=0)
IGNORED = "example.com/ignored"
"""A resource that no node has, and that the scheduler is told to ignore."""
_IGNORES = {"name": "NodeResourcesFit", "args": {"ignoredResources": [IGNORED]}}


def drift_flags(**settings: Any) -> list[str]:
    """Flags of `spotmix serve`: settings of the drift loop by name, over short times that let a test end soon."""
    short: dict[str, Any] = {
        "interval": "5s",
        "min_pod_age": "0s",
        "dwell": "1s",
        "max_moves_per_hour": 1000,
        "workload_in_flight": 30,
        "max_unavailable": 30,
        "replacement_timeout": f"{stretched(20):.0f}s",
    }
    flags: list[str] = []
    for name, value in {**short, **settings}.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        flags += [f"--drift-{name.replace('_', '-')}", text]
    return flags


@dataclass(frozen=True)
class Eviction:
    """An eviction that was asked for, as the API server saw it."""

    user: str
    pod: str
    status: int
    dry_run: bool
    at: datetime


class Drifting(Cluster):
    """One namespace whose workloads drift."""

    def __init__(self, api: ApiClient, namespace: str, audit: Audit) -> None:
        super().__init__(api, namespace)
        self._audit = audit

    async def drift(
        self, name: str, replicas: int, wanted: Mapping[str, str], kind: str = "Deployment", **pod: Any
    ) -> None:
        """Have a workload Ready on on-demand nodes alone whose policy is `wanted` from now on."""
        await self.steady(name, replicas, kind, **pod)
        await self.annotate(kind, name, wanted)

    async def steady(self, name: str, replicas: int, kind: str = "Deployment", **pod: Any) -> None:
        """Have a workload Ready on on-demand nodes alone, as it wants to be."""
        if kind == "StatefulSet":
            await self.stateful_set(name, replicas, ON_DEMAND_ONLY, **pod)
        else:
            await self.deployment(name, replicas, ON_DEMAND_ONLY, **pod)
        await self.expect(name, on_demand=replicas)
        await self.ready(name, replicas)

    async def stateful_set(
        self, name: str, replicas: int, annotations: Mapping[str, str] | None = None, **pod: Any
    ) -> None:
        spec = {
            "replicas": replicas,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template({"app": name}, **pod),
        }
        await self.create("StatefulSet", name, spec, annotations)

    async def budget(self, name: str, app: str, **spec: Any) -> None:
        """A PodDisruptionBudget over the pods of an app, once its status is current."""
        path = f"/apis/policy/v1/namespaces/{self.namespace}/poddisruptionbudgets"
        selector = {"matchLabels": {"app": app}}
        body = {"metadata": {"name": name}, "spec": {"selector": selector, **spec}}
        await self.api.request("POST", path, body=body)

        async def status() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(await self.api.request("GET", f"{path}/{name}"))
            return {**found["status"], "generation": found["metadata"]["generation"]}

        await eventually(
            status,
            lambda s: s.get("observedGeneration") == s["generation"] and s.get("expectedPods", 0) > 0,
            f"the status of PodDisruptionBudget {name} is current",
        )

    def evictions(self, *, dry_run: bool = False) -> list[Eviction]:
        """The evictions that were asked for in this namespace, answered by now."""
        return [e for e in self._ends() if e.dry_run == dry_run]

    def evicted(self) -> list[str]:
        """Names of the pods whose eviction the API server granted."""
        return [e.pod for e in self.evictions() if e.status == 201]

    def deleted(self) -> list[str]:
        """Names of the pods that Spotmix asked to be deleted: there must be none."""
        return [
            event["objectRef"].get("name", "")
            for event in self._audit.events(f'"namespace":"{self.namespace}"')
            if event["verb"] in ("delete", "deletecollection") and event["user"]["username"] == "spotmix"
        ]

    def _ends(self) -> list[Eviction]:
        return [
            Eviction(
                event["user"]["username"],
                event["objectRef"]["name"],
                event["responseStatus"]["code"],
                "All" in parse_qs(urlsplit(event["requestURI"]).query).get("dryRun", ()),
                datetime.fromisoformat(event["requestReceivedTimestamp"]),
            )
            for event in self._audit.events(f'"namespace":"{self.namespace}"')
            if event.get("objectRef", {}).get("subresource") == "eviction"
        ]

    async def uids(self, app: str) -> set[str]:
        return {pod["metadata"]["uid"] for pod in await self.pods(app)}


class DriftStage:
    """A stage whose API server keeps an audit log."""

    def __init__(self, stage: Stage, audit: Audit) -> None:
        self.stage = stage
        self._audit = audit

    @contextlib.asynccontextmanager
    async def namespace(self) -> AsyncIterator[Drifting]:
        """A namespace of the test's own."""
        async with self.stage.namespace() as plain:
            yield Drifting(self.stage.api, plain.namespace, self._audit)


@contextlib.asynccontextmanager
async def drift_stage(
    folder: Path, nodes: Sequence[SimNode] | None = None, flags: Sequence[str] = (), **settings: Any
) -> AsyncIterator[DriftStage]:
    """Open a stage.

    Args:
        folder: where the audit log goes.
        nodes: the simulated nodes; the standard ones when None.
        flags: further flags of `spotmix serve`.
        settings: of the drift loop, see `drift_flags`.
    """
    audit = Audit(folder)
    scheduler = {"profiles": [{"schedulerName": "default-scheduler", "pluginConfig": [_IGNORES]}]}
    async with open_stage(nodes, [*drift_flags(**settings), *flags], scheduler, apiserver_flags=audit.flags) as stage:
        yield DriftStage(stage, audit)
