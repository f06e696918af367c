"""Two replicas of `spotmix serve` on a real control plane, behind what a Service does."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlsplit

from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane, SimKubelet, SimNode, create_nodes
from extender.sandbox.spotmix import SpotmixServe, scheduler_config
from support.cluster import Cluster
from support.patience import eventually, stretched
from support.podstreams import NODE, PodStreams, make_pod
from support.service import LeaderService
from support.stage import standard_nodes

SYSTEM = "spotmix-system"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/spotmix"
NO_TIMES: Mapping[str, float] = {}
REPLICAS = ("spotmix-a", "spotmix-b")
AWAY = "away"
"""The node of the replicas' pods where nobody forwards ports of theirs."""
SHORT = {"lease-duration": 3.0, "renew-deadline": 2.0, "retry-period": 0.5}
"""Seconds; a slow machine gets more."""


class Pair:
    """Two replicas, their pods' stand-ins, and the Service before them."""

    def __init__(
        self,
        plane: ControlPlane,
        api: ApiClient,
        kubelet: SimKubelet,
        replicas: dict[str, SpotmixServe],
        service: LeaderService,
    ) -> None:
        self.plane = plane
        self.api = api
        self.kubelet = kubelet
        self.replicas = replicas
        self.service = service
        self._numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def namespace(self) -> AsyncIterator[Cluster]:
        """A namespace of the test's own; its pods go at the end."""
        cluster = Cluster(self.api, f"test-{next(self._numbers)}")
        await cluster.create_namespace()
        try:
            yield cluster
        finally:
            await cluster.delete()

    async def leader(self) -> str:
        """The one replica that the Service selects, once there is just one."""
        (name,) = await eventually(self.service.selected, lambda names: len(names) == 1, "one leader", 30)
        return name

    async def successor(self, of: str, seconds: float = 30) -> str:
        (name,) = await eventually(self.service.selected, lambda n: len(n) == 1 and n != [of], "a successor", seconds)
        return name

    async def holder(self) -> str:
        holder: str = json.loads(await self.api.request("GET", LEASE))["spec"]["holderIdentity"]
        return holder


@contextlib.asynccontextmanager
async def opened_pair(
    times: Mapping[str, float] = NO_TIMES,
    flags: Callable[[str], Sequence[str]] = lambda _: (),
    *,
    streams: PodStreams | None = None,
    environ: Callable[[str], Mapping[str, str]] = lambda _: {},
    weight: int = 0,
    before: Callable[[ControlPlane], Awaitable[None]] | None = None,
) -> AsyncIterator[tuple[Pair, Cluster]]:
    """A control plane whose scheduler asks two replicas through a Service, and a namespace on it.

    Args:
        times: settings of leader election, in seconds.
        flags: further flags of a replica, by its name.
        streams: forwards ports of the pods.
        environ: further environment variables of a replica, by its name.
        weight: of the scores that the scheduler asks for; 0 asks for none.
        before: is awaited once the control plane is up, before the replicas are.
    """
    async with contextlib.AsyncExitStack() as stack:
        apiserver_flags = streams.apiserver_flags if streams is not None else ()
        plane = await stack.enter_async_context(ControlPlane(with_scheduler=False, apiserver_flags=apiserver_flags))
        api = await stack.enter_async_context(await plane.connect())
        kubelet = await stack.enter_async_context(SimKubelet(api))
        await create_nodes(api, standard_nodes())
        await api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": SYSTEM}})
        if streams is None:
            # Pods on nodes that do not exist are collected after a minute.
            taints = ({"key": "test/nobody", "effect": "NoSchedule"},)
            await create_nodes(api, [SimNode(AWAY, taints=taints)])
        if before is not None:
            await before(plane)
        if streams is not None:
            await stack.enter_async_context(streams.running(api, [f"{SYSTEM}/{name}" for name in REPLICAS]))
        shared = ["--leader-election-enabled", "true", "--log-level", "debug", f"--scheduler-config-weight={weight}"]
        for name, seconds in times.items():
            shared += [f"--leader-election-{name}", f"{stretched(seconds):.1f}s"]
        replicas = {}
        for name in REPLICAS:
            named = {"POD_NAME": name, "POD_NAMESPACE": SYSTEM, **environ(name)}
            replica = SpotmixServe(plane, *shared, *flags(name), name=name, **named)
            # Nobody runs it, and no scheduler asks about it: it has a node.
            port = int(replica.api_target.rpartition(":")[2])
            await make_pod(api, SYSTEM, name, {"api": port}, node=NODE if streams is not None else AWAY)
            stack.push_async_callback(replica.stop)
            replicas[name] = replica
        # Ready are both: a follower serves what needs no leader.
        await asyncio.gather(*(replica.start() for replica in replicas.values()))
        ports = {name: urlsplit(replica.url).port or 0 for name, replica in replicas.items()}
        service = await stack.enter_async_context(LeaderService(api, SYSTEM, ports))
        await plane.scheduler.restart(scheduler_config(service.url, weight=weight))
        cluster = Cluster(api, "test")
        await cluster.create_namespace()
        yield Pair(plane, api, kubelet, replicas, service), cluster
        plane.check()
