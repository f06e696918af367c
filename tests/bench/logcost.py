"""What it costs a filter request that its decision is kept for explanations.

The same requests to two extenders over one state, in turn, in process: one tells the decision log, one tells nobody.
Then the same requests over HTTP to two `spotmix serve`, in turn: one keeps decisions as it does by default, one keeps
none; nobody subscribes to either. Logs are full: each new entry takes the place of an old one.
"""

import gc
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import msgspec

from bench.awake import awake
from bench.client import Connection
from bench.cluster import Cluster
from bench.programs import Serve, python, running, scratch
from bench.report import Bench, Target, spread
from bench.test_micro import NOW, Loaded, Silent, answer
from bench.wirespeed import NODES, REPLICAS, WORKLOADS, Followers, Names, Requests
from extender.core.answers.decisions import SIZE, DecisionLog
from extender.core.placement.controller import PlacementController
from extender.core.placement.decide import Decision, PodView
from extender.sandbox.ports import free_port
from extender.servers.extender import Extender

NAME = "log"
SIZES = (100, 500, 5000)
WITHOUT, WITH = "without a log", "with the log"
OVERHEAD = Target("<=", 1.05)


class Keeper(Silent):
    """An observer that tells the log."""

    def __init__(self) -> None:
        self.log = DecisionLog()

    def decided(self, pod: PodView, decision: Decision) -> None:
        self.log.add(NOW, "filter", pod, decision)


def _extender(loaded: Loaded, observer: Silent) -> Extender:
    return Extender(PlacementController(loaded.state, 100), observer, observer, lambda: None, time.time)


async def run(bench: Bench) -> None:
    """Measure and report."""
    _in_process(bench)
    await _over_http(bench)


def _in_process(bench: Bench) -> None:
    loaded, keeper = Loaded(), Keeper()
    subjects = {WITHOUT: _extender(loaded, Silent()), WITH: _extender(loaded, keeper)}
    for _ in range(bench.size(SIZE, 100)):
        body = loaded.body(1)
        answer(subjects[WITH].filter, body)
        loaded.release(body)
    rounds, requests = bench.size(15, 3), bench.size(200, 20)
    for size in SIZES:
        medians: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(rounds):
            times: dict[str, list[float]] = {name: [] for name in subjects}
            gc.disable()
            for number in range(requests):
                # Who comes second finds caches warm.
                for name, extender in list(subjects.items())[:: 1 if number % 2 else -1]:
                    times[name].append(_time(loaded, size, extender.filter))
            gc.enable()
            for name, seen in times.items():
                medians[name].append(median(seen))
        _add(bench, f"filter in process, {size:,} names", medians)


def _add(bench: Bench, what: str, medians: dict[str, list[float]]) -> None:
    """Report the medians of the rounds of each, in seconds."""
    bare, kept = medians[WITHOUT], medians[WITH]
    ratio = median(new / old for new, old in zip(kept, bare, strict=True))
    bench.add(NAME, what, WITHOUT, median(bare) * 1e6, "us", note=spread([1e6 * each for each in bare]))
    bench.add(
        *(NAME, what, WITH, median(kept) * 1e6, "us"),
        against=WITHOUT,
        ratio=ratio,
        target=OVERHEAD,
        note=spread([1e6 * each for each in kept]),
    )


def _time(loaded: Loaded, size: int, verb: Callable[[bytes], object]) -> float:
    body = loaded.body(size)
    began = time.perf_counter()
    answer(verb, body)
    seconds = time.perf_counter() - began
    loaded.release(body)
    return seconds


async def _over_http(bench: Bench) -> None:
    rounds, count = bench.size(15, 2), bench.size(200, 20)
    cluster = Cluster(NODES, WORKLOADS, REPLICAS, 0)
    async with AsyncExitStack() as stack:
        where = Path(stack.enter_context(scratch()))
        port = free_port()
        arguments = [str(n) for n in (port, NODES, WORKLOADS, REPLICAS, 0)]
        api = await stack.enter_async_context(running(python("fakeapi", "bench.fakeapi", arguments, where, port)))
        serves = {}
        for number, (name, size) in enumerate(((WITHOUT, 0), (WITH, SIZE))):
            flags = (f"--extender-decision-log={size}", "--scale-in-deletion-cost=false")
            serves[name] = Serve(f"spotmix-{number}", where, api.url, *flags)
            await stack.enter_async_context(running(serves[name]))
        servers = {name: stack.enter_context(Connection(serve.url)) for name, serve in serves.items()}
        followers = Followers(cluster, stack.enter_context(Connection(api.url)), list(serves.values()))
        stack.enter_context(awake())
        medians: dict[int, dict[str, list[float]]] = {size: {name: [] for name in servers} for size in SIZES}
        requests = {size: Requests(cluster, size) for size in SIZES}
        fill = bench.size(SIZE // count, 1)
        for number in range(fill + rounds * len(SIZES)):
            size = SIZES[number % len(SIZES)] if number >= fill else SIZES[0]
            pods = range(number * count, (number + 1) * count)
            times, bound = turns(servers, requests[size], pods)
            await followers.settle(bound)
            if number >= fill:
                for name, seen in times.items():
                    medians[size][name].append(median(seen))
    for size in SIZES:
        _add(bench, f"filter over HTTP, {size:,} names", medians[size])


def turns(
    servers: dict[str, Connection], requests: Requests, pods: range
) -> tuple[dict[str, list[float]], dict[int, str]]:
    """Seconds of each request, every one sent to both in turn; and a node that passed, by pod."""
    times: dict[str, list[float]] = {name: [] for name in servers}
    bound: dict[int, str] = {}
    for pod in pods:
        body = requests.body(pod)
        for name, connection in list(servers.items())[:: 1 if pod % 2 else -1]:
            message = connection.message("/filter", body)
            began = time.perf_counter()
            told = connection.exchange(message)
            times[name].append(time.perf_counter() - began)
        decoded = msgspec.json.decode(told, type=Names)
        if not decoded.names:
            raise RuntimeError(f"filter answered {told[:200]!r}")
        bound[pod] = decoded.names[0]
    return times, bound
