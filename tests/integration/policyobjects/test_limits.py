"""What a namespace may hold of a class: exact in a burst and at every event, told, and let go on when it frees."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.cluster import RULES, Cluster, pod_template, policy
from support.commands import SCRIPT, run
from support.gates import GATE
from support.objects import Objects
from support.patience import eventually
from support.policyobjects import cluster_policy
from support.stage import Stage
from support.webhook import Hook, post_with_warnings

from extender.core.model.errors import ApiError
from extender.core.model.quantity import parse_quantity
from extender.sandbox.spotmix import SpotmixServe

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]


def limits(name: str, team: str, **most: str) -> dict[str, Any]:
    """A policy that limits on-demand by resource in namespaces with a label."""
    spec = {
        "namespaceSelector": {"matchLabels": {"team": team}},
        "limits": [{"class": "on-demand", "resource": resource, "max": max_} for resource, max_ in most.items()],
    }
    return cluster_policy(name, spec)


@contextlib.asynccontextmanager
async def applied(objects: Objects, thing: dict[str, Any]) -> AsyncIterator[None]:
    await objects.apply(thing)
    try:
        yield
    finally:
        await objects.delete_if_there(thing)


async def in_force(objects: Objects, thing: Mapping[str, Any]) -> None:
    """Wait until Spotmix has told how limits are used, as they are written by now."""

    async def told() -> bool:
        found = await objects.get(thing) or {"metadata": {"generation": -1}}
        status = found.get("status", {})
        kinds = {each["type"] for each in status.get("conditions", ())}
        return status.get("observedGeneration") == found["metadata"]["generation"] and "WithinLimits" in kinds

    await eventually(told, bool, "the limits are in force", 90)


class MostHeld:
    """The most CPU that live pods of a namespace have held on on-demand nodes, at any event."""

    def __init__(self, cluster: Cluster, classes: Mapping[str, str]) -> None:
        self._cluster, self._classes = cluster, classes
        self._held: dict[str, int] = {}
        self.most = self.events = 0

    async def follow(self) -> None:
        while True:
            with contextlib.suppress(ApiError):
                lines = self._cluster.api.watch(f"/api/v1/namespaces/{self._cluster.namespace}/pods", {})
                async with contextlib.aclosing(lines):
                    async for line in lines:
                        self._see(json.loads(line))

    def _see(self, event: Mapping[str, Any]) -> None:
        pod = event["object"]
        uid, node = pod["metadata"].get("uid", ""), pod.get("spec", {}).get("nodeName", "")
        ended = event["type"] == "DELETED" or pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if ended or self._classes.get(node) != "on-demand":
            self._held.pop(uid, None)
        else:
            asked = pod["spec"]["containers"][0]["resources"]["requests"]["cpu"]
            self._held[uid] = parse_quantity(asked, 1000)
        self.events += 1
        self.most = max(self.most, sum(self._held.values()))


@contextlib.asynccontextmanager
async def watched(*clusters: Cluster) -> AsyncIterator[list[MostHeld]]:
    classes = {
        node["metadata"]["name"]: RULES.class_of(node["metadata"]["labels"]) for node in await clusters[0].nodes()
    }
    seen = [MostHeld(cluster, classes) for cluster in clusters]
    tasks = [asyncio.create_task(each.follow()) for each in seen]
    try:
        yield seen
        assert not any(task.done() for task in tasks)
        assert all(each.events for each in seen)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def names(cluster: Cluster, *, bound: bool) -> set[str]:
    return {pod["metadata"]["name"] for pod in await cluster.pods() if bool(pod["spec"].get("nodeName")) is bound}


async def delete_pods(cluster: Cluster, some: set[str]) -> None:
    for name in some:
        await cluster.api.request("DELETE", f"/api/v1/namespaces/{cluster.namespace}/pods/{name}")


async def test_two_teams_use_what_they_may_and_no_more(stage: Stage, objects: Objects) -> None:
    thing = limits("teams", "burst", cpu="2")
    label = {"team": "burst"}
    async with applied(objects, thing), stage.namespace(label) as one, stage.namespace(label) as two:
        await in_force(objects, thing)
        async with watched(one, two) as seen:
            await asyncio.gather(*(each.deployment("web", 12, policy(), cpu="250m") for each in (one, two)))
            for each in (one, two):
                await each.expect("web", on_demand=8, pending=4)
            (line, *_) = await eventually(partial(one.events, "LimitReached"), bool, "an Event")
            used = f"on-demand cpu 2 of 2 used in namespace {one.namespace}"
            assert f"limit of ClusterPlacementPolicy teams: {used}" in line["note"]

            async def message() -> str:
                conditions = (await objects.get(thing) or {}).get("status", {}).get("conditions", ())
                return next((each["message"] for each in conditions if each["type"] == "WithinLimits"), "")

            await eventually(message, lambda text: used in text and two.namespace in text, "the status says where")
            labels = '{capacity_class="on-demand",policy="teams",resource="cpu"}'
            assert stage.metric(f"spotmix_limit_used_most{labels}") == 2.0
            assert stage.metric(f"spotmix_limit_reached_namespaces{labels}") == 2.0
            waiting = await names(one, bound=False)
            what = ("pod", min(waiting), "-n", one.namespace, "--kubeconfig", str(stage.plane.kubeconfig))
            ran = await run(SCRIPT, "explain", *what)
            assert used in " ".join(ran.out.split()), ran.out + ran.err
            # What frees is for those that waited, and the replacements wait in their turn.
            await delete_pods(one, set(sorted(await names(one, bound=True))[:2]))

            async def came() -> int:
                return len(waiting & await names(one, bound=True))

            await eventually(came, bool, "pods that waited go on", 30)
            await one.expect("web", on_demand=8, pending=4)
            assert max(each.most for each in seen) == 2000
            thing["spec"]["limits"][0]["max"] = "2500m"
            await objects.apply(thing)
            for each in (one, two):
                await each.expect("web", on_demand=10, pending=2, seconds=30)
            assert [each.most for each in seen] == [2500, 2500]
            await objects.delete(thing)
            await one.expect("web", on_demand=12, seconds=30)


async def test_a_gated_pod_keeps_its_gate_for_as_long(stage: Stage, objects: Objects) -> None:
    thing = limits("gated", "gated", cpu="2")
    async with applied(objects, thing), stage.namespace({"team": "gated"}) as cluster:
        await in_force(objects, thing)
        async with watched(cluster) as (seen,):
            gates = [{"name": GATE}]
            await cluster.deployment("web", 6, policy(enforcement="affinity"), cpu="500m", schedulingGates=gates)
            await cluster.expect("web", on_demand=4, pending=2)
            waiting = await names(cluster, bound=False)
            pods = [pod for pod in await cluster.pods() if pod["metadata"]["name"] in waiting]
            assert [pod["spec"].get("schedulingGates") for pod in pods] == [gates, gates]
            found = await eventually(partial(cluster.events, "LimitReached"), bool, "an Event")
            assert "it keeps its gate" in found[0]["note"]
            await delete_pods(cluster, {min(await names(cluster, bound=True))})

            async def came() -> int:
                return len(waiting & await names(cluster, bound=True))

            await eventually(came, bool, "a pod that waited goes on", 30)
            await cluster.expect("web", on_demand=4, pending=2)
            assert seen.most == 2000


async def test_the_drift_loop_moves_nothing_to_where_a_limit_is_reached(stage: Stage, objects: Objects) -> None:
    thing = limits("drift", "drift", pods="1")
    async with applied(objects, thing), stage.namespace({"team": "drift"}) as cluster:
        await in_force(objects, thing)
        await cluster.deployment("web", 4, policy(spot_percentage=50, when_unsatisfiable="any"))
        await cluster.expect("web", spot=3, on_demand=1)
        await cluster.ready("web", 4)

        async def stays() -> float | None:
            return await asyncio.to_thread(stage.metric, 'spotmix_drift_staying_replicas{reason="class-limit"}')

        await eventually(stays, lambda count: count == 1.0, "a pod stays for the limit")
        thing["spec"]["limits"][0]["max"] = "2"
        await objects.apply(thing)
        await cluster.expect("web", spot=2, on_demand=2, seconds=120)


async def test_whoever_applies_what_cannot_fit_is_warned(stage: Stage, objects: Objects, tmp_path: Path) -> None:
    thing = limits("warned", "warned", cpu="1")
    hook = Hook.of_files(tmp_path)
    hooked = SpotmixServe(stage.plane, *hook.flags, name="hooked")
    async with applied(objects, thing), stage.namespace({"team": "warned"}) as cluster:
        await hooked.start()
        try:
            await hook.register(stage.api, "limits", namespaceSelector={"matchLabels": {"team": "warned"}})
            template = pod_template({"app": "web"}, cpu="400m")
            metadata = {"name": "web", "labels": {"spotmix.io/enabled": "true"}}
            spec = {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template}
            body = {"metadata": metadata, "spec": spec}
            path = f"{cluster.path('Deployment')}?dryRun=All"

            async def told() -> list[str]:
                _, warnings, _ = await asyncio.to_thread(post_with_warnings, stage.plane, path, body)
                return warnings

            (warning,) = await eventually(told, bool, "a warning")
            assert "ClusterPlacementPolicy warned: spec.limits[0].max='1' lets namespace" in warning
            assert "3 on-demand replicas of 400m, 1200m in all: 1 of them will never get there; raise it" in warning
        finally:
            await hooked.stop()
            for kind in ("mutating", "validating"):
                path = f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/limits"
                await stage.api.request("DELETE", path)
