"""The acts: all from zero nodes, a rollout, scaling, the loss of all spot nodes, a time without, and their return."""

import asyncio
import contextlib
import math
import re
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.cluster import Cluster, pod_template, policy
from support.karpenter import Karpenter, running_karpenter
from support.patience import eventually
from support.placeholders import allow_placeholders
from support.stage import Stage
from support.webhook import open_hooked_stage

from story.meter import Meter, Phase
from story.workloads import WORKLOADS, Asked

STOCK = "stock"
_WITHOUT_SPOT = 40.0
"""Seconds."""
_SETTLE = 30.0
"""Seconds after which nothing is under way that was not before: Karpenter consolidates after 10."""
_LONGEST = 180.0
"""Seconds that an act may take before the story goes on without its end."""
_TELL = 5.0
"""How often is told how an act goes on (seconds)."""
_MOVES = 'spotmix_drift_evictions_total{mode="enforce",outcome="evicted"}'
_EVICTIONS = re.compile(
    rb'^apiserver_request_total\{code="201",.*resource="pods",.*subresource="eviction".*\} (\d+)', re.MULTILINE
)


@dataclass
class Result:
    """What one telling gave.

    Attributes:
        surplus: replicas beyond what is wanted on a class, on average over the whole story.
        surplus_ordinary: the same without the time in which there was no spot, or replicas came back to it.
        off_before_loss: replicas off their class at rest, before the loss.
        off_at_end: the same at the end.
        below_floor: workload-seconds, by act and workload ("rollout: web").
        ready_after_loss: seconds until all were Ready again.
        right_after_return: seconds until all were right again.
        most_missing: most replicas of a workload that were not Ready at once while they came back.
        stood_in: replicas off their class when spot came back.
        moves: evictions by Spotmix, from the time when spot came back.
        other_evictions: all others that the API server granted.
        price: of 1,000 Ready pod-hours.
        price_ordinary: the same without the time in which there was no spot, or replicas came back to it.
        acts: seconds that each act took, infinite where it did not end.
    """

    surplus: float = 0.0
    surplus_ordinary: float = 0.0
    off_before_loss: int = 0
    off_at_end: int = 0
    below_floor: dict[str, float] = field(default_factory=dict)
    ready_after_loss: float = 0.0
    right_after_return: float = 0.0
    most_missing: int = 0
    stood_in: int = 0
    moves: int = 0
    other_evictions: int = 0
    price: float = 0.0
    price_ordinary: float = 0.0
    acts: dict[str, float] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether every act came to its end, and all is right."""
        return all(math.isfinite(seconds) for seconds in self.acts.values()) and not self.off_at_end


@dataclass
class Scene:
    """Where it is told."""

    stage: Stage
    cluster: Cluster
    karpenter: Karpenter
    meter: Meter

    async def act(
        self, what: Callable[[], Awaitable[None]], done: Callable[[], bool], told: Callable[[str], None]
    ) -> float:
        """Have something happen, and wait until it is done; seconds, or infinity where it never is."""
        began = last = time.monotonic()
        await what()

        async def look() -> bool:
            nonlocal last
            if time.monotonic() - last >= _TELL:
                last = time.monotonic()
                told(f"  {last - began:.0f} s: {self.meter.off()} off, {self.meter.now.pending.total()} pending")
            # The meter looks on by itself; what it saw before is no answer.
            return self.meter.now.at > began and done()

        try:
            await eventually(look, bool, "the act is over", _LONGEST)
        except AssertionError:
            return math.inf
        return self.meter.now.at - began

    async def scale(self, **replicas: int) -> None:
        """Ask for other numbers of replicas."""
        for name, count in replicas.items():
            asked = self.meter.asked[name]
            self.meter.asked[name] = asked.of(count)
            await self.cluster.scale(asked.kind, name, count)


@contextlib.asynccontextmanager
async def opened_scene(flags: Sequence[str]) -> AsyncIterator[Scene]:
    """A control plane without nodes, Karpenter that consolidates, the stock scheduler, Spotmix without extender."""
    with tempfile.TemporaryDirectory(prefix="story-") as folder:
        async with open_hooked_stage(Path(folder), [], flags) as stage:
            await stage.plane.start_scheduler(STOCK)
            await allow_placeholders(stage.api)
            async with running_karpenter(stage.plane, stage.api) as karpenter, stage.namespace() as cluster:
                await karpenter.pool("mixed", "spot", "on-demand", consolidate="10s")
                meter = Meter(cluster, {asked.name: asked for asked in WORKLOADS})
                async with meter.running():
                    yield Scene(stage, cluster, karpenter, meter)


async def tell(flags: Sequence[str], told: Callable[[str], None]) -> Result:
    """Tell the story once.

    Args:
        flags: further flags of `spotmix serve`.
        told: is told what happens, a line at a time.
    """
    result = Result()
    async with opened_scene(flags) as scene:
        meter, cluster, karpenter = scene.meter, scene.cluster, scene.karpenter

        async def act(name: str, what: Callable[[], Awaitable[None]], done: Callable[[], bool] = meter.right) -> float:
            meter.act = name
            seconds = await scene.act(what, done, told)
            result.acts[name] = seconds
            told(f"{name}: {seconds:.1f} s, {meter.off()} replicas off")
            return seconds

        async def create() -> None:
            await asyncio.gather(*(_create(cluster, asked) for asked in WORKLOADS))

        async def roll_out() -> None:
            template = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
            await asyncio.gather(*(cluster.patch("Deployment", name, template) for name in ("web", "api")))

        async def lose() -> None:
            karpenter.refuse("spot")
            meter.phase = Phase.WITHOUT
            told(f"{await karpenter.lose('spot')} spot nodes are lost")

        async def give_back() -> None:
            karpenter.refuse()
            meter.phase = Phase.RETURN

        await act("created from zero nodes", create)
        await act("rollout", roll_out)
        await act("scaled up", lambda: scene.scale(web=16, api=12))
        await act("scaled down", lambda: scene.scale(web=10, api=8))
        await asyncio.sleep(_SETTLE)
        result.off_before_loss = meter.off()
        began = time.monotonic()
        result.ready_after_loss = await act("all Ready again after the loss of spot", lose, meter.all_ready)
        await asyncio.sleep(max(0.0, _WITHOUT_SPOT - (time.monotonic() - began)))
        result.stood_in, moved = meter.off(), _moves(scene)
        result.right_after_return = await act("right again after spot is back", give_back)
        meter.phase = Phase.ORDINARY
        result.moves = _moves(scene) - moved
        await asyncio.sleep(_SETTLE)
        result.off_at_end = meter.off()
        result.other_evictions = await _evictions(scene) - result.moves
        total, ordinary = meter.total, meter.sums[Phase.ORDINARY]
        result.surplus, result.surplus_ordinary = total.surplus_on_average, ordinary.surplus_on_average
        result.price, result.price_ordinary = total.price_of_1000, ordinary.price_of_1000
        result.most_missing = meter.most_missing
        result.below_floor = {f"{act}: {name}": seconds for (act, name), seconds in meter.below_floor.items()}
        for where, seconds in result.below_floor.items():
            told(f"{seconds:.1f} s below the floor, {where}")
        if meter.missed:
            told(f"{meter.missed} looks were not answered")
    return result


async def _create(cluster: Cluster, asked: Asked) -> None:
    annotations = policy(spot_percentage=asked.spot_percentage, min_on_demand=asked.floor)
    if asked.kind == "Deployment":
        await cluster.deployment(asked.name, asked.replicas, annotations, cpu=asked.cpu, schedulerName=STOCK)
        return
    spec: Mapping[str, Any] = {
        "replicas": asked.replicas,
        "serviceName": asked.name,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": asked.name}},
        "template": pod_template({"app": asked.name}, cpu=asked.cpu, schedulerName=STOCK),
    }
    await cluster.create(asked.kind, asked.name, spec, annotations)


def _moves(scene: Scene) -> int:
    """How many evictions Spotmix was granted."""
    return int(scene.stage.metric(_MOVES) or 0)


async def _evictions(scene: Scene) -> int:
    """How many evictions the API server granted, whoever asked for them."""
    return sum(int(count) for count in _EVICTIONS.findall(await scene.stage.api.request("GET", "/metrics")))
