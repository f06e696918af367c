"""What it costs that the scheduler offers an extender a sample of the nodes.

2,000 nodes of which 6 are spot, 20 pods that want spot; `percentageOfNodesToScore` at its default (the scheduler stops
at 680 nodes that fit) and at 5 (at 100 nodes, as large clusters come to). An extender that waits for a sample with a
spot node rejects again and again; Spotmix nominates a node that was not offered. Counted: attempts the scheduler called
unschedulable, and the time from the first pod made to the last one bound, on the real scheduler.
"""

import asyncio
import ssl
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.progress import Progress

from bench import goextender
from bench.programs import fetch, running
from bench.report import Bench, spread
from bench.throughput import Extender, control_plane
from bench.workloads import TYPES, ZONES, Fleet, Workload, add_nodes
from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane, node_pool
from extender.sandbox.spotmix import SpotmixServe, scheduler_config

NAME = "sampling"
SPOT_NODES, PODS = 6, 20
LIMIT = 60.0
SAMPLES = {0: "default sample", 5: "5 % sample"}
BARE, SPOTMIX, GO = "bare, any node", "Spotmix", "Go, names only, no cure"


@dataclass(frozen=True, slots=True)
class _Seen:
    """One try: seconds until all were bound, attempts in vain, and the pods not on spot."""

    seconds: float
    attempts: float
    missed: int


async def _attempts(plane: ControlPlane) -> float:
    """Attempts that the scheduler called unschedulable, from its own metrics."""
    credentials = plane._credentials
    context = ssl.create_default_context(cafile=str(credentials.ca_path))
    context.load_cert_chain(credentials.probe)
    lines = (await asyncio.to_thread(fetch, f"{plane.scheduler.url}/metrics", context)).splitlines()
    name, result = "scheduler_schedule_attempts_total", 'result="unschedulable"'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and result in line)


async def _try(plane: ControlPlane, fleet: Fleet, make: Extender, percentage: int) -> _Seen:
    extender = make()
    sample = {"percentageOfNodesToScore": percentage} if percentage else {}
    async with AsyncExitStack() as stack:
        if extender is not None:
            await stack.enter_async_context(running(extender))
        plane.scheduler.configure({**sample, **(scheduler_config(extender.url) if extender is not None else {})})
        await stack.enter_async_context(running(plane.scheduler))
        before = await _attempts(plane)
        began = time.perf_counter()
        await fleet.create_pods()
        while True:
            split = next(iter((await fleet.splits()).values()))
            seconds = time.perf_counter() - began
            if not split.get("pending") or seconds > LIMIT:
                break
            await asyncio.sleep(0.05)
        seen = _Seen(seconds, await _attempts(plane) - before, PODS - split.get("spot", 0))
    await fleet.delete_pods()
    return seen


async def _nodes(api: ApiClient, progress: Progress, count: int) -> None:
    shape: dict[str, Any] = {"zones": ZONES, "instance_types": TYPES, "cpu": "16", "memory": "64Gi"}
    plenty = node_pool(count - SPOT_NODES, capacity_class="on-demand", **shape)
    few = node_pool(SPOT_NODES, capacity_class="spot", **shape)
    # In the middle of the others: nodes are offered in the order in which the scheduler came to know them.
    await add_nodes(api, progress, [*plenty[: count // 2], *few, *plenty[count // 2 :]])


async def run(bench: Bench) -> None:
    """Measure and report."""
    count, tries = bench.size(2000, 300), bench.size(3, 1)
    binary = await goextender.build(bench)
    async with control_plane() as (plane, api):
        fleet = Fleet(api, [Workload("wants-spot", PODS, 100)])
        await fleet.create_workloads()
        listing = "".join(f"spot-{n} spot\n" for n in range(SPOT_NODES))
        extenders: dict[str, Extender] = {BARE: lambda: None, SPOTMIX: lambda: SpotmixServe(plane)}
        if binary is not None:
            found = binary
            extenders[GO] = lambda: goextender.component(found, plane.directory, listing, "-lean", "-spot=100")
        with bench.progress() as progress:
            await _nodes(api, progress, count)
            total = tries * len(extenders) * len(SAMPLES)
            task = progress.add_task("20 pods that want one of 6 spot nodes", total=total)
            for percentage, sample in SAMPLES.items():
                seen: dict[str, list[_Seen]] = {name: [] for name in extenders}
                for _ in range(tries):
                    for name, make in extenders.items():
                        seen[name].append(await _try(plane, fleet, make, percentage))
                        bench.say(f"{sample}, {name}: {seen[name][-1].seconds:.1f} s")
                        progress.advance(task)
                _report(bench, seen, f"{SPOT_NODES} of {count:,} nodes are spot, {sample}")


def _report(bench: Bench, seen: dict[str, list[_Seen]], what: str) -> None:
    for name, results in seen.items():
        times = [each.seconds for each in results]
        note = f"{spread(times)}" + (f"; given up after {LIMIT:.0f} s" if max(times) > LIMIT else "")
        bench.add(NAME, f"until all {PODS} run: {what}", name, median(times), "s", note=note)
    for name, results in seen.items():
        attempts = [each.attempts for each in results]
        bench.add(NAME, f"attempts in vain: {what}", name, median(attempts), "attempts", note=spread(attempts))
    for name, results in seen.items():
        if name != BARE:
            missed = [float(each.missed) for each in results]
            bench.add(NAME, f"not on spot: {what}", name, max(missed), "pods", note=spread(missed))
