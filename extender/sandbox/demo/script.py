"""The five acts."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.objects import Node
from extender.sandbox.bulk import bulk
from extender.sandbox.demo import samples
from extender.sandbox.demo.facts import Look, find, view_workloads, workloads_on
from extender.sandbox.demo.stage import Stage
from extender.sandbox.demo.words import count_words, waiting_words
from extender.sandbox.nodes import create_nodes, terminate_node

NOTICE_SECONDS = 4.0
SCALED_IN = 5
_SEATING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Act:
    """An act: `title` and what to look at, and what happens."""

    title: str
    about: str
    play: Callable[[Stage], Awaitable[None]]


async def burst(stage: Stage) -> None:
    """All workloads are created at once."""
    await stage.pause(2.5)
    began = time.monotonic()
    await bulk(samples.WORKLOADS, stage.create)
    replicas = sum(part.replicas for part in samples.WORKLOADS)
    stage.show.log(f"{len(samples.WORKLOADS)} workloads created, {replicas} replicas")
    await stage.settle("burst", samples.WORKLOADS, began=began)
    await stage.pause(5)


async def rollout(stage: Stage) -> None:
    """A workload gets a new template."""
    name = samples.WEB.name
    before = find(view_workloads(await stage.look()), name)
    floor = samples.WEB.replicas

    def renewed(snapshot: Look) -> bool:
        now = find(view_workloads(snapshot), name)
        return now is not None and before is not None and now.newest.uid != before.newest.uid

    def count_floor(snapshot: Look) -> None:
        nonlocal floor
        now = find(view_workloads(snapshot), name)
        if now is not None:
            revisions = (now.newest, *now.older)
            floor = min(floor, sum(each.counts.get(ON_DEMAND, 0) for each in revisions))

    began = time.monotonic()
    await stage.patch(samples.WEB, samples.new_template("registry.example/app:v2"))
    stage.show.log(f"{name} has a new template")
    await stage.settle("rollout", [samples.WEB], began=began, ready=renewed, seen=count_floor)
    stage.show.log(f"{name}: never seen with fewer than {floor} on-demand, its floor is {samples.WEB_FLOOR}")
    await stage.pause(5)


async def scale_in(stage: Stage) -> None:
    """A workload loses half of its replicas."""
    name = samples.WEB.name

    def seated(snapshot: Look) -> bool:
        now = find(view_workloads(snapshot), name)
        return now is not None and not now.newest.unseated

    if not await stage.until(seated, _SEATING_SECONDS):
        stage.show.log(f"{name}: some pods have no pod-deletion-cost yet")

    def scaled(snapshot: Look) -> bool:
        now = find(view_workloads(snapshot), name)
        return now is not None and now.replicas == SCALED_IN

    began = time.monotonic()
    await stage.patch(samples.WEB, {"spec": {"replicas": SCALED_IN}})
    stage.show.log(f"{name} scaled from {samples.WEB.replicas} to {SCALED_IN}")
    await stage.settle("scale-in", [samples.WEB], began=began, ready=scaled)
    await stage.pause(5)


def victims(snapshot: Look) -> list[str]:
    """The spot nodes whose loss teaches most: those of one zone, but not where `batch` runs.

    Among them is the one with a replica of `cache`, for which no other spot node has room. Pods of `batch` are spared,
    as the Job controller waits ten seconds before it replaces a pod that failed.
    """
    pods = {name: workloads_on(snapshot, name) for name in snapshot.nodes}
    spot = [
        node
        for node in snapshot.nodes.values()
        if node.capacity_class == SPOT and samples.BATCH.name not in pods[node.name]
    ]

    def worth(zone: str) -> tuple[bool, int]:
        here = [name for node in spot if node.zone == zone for name in pods[node.name]]
        return samples.CACHE.name in here, len(set(here))

    zone = max(sorted({node.zone for node in spot}), key=worth)
    return sorted(node.name for node in spot if node.zone == zone and pods[node.name])


async def termination(stage: Stage) -> None:
    """The spot capacity of a zone is taken back."""
    snapshot = await stage.look()
    names = victims(snapshot)
    hit = [workload for name in names for workload in workloads_on(snapshot, name)]
    notice = stage.paced(NOTICE_SECONDS)
    stage.show.log(f"{' and '.join(names)}: termination notice; on them {', '.join(hit)}")
    began = time.monotonic() + notice
    await bulk(names, lambda name: terminate_node(stage.api, name, notice=notice))
    stage.show.log(f"{' and '.join(names)}: gone, and {count_words(len(hit), 'pod')} with them")
    await stage.settle("spot termination", [part for part in samples.WORKLOADS if part.name in hit], began=began)
    for pod in (await stage.look()).pods:
        if not pod.node:
            stage.show.log(f"{pod.name} {waiting_words(pod.message)}, as its policy says")
    await stage.pause(6)


async def spot_returns(stage: Stage) -> None:
    """A node joins that has room for the replica that waits."""
    snapshot = await stage.look()
    zones = {node.zone for node in snapshot.nodes.values() if _roomy(node)}
    zone = next((each for each in samples.ZONES if each not in zones), samples.ZONES[0])
    node = samples.node("spot", samples.BIG_MEMORY, zone, "2")

    def joined(snapshot: Look) -> bool:
        return node.name in snapshot.nodes

    began = time.monotonic()
    await create_nodes(stage.api, [node])
    stage.show.log(f"{node.name} joins")
    await stage.settle("spot returns", [samples.CACHE], began=began, ready=joined)
    await stage.pause(4)


def _roomy(node: Node) -> bool:
    return node.capacity_class == SPOT and node.instance_type == samples.BIG_MEMORY


ACTS = (
    Act("burst", "29 pods at once, and each takes the first unfilled seat of its workload", burst),
    Act("rollout", "each revision is split alone: the new one is right at the end, the floor holds", rollout),
    Act("scale-in", "the highest seats leave first, so that nothing has to be moved", scale_in),
    Act("spot termination", "replacements are placed by policy; cache waits rather than pay on-demand", termination),
    Act("spot returns", "what waited runs as soon as there is room in its class", spot_returns),
)
