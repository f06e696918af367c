"""What it costs that classes are written on gated pods.

* Our own time: `spotmix serve` gets new gated pods from a fake API server in another process, one each few milliseconds
  as a busy API server has them, then all at once. Counted from the moment the server writes the watch event to the one
  it has read the whole PATCH: two ways through the kernel are in it.
* The whole chain on a real control plane, from the first pod made to the last one bound, in turn with and without
  gates. Without: no Spotmix and no webhook, so two writes for each pod instead of three.
* The stock scheduler, in turn, with the class written on pods and with the same pods as their owner wrote them.
* Memory: the same process with the same pods, written and not, gated and not.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, get_args

from rich.progress import Progress
from support.webhook import CONFIGURATIONS, Hook

from bench.client import Connection
from bench.cluster import Cluster, Form
from bench.programs import Serve, python, running, scratch, until_rest, usage
from bench.report import Bench, Target, quantile, spread
from bench.throughput import Stage, control_plane
from bench.workloads import Fleet, Workload, add_nodes, nodes
from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane
from extender.sandbox.ports import free_port
from extender.sandbox.spotmix import SpotmixServe

NAME = "gates"
AFFINITY = ("--policy-defaults", '{"enforcement": "affinity"}')
BURST = 300
PACES = {"one every 2 ms": 0.002, "all at once": 0.0}
PROMPT, CHAIN, SCHEDULER, MEMORY = Target("<=", 5.0), Target(">=", 0.6), Target(">=", 0.98), Target("<=", 5.0)
GATED, UNGATED = "gated, class written", "ungated, without Spotmix"
WRITTEN, PLAIN = "class written", "as the owner wrote them"
POLICIES = ((70, 2), (50, 1), (80, 2), (30, 0))
REPLICAS = 25
PATIENCE = 240.0
_HOOKS = CONFIGURATIONS.format("mutating")


@asynccontextmanager
async def _served(name: str, folder: Path, cluster: Cluster, form: Form) -> AsyncIterator[tuple[Serve, Connection]]:
    """A `spotmix serve` that has read a synthetic cluster, and a connection to its API server."""
    async with AsyncExitStack() as stack:
        port = free_port()
        numbers = (port, cluster.nodes, cluster.workloads, cluster.replicas, cluster.pods)
        arguments = [*map(str, numbers), form]
        api = await stack.enter_async_context(running(python(f"{name}-api", "bench.fakeapi", arguments, folder, port)))
        serve = Serve(name, folder, api.url, *AFFINITY)
        await stack.enter_async_context(running(serve))
        yield serve, stack.enter_context(Connection(api.url))


async def _own_time(bench: Bench, progress: Progress) -> None:
    """From the watch event to the PATCH."""
    cluster = Cluster(bench.size(500, 50), 30, 10, 0)
    rounds = bench.size(5, 1)
    task = progress.add_task("own time", total=rounds * len(PACES))
    took: dict[str, list[list[float]]] = {name: [] for name in PACES}
    with scratch() as folder:
        async with _served("spotmix", Path(folder), cluster, "bound") as (_, api):
            for number in range(rounds):
                for turn, (name, pace) in enumerate(PACES.items()):
                    first = (number * len(PACES) + turn) * BURST
                    pods = range(first, first + BURST)
                    took[name].append(await asyncio.to_thread(_burst, cluster, api, pods, pace))
                    progress.advance(task)
    for name, times in took.items():
        pooled = [each for one in times for each in one]
        bench.add(
            *(NAME, f"event to PATCH, {BURST} gated pods, {name}, p50", "Spotmix", quantile(pooled, 0.5), "ms"),
            target=PROMPT if PACES[name] else None,
            note=f"p99 {quantile(pooled, 0.99):.1f} ms; p50 of {spread([quantile(each, 0.5) for each in times])}",
        )


def _burst(cluster: Cluster, api: Connection, pods: Sequence[int], pace: float) -> list[float]:
    """Have gated pods come; milliseconds of each until it was patched."""
    lines = [b'{"type":"ADDED","object":%b}\n' % cluster.gated_pod(pod % cluster.workloads, pod) for pod in pods]
    names = [cluster.pod_identity(pod % cluster.workloads, pod)["name"] for pod in pods]
    pushed: list[float] = []
    if not pace:
        pushed = [json.loads(api.exchange(api.message("/bench/pods", b"".join(lines))))] * len(lines)
    else:
        for line in lines:
            began = time.perf_counter()
            pushed.append(json.loads(api.exchange(api.message("/bench/pods", line))))
            time.sleep(max(0.0, began + pace - time.perf_counter()))
    patched = _patched(api, names)
    gone = b"".join(line.replace(b'"ADDED"', b'"DELETED"', 1) for line in lines)
    api.exchange(api.message("/bench/pods", gone))
    return [(patched[name] - at) * 1e3 for name, at in zip(names, pushed, strict=True)]


def _patched(api: Connection, names: Collection[str]) -> dict[str, float]:
    """When each of these pods was patched, once all have been."""
    deadline = time.perf_counter() + PATIENCE
    while time.perf_counter() < deadline:
        patched: dict[str, float] = json.loads(api.exchange(api.message("/bench/patched", b"")))
        if patched.keys() >= set(names):
            return patched
        time.sleep(0.1)
    raise RuntimeError(f"not all of {len(names)} gated pods were patched in {PATIENCE:.0f} s")


async def _chain(bench: Bench, progress: Progress) -> None:
    """From the first pod made to the last one bound."""
    rounds = bench.size(6, 1)
    async with control_plane() as (plane, api):
        workloads = [Workload(f"service-{n}", REPLICAS, *POLICIES[n % 4]) for n in range(bench.size(12, 4))]
        fleet = Fleet(api, workloads)
        await fleet.create_workloads()
        await add_nodes(api, progress, nodes(0, bench.size(200, 40)))
        hook = Hook.of_files(plane.directory)
        task = progress.add_task(f"{fleet.pods} pods, created to bound", total=2 * rounds)
        seconds: dict[str, list[float]] = {UNGATED: [], GATED: []}
        wrong: list[str] = []
        async with running(plane.scheduler):
            for number in range(rounds):
                # In turn A B, B A: what comes second meets a fuller store.
                for name in (UNGATED, GATED) if number % 2 else (GATED, UNGATED):
                    async with _hooked(plane, api, hook, on=name == GATED):
                        seconds[name].append(await _until_bound(fleet))
                        wrong += await fleet.wrong() if name == GATED else []
                    await fleet.delete_pods()
                    bench.say(f"{name}: {fleet.pods} pods in {seconds[name][-1]:.2f} s")
                    progress.advance(task)
    ratios = [without / gated for without, gated in zip(seconds[UNGATED], seconds[GATED], strict=True)]
    what = f"created to bound, {fleet.pods} pods"
    bench.add(
        NAME, what, UNGATED, fleet.pods / median(seconds[UNGATED]), "pods/s", note=spread(seconds[UNGATED]) + " s"
    )
    bench.add(
        *(NAME, what, GATED, fleet.pods / median(seconds[GATED]), "pods/s"),
        against=UNGATED,
        ratio=median(ratios),
        target=CHAIN,
        note=f"ratios of {spread(ratios)}; {wrong[0] if wrong else 'every workload exact'}",
    )


@asynccontextmanager
async def _hooked(plane: ControlPlane, api: ApiClient, hook: Hook, *, on: bool) -> AsyncIterator[None]:
    """Spotmix and its webhook at work, or neither."""
    if not on:
        yield
        return
    async with running(SpotmixServe(plane, *AFFINITY, *hook.flags)):
        await api.request("POST", _HOOKS, body=_configuration(hook))
        # The API server takes a moment to know it.
        await asyncio.sleep(2)
        try:
            yield
        finally:
            await api.request("DELETE", f"{_HOOKS}/spotmix")
            await asyncio.sleep(2)


def _configuration(hook: Hook) -> dict[str, Any]:
    """As the chart has it: asked about new pods alone."""
    webhook = hook.webhook("pods", "/mutate/pods", [("", ["pods"])], reinvocationPolicy="IfNeeded")
    for rule in webhook["rules"]:
        rule["operations"] = ["CREATE"]
    version, kind = "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "spotmix"}, "webhooks": [webhook]}


async def _until_bound(fleet: Fleet) -> float:
    """Make the pods; seconds until all are bound."""
    began = time.perf_counter()
    await fleet.create_pods()
    while await fleet.unbound():  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.02)
    return time.perf_counter() - began


async def _scheduler(bench: Bench, progress: Progress) -> None:
    """The stock scheduler at many nodes."""
    rounds, pods, size = bench.size(4, 1), bench.size(1000, 100), bench.size(5000, 200)
    async with control_plane() as (plane, api):
        fleet = Fleet(api, [Workload(f"service-{n:02d}", REPLICAS, *POLICIES[n % 4]) for n in range(pods // REPLICAS)])
        await fleet.create_workloads()
        await add_nodes(api, progress, nodes(0, size))
        stage = Stage(plane, api, fleet, {WRITTEN: lambda: None, PLAIN: lambda: None})
        task = progress.add_task(f"the stock scheduler at {size:,} nodes", total=2 * rounds + 1)
        rates: list[float] = []
        for number in range(2 * rounds + 1):
            name = WRITTEN if number % 2 else PLAIN
            rates.append((await stage.round(name, progress, written=name == WRITTEN)).rate())
            bench.say(f"{size:,} nodes, {name}: {rates[-1]:.0f} pods/s")
            progress.advance(task)
    plain, written = rates[::2], rates[1::2]
    ratios = [rate * 2 / (plain[at] + plain[at + 1]) for at, rate in enumerate(written)]
    what = f"stock scheduler at {size:,} nodes"
    bench.add(NAME, what, PLAIN, median(plain), "pods/s", note=spread(plain))
    bench.add(
        *(NAME, what, WRITTEN, median(written), "pods/s"),
        against=PLAIN,
        ratio=median(ratios),
        target=SCHEDULER,
        note=f"ratios of {spread(ratios)}",
    )


async def _memory(bench: Bench, progress: Progress) -> None:
    """Resident memory with the same pods in four forms."""
    cluster = Cluster(bench.size(500, 50), bench.size(1000, 50), 10)
    rounds = bench.size(3, 1)
    forms: tuple[Form, ...] = get_args(Form)
    task = progress.add_task(f"memory with {cluster.pods:,} pods", total=rounds * len(forms))
    seen: dict[Form, list[float]] = {form: [] for form in forms}
    for _ in range(rounds):
        for form in forms:
            with scratch() as folder:
                async with _served("spotmix", Path(folder), cluster, form) as (serve, api):
                    if form == "gated":
                        names = {cluster.pod_identity(p % cluster.workloads, p)["name"] for p in range(cluster.pods)}
                        await asyncio.to_thread(_patched, api, names)
                    await until_rest(serve)
                    seen[form].append(usage(serve.pid).rss)
            progress.advance(task)
    pairs: tuple[tuple[Form, Form, str], ...] = (
        ("written", "bound", "bound, class written"),
        ("gated", "pending", "gated, once all were patched"),
    )
    for form, base, words in pairs:
        more = [one - other for one, other in zip(seen[form], seen[base], strict=True)]
        bench.add(
            *(NAME, f"resident memory more, {cluster.pods:,} pods, {words}", "spotmix serve", median(more), "MB"),
            target=MEMORY,
            note=f"{spread(more)}; {form} {median(seen[form]):.0f}, {base} {median(seen[base]):.0f} MB",
        )


async def run(bench: Bench) -> None:
    """Measure and report."""
    with bench.progress() as progress:
        await _own_time(bench, progress)
        await _memory(bench, progress)
        await _chain(bench, progress)
        await _scheduler(bench, progress)
