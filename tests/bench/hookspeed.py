"""The mutating webhook over TLS: Spotmix against an ordinary Go webhook.

Both run as processes of their own and get the same reviews of new pods of 6 KB; Spotmix is the real `spotmix serve`,
synced from a fake API server. Both make the same patch: schedulerName, four tolerations, a preferred node affinity. The
client is the same for both and does as little as can be: one request at a time on each of 1 and of 8 connections. With
8 the machine is full, and a median tells as much of who is served first as of how fast: read the rate too. The servers
take turns (A B, B A, ..); ratios are over all rounds. Cores are kept awake (see `awake`).
"""

import asyncio
import base64
import ssl
import urllib.request
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from support.certificates import Authority, KeyPair

from bench import goextender, objects
from bench.awake import awake
from bench.cluster import SHAPES, Cluster
from bench.programs import Serve, output_of, python, running, scratch, tcp_probe
from bench.report import Bench, Target, quantile, spread
from bench.template import Template
from extender.sandbox.ports import LOOPBACK, free_port
from extender.sandbox.process import Component

NAME = "webhook"
NODES, WORKLOADS, REPLICAS = 500, 200, 20
PODS = 500
OURS, GO = "Spotmix", "Go"
SCHEDULER = "spotmix"
FASTER = Target("<=", 0.75)
PROMPT = Target("<=", 5000)


@dataclass(frozen=True, slots=True)
class _Case:
    """A load: how many connections, and requests over all of them."""

    connections: int
    requests: int


class _Load(msgspec.Struct):
    seconds: float
    times: list[float]


class _Seen:
    """What one server did under one load, round by round."""

    def __init__(self) -> None:
        self.times: list[list[float]] = []
        self.rates: list[float] = []

    def add(self, load: _Load) -> None:
        self.times.append(load.times)
        self.rates.append(len(load.times) / load.seconds)

    def quantile(self, share: float) -> float:
        return quantile([time for each in self.times for time in each], share)

    def spread(self, share: float) -> str:
        return spread([quantile(each, share) for each in self.times])


def _reviews(cluster: Cluster) -> list[bytes]:
    """Reviews of the creation of pods of workloads that want spot and on-demand replicas."""
    templates = [Template(objects.pod_review(*shape)) for shape in SHAPES]
    wanted = [w for w in range(WORKLOADS) if w % 6 in (0, 1)]
    chosen = [wanted[n % len(wanted)] for n in range(PODS)]
    return [templates[w % len(SHAPES)].fill(**cluster.pod_identity(w, n), version="1") for n, w in enumerate(chosen)]


def _go_server(binary: Path, folder: Path, pair: KeyPair) -> Component:
    port = free_port()
    return Component(
        "go-webhook",
        [str(binary), f"-addr={LOOPBACK}:{port}", f"-cert={pair.cert}", f"-key={pair.key}", f"-scheduler={SCHEDULER}"],
        directory=folder,
        probe=tcp_probe(port),
        url=f"https://{LOOPBACK}:{port}",
    )


class _Client:
    """The load generator."""

    def __init__(self, binary: Path, ca: Path, bodies: Path) -> None:
        self._command = [str(binary), f"-ca={ca}", f"-bodies={bodies}"]

    async def load(self, url: str, case: _Case) -> _Load:
        output = await output_of(
            *(f"the load on {url}", *self._command),
            *(f"-load={url}", f"-connections={case.connections}", f"-requests={case.requests}"),
            stderr=asyncio.subprocess.PIPE,
        )
        return msgspec.json.decode(output, type=_Load)


def _patch(answer: bytes) -> list[dict[str, Any]]:
    operations: list[dict[str, Any]] = msgspec.json.decode(
        base64.b64decode(msgspec.json.decode(answer)["response"]["patch"])
    )
    return operations


async def _check_alike(urls: dict[str, str], ca: Path, body: bytes) -> None:
    """Both make the same patch, but for the class that is preferred."""
    context = ssl.create_default_context(cafile=str(ca))

    def post(url: str) -> bytes:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - on loopback
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310 - likewise
            got: bytes = answer.read()
        return got

    patches = {name: _patch(await asyncio.to_thread(post, url)) for name, url in urls.items()}
    shapes = {name: [(o["op"], o["path"]) for o in patch] for name, patch in patches.items()}
    if shapes[OURS] != shapes[GO] or len(shapes[GO]) != 6:
        raise RuntimeError(f"the patches differ: {patches}")


async def run(bench: Bench) -> None:
    """Measure and report."""
    rounds, cases = bench.size(10, 2), [_Case(1, bench.size(1000, 100)), _Case(8, bench.size(4000, 400))]
    binary = await goextender.build(bench, "gowebhook")
    if binary is None:
        return
    cluster = Cluster(NODES, WORKLOADS, REPLICAS, 0)
    reviews = _reviews(cluster)
    seen = {(name, case): _Seen() for name in (OURS, GO) for case in cases}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(scratch()))
        authority = Authority("webhooks")
        ca, pair = authority.write(folder / "ca.pem"), authority.issue(folder, "webhook", (LOOPBACK,))
        bodies = folder / "reviews.jsonl"
        bodies.write_bytes(b"\n".join(reviews))
        port, hook = free_port(), free_port()
        arguments = [str(n) for n in (port, NODES, WORKLOADS, REPLICAS, 0)]
        api = await stack.enter_async_context(running(python("fakeapi", "bench.fakeapi", arguments, folder, port)))
        flags = (
            "--webhook-enabled=true",
            f"--webhook-addr={LOOPBACK}:{hook}",
            f"--webhook-tls-cert={pair.cert}",
            f"--webhook-tls-key={pair.key}",
            f"--webhook-default-scheduler-name={SCHEDULER}",
        )
        await stack.enter_async_context(running(Serve("spotmix", folder, api.url, *flags)))
        go = await stack.enter_async_context(running(_go_server(binary, folder, pair)))
        urls = {OURS: f"https://{LOOPBACK}:{hook}/mutate/pods", GO: f"{go.url}/mutate/pods"}
        await _check_alike(urls, ca, reviews[0])
        client = _Client(binary, ca, bodies)
        with awake(), bench.progress() as progress:
            task = progress.add_task("reviews over TLS", total=(rounds + 1) * len(seen))
            for number in range(rounds + 1):
                for case in cases:
                    for name in sorted(urls, reverse=bool(number % 2)):
                        load = await client.load(urls[name], case)
                        progress.advance(task)
                        if number:  # the first round only warms up
                            seen[name, case].add(load)
    for case in cases:
        _report(bench, case, seen[OURS, case], seen[GO, case], len(reviews[0]))


def _report(bench: Bench, case: _Case, ours: _Seen, peer: _Seen, size: int) -> None:
    what = f"mutate a pod over TLS, {case.connections} connection" + "s" * (case.connections > 1)
    for share, label, target in ((0.5, "p50", FASTER), (0.99, "p99", None)):
        for name, seen in ((OURS, ours), (GO, peer)):
            mine = seen is ours
            bench.add(
                NAME,
                f"{what}, {label}",
                name,
                seen.quantile(share),
                "us",
                against=GO if mine else "",
                ratio=ours.quantile(share) / peer.quantile(share) if mine else None,
                target=target if mine else None,
                note=f"{seen.spread(share)}; review {size:,} bytes",
            )
    if case.connections > 1:
        # No ratio: the API server waits 2 s.
        bench.add(NAME, f"{what}, p99, absolute", OURS, ours.quantile(0.99), "us", target=PROMPT)
    rates = {name: median(seen.rates) for name, seen in ((OURS, ours), (GO, peer))}
    for name, rate in rates.items():
        mine = name == OURS
        ratio = rate / rates[GO] if mine else None
        bench.add(NAME, f"{what}, rate", name, rate, "requests/s", against=GO if mine else "", ratio=ratio)
