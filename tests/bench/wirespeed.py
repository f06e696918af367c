"""Filter and prioritize over HTTP: Spotmix against an ordinary Go extender.

Both run as processes of their own and hold the same 5,000 nodes; Spotmix is the real `spotmix serve`, synced from a
fake API server. One client on one keep-alive connection sends the same requests to all in turn (A B C B C A ..), each
with a new pod of 4 KB and 500 or 5,000 node names, from windows of the cluster that turn as the scheduler's do.
Prioritize is sent what the server's own filter passed, as the scheduler does, and all names as well. Between the timed
stretches the pods that Spotmix has placed come back to it as bound, and old ones as deleted, so that seats are really
taken and state does not grow. Ratios are of medians over all rounds. Cores are kept awake (see `awake`), and for
comparison left to sleep in some rounds more.
"""

import random
import time
from collections import deque
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from statistics import median

import msgspec

from bench import goextender
from bench.awake import awake
from bench.client import Connection
from bench.cluster import Cluster
from bench.programs import Serve, events_taken, python, running, scratch, until_taken
from bench.report import Bench, Target, quantile, spread
from extender.sandbox.ports import free_port

NAME = "wire"
NODES, WORKLOADS, REPLICAS = 5000, 200, 20
LIVE_PODS = 2000
SIZES = (500, 5000)
TARGETS = {500: Target("<=", 0.45), 5000: Target("<=", 0.25)}
NAIVE, LEAN = "Go", "Go, lean (names only)"
CAPPED, ALL, UNMANAGED = "Spotmix, 100 candidates", "Spotmix, all candidates", "Spotmix, unmanaged pod"
SEED = 20260301


class Names(msgspec.Struct, rename={"names": "NodeNames", "error": "Error"}):
    """What matters of an answer to filter."""

    names: list[str] | None = None
    error: str = ""


class Requests:
    """Makes requests: a new pod each, and a window of the cluster's names, of `size` names."""

    def __init__(self, cluster: Cluster, size: int) -> None:
        self._cluster = cluster
        names = [cluster.node_name(n) for n in range(cluster.nodes)]
        random.Random(SEED).shuffle(names)  # noqa: S311 - the same order in every run
        step = max(1, len(names) // 8)
        self._windows = [msgspec.json.encode((names[at:] + names[:at])[:size]) for at in range(0, len(names), step)]

    def body(self, pod: int, names: bytes | None = None, *, managed: bool = True) -> bytes:
        """The ExtenderArgs of pod number `pod`, with these names or a window."""
        managed_ones = self._cluster.workloads
        workload = pod % managed_ones if managed else managed_ones
        window = names or self._windows[pod % len(self._windows)]
        return b'{"Pod":%b,"Nodes":null,"NodeNames":%b}' % (self._cluster.request_pod(workload, pod), window)


class Followers:
    """Tells all Spotmix servers, through the fake API server, what became of pods."""

    def __init__(self, cluster: Cluster, api: Connection, serves: list[Serve]) -> None:
        self._cluster, self._api, self._serves = cluster, api, serves
        self._live: deque[tuple[int, str]] = deque()
        self._version = 1000

    async def settle(self, bound: dict[int, str]) -> None:
        """Deliver pods as bound to nodes and the oldest as deleted, and wait until everybody has taken that in."""
        lines = []
        for pod, node in bound.items():
            self._live.append((pod, node))
            lines.append(self._line(b"ADDED", pod, node))
        while len(self._live) > LIVE_PODS:
            lines.append(self._line(b"DELETED", *self._live.popleft()))
        if not lines:
            return
        before = [await events_taken(serve) for serve in self._serves]
        self._api.exchange(self._api.message("/bench/pods", b"".join(lines)))
        for serve, count in zip(self._serves, before, strict=True):
            await until_taken(serve, count + len(lines))

    def _line(self, kind: bytes, pod: int, node: str) -> bytes:
        self._version += 1
        workload = pod % self._cluster.workloads
        place = self._cluster.place(workload, 0)
        body = self._cluster.pod(workload, pod, type(place)(node, place.cost), version=self._version)
        return b'{"type":"%b","object":%b}\n' % (kind, body)


def timed(connection: Connection, path: str, bodies: list[bytes]) -> tuple[list[float], list[bytes]]:
    """Microseconds of each request, and the answers."""
    messages = [connection.message(path, body) for body in bodies]
    times, answers = [], []
    clock = time.perf_counter
    for message in messages:
        began = clock()
        answer = connection.exchange(message)
        times.append((clock() - began) * 1e6)
        answers.append(answer)
    return times, answers


class _Run:
    """The rounds of one size."""

    def __init__(self, bench: Bench, followers: Followers, requests: Requests, size: int, *, asleep: bool) -> None:
        self._bench, self._followers, self._requests, self._size = bench, followers, requests, size
        self._asleep = asleep
        self.times: dict[tuple[str, str], list[list[float]]] = {}
        self.answers: dict[str, int] = {}

    async def round(self, servers: dict[str, Connection], number: int, count: int, first: int) -> None:
        """One stretch of every server, in another order each round."""
        pods = range(first, first + count)
        turn = number % len(servers)
        order = list(servers.items())
        bound: dict[int, str] = {}
        for name, connection in order[turn:] + order[:turn]:
            managed = name != UNMANAGED
            bodies = [self._requests.body(pod, managed=managed) for pod in pods]
            times, answers = timed(connection, "/filter", bodies)
            self._keep("filter", name, times)
            passed = [self._passed(name, answer) for answer in answers]
            asked = [
                self._requests.body(pod, msgspec.json.encode(names), managed=managed)
                for pod, names in zip(pods, passed, strict=True)
            ]
            more, _ = timed(connection, "/prioritize", asked)
            self._keep("filter + prioritize of what passed", name, [a + b for a, b in zip(times, more, strict=True)])
            if name != LEAN:
                self._keep("prioritize", name, timed(connection, "/prioritize", bodies)[0])
            if name == ALL:
                bound = {pod: names[0] for pod, names in zip(pods, passed, strict=True)}
        # Both Spotmix servers have placed these pods by now.
        await self._followers.settle(bound)

    def _keep(self, what: str, name: str, times: list[float]) -> None:
        self.times.setdefault((what, name), []).append(times)

    def _passed(self, name: str, answer: bytes) -> list[str]:
        decoded = msgspec.json.decode(answer, type=Names)
        if decoded.error or not decoded.names:
            raise RuntimeError(f"{name}: filter answered {answer[:200]!r}")
        self.answers[name] = len(answer)
        return decoded.names

    def report(self) -> None:
        """Add the figures."""
        medians = {key: median([t for each in rounds for t in each]) for key, rounds in self.times.items()}
        for (what, name), rounds in sorted(self.times.items(), key=lambda item: item[0][0]):
            if self._asleep and what != "filter":
                continue
            times = [t for each in rounds for t in each]
            note = f"p99 {quantile(times, 0.99):,.0f} us; {spread([median(each) for each in rounds])}"
            if what == "filter":
                note += f"; answer {self.answers[name]:,} bytes"
            peer, lean = medians.get((what, NAIVE)), medians.get((what, LEAN))
            ours = name not in (NAIVE, LEAN)
            if lean is not None and ours:
                note += f"; {medians[what, name] / lean:.2f}x lean"
            self._bench.add(
                NAME,
                f"{what}, {self._size:,} names, p50" + (", idle cores" if self._asleep else ""),
                name,
                medians[what, name],
                "us",
                against=NAIVE if ours and peer else "",
                ratio=medians[what, name] / peer if ours and peer else None,
                target=TARGETS[self._size]
                if what == "filter" and name == CAPPED and peer and not self._asleep
                else None,
                note=note,
            )


async def run(bench: Bench) -> None:
    """Measure and report."""
    rounds, counts = bench.size(12, 2), {500: bench.size(200, 20), 5000: bench.size(100, 10)}
    cluster = Cluster(NODES, WORKLOADS, REPLICAS, 0)
    binary = await goextender.build(bench)
    with scratch() as folder:
        where = Path(folder)
        async with AsyncExitStack() as stack:
            port = free_port()
            arguments = [str(n) for n in (port, NODES, WORKLOADS, REPLICAS, 0)]
            api = await stack.enter_async_context(running(python("fakeapi", "bench.fakeapi", arguments, where, port)))
            serves = []
            # Deletion costs are left alone: patches in the background belong to another figure.
            for number, limit in enumerate((100, 0)):
                flags = (f"--extender-max-candidates={limit}", "--scale-in-deletion-cost=false")
                serve = Serve(f"spotmix-{number}", where, api.url, *flags)
                serves.append(serve)
                await stack.enter_async_context(running(serve))
            urls = {CAPPED: serves[0].url, ALL: serves[1].url}
            if binary is not None:
                lines = "".join(f"{cluster.node_name(n)} {cluster.class_of(n)}\n" for n in range(NODES))
                for name, lean in ((NAIVE, []), (LEAN, ["-lean"])):
                    peer = goextender.component(binary, where, lines, *lean)
                    await stack.enter_async_context(running(peer))
                    urls[name] = peer.url
            urls[UNMANAGED] = serves[0].url
            servers = {name: stack.enter_context(Connection(url)) for name, url in urls.items()}
            followers = Followers(cluster, stack.enter_context(Connection(api.url)), serves)
            pod = 0
            every: list[_Run] = []
            for asleep, repeats in ((False, rounds), (True, bench.size(4, 1))):
                runs = {
                    size: _Run(bench, followers, Requests(cluster, size), size, asleep=asleep)
                    for size in (SIZES[:1] if asleep else SIZES)
                }
                every += runs.values()
                with nullcontext() if asleep else awake(), bench.progress() as progress:
                    what = "filter, idle cores" if asleep else "filter and prioritize"
                    task = progress.add_task(what, total=(repeats + 1) * len(runs))
                    for number in range(repeats + 1):
                        for size, each in runs.items():
                            await each.round(servers, number, counts[size], pod)
                            pod += counts[size]
                            progress.advance(task)
                            if number == 0:
                                each.times.clear()  # the first round only warms up
    for each in every:
        each.report()
