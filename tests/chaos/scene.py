"""Where it is played: a control plane, two replicas behind a Service, a proxy before the API server, clocks to step."""

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from programs import faketime
from support.cluster import Cluster
from support.driftstage import drift_flags
from support.pair import REPLICAS, SHORT, Pair, opened_pair
from support.service import Service
from support.stage import standard_nodes
from support.webhook import Hook

from chaos.churn import Churn
from chaos.memory import Memory
from chaos.proxy import FaultyApi
from chaos.truth import Truth
from extender.sandbox import ControlPlane, SimNode, create_nodes
from extender.sandbox.controlplane import ADMIN_GROUP
from extender.sandbox.ports import free_port
from extender.sandbox.spotmix import SpotmixServe


@dataclass(frozen=True)
class Clock:
    """The wall clock of one replica: a file that libfaketime reads. What counts seconds goes on as before."""

    path: Path

    def step(self, seconds: int) -> None:
        """Have it differ from the real one by so much."""
        self.path.write_text(f"{seconds:+d}\n")

    def environ(self, library: Path) -> dict[str, str]:
        """What a process needs in order to live by it."""
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@dataclass
class Scene:
    """What faults are played on."""

    plane: ControlPlane
    pair: Pair
    proxy: FaultyApi
    truth: Truth
    churn: Churn
    clocks: dict[str, Clock]
    hooks: dict[str, int]
    memory: Memory
    rng: random.Random
    bodies: int

    @property
    def cluster(self) -> Cluster:
        """The namespace of the workloads."""
        return self.truth.cluster

    async def leader(self) -> SpotmixServe:
        """The replica that leads."""
        return self.pair.replicas[await self.pair.leader()]

    def ports(self, replica: SpotmixServe) -> dict[str, int]:
        """The ports that a replica listens on, by what they are for."""
        return {
            "extender": urlsplit(replica.url).port or 0,
            "metrics": urlsplit(replica.metrics_url).port or 0,
            "api": int(replica.api_target.rpartition(":")[2]),
            "webhook": self.hooks[replica.name],
        }


@contextlib.asynccontextmanager
async def opened_scene(seed: int, bodies: int) -> AsyncIterator[Scene]:
    """Open one.

    Args:
        seed: of all that is chosen.
        bodies: how many fuzzed bodies a port gets.
    """
    rng = random.Random(seed)  # noqa: S311 - the same order in every run
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        library = await asyncio.to_thread(faketime)
        clocks = {name: Clock(folder / f"{name}.clock") for name in REPLICAS}
        for clock in clocks.values():
            clock.step(0)
        hooks = {name: free_port() for name in REPLICAS}
        service = await stack.enter_async_context(Service(hooks))
        hook = Hook.self_made(service.port)
        kubeconfig = folder / "proxy.kubeconfig"
        made: list[FaultyApi] = []
        # The namespace is known only once all is up; nothing is evicted before.
        truth: list[Truth] = []

        async def proxied(plane: ControlPlane) -> None:
            api = await stack.enter_async_context(await plane.connect())
            truth.append(Truth(Cluster(api, "test")))
            # The stand-ins of the replicas' pods would be removed after a minute if their node did not exist.
            node = SimNode("elsewhere", taints=({"key": "chaos", "effect": "NoSchedule"},))
            await create_nodes(api, [node])
            identity = str(plane.write_kubeconfig("spotmix", (ADMIN_GROUP,)))
            made.append(await stack.enter_async_context(FaultyApi(identity, truth[0], rng)))
            kubeconfig.write_text(_kubeconfig(made[0].url))

        pair, cluster = await stack.enter_async_context(
            opened_pair(
                SHORT,
                lambda name: [*drift_flags(), *hook.flags_at(hooks[name]), "--kubeconfig", str(kubeconfig)],
                environ=lambda name: clocks[name].environ(library),
                before=proxied,
            )
        )
        await hook.register(pair.api)
        nodes = [node for node in standard_nodes() if node.capacity_class == "spot"]
        churn = Churn(truth[0], nodes, rng)
        assert cluster.namespace == truth[0].cluster.namespace
        memory = await stack.enter_async_context(Memory(pair.replicas.values()))
        yield Scene(pair.plane, pair, made[0], truth[0], churn, clocks, hooks, memory, rng, bodies)


def _kubeconfig(url: str) -> str:
    named = {"cluster": "proxied", "user": "spotmix"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxied", "cluster": {"server": url}}],
            "users": [{"name": "spotmix", "user": {}}],
            "contexts": [{"name": "proxied", "context": named}],
            "current-context": "proxied",
        }
    )
