"""A stage without nodes that real Karpenter gives some, and a scheduler that has never heard of Spotmix."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from extender.kube.client import ApiClient
from support.audit import Audit
from support.cluster import pod_template
from support.driftstage import Drifting, drift_flags
from support.karpenter import Karpenter, running_karpenter
from support.stage import Stage
from support.webhook import open_hooked_stage

STOCK = "stock"
_OWN = "example.com/namespace"


class Autoscaled(Drifting):
    """One namespace, whose pods run on nodes of pools of its own."""

    def __init__(self, api: ApiClient, namespace: str, audit: Audit, karpenter: Karpenter) -> None:
        super().__init__(api, namespace, audit)
        self.karpenter = karpenter
        self._pools: list[str] = []

    async def pool(self, *classes: str, name: str = "pool", **pool: Any) -> str:
        """A NodePool for this namespace's pods alone; its name in the API. Further arguments as of `Karpenter.pool`."""
        full = f"{self.namespace}-{name}"
        self._pools.append(full)
        labels = {_OWN: self.namespace, **pool.pop("labels", {})}
        await self.karpenter.pool(full, *classes, labels=labels, **pool)
        return full

    def template(self, app: str, cpu: str = "500m", **pod: Any) -> dict[str, Any]:
        """A pod template; two pods of 500m, or three, fill the smallest node."""
        selector = {_OWN: self.namespace, **pod.pop("nodeSelector", {})}
        return pod_template({"app": app}, cpu, **{"schedulerName": STOCK, "nodeSelector": selector, **pod})

    async def deployment(
        self,
        name: str,
        replicas: int,
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        strategy: Mapping[str, Any] | None = None,
        **pod: Any,
    ) -> None:
        """See `Cluster`; the pods are of `template`."""
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": self.template(name, **pod),
            **({"strategy": strategy} if strategy else {}),
        }
        await self.create("Deployment", name, spec, annotations, labels)

    async def delete(self) -> None:
        """Delete the namespace and its pools, with their nodes, without waiting for them to be gone."""
        await super().delete()
        await self.karpenter.remove(*self._pools)


class AutoscaledStage:
    """A stage with Karpenter, whose API server keeps an audit log."""

    def __init__(self, stage: Stage, karpenter: Karpenter, audit: Audit) -> None:
        self.stage = stage
        self.karpenter = karpenter
        self._audit = audit
        self._count = 0

    @contextlib.asynccontextmanager
    async def namespace(self) -> AsyncIterator[Autoscaled]:
        """A namespace of the test's own, without a pool yet; what can be launched is what could at first."""
        self._count += 1
        cluster = Autoscaled(self.stage.api, f"scaled-{self._count}", self._audit, self.karpenter)
        await cluster.create_namespace()
        try:
            yield cluster
        finally:
            self.karpenter.allow()
            await cluster.delete()


@contextlib.asynccontextmanager
async def open_autoscaled(folder: Path, flags: Sequence[str] = (), **drift: Any) -> AsyncIterator[AutoscaledStage]:
    """Open a stage.

    Args:
        folder: for certificates and the audit log.
        flags: further flags of `spotmix serve`.
        drift: settings of the drift loop, see `drift_flags`.
    """
    audit = Audit(folder)
    all_flags = [*drift_flags(**drift), *flags]
    async with open_hooked_stage(folder, [], all_flags, apiserver_flags=audit.flags) as stage:
        await stage.plane.start_scheduler(STOCK)
        async with running_karpenter(stage.plane, stage.api) as karpenter:
            yield AutoscaledStage(stage, karpenter, audit)
