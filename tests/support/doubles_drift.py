"""The drift loop in virtual time: an API server that evicts, controllers that replace, a scheduler that places."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from extender.core.model.classes import ClassRules
from extender.core.model.errors import ApiError
from extender.core.model.objects import OwnerRef, Pod
from extender.kube.recorder import EventRecorder
from extender.kube.reflector import Health
from extender.kube.resources import BUILT_IN, DRIFT_ONLY
from extender.kube.seams import Timing
from extender.runtime.drift import Channels, Context, DriftLoop, assemble
from extender.settings.sections.drift import DriftSettings
from extender.telemetry.drift import DriftMetrics
from extender.telemetry.traces import NO_TRACES, Tracer
from extender.wire.objects_v1 import Decoders
from support.doubles import ON_DEMAND, SPOT, make_pod
from support.doubles_kube import KubeClient, StoredObjects, refusal
from support.doubles_servers import run_virtually
from support.drifting import DriftWorld

STORE = "/api/v1/namespaces/system/configmaps/spotmix-drift"
QUICK = {
    "interval": "5s",
    "min_pod_age": "0s",
    "dwell": "0s",
    "namespace": "system",
    "max_moves_per_hour": 1000,
}
_READ = Decoders(ClassRules(), ("spotmix.io",)).make("pods", "v1", "Pod")


def pod_path(name: str) -> str:
    return f"/api/v1/namespaces/shop/pods/{name}"


class DriftCluster(KubeClient):
    """The API server and what is around it, as the loop sees it.

    Attributes:
        faults: what the next evictions of a pod, by name, are answered; then they are granted.
        evictions: pods whose eviction was asked for, with the time and whether it was a dry run.
        granted: names of the pods that were evicted.
        grace: how long a pod takes to end, in seconds.
        start: how long its replacement takes to become Ready; None makes none.
        takes: the classes of which nodes take new pods.
    """

    def __init__(self, objects: StoredObjects, world: DriftWorld, now: Callable[[], float]) -> None:
        super().__init__(objects)
        self.world = world
        self.faults: dict[str, list[ApiError]] = {}
        self.evictions: list[tuple[str, float, bool]] = []
        self.granted: list[str] = []
        self.grace = 0.1
        self.start: float | None = 0.2
        self.takes = {SPOT, ON_DEMAND}
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()

    def show(self, *pods: Pod, annotations: Mapping[str, str] | None = None) -> None:
        """Put pods of the world where a GET finds them."""
        for pod in pods:
            body = {
                "metadata": {
                    "name": pod.name,
                    "namespace": pod.namespace,
                    "uid": pod.uid,
                    "annotations": dict(annotations or {}),
                },
                "spec": {"nodeName": pod.node, "terminationGracePeriodSeconds": 7},
                "status": {"phase": "Running"},
            }
            self.objects.put(pod_path(pod.name), body)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        if not path.endswith("/eviction"):
            return await super().request(method, path, params=params, body=body, content_type=content_type)
        await asyncio.sleep(0.001)
        if self.down:
            raise refusal(0, "no answer")
        self.seen.append((method, path))
        self.before(method, path)
        assert method == "POST"
        assert isinstance(body, Mapping)
        self._evict(body, dry_run=(params or {}).get("dryRun") == "All")
        return b"{}"

    def _evict(self, body: Mapping[str, Any], *, dry_run: bool) -> None:
        name = body["metadata"]["name"]
        self.evictions.append((name, self._now(), dry_run))
        if self.faults.get(name):
            raise self.faults[name].pop(0)
        stored = self.objects.stored.get(pod_path(name))
        if stored is None:
            raise refusal(404, "NotFound")
        if stored["metadata"]["uid"] != body["deleteOptions"]["preconditions"]["uid"]:
            raise refusal(409, "Conflict")
        if not dry_run:
            self.granted.append(name)
            self.end(name)

    def end(self, name: str) -> None:
        """A pod ends, and is replaced."""
        task = asyncio.get_running_loop().create_task(self._replace(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self, name: str) -> None:
        record = self.world.state.pods[name]
        assert record.revision is not None
        owner, node = record.revision.owner, record.node.name if record.node else ""
        given = {"created": record.created, "terminating": True, "due": self._now() + self.grace}
        self.see(make_pod(name, owner, node, **given))
        await asyncio.sleep(self.grace)
        self.objects.delete(pod_path(name))
        self.world.gone("pods", name)
        if self.start is not None:
            await self.replacement(owner)

    async def replacement(self, owner: OwnerRef) -> str:
        """Another pod of an owner is made, placed and Ready; its name."""
        name = f"new-{next(self.objects.numbers)}"
        created = float(int(self._now()))
        self.see(make_pod(name, owner, created=created, pending=True))
        nodes = [
            node.name
            for node in self.world.state.nodes.values()
            if node.facts is not None and node.facts.capacity_class in self.takes
        ]
        pod, _ = self.world.place(owner, nodes, uid=name, name=name)
        await asyncio.sleep(self.start or 0.0)
        made = make_pod(name, owner, pod.node, created=created, labels={"app": owner.name})
        self.show(made)
        self.see(made)
        return name

    def see(self, pod: Pod) -> None:
        """The watch delivers a pod."""
        self.world.now = self._now()
        self.world.up(pod)


class DriftRoom:
    """A cluster and a drift loop on it. Made within a virtual event loop.

    Attributes:
        decides: whether the replica decides.
        health: how well each resource is followed.
        reports: what was reported.
        context, channels: what the loop is connected with.
    """

    def __init__(
        self,
        objects: StoredObjects | None = None,
        world: DriftWorld | None = None,
        tracer: Tracer = NO_TRACES,
        **settings: Any,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.world = world or DriftWorld()
        self._epoch = self.world.now - self._loop.time()
        self.objects = objects or StoredObjects()
        self.cluster = DriftCluster(self.objects, self.world, self.now)
        self.decides = True
        self.health = {r.key: Health(synced=True, last_contact=0.0) for r in (*BUILT_IN, *DRIFT_ONLY)}
        self.reports: list[str] = []
        self.registry = CollectorRegistry()
        self.timing = Timing(clock=self._loop.time, sleep=asyncio.sleep, uniform=lambda _low, high: high)
        self.recorder = EventRecorder(self.cluster, self._report, timing=self.timing)
        self.context = Context(
            self.cluster, _READ.one, self._fresh, lambda: self.decides, self._report, self.now, self.timing
        )
        self.channels = Channels(self.recorder, DriftMetrics(self.registry), tracer)
        given = DriftSettings(**{**QUICK, **settings})
        self.drift: DriftLoop = assemble(given, self.world.state, self.context, self.channels)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._epoch + self._loop.time()

    def _fresh(self) -> Mapping[str, Health]:
        clock = self._loop.time()
        return {
            key: Health(synced=h.synced, last_contact=clock + (h.last_contact or 0.0), last_error=h.last_error)
            for key, h in self.health.items()
        }

    def _report(self, _source: str, text: str) -> None:
        self.reports.append(text)

    def drifted(self, name: str = "web", on_demand: int = 6, spot: int = 4, **policy: Any) -> OwnerRef:
        """A Deployment with this many pods on nodes of each class, whose owner wants half of them on each."""
        owner = self.world.drifted(name, on_demand, spot, policy=policy)
        self.cluster.show(
            *(
                make_pod(record.uid, owner, record.node.name if record.node else "")
                for record in self.world.state.revisions[owner.uid].pods
            )
        )
        return owner

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The loop runs, as the leader's."""
        self.recorder.start()
        task = asyncio.create_task(self.drift.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.recorder.drain(60.0)

    async def after(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)
        self.world.now = self.now()

    def split(self, owner: OwnerRef) -> dict[str, int]:
        return {name: count for name, count in self.world.state.revisions[owner.uid].filled.items() if count}

    def events(self, reason: str) -> list[str]:
        """Notes of the Events with a reason."""
        found = (o for path, o in self.objects.stored.items() if "/events/" in path)
        return [event["note"] for event in found if event["reason"] == reason]

    def metric(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(f"spotmix_drift_{name}", labels)
        assert value is not None
        return value

    @property
    def stored(self) -> dict[str, Any]:
        """What the store holds, by workload."""
        found = self.objects.stored.get(STORE, {})
        return {uid: json.loads(text) for uid, text in found.get("data", {}).items()}


def virtually(check: Callable[[DriftRoom], Awaitable[None]], **settings: Any) -> None:
    """Run a check on a cluster with two nodes of each class."""

    async def main() -> None:
        room = DriftRoom(**settings)
        room.world.nodes(spot=2, on_demand=2)
        await check(room)

    run_virtually(main)
