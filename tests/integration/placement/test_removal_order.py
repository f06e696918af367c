"""The real controller manager deletes the pods that `removal_order` says, of hundreds of ReplicaSets of random pods."""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from msgspec import Struct
from support.cluster import Cluster
from support.patience import eventually

from extender.core.model.classes import ClassRules
from extender.core.policy.rules import PolicyRules
from extender.core.scalein.removal_order import _magnitude, deletion_cost, removal_order
from extender.core.state.events import Upsert
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.sandbox import ControlPlane, create_nodes, node_pool
from extender.sandbox.bulk import bulk
from extender.wire.kube_v1 import DELETION_COST
from extender.wire.objects_v1 import Decoders

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

SEED = 20
CASES, CHECKED = 420, 200
"""ReplicaSets that are scaled in, and how many of them must have one right answer."""
NODES = [f"on-demand-{number}" for number in range(3)]
CRITERIA = ("node", "phase", "ready", "cost", "crowd", "ready_since")
MAGNITUDES = (400, 800, 1600, 100_000, 200_000)
"""Ages in seconds, far enough from a power of two of nanoseconds for their order of magnitude to stay in a slow run."""
MOMENT = 0.2
"""Seconds; creation times differ by whole ones."""
SENTINEL = "sentinel"
CLUSTER = "removal"


@dataclass
class Sketch:
    """A pod to create."""

    name: str
    app: str
    node: str
    cost: str | None
    status: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "containers": [{"name": "main", "image": "sim"}],
            "terminationGracePeriodSeconds": 0,
            # Tolerates what a node without a kubelet is marked with.
            "tolerations": [{"operator": "Exists"}],
        }
        if self.node:
            spec["nodeName"] = self.node
        annotations = {DELETION_COST: self.cost} if self.cost is not None else {}
        metadata = {"name": self.name, "labels": {"app": self.app}, "annotations": annotations}
        return {"metadata": metadata, "spec": spec}


@dataclass
class Case:
    """A ReplicaSet, how many pods it is to lose, and `others` of the same owner (if it is `owned`) that stay."""

    app: str
    pods: list[Sketch]
    others: list[Sketch]
    owned: bool
    fewer: int
    before: float = 0.0
    records: list[PodRecord] = field(default_factory=list)
    related: list[PodRecord] = field(default_factory=list)

    @property
    def sibling(self) -> str:
        return f"{self.app}-old"

    def choose(self, now: float) -> list[PodRecord]:
        """The pods that leave when the controller looks at `now`."""
        return removal_order(self.records, self.related, now)[: self.fewer]

    def is_certain(self, now: float) -> bool:
        """Whether the controller has one right answer, from before it was asked until `now`."""
        uids = {pod.uid for pod in self.choose(now)}
        seen: set[tuple[object, ...]] = set()
        # Meanwhile one age after the other comes to the next magnitude, and each time the order may be another.
        for step in range(int((now - self.before) / MOMENT) + 2):
            moment = min(now, self.before + step * MOMENT)
            ages = tuple((_magnitude(pod.created, moment), _magnitude(pod.ready_since, moment)) for pod in self.records)
            if ages not in seen and not self._is_certain_at(moment, uids):
                return False
            seen.add(ages)
        return True

    def _is_certain_at(self, moment: float, uids: set[str]) -> bool:
        chosen = self.choose(moment)
        kept = [pod for pod in self.records if pod not in chosen]
        alone = all(self._leaves_before(one, other, moment) for one in chosen for other in kept)
        return alone and {pod.uid for pod in chosen} == uids

    def _leaves_before(self, one: PodRecord, other: PodRecord, now: float) -> bool:
        """Not so of pods that leave one before the other in a circle, and of those that nothing tells apart."""
        alike = self.told_apart_by(one) == self.told_apart_by(other)
        return not alike and removal_order([one, other], self.related, now)[0] is one

    def told_apart_by(self, pod: PodRecord) -> tuple[object, ...]:
        """All that the controller looks at, but the UID."""
        crowd = sum(each.node_name == pod.node_name for each in self.related)
        since = pod.ready_since if pod.ready else None
        cost = deletion_cost(pod.cost)
        return (pod.node is not None, pod.pending, pod.ready, cost, crowd, since, pod.created)


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def draw_status(rng: Random, varied: Iterable[str], now: float) -> dict[str, Any]:
    """Phase and readiness; what is not varied is as it is of most pods."""
    phase = rng.choice(["Pending", "Running"]) if "phase" in varied else "Running"
    ready = rng.random() < 0.5 if "ready" in varied else True
    age = rng.choice(MAGNITUDES) + rng.choice((0, 0, 1, 20)) if "ready_since" in varied else MAGNITUDES[0]
    since = _text(now - age)
    return {
        "phase": phase,
        "conditions": [
            {"type": "Initialized", "status": "True", "lastTransitionTime": _text(now)},
            {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since},
        ],
    }


def draw_pods(rng: Random, app: str, count: int, varied: Sequence[str], now: float) -> list[Sketch]:
    pods: list[Sketch] = []
    for number in range(count):
        node = rng.choice(["", *NODES]) if "node" in varied else rng.choice(NODES) if "crowd" in varied else NODES[0]
        cost = rng.choice([None, "0", "-3", "4", "4"]) if "cost" in varied else None
        pods.append(Sketch(f"{app}-{number}", app, node, cost, draw_status(rng, varied, now)))
    return pods


def draw_cases(now: float) -> list[Case]:
    rng = Random(SEED)  # noqa: S311 - the same fleet in every run
    cases: list[Case] = []
    for number in range(CASES):
        # With few criteria varied the last ones have a say too.
        varied = rng.sample(CRITERIA, rng.choice((0, 1, 1, 2, 2, 3, 5, 6)))
        app, count = f"web-{number}", rng.randint(3, 7)
        owned = rng.random() < 0.7
        others = draw_pods(rng, f"{app}-old", rng.randint(1, 3), varied, now) if owned and rng.random() < 0.5 else []
        cases.append(Case(app, draw_pods(rng, app, count, varied, now), others, owned, rng.randint(1, count - 1)))
    return cases


class Metadata(Struct):
    name: str
    generation: int


class Status(Struct, rename="camel"):
    replicas: int
    observed_generation: int = 0


class ReplicaSet(Struct):
    metadata: Metadata
    status: Status


class ReplicaSets(Struct):
    """A list of which little is read: it is long, and asked for often."""

    items: list[ReplicaSet]


class Fleet:
    """The pods and ReplicaSets of the cases on a control plane without kubelets."""

    def __init__(self, api: ApiClient) -> None:
        self.cluster = Cluster(api, CLUSTER)
        self._api = api
        self._pods = f"/api/v1/namespaces/{CLUSTER}/pods"

    async def create_pods(self, pods: Sequence[Sketch]) -> None:
        """Create pods that nothing controls yet, and then give them their statuses."""
        await bulk(pods, lambda pod: self._api.request("POST", self._pods, body=pod.body))
        await bulk(pods, self._set_status)

    async def _set_status(self, pod: Sketch) -> None:
        path = f"{self._pods}/{pod.name}/status"
        await self._api.request("PATCH", path, body={"status": pod.status}, content_type=MERGE_PATCH)

    async def replica_set(self, app: str, replicas: int, owner: dict[str, Any] | None = None) -> None:
        """A ReplicaSet that adopts the pods of `app`."""
        template = {
            "metadata": {"labels": {"app": app}},
            "spec": {"containers": [{"name": "main", "image": "sim"}], "terminationGracePeriodSeconds": 0},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template}
        await self.cluster.create("ReplicaSet", app, spec, owner=owner)

    async def owner(self) -> dict[str, Any]:
        """What controls both ReplicaSets of a case: an object that no controller looks at."""
        path = f"/api/v1/namespaces/{CLUSTER}/configmaps"
        body = json.loads(await self._api.request("POST", path, body={"metadata": {"generateName": "owner-"}}))
        name, uid = body["metadata"]["name"], body["metadata"]["uid"]
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "controller": True}

    async def adopted(self, case: Case) -> None:
        owner = await self.owner() if case.owned else None
        await self.replica_set(case.app, len(case.pods), owner)
        if case.others:
            await self.replica_set(case.sibling, len(case.others), owner)

    async def sizes(self) -> dict[str, int]:
        """How many pods each ReplicaSet says it has, once it has seen its spec."""
        body = await self._api.request("GET", self.cluster.path("ReplicaSet"))
        return {
            each.metadata.name: each.status.replicas
            for each in msgspec.json.decode(body, type=ReplicaSets).items
            if each.status.observed_generation == each.metadata.generation
        }

    async def has_seen_everything(self) -> None:
        """Wait until the controller has seen all statuses: those of pods come to it in the order of their making."""
        ready = draw_status(Random(0), (), time.time())  # noqa: S311 - nothing is left to chance
        sentinel = Sketch(SENTINEL, SENTINEL, NODES[0], None, ready)
        await self.replica_set(SENTINEL, 1)
        await self.create_pods([sentinel])

        async def seen() -> int:
            status = (await self.cluster.get("ReplicaSet", SENTINEL))["status"]
            return int(status.get("readyReplicas", 0))

        await eventually(seen, lambda count: count == 1, "the controller has seen the last status")

    async def state(self) -> ClusterState:
        """The cluster's pods as Spotmix reads them."""
        state = ClusterState(PolicyRules())
        body = await self._api.request("GET", self._pods)
        for pod in Decoders(ClassRules(), PolicyRules().prefixes).make("pods", "v1", "Pod").page(body).objects:
            state.apply(Upsert(pod), time.time())
        return state


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def fleet() -> AsyncIterator[Fleet]:
    async with ControlPlane(with_scheduler=False) as plane, await plane.connect() as api:
        await create_nodes(api, node_pool(len(NODES), capacity_class="on-demand"))
        fleet = Fleet(api)
        await fleet.cluster.create_namespace()
        yield fleet


async def test_the_controller_deletes_the_pods_that_come_first(fleet: Fleet) -> None:
    cases = draw_cases(time.time())
    # In two waves, so that creation times differ.
    await fleet.create_pods([pod for case in cases for pod in [*case.pods[::2], *case.others]])
    await fleet.create_pods([pod for case in cases for pod in case.pods[1::2]])
    await bulk(cases, fleet.adopted)
    sizes = {case.app: len(case.pods) for case in cases} | {c.sibling: len(c.others) for c in cases if c.others}
    await eventually(fleet.sizes, lambda seen: seen == sizes, "every pod is adopted")
    await fleet.has_seen_everything()
    before = await fleet.state()
    by_app: dict[str, list[PodRecord]] = {}
    for pod in before.pods.values():
        by_app.setdefault(pod.name.rpartition("-")[0], []).append(pod)

    async def scale_in(case: Case) -> None:
        case.before, case.records = time.time(), by_app[case.app]
        case.related = [*case.records, *by_app.get(case.sibling, ())] if case.owned else []
        await fleet.cluster.scale("ReplicaSet", case.app, len(case.pods) - case.fewer)

    await bulk(cases, scale_in)
    sizes |= {case.app: len(case.pods) - case.fewer for case in cases} | {SENTINEL: 1}
    await eventually(fleet.sizes, lambda seen: seen == sizes, "every ReplicaSet is scaled in")
    now = time.time()
    left = (await fleet.state()).pods.keys()
    certain = [case for case in cases if case.is_certain(now)]
    wrong = [
        f"{case.app}: {sorted(gone)} are gone, not {sorted(chosen)}, of {describe(case, now)}"
        for case in certain
        if (gone := {pod.name for pod in case.records if pod.uid not in left})
        != (chosen := {pod.name for pod in case.choose(now)})
    ]
    assert not wrong, "\n".join(wrong)
    # A failed assertion would show the cases, whose pods and nodes lead to one another.
    checked = len(certain)
    assert checked >= CHECKED
    decisive = Counter(decided_by(case, now) for case in certain)
    assert decisive.keys() >= {*CRITERIA, "created"}, decisive


def describe(case: Case, now: float) -> str:
    return "; ".join(
        f"{pod.name} {pod.uid} {case.told_apart_by(pod)}" for pod in removal_order(case.records, case.related, now)
    )


def decided_by(case: Case, now: float) -> str:
    """The criterion that tells the last pod that leaves from the first that stays."""
    ordered = removal_order(case.records, case.related, now)
    last, first = ordered[case.fewer - 1], ordered[case.fewer]
    crowd = Counter(pod.node_name for pod in case.related)
    for name, differs in (
        ("node", (last.node is None) != (first.node is None)),
        ("phase", last.pending != first.pending),
        ("ready", last.ready != first.ready),
        ("cost", (last.cost or "0") != (first.cost or "0")),
        ("crowd", crowd[last.node_name] != crowd[first.node_name]),
        ("ready_since", last.ready and last.ready_since != first.ready_since),
    ):
        if differs:
            return name
    return "created"
