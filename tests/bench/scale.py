"""How long the state of a large cluster takes to load, what it weighs, and what an event costs.

The real `spotmix serve`, with all that it has by default and as a pod reaches its cluster (by TLS, with the token of a
service account), lists a synthetic cluster from a fake API server in another process: seconds are from the
start of the process to ready, memory is the kernel's. Then changes of pods come by its watch as fast as it takes them:
CPU time per event is that of the whole way from the socket on. A second process loads the same cluster into the state
without I/O and times decoding and applying alone, and the garbage collector's pauses.
"""

import asyncio
import contextlib
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from support.certificates import Authority

from bench.client import Connection
from bench.cluster import Cluster, extent
from bench.programs import (
    Serve,
    Usage,
    events_taken,
    fetch,
    measured,
    metrics,
    python,
    running,
    scratch,
    until_rest,
    until_taken,
    usage,
)
from bench.report import Bench, Target
from extender.sandbox.ports import LOOPBACK, free_port

NAME = "scale"
EVENT, SCRAPE = Target("<=", 50.0), Target("<=", 100.0)
PING = 0.01
CHUNK = 500
SCRAPES = 20
FOLLOWS = ("--leader-election-enabled=true", "--leader-election-namespace", "default")


@dataclass(frozen=True, slots=True)
class Size:
    """A cluster, and what memory it may take."""

    nodes: int
    workloads: int
    replicas: int
    memory: Target
    start: Target

    @property
    def text(self) -> str:
        """In words."""
        return extent(self.nodes, self.workloads, self.replicas)


SIZES = (
    Size(500, 1000, 10, Target("<=", 90.0), Target("<=", 3.0)),
    Size(5000, 10_000, 15, Target("<=", 190.0), Target("<=", 15.0)),
)
QUICK = (Size(50, 100, 10, Target("<=", 90.0), Target("<=", 3.0)),)


class Stalls:
    """Asks /livez again and again: the longest answer is how long the event loop was busy with something else."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._longest = 0.0

    async def watch(self) -> None:
        """Ask until cancelled."""
        while True:
            began = time.perf_counter()
            with contextlib.suppress(OSError):
                await asyncio.to_thread(fetch, f"{self._url}/livez")
            self._longest = max(self._longest, (time.perf_counter() - began) * 1e3)
            await asyncio.sleep(PING)

    def longest(self) -> float:
        """Milliseconds, since the last call."""
        longest, self._longest = self._longest, 0.0
        return longest


async def _events(cluster: Cluster, api: Connection, serve: Serve, count: int) -> tuple[float, float]:
    """Deliver changes of pods by the watch; return when all are applied, with the seconds and CPU seconds it took."""
    before = await events_taken(serve)
    bodies = []
    for start in range(0, count, CHUNK):
        lines = []
        for number in range(start, min(start + CHUNK, count)):
            pod = number * 7919 % cluster.pods
            workload, rank = pod % cluster.workloads, pod // cluster.workloads
            body = cluster.pod(workload, pod, cluster.place(workload, rank), version=number + 2, ready=number % 2 == 1)
            lines.append(b'{"type":"MODIFIED","object":%b}\n' % body)
        bodies.append(api.message("/bench/pods", b"".join(lines)))
    began, idle = time.perf_counter(), usage(serve.pid)
    for body in bodies:
        await asyncio.to_thread(api.exchange, body)
    ended, used = await until_rest(serve)
    await until_taken(serve, before + count)
    return ended - began, used.cpu - idle.cpu


async def _scrapes(serve: Serve, count: int) -> tuple[list[float], int]:
    """Milliseconds of each of so many scrapes, and the size of the last (bytes)."""
    times, size = [], 0
    for _ in range(count):
        began = time.perf_counter()
        size = len(await asyncio.to_thread(fetch, f"{serve.metrics_url}/metrics"))
        times.append((time.perf_counter() - began) * 1e3)
        await asyncio.sleep(PING)
    return times, size


async def _process(bench: Bench, size: Size, folder: Path, count: int) -> None:
    """The real process."""
    cluster = Cluster(size.nodes, size.workloads, size.replicas)
    async with AsyncExitStack() as stack:
        port, secure = free_port(), free_port()
        authority = Authority("bench")
        authority.write(folder / "ca.crt")
        (folder / "token").write_text("bench")
        pair = authority.issue(folder, "api", [LOOPBACK])
        arguments = [str(n) for n in (port, size.nodes, size.workloads, size.replicas, cluster.pods)]
        arguments += ["bound", "0", str(secure), str(pair.cert), str(pair.key)]
        api = await stack.enter_async_context(running(python("fakeapi", "bench.fakeapi", arguments, folder, port)))
        secured = f"https://{LOOPBACK}:{secure}"
        series = ("--metrics-workload-series", str(size.workloads))
        follower = Serve("follower", folder, secured, *series, *FOLLOWS, account=folder)
        async with running(follower):
            # What makes its byte code is no measure of a pod.
            pass
        async with running(follower):
            if (await metrics(follower.metrics_url))["spotmix_leader"]:
                raise RuntimeError("the follower leads")
            followed = usage(follower.pid)
            await asyncio.sleep(3.0)
            followed = max(followed, usage(follower.pid), key=lambda each: each.rss)
        serve = Serve("spotmix", folder, secured, *series, account=folder)
        began = time.perf_counter()
        await stack.enter_async_context(running(serve))
        seconds = time.perf_counter() - began
        loaded = usage(serve.pid)
        control = stack.enter_context(Connection(api.url))
        made = float(await asyncio.to_thread(control.exchange, control.message("/bench/made", b"")))
        stalls = Stalls(serve.metrics_url)
        watcher = asyncio.create_task(stalls.watch())
        stack.callback(watcher.cancel)
        await asyncio.sleep(3.0)
        settled, stall = usage(serve.pid), stalls.longest()
        took, used = await _events(cluster, control, serve, count)
        busy, busy_stall = usage(serve.pid), stalls.longest()
        scrapes, length = await _scrapes(serve, SCRAPES)
        scraped, scrape_stall = usage(serve.pid), stalls.longest()
    bench.add(
        *(NAME, f"resident memory of a follower, {size.text}", "spotmix serve", followed.rss, "MB"),
        target=size.memory,
        note=f"in the 3 s after ready, peak {followed.peak:.0f}",
    )
    who = "spotmix serve"
    bench.add(
        *(NAME, f"start to ready, {size.text}", who, seconds, "s"),
        target=size.start,
        note=f"CPU {loaded.cpu:.1f} s; the fake API server made pages for {made:.1f} s meanwhile",
    )
    worst: Usage = max(loaded, settled, busy, key=lambda each: each.rss)
    bench.add(
        *(NAME, f"resident memory, {size.text}", who, worst.rss, "MB"),
        target=size.memory,
        note=f"ready {loaded.rss:.0f}, 3 s later {settled.rss:.0f}, after {count:,} events {busy.rss:.0f}, "
        f"peak {busy.peak:.0f}",
    )
    bench.add(
        *(NAME, f"a pod event from the watch, {size.text}", who, used / count * 1e6, "us CPU"),
        note=f"{count / took:,.0f} events/s taken, the readiness questions of this benchmark included",
    )
    bench.add(
        *(NAME, f"longest stall, {size.text}", who, stall, "ms"),
        note=f"of /livez in the 3 s after ready; {busy_stall:.0f} ms in the burst of events",
    )
    bench.add(
        *(NAME, f"a scrape, {size.text}, p50", who, statistics.median(scrapes), "ms"),
        target=SCRAPE if size.workloads <= 1000 else None,
        note=f"longest {max(scrapes):.0f} ms, {length / 1e6:.1f} MB, series of every workload; "
        f"{(scraped.cpu - busy.cpu) / SCRAPES * 1e3:.0f} ms CPU, longest stall {scrape_stall:.0f} ms",
    )


async def _state(bench: Bench, size: Size, count: int) -> None:
    """The state alone."""
    numbers = (size.nodes, size.workloads, size.replicas, count)
    seen = await measured("the state's process", "bench.statechild", *numbers)
    who = "state alone"
    for what, key in (("a pod event, decoded and applied", "event_us"), ("a pod event, applied", "apply_us")):
        mean, p50, p99 = seen[key]
        target = EVENT if key == "event_us" else None
        note = f"p99 {p99:.1f}, mean {mean:.1f} us"
        bench.add(NAME, f"{what}, {size.text}, p50", who, p50, "us", target=target, note=note)
    bench.add(
        *(NAME, f"load, {size.text}", who, seen["decode_s"] + seen["apply_s"], "s"),
        note=f"decode {seen['decode_s']:.2f}, apply {seen['apply_s']:.2f} s; {seen['rss_mb']:.0f} MB",
    )
    bench.add(
        *(NAME, f"longest gc pause, {size.text}", who, seen["gc_events_ms"], "ms"),
        note=f"in events; load {seen['gc_load_ms']:.1f}, full before freeze {seen['gc_full_ms']:.1f}, "
        f"full after {seen['gc_frozen_ms']:.1f}",
    )


async def run(bench: Bench) -> None:
    """Measure and report."""
    count = bench.size(20_000, 1000)
    sizes = QUICK if bench.quick else SIZES
    with bench.progress() as progress:
        task = progress.add_task("state", total=2 * len(sizes))
        for size in sizes:
            with scratch() as folder:
                progress.update(task, description=f"state: {size.text}")
                await _process(bench, size, Path(folder), count)
                progress.advance(task)
                await _state(bench, size, count)
                progress.advance(task)
