"""What callers of the gRPC API cost the scheduler: filter over HTTP with and without them.

The real `spotmix serve`, synced from a fake API server. The benchmark's own process sends filter requests on one
keep-alive connection, one after another; another process calls the API: it follows all decisions, has pods explained
or lists workloads again and again without rest. Each scene has the same requests, in turn.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from bench.awake import awake
from bench.client import Connection
from bench.cluster import Cluster
from bench.programs import Serve, environment, python, running, scratch, usage
from bench.report import Bench, quantile, spread
from bench.wirespeed import Requests, timed
from extender.sandbox.ports import free_port

NAME = "api"
NODES, WORKLOADS, REPLICAS = 1000, 1000, 10
SIZE = 500
CALM = "nobody"
SCENES = (CALM, "one follows decisions", "one lists workloads without rest", "one has pods explained without rest")
MODES = {SCENES[1]: "watch", SCENES[2]: "list", SCENES[3]: "explain"}


@contextlib.asynccontextmanager
async def _caller(target: str, scene: str) -> AsyncIterator[asyncio.subprocess.Process | None]:
    """The process that calls, once it has been answered; None in the scene without one."""
    if scene not in MODES:
        yield None
        return
    arguments = ("-m", "bench.apichild", target, MODES[scene])
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment(), stdin=pipe, stdout=pipe
    )
    try:
        if process.stdout is None or not await process.stdout.readline():
            raise RuntimeError(f"the caller that should {MODES[scene]} was not answered")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def run(bench: Bench) -> None:
    """Measure and report."""
    rounds, count = bench.size(8, 2), bench.size(400, 30)
    cluster = Cluster(NODES, WORKLOADS, REPLICAS)
    times: dict[str, list[list[float]]] = {scene: [] for scene in SCENES}
    told: dict[str, list[str]] = {scene: [] for scene in SCENES}
    with scratch() as folder, awake():
        async with AsyncExitStack() as stack:
            port = free_port()
            arguments = [str(n) for n in (port, NODES, WORKLOADS, REPLICAS, cluster.pods)]
            api = await stack.enter_async_context(
                running(python("fakeapi", "bench.fakeapi", arguments, Path(folder), port))
            )
            serve = Serve("spotmix", Path(folder), api.url, "--scale-in-deletion-cost=false")
            bare = Serve("bare", Path(folder), api.url, "--scale-in-deletion-cost=false", "--api-enabled=false")
            for each in (serve, bare):
                await stack.enter_async_context(running(each))
            loaded = (usage(serve.pid).rss, usage(bare.pid).rss)
            connection = stack.enter_context(Connection(serve.url))
            requests = Requests(cluster, SIZE)
            pod = cluster.pods
            for number in range(rounds + 1):
                turn = number % len(SCENES)
                for scene in SCENES[turn:] + SCENES[:turn]:
                    bodies = [requests.body(each) for each in range(pod, pod + count)]
                    pod += count
                    async with _caller(serve.api_target, scene) as caller:
                        seen, _ = await asyncio.to_thread(timed, connection, "/filter", bodies)
                        if caller is not None:
                            told[scene].append(await _farewell(caller))
                    if number:
                        times[scene].append(seen)
    calm = median(value for each in times[CALM] for value in each)
    for scene, stretches in times.items():
        every = [value for each in stretches for value in each]
        note = f"p99 {quantile(every, 0.99):,.0f} us; {spread([median(each) for each in stretches])}"
        if told[scene]:
            note += f"; {told[scene][-1]}"
        ratio = median(every) / calm if scene != CALM else None
        against = CALM if scene != CALM else ""
        bench.add(
            NAME, f"filter, {SIZE} names, p50", scene, median(every), "us", against=against, ratio=ratio, note=note
        )
    note = f"{loaded[1]:.0f} MB with api.enabled=false; {cluster.pods:,} pods, {WORKLOADS:,} workloads, {NODES:,} nodes"
    bench.add(NAME, "resident memory, synced", "with the API", loaded[0], "MB", note=note)


async def _farewell(caller: asyncio.subprocess.Process) -> str:
    """End the caller; what it has to tell."""
    output, _ = await caller.communicate(b"\n")
    return output.decode().strip()
