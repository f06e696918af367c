"""How many pods per second a real kube-scheduler places, bare and with an extender.

A real control plane on loopback with 1,000, then 5,000 simulated nodes in twelve pools, `percentageOfNodesToScore` at
its default, no controller manager. A round: pods of ReplicaSets with policies of all sorts are made while no scheduler
runs; the extender under test and a fresh scheduler are started; one watch of bound pods tells when each was bound. The
figure is the rate from the first binding to the last; that between 5 % and 95 % of the pods tells how much of it is
the wait for a few rejected ones. How evenly pods are spread is counted too: in the fullest pool of a workload and
class, the pods beyond an even share. Rounds take turns, every third one is bare, and a ratio is a round's rate divided
by the mean of the bare rounds before and after it: throughput drifts. Everything shares the machine's cores.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

from rich.progress import Progress

from bench import goextender
from bench.programs import metrics, running, usage
from bench.report import Bench, Target, spread
from bench.workloads import Fleet, Requires, Workload, add_nodes, nodes
from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane
from extender.sandbox.process import Component
from extender.sandbox.spotmix import SpotmixServe, scheduler_config

NAME = "scheduler"
BARE = "bare"
GO, LEAN = "Go", "Go, lean (names only)"
BEST, SCORED = "Spotmix", "Spotmix, asked for scores"
WEIGHT = 15
"""Of the scores of all extenders but `BEST`, which is asked for none."""
TARGET_NODES, TARGET = 5000, Target(">=", 0.9)
POLICIES = ((70, 0), (50, 2), (100, 0), (30, 5), (80, 1), (0, 0), (60, 10), (90, 3))
REPLICAS = 25
ROUND_SECONDS = 180.0


@dataclass(slots=True)
class Round:
    """One timed round: when pods were bound (monotonic seconds), CPU seconds used, and what went wrong."""

    bound: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    rejections: float = 0.0
    crowding: list[int] = field(default_factory=list)

    def rate(self, low: float = 0.0, high: float = 1.0) -> float:
        """Pods per second between two shares of the pods."""
        first, last = int(low * (len(self.bound) - 1)), int(high * (len(self.bound) - 1))
        return (last - first) / max(1e-9, self.bound[last] - self.bound[first])


Extender = Callable[[], Component | None]


class Stage:
    """The control plane with a fleet, and the rounds on it; `pools` has those of the nodes, if they are of interest."""

    def __init__(
        self,
        plane: ControlPlane,
        api: ApiClient,
        fleet: Fleet,
        extenders: Mapping[str, Extender],
        pools: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self._plane, self._api, self._fleet, self._extenders, self._pools = plane, api, fleet, extenders, pools

    async def round(self, name: str, progress: Progress, requires: Requires | None = None) -> Round:
        """Time one scheduler with or without an extender; `requires` says how pods require their class, if they do."""
        fleet, scheduler = self._fleet, self._plane.scheduler
        await fleet.create_pods(progress, requires)
        result = Round()
        extender = self._extenders[name]()
        async with AsyncExitStack() as stack:
            config = {}
            if extender is not None:
                await stack.enter_async_context(running(extender))
                config = scheduler_config(extender.url, weight=0 if name == BEST else WEIGHT)
            scheduler.configure(config)
            watched = asyncio.create_task(self._watch(await fleet.version(), result, progress, name))
            stack.callback(watched.cancel)
            await stack.enter_async_context(running(scheduler))
            parts: dict[str, Component] = {"scheduler": scheduler, "apiserver": self._plane.apiserver}
            if extender is not None:
                parts["extender"] = extender
            before = {key: usage(part.pid).cpu for key, part in parts.items()}
            await asyncio.wait_for(watched, ROUND_SECONDS)
            result.cpu = {key: usage(part.pid).cpu - before[key] for key, part in parts.items()}
            if isinstance(extender, SpotmixServe):
                samples = await metrics(extender.metrics_url)
                result.rejections = sum(v for k, v in samples.items() if REJECTED.match(k))
                result.wrong = await fleet.wrong()
            if self._pools is not None:
                result.crowding = await fleet.crowding(self._pools)
        await fleet.delete_pods()
        return result

    async def _watch(self, version: str, result: Round, progress: Progress, name: str) -> None:
        """Take the time of every binding until all pods are bound."""
        task = progress.add_task(f"binding: {name}", total=self._fleet.pods)
        try:
            async with aclosing(self._fleet.bindings(version)) as bindings:
                async for moment in bindings:
                    result.bound.append(moment)
                    progress.advance(task)
        finally:
            progress.remove_task(task)


REJECTED = re.compile(r'spotmix_decisions_total\{.*outcome="rejected"')


@asynccontextmanager
async def control_plane() -> AsyncIterator[tuple[ControlPlane, ApiClient]]:
    """A control plane whose scheduler is started by us and that has no controllers."""
    flags = ("--delete-collection-workers=8",)
    plane = ControlPlane(with_scheduler=False, with_controller_manager=False, apiserver_flags=flags)
    async with plane, await plane.connect() as api:
        yield plane, api


def _fleet(api: ApiClient, pods: int) -> Fleet:
    count = max(1, pods // REPLICAS)
    policies = [POLICIES[n % len(POLICIES)] for n in range(count)]
    return Fleet(api, [Workload(f"service-{n:03d}", REPLICAS, *policy) for n, policy in enumerate(policies)])


async def run(bench: Bench) -> None:
    """Measure and report."""
    sizes = (bench.size(1000, 60), bench.size(5000, 200))
    loops, pods = bench.size(3, 1), bench.size(1000, 100)
    binary = await goextender.build(bench)
    async with control_plane() as (plane, api):
        folder = plane.directory
        fleet = _fleet(api, pods)
        await fleet.create_workloads()
        made = 0
        for size in sizes:
            with bench.progress() as progress:
                await add_nodes(api, progress, nodes(made, size - made))
                made = size
                extenders = _extenders(plane, binary, folder, size)
                pools = {node.name: (node.instance_type, node.zone) for node in nodes(0, size)}
                stage = Stage(plane, api, fleet, extenders, pools)
                order = _order(list(extenders), loops)
                task = progress.add_task(f"rounds at {size:,} nodes", total=len(order))
                rounds = []
                for name in order:
                    result = await stage.round(name, progress)
                    rounds.append((name, result))
                    bench.say(f"{size:,} nodes, {name}: {result.rate():.0f} pods/s")
                    progress.advance(task)
            _report(bench, size, rounds)


def _extenders(plane: ControlPlane, binary: Path | None, folder: Path, size: int) -> dict[str, Extender]:
    listing = "".join(f"{node.name} {node.capacity_class}\n" for node in nodes(0, size))
    extenders: dict[str, Extender] = {
        BARE: lambda: None,
        BEST: lambda: SpotmixServe(plane),
        SCORED: lambda: SpotmixServe(plane, f"--scheduler-config-weight={WEIGHT}", name="spotmix-asked"),
    }
    if binary is not None:
        found = binary
        extenders[GO] = lambda: goextender.component(found, folder, listing)
        extenders[LEAN] = lambda: goextender.component(found, folder, listing, "-lean")
    return extenders


def _order(names: list[str], loops: int) -> list[str]:
    """A bare round before every second one of the others, and at the end."""
    others = [name for name in names if name != BARE] * loops
    pairs = [others[at : at + 2] for at in range(0, len(others), 2)]
    return [*(each for pair in pairs for each in (BARE, *pair)), BARE]


def _report(bench: Bench, size: int, rounds: list[tuple[str, Round]]) -> None:
    names = list(dict.fromkeys(name for name, _ in rounds))
    for name in names:
        mine = [(at, each) for at, (other, each) in enumerate(rounds) if other == name]
        crowding = [count for _, each in mine for count in each.crowding]
        rates = [each.rate() for _, each in mine]
        pods = sum(len(each.bound) for _, each in mine)
        cpu = {key: sum(each.cpu.get(key, 0.0) for _, each in mine) / pods * 1e3 for key in mine[0][1].cpu}
        note = f"{spread(rates)}; CPU ms/pod: " + ", ".join(f"{key} {ms:.2f}" for key, ms in cpu.items())
        note += f"; fullest pool beyond an even share: mean {mean(crowding):.2f}, most {max(crowding)} pods"
        ratio = None
        if name != BARE:
            bare = [at for at, (other, _) in enumerate(rounds) if other == BARE]
            around = [(rounds[_last(bare, at)][1], each, rounds[_next(bare, at)][1]) for at, each in mine]
            ratio = median([_against(*three) for three in around])
            middle = median([_against(*three, low=0.05, high=0.95) for three in around])
            note = f"5-95 % of pods: {middle:.2f}x; {note}"
        bench.add(
            *(NAME, f"pods/s at {size:,} nodes", name, median(rates), "pods/s"),
            against=BARE if ratio is not None else "",
            ratio=ratio,
            target=TARGET if name == BEST and size == TARGET_NODES else None,
            note=note,
        )
    for name in names:
        if name not in (BEST, SCORED):
            continue
        results = [each for other, each in rounds if other == name]
        wrong = [text for each in results for text in each.wrong]
        rejections = sum(each.rejections for each in results)
        note = f"{wrong[0] if wrong else 'every workload exact'}; {rejections:.0f} rejections in {len(results)} rounds"
        bench.add(NAME, f"inexact splits at {size:,} nodes", name, len(wrong), "workloads", note=note)


def _last(bare: list[int], at: int) -> int:
    return max(each for each in bare if each < at)


def _next(bare: list[int], at: int) -> int:
    return min(each for each in bare if each > at)


def _against(before: Round, this: Round, after: Round, low: float = 0.0, high: float = 1.0) -> float:
    """A round's rate over the mean of those around it."""
    return this.rate(low, high) * 2 / (before.rate(low, high) + after.rate(low, high))
