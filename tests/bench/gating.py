"""What it costs that classes are written on gated pods.

* Our own time is that in which our code could have acted on a pod. Of 300 pods created at once on a real control plane
  it is what Spotmix says of itself (`spotmix_release_duration_seconds`): from the watch event until the PATCH is sent.
  The API server makes such pods one after another, so the pace of its events is a part of the figure.
* The queue: `spotmix serve` gets gated pods from a fake API server in another process, one every 2 ms, then all 300 in
  one write, which no real one does. Counted from the moment the server writes the watch event to the one it has read
  the whole PATCH, so that two ways through the kernel are in it, and all that the pods before it cost. What each costs:
  the CPU that our process used until the last PATCH, by 300.
* The whole chain on a real control plane, from the first pod made to the last one bound, in turn with and without
  gates. Without: no Spotmix and no webhook, so two writes for each pod instead of three.
* The stock scheduler, in turn, with the class written on pods, with the same pods as their owner wrote them, and with
  what an owner would write who wants the same class: a node affinity, a node selector. Where some on-demand nodes have
  no label, more has to be written.
* Memory: the same process with the same pods, written and not, gated and not; then without the log of decisions and
  the costs of seats, which pods get in every way that gives them a seat, and of which those in the base have none.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.progress import Progress
from support.webhook import CONFIGURATIONS, Hook

from bench.client import Connection
from bench.cluster import Cluster, Form
from bench.objects import CAPACITY_TYPE, own_affinity
from bench.programs import Serve, buckets, metrics, on_cpu, python, running, scratch, until_rest, usage
from bench.report import Bench, Target, quantile, spread, within
from bench.throughput import Stage, control_plane
from bench.workloads import Fleet, Requires, Workload, add_nodes, nodes
from bench.written import class_spec
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
MIXED = "class written, on-demand nodes without a label too"
OWN_AFFINITY, OWN_SELECTOR = "a node affinity of the owner's", "a node selector of the owner's"
REQUIRES: dict[str, Requires | None] = {
    PLAIN: None,
    WRITTEN: class_spec,
    MIXED: lambda name: class_spec(name, unlabelled=True),
    OWN_AFFINITY: lambda name: {"affinity": own_affinity(name)},
    OWN_SELECTOR: lambda name: {"nodeSelector": {CAPACITY_TYPE: name}},
}
GATING_ALONE = ("--extender-decision-log", "0", "--scale-in-deletion-cost", "false")
POLICIES = ((70, 2), (50, 1), (80, 2), (30, 0))
REPLICAS = 25
RELEASED = "spotmix_release_duration_seconds"
PATIENCE = 240.0
_HOOKS = CONFIGURATIONS.format("mutating")


@asynccontextmanager
async def _served(
    name: str, folder: Path, cluster: Cluster, form: Form, *flags: str
) -> AsyncIterator[tuple[Serve, Connection]]:
    """A `spotmix serve` that has read a synthetic cluster, and a connection to its API server."""
    async with AsyncExitStack() as stack:
        port = free_port()
        numbers = (port, cluster.nodes, cluster.workloads, cluster.replicas, cluster.pods)
        arguments = [*map(str, numbers), form]
        api = await stack.enter_async_context(running(python(f"{name}-api", "bench.fakeapi", arguments, folder, port)))
        serve = Serve(name, folder, api.url, *AFFINITY, *flags)
        await stack.enter_async_context(running(serve))
        yield serve, stack.enter_context(Connection(api.url))


async def _queue(bench: Bench, progress: Progress) -> None:
    """From the watch event to the PATCH, at two paces."""
    cluster = Cluster(bench.size(500, 50), 30, 10, 0)
    rounds = bench.size(3, 1)
    task = progress.add_task("queue", total=rounds * len(PACES))
    took: dict[str, list[list[float]]] = {name: [] for name in PACES}
    spent: dict[str, list[float]] = {name: [] for name in PACES}
    with scratch() as folder:
        async with _served("spotmix", Path(folder), cluster, "bound") as (serve, api):
            for number in range(rounds):
                for turn, (name, pace) in enumerate(PACES.items()):
                    first = (number * len(PACES) + turn) * BURST
                    pods = range(first, first + BURST)
                    before = on_cpu(serve.pid)
                    took[name].append(await asyncio.to_thread(_burst, cluster, api, pods, pace))
                    spent[name].append((on_cpu(serve.pid) - before) * 1e3 / BURST)
                    await until_rest(serve)
                    progress.advance(task)
    for name, times in took.items():
        pooled = [each for one in times for each in one]
        bench.add(
            *(NAME, f"event to PATCH, {BURST} gated pods, {name}, p50", "Spotmix", quantile(pooled, 0.5), "ms"),
            target=PROMPT if PACES[name] else None,
            note=f"p99 {quantile(pooled, 0.99):.1f} ms; p50 of {spread([quantile(each, 0.5) for each in times])}; "
            f"first PATCH after {min(map(min, times)):.1f} ms; CPU for each pod {spread(spent[name])} ms",
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
    """From the first pod made to the last one bound, and our own part of that."""
    rounds = bench.size(5, 1)
    async with control_plane() as (plane, api):
        workloads = [Workload(f"service-{n}", REPLICAS, *POLICIES[n % 4]) for n in range(bench.size(12, 4))]
        fleet = Fleet(api, workloads)
        await fleet.create_workloads()
        await add_nodes(api, progress, nodes(0, bench.size(200, 40)))
        hook = Hook.of_files(plane.directory)
        task = progress.add_task(f"{fleet.pods} pods, created to bound", total=2 * rounds)
        seconds: dict[str, list[float]] = {UNGATED: [], GATED: []}
        wrong, own = list[str](), list[Mapping[float, float]]()
        async with running(plane.scheduler):
            for number in range(rounds):
                # In turn A B, B A: what comes second meets a fuller store.
                for name in (UNGATED, GATED) if number % 2 else (GATED, UNGATED):
                    async with _hooked(plane, api, hook, on=name == GATED) as serve:
                        seconds[name].append(await _until_bound(fleet))
                        if serve is not None:
                            wrong += await fleet.wrong()
                            own.append(buckets(await metrics(serve.metrics_url), RELEASED))
                    await fleet.delete_pods()
                    bench.say(f"{name}: {fleet.pods} pods in {seconds[name][-1]:.2f} s")
                    progress.advance(task)
    ratios = [without / gated for without, gated in zip(seconds[UNGATED], seconds[GATED], strict=True)]
    middles = [within(each, 0.5) * 1e3 for each in own]
    bench.add(
        *(NAME, f"our own time, {fleet.pods} gated pods created at once, p50", "Spotmix", median(middles), "ms"),
        target=PROMPT,
        note=f"p50 of {spread(middles)}; p90 {median(within(each, 0.9) * 1e3 for each in own):.1f} ms",
    )
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
async def _hooked(plane: ControlPlane, api: ApiClient, hook: Hook, *, on: bool) -> AsyncIterator[SpotmixServe | None]:
    """Spotmix and its webhook at work, or neither."""
    if not on:
        yield None
        return
    serve = SpotmixServe(plane, *AFFINITY, *hook.flags)
    async with running(serve):
        await api.request("POST", _HOOKS, body=_configuration(hook))
        # The API server takes a moment to know it.
        await asyncio.sleep(2)
        try:
            yield serve
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
    version = await fleet.version()
    began = time.perf_counter()
    creating = asyncio.create_task(fleet.create_pods())
    async with aclosing(fleet.bindings(version)) as bindings:
        bound = [moment async for moment in bindings]
    await creating
    return bound[-1] - began


async def _scheduler(bench: Bench, progress: Progress) -> None:
    """The stock scheduler at many nodes."""
    rounds, pods, size = bench.size(2, 1), bench.size(300, 100), bench.size(5000, 200)
    async with control_plane() as (plane, api):
        fleet = Fleet(api, [Workload(f"service-{n:02d}", REPLICAS, *POLICIES[n % 4]) for n in range(pods // REPLICAS)])
        await fleet.create_workloads()
        await add_nodes(api, progress, nodes(0, size))
        stage = Stage(plane, api, fleet, {name: lambda: None for name in REQUIRES})
        order = [*REQUIRES] * rounds + [PLAIN]
        task = progress.add_task(f"the stock scheduler at {size:,} nodes", total=len(order))
        rates: list[float] = []
        for name in order:
            rates.append((await stage.round(name, progress, REQUIRES[name])).rate())
            bench.say(f"{size:,} nodes, {name}: {rates[-1]:.0f} pods/s")
            progress.advance(task)
    what = f"stock scheduler at {size:,} nodes"
    for place, name in enumerate(REQUIRES):
        own = rates[place :: len(REQUIRES)]
        if name == PLAIN:
            bench.add(NAME, what, PLAIN, median(own), "pods/s", note=spread(own))
            continue
        around = [(rates[at], rates[at + len(REQUIRES)]) for at in range(0, len(rates) - 1, len(REQUIRES))]
        ratios = [rate * 2 / sum(plain) for rate, plain in zip(own, around, strict=True)]
        bench.add(
            *(NAME, what, name, median(own), "pods/s"),
            against=PLAIN,
            ratio=median(ratios),
            target=SCHEDULER if name == WRITTEN else None,
            note=f"ratios of {spread(ratios)}",
        )
        if name in {WRITTEN, MIXED}:
            owners = rates[[*REQUIRES].index(OWN_AFFINITY) :: len(REQUIRES)]
            ratios = [ours / theirs for ours, theirs in zip(own, owners, strict=True)]
            bench.add(
                *(NAME, what, name, median(own), "pods/s"),
                against=OWN_AFFINITY,
                ratio=median(ratios),
                target=SCHEDULER,
                note=f"ratios of {spread(ratios)}",
            )


async def _memory(bench: Bench, progress: Progress) -> None:
    """Resident memory with the same pods in four forms."""
    cluster = Cluster(bench.size(500, 50), bench.size(1000, 50), 10)
    rounds = bench.size(2, 1)
    sorts: tuple[tuple[Form, Form, str, tuple[str, ...]], ...] = (
        ("written", "bound", "bound, class written", ()),
        ("gated", "pending", "gated, once all were patched", ()),
        ("gated", "pending", "the same, without log and costs", GATING_ALONE),
    )
    task = progress.add_task(f"memory with {cluster.pods:,} pods", total=rounds * 2 * len(sorts))
    for form, base, words, flags in sorts:
        seen: dict[Form, list[float]] = {form: [], base: []}
        for _ in range(rounds):
            for each in (base, form):
                seen[each].append(await _resident(cluster, each, flags))
                progress.advance(task)
        more = [one - other for one, other in zip(seen[form], seen[base], strict=True)]
        bench.add(
            *(NAME, f"resident memory more, {cluster.pods:,} pods, {words}", "spotmix serve", median(more), "MB"),
            target=MEMORY,
            note=f"{spread(more)}; {form} {median(seen[form]):.0f}, {base} {median(seen[base]):.0f} MB",
        )


async def _resident(cluster: Cluster, form: Form, flags: Sequence[str]) -> float:
    """Resident memory of a process that has read all pods, and released those that are gated (MB)."""
    with scratch() as folder:
        async with _served("spotmix", Path(folder), cluster, form, *flags) as (serve, api):
            if form == "gated":
                names = {cluster.pod_identity(p % cluster.workloads, p)["name"] for p in range(cluster.pods)}
                await asyncio.to_thread(_patched, api, names)
            await until_rest(serve)
            return usage(serve.pid).rss


async def run(bench: Bench) -> None:
    """Measure and report."""
    with bench.progress() as progress:
        await _queue(bench, progress)
        await _memory(bench, progress)
        await _chain(bench, progress)
        await _scheduler(bench, progress)
