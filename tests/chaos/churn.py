"""What users and the cloud do meanwhile: workloads come, grow, roll out and go; spot nodes are taken and come back."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

from support.cluster import Cluster, pod_template, policy

from chaos.truth import Truth, Wanted, policy_of
from extender.core.model.errors import ApiError
from extender.sandbox import SimNode, create_nodes, terminate_node

WORKLOADS = 8
_PAUSE = (0.2, 1.2)
_AGAIN = 0.5
_THERE, _GONE = 409, 404


class Churn:
    """Changes the workloads of a namespace and its spot nodes.

    Args:
        truth: what is wanted; kept true to what was done.
        spot: the nodes that may be taken.
        rng: chooses what is done.
    """

    def __init__(self, truth: Truth, spot: list[SimNode], rng: random.Random) -> None:
        self._truth, self._spot, self._rng = truth, spot, rng
        self._count = 0

    @property
    def _cluster(self) -> Cluster:
        return self._truth.cluster

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Change something all the time; what is under way at the end is done first."""
        stopped = asyncio.Event()
        task = asyncio.create_task(self._go(stopped))
        try:
            yield
        finally:
            stopped.set()
            await task

    async def _go(self, stopped: asyncio.Event) -> None:
        while not stopped.is_set():
            await self.step()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), self._rng.uniform(*_PAUSE))

    async def step(self) -> None:
        """Change one thing."""
        names = list(self._truth.wanted)
        if len(names) < WORKLOADS:
            await self.make()
            return
        (action,) = self._rng.choices((self._scale, self._roll_out, self._replace, self._lose_node), (5, 2, 2, 2))
        await action(self._rng.choice(names))

    async def make(self) -> None:
        """Make a workload."""
        self._count += 1
        wanted = Wanted(
            self._rng.choice(("Deployment", "Deployment", "StatefulSet")),
            self._rng.randint(3, 12),
            self._rng.choice((30, 50, 70, 70, 100)),
            self._rng.choice((0, 1, 2)),
        )
        name = f"{wanted.kind.lower()}-{self._count}"
        spec = {
            "replicas": wanted.replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template({"app": name}),
        }
        if wanted.kind == "StatefulSet":
            spec |= {"serviceName": name, "podManagementPolicy": "Parallel"}
        annotations = policy(**policy_of(wanted))
        await _until_done(lambda: self._cluster.create(wanted.kind, name, spec, annotations), _THERE)
        self._truth.wanted[name] = wanted

    async def _scale(self, name: str) -> None:
        old = self._truth.wanted[name]
        new = Wanted(old.kind, self._rng.randint(3, 12), old.spot_percentage, old.min_on_demand)
        await _until_done(lambda: self._cluster.scale(old.kind, name, new.replicas))
        self._truth.wanted[name] = new

    async def _roll_out(self, name: str) -> None:
        marks = {"annotations": {"chaos": str(self._rng.random())}}
        patch = {"spec": {"template": {"metadata": marks}}}
        await _until_done(lambda: self._cluster.patch(self._truth.wanted[name].kind, name, patch))

    async def _replace(self, name: str) -> None:
        kind = self._truth.wanted.pop(name).kind
        background = {"propagationPolicy": "Background"}

        async def delete() -> None:
            await self._cluster.api.request("DELETE", self._cluster.path(kind, name), body=background)

        await _until_done(delete, _GONE)
        await self.make()

    async def _lose_node(self, _: str) -> None:
        node = self._rng.choice(self._spot)
        notice = self._rng.choice((0.0, 1.0))
        await _until_done(lambda: terminate_node(self._cluster.api, node.name, notice=notice), _GONE)
        await _until_done(lambda: create_nodes(self._cluster.api, [node]), _THERE)


async def _until_done(action: Callable[[], Awaitable[None]], done: int = 0) -> None:
    """Try until the API server has it; `done` is the status that says that it was so already."""
    while True:
        try:
            await action()
        except ApiError as error:
            if error.status == done:
                return
            await asyncio.sleep(_AGAIN)
        else:
            return
