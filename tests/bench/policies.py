"""What a thousand policy objects cost.

* Statuses, on a real control plane: each policy speaks for five Deployments of one namespace, 5,000 in all. All
  policies are edited at once, and that is timed until the status of each says what its workloads want now. How many
  statuses are written in any second, and in two minutes without a change, is what the API server's audit log says.
  Nobody moves pods meanwhile. The longest answer of /livez is for how long the event loop was busy with something else.
* Memory and filter, in turn with the same cluster without policies: two `spotmix serve`, each with a fake API server.
  Pods are bound meanwhile, so that statuses are written, some 40 in a second: with them a filter request shares the
  event loop.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.progress import Progress
from support.audit import Audit
from support.objects import Objects
from support.policyobjects import definitions, placement_policy, served, shares

from bench.awake import awake
from bench.client import Connection
from bench.cluster import Cluster, extent
from bench.logcost import turns
from bench.programs import Serve, on_cpu, python, running, scratch, until_rest, usage
from bench.report import Bench, Target, spread
from bench.scale import Stalls
from bench.wirespeed import Followers, Requests
from bench.workloads import NAMESPACE, Fleet, Workload, add_nodes, nodes
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.sandbox import ControlPlane, bulk
from extender.sandbox.ports import free_port
from extender.sandbox.spotmix import SpotmixServe

NAME = "policies"
GROUP = "group"
REPLICAS = 2
SETTLED, PACE, QUIET, MORE = Target("<=", 60.0), Target("<=", 50.0), Target("<=", 0.0), Target("<=", 1.05)
PATIENCE = 300.0
WITH, WITHOUT = "with policies", "without"
POLICIES = f"/apis/spotmix.io/v1alpha1/namespaces/{NAMESPACE}/placementpolicies"


@dataclass(frozen=True, slots=True)
class Ruled(Workload):
    """A workload that says nothing itself: the policy of its group does."""

    group: str = ""

    def annotations(self) -> dict[str, str]:
        """None."""
        return {}

    def labels(self) -> dict[str, str]:
        """What its policy selects it by."""
        return {GROUP: self.group}


class _Writes:
    """Times of all statuses that were written (seconds since the epoch), by the audit log."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def since(self, start: float) -> list[float]:
        """Those from a moment on."""
        found = (_at(each) for each in self._audit.events('"placementpolicies"') if _is_status(each))
        return sorted(at for at in found if at >= start)


def _is_status(event: Mapping[str, Any]) -> bool:
    return bool(event["objectRef"].get("subresource") == "status" and event["verb"] == "patch")


def _at(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()


def most_in_a_second(times: list[float]) -> int:
    """The most of these moments (in order) that any second has."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


class _Policies:
    """All policies: created, edited at once, and what their statuses say."""

    def __init__(self, api: ApiClient, count: int, workloads: int) -> None:
        self._api, self._count = api, count
        self._each = workloads // count * REPLICAS

    async def create(self, spot: int) -> None:
        """Create all."""

        async def one(number: int) -> None:
            spec = {"selector": {"matchLabels": {GROUP: f"g-{number}"}}, "classes": shares(spot)}
            await self._api.request("POST", POLICIES, body=placement_policy(f"p-{number}", NAMESPACE, spec))

        await bulk(range(self._count), one)

    async def edit(self, spot: int) -> None:
        """Change all."""

        async def one(number: int) -> None:
            body = {"spec": {"classes": shares(spot)}}
            await self._api.request("PATCH", f"{POLICIES}/p-{number}", body=body, content_type=MERGE_PATCH)

        await bulk(range(self._count), one)

    async def settled(self, spot: int) -> None:
        """Wait until every status is right.

        Raises:
            RuntimeError: some are not in time.
        """
        share = self._each * spot // 100
        deadline = time.monotonic() + PATIENCE
        while wrong := await self._wrong(f"{share}/{self._each - share}"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(wrong)} statuses are wrong after {PATIENCE:.0f} s, such as {wrong[0]}")
            await asyncio.sleep(1.0)

    async def _wrong(self, wanted: str) -> list[Any]:
        found = json.loads(await self._api.request("GET", POLICIES, timeout=120))["items"]
        return [
            each.get("status")
            for each in found
            if each.get("status", {}).get("wanted") != wanted
            or each["status"]["observedGeneration"] != each["metadata"]["generation"]
        ]


async def _statuses(bench: Bench, progress: Progress) -> None:
    count, workloads = bench.size(1000, 50), bench.size(5000, 250)
    quiet = bench.size(120, 10)
    task = progress.add_task("control plane", total=5)
    with tempfile.TemporaryDirectory(prefix="spotmix-bench-") as folder:
        audit = Audit(Path(folder), "spotmix")
        flags = (*audit.flags, "--max-requests-inflight=800")
        plane = ControlPlane(with_scheduler=False, with_controller_manager=False, apiserver_flags=flags)
        async with plane, await plane.connect() as api:
            await Objects(api).apply_all(definitions())
            await served(Objects(api))
            await _people(api, progress, workloads, count)
            policies = _Policies(api, count, workloads)
            await policies.create(50)
            progress.update(task, advance=1, description="first statuses")
            serve = SpotmixServe(plane, "--drift-read-only=true", "--scale-in-deletion-cost=false")
            async with running(serve):
                await policies.settled(50)
                await until_rest(serve)
                progress.update(task, advance=1, description="all policies edited")
                stalls, before = Stalls(serve.metrics_url), usage(serve.pid)
                watcher = asyncio.create_task(stalls.watch())
                began = time.time()
                await policies.edit(100)
                edited = time.time() - began
                await policies.settled(100)
                await asyncio.sleep(6.0)
                stall, used = stalls.longest(), usage(serve.pid).cpu - before.cpu
                progress.update(task, advance=1, description="nothing changes")
                rest = time.time()
                await asyncio.sleep(quiet)
                watcher.cancel()
                writes, idle = _Writes(audit).since(began), _Writes(audit).since(rest)
                progress.update(task, advance=2)
    what, who = f"{count:,} policies over {workloads:,} workloads edited at once", "spotmix serve"
    busy = [at for at in writes if at < rest]
    note = f"the edits alone took {edited:.1f} s; {len(busy):,} statuses were written; CPU {used:.1f} s"
    bench.add(NAME, f"{what}: until all statuses are right", who, busy[-1] - began, "s", target=SETTLED, note=note)
    bench.add(NAME, f"{what}: most statuses in a second", who, most_in_a_second(writes), "writes", target=PACE)
    bench.add(NAME, f"{what}: longest stall", who, stall, "ms", note="of /livez, until all are right")
    bench.add(NAME, f"statuses written in {quiet} s without a change", who, len(idle), "writes", target=QUIET)


async def _people(api: ApiClient, progress: Progress, workloads: int, groups: int) -> None:
    """Nodes, Deployments, and pods that are bound already, half on spot."""
    made = nodes(0, 100)
    await add_nodes(api, progress, made)
    fleet = Fleet(api, [Ruled(f"service-{n:04d}", REPLICAS, 50, 0, f"g-{n % groups}") for n in range(workloads)])
    await fleet.create_workloads()
    homes = {name: [each.name for each in made if each.capacity_class == name] for name in ("spot", "on-demand")}
    turn = iter(range(workloads * REPLICAS))

    def bound(capacity_class: str) -> Mapping[str, Any]:
        there = homes[capacity_class]
        return {"nodeName": there[next(turn) % len(there)]}

    await fleet.create_pods(progress, bound)


async def _against(bench: Bench, progress: Progress) -> None:
    """The same cluster with and without policies, in turn."""
    size, count = bench.size(5000, 100), bench.size(1000, 50)
    cluster = Cluster(size, size, 4, 2 * size)
    rounds, asked = bench.size(12, 2), bench.size(200, 20)
    task = progress.add_task("in turn", total=rounds + 1)
    async with AsyncExitStack() as stack:
        where = Path(stack.enter_context(scratch()))
        serves: dict[str, Serve] = {}
        followers = []
        for name, policies in ((WITHOUT, 0), (WITH, count)):
            port = free_port()
            arguments = [*(str(n) for n in (port, size, size, cluster.replicas, cluster.pods)), "bound", str(policies)]
            fake = python(f"api-{policies}", "bench.fakeapi", arguments, where, port)
            await stack.enter_async_context(running(fake))
            serves[name] = Serve(f"spotmix-{policies}", where, fake.url, "--scale-in-deletion-cost=false")
            await stack.enter_async_context(running(serves[name]))
            followers.append(Followers(cluster, stack.enter_context(Connection(fake.url)), [serves[name]]))
        for serve in serves.values():
            await until_rest(serve)
        # Statuses are written for half a minute.
        await asyncio.sleep(bench.size(40, 5))
        loaded = {name: usage(serve.pid).rss for name, serve in serves.items()}
        servers = {name: stack.enter_context(Connection(serve.url)) for name, serve in serves.items()}
        requests = Requests(cluster, 500)
        medians: dict[str, list[float]] = {name: [] for name in serves}
        spent: dict[str, list[float]] = {name: [] for name in serves}
        stack.enter_context(awake())
        for number in range(rounds + 1):
            first = cluster.pods + number * asked
            before = {name: on_cpu(serve.pid) for name, serve in serves.items()}
            times, nodes_of = turns(servers, requests, range(first, first + asked))
            used = {name: on_cpu(serve.pid) for name, serve in serves.items()}
            for each in followers:
                await each.settle(nodes_of)
            if number:
                for name, seen in times.items():
                    medians[name].append(median(seen) * 1e6)
                    spent[name].append((used[name] - before[name]) / asked * 1e6)
            progress.advance(task)
        after = {name: usage(serve.pid).rss for name, serve in serves.items()}
    text = f"{count:,} policies, {extent(size, size, 2)}"
    ratio = after[WITH] / after[WITHOUT]
    notes = {name: f"before the requests {loaded[name]:.1f}" for name in serves}
    _compare(bench, f"resident memory, {text}", "MB", after, ratio, notes)
    for what, rows in (("p50", medians), ("CPU of the server, with the statuses that it writes meanwhile", spent)):
        ratio = median(a / b for a, b in zip(rows[WITH], rows[WITHOUT], strict=True))
        notes = {name: spread(each) for name, each in rows.items()}
        figures = {name: median(each) for name, each in rows.items()}
        _compare(bench, f"filter, 500 names, {what}, {text}", "us", figures, ratio, notes)


def _compare(  # noqa: PLR0917 - what a line of the report has
    bench: Bench, what: str, unit: str, figures: Mapping[str, float], ratio: float, notes: Mapping[str, str]
) -> None:
    bench.add(NAME, what, WITHOUT, figures[WITHOUT], unit, note=notes[WITHOUT])
    bench.add(NAME, what, WITH, figures[WITH], unit, against=WITHOUT, ratio=ratio, target=MORE, note=notes[WITH])


async def run(bench: Bench) -> None:
    """Measure and report."""
    with bench.progress() as progress:
        await _statuses(bench, progress)
        await _against(bench, progress)
