"""A whole stage: control plane, simulated nodes and kubelet, `spotmix serve`, attached to the default scheduler."""

import asyncio
import contextlib
import itertools
import json
import re
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane, SimKubelet, SimNode, bulk, create_nodes, node_pool
from extender.sandbox.nodestart import STARTUP_TAINTS
from extender.sandbox.spotmix import SpotmixServe, scheduler_config
from support.cluster import Cluster
from support.patience import eventually, stretched

ZONES = ("a", "b", "c")
TERMINATION = 0.3
"""Seconds that pods take to end which have a grace period."""
# kube-scheduler logs errors as E1121 08:00:00. These are not ours: they tell of the API server's restarts.
_ERROR = re.compile(r"^[EF]\d{4} ")
NO_VARIABLES: Mapping[str, str] = {}
_NOT_OURS = re.compile(
    "reflector.go|leaderelection|connection refused|event_broadcaster|failed to list|the object has been modified"
    # A test ends, and its pods with it, while the scheduler still preempts for one of them, or writes on it.
    r"|Could not get the updated preemptor pod object.*not found|preemption: pod .*not found"
    r"|Error updating pod.*not found"
)


def standard_nodes(spot: int = 9, on_demand: int = 6) -> list[SimNode]:
    return node_pool(spot, capacity_class="spot", zones=ZONES, instance_types=("m.large", "c.large")) + node_pool(
        on_demand, capacity_class="on-demand", zones=ZONES
    )


def scheduler_errors(text: str) -> list[str]:
    """Error lines in a scheduler's log that tell of more than the API server's absence."""
    return [line for line in text.splitlines() if _ERROR.match(line) and not _NOT_OURS.search(line)]


async def begin_anew(plane: ControlPlane) -> None:
    """Restart Kubernetes' own controllers, which find an API server that was away by their back-off alone."""
    await asyncio.gather(plane.controller_manager.restart(), plane.scheduler.restart())


def metric_lines(serve: SpotmixServe) -> list[str]:
    """What /metrics says, a line each."""
    with urllib.request.urlopen(f"{serve.metrics_url}/metrics", timeout=stretched(5)) as response:  # noqa: S310 - http on loopback
        text: str = response.read().decode()
    return text.splitlines()


class Stage:
    """What a test has: see the module."""

    def __init__(self, plane: ControlPlane, api: ApiClient, kubelet: SimKubelet, spotmix: SpotmixServe) -> None:
        self.plane = plane
        self.api = api
        self.kubelet = kubelet
        self.spotmix = spotmix
        self._numbers = itertools.count()
        self._log_offset = 0

    @contextlib.asynccontextmanager
    async def namespace(
        self, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None
    ) -> AsyncIterator[Cluster]:
        """A namespace of the test's own; its pods go at the end."""
        cluster = Cluster(self.api, f"test-{next(self._numbers)}")
        await cluster.create_namespace(labels, annotations)
        try:
            yield cluster
        finally:
            await cluster.delete()

    @contextlib.asynccontextmanager
    async def alone(self, nodes: Sequence[SimNode]) -> AsyncIterator[Cluster]:
        """A namespace of the test's own on nodes of its own, of a stage that has no others; all go at the end."""
        await create_nodes(self.api, nodes)
        await self._knows(len(nodes))
        try:
            async with self.namespace() as cluster:
                yield cluster
        finally:
            await self._clear()

    async def _knows(self, nodes: int) -> None:
        """Wait until the service knows of so many nodes."""

        async def known() -> float:
            pools = [line for line in metric_lines(self.spotmix) if line.startswith("spotmix_pool_nodes{")]
            return sum(float(line.rsplit(" ", 1)[1]) for line in pools)

        await eventually(known, lambda count: count == nodes, f"{nodes} nodes are known")

    async def _clear(self) -> None:
        """Take all nodes away, once none has a pod; those of the next test shall not be taken for them."""

        async def pods() -> list[Any]:
            found: list[Any] = json.loads(await self.api.request("GET", "/api/v1/pods"))["items"]
            return found

        await eventually(pods, lambda found: not found, "all pods are gone")
        nodes = json.loads(await self.api.request("GET", "/api/v1/nodes"))["items"]
        names = [node["metadata"]["name"] for node in nodes]
        await bulk(names, lambda name: self.api.request("DELETE", f"/api/v1/nodes/{name}"))
        await self._knows(0)

    def scheduler_errors(self) -> list[str]:
        """Error lines in the scheduler's log since the last call that tell of more than the API server's absence."""
        with self.plane.scheduler.log_path.open("rb") as log:
            log.seek(self._log_offset)
            text = log.read().decode(errors="replace")
            self._log_offset = log.tell()
        return scheduler_errors(text)

    def metric(self, line_start: str) -> float | None:
        """The value of the metric line that starts so; None when there is none."""
        line = next((line for line in metric_lines(self.spotmix) if line.startswith(line_start)), None)
        return float(line.rsplit(" ", 1)[1]) if line is not None else None


@contextlib.asynccontextmanager
async def open_stage(
    nodes: Sequence[SimNode] | None = None,
    flags: Sequence[str] = (),
    scheduler: Mapping[str, Any] | None = None,
    *,
    apiserver_flags: Sequence[str] = (),
    environ: Mapping[str, str] = NO_VARIABLES,
    **extender: Any,
) -> AsyncIterator[Stage]:
    """Open a stage.

    Args:
        nodes: the simulated nodes; the standard ones when None.
        flags: further flags of `spotmix serve`.
        scheduler: further fields of the scheduler's configuration.
        apiserver_flags: further flags of the API server.
        environ: further environment variables of `spotmix serve`.
        extender: fields of the extender's stanza in the scheduler's configuration.
    """
    async with contextlib.AsyncExitStack() as stack:
        # The scheduler is started once its extender can be named.
        plane = await stack.enter_async_context(ControlPlane(with_scheduler=False, apiserver_flags=apiserver_flags))
        api = await stack.enter_async_context(await plane.connect())
        kubelet = await stack.enter_async_context(
            SimKubelet(api, startup_taints=STARTUP_TAINTS, termination_delay=TERMINATION)
        )
        await create_nodes(api, standard_nodes() if nodes is None else nodes)
        spotmix = SpotmixServe(plane, "--log-level", "debug", *flags, **environ)
        stack.push_async_callback(spotmix.stop)
        # A scheduler asks its extender about pods alone, and there are none yet.
        config = {**scheduler_config(spotmix.url, **extender), **(scheduler or {})}
        await asyncio.gather(spotmix.start(), plane.scheduler.restart(config))
        stage = Stage(plane, api, kubelet, spotmix)
        stage.scheduler_errors()
        yield stage
        spotmix.check()
        plane.check()
