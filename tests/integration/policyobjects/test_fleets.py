"""`count: Policy` on a real control plane: one ratio for many small workloads, in a burst, rollouts and at rest."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from support.cluster import Cluster, pod_template, policy
from support.commands import SCRIPT, run
from support.objects import Objects
from support.patience import eventually
from support.policyobjects import placement_policy, shares
from support.stage import Stage

from extender.sandbox import bulk

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

WEB = {"tier": "web"}
SURGE = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
TOGETHER = {"selector": {"matchLabels": WEB}, "count": "Policy", "classes": shares(70)}


def names(count: int) -> list[str]:
    return [f"w-{number:02}" for number in range(count)]


async def fleet(objects: Objects, cluster: Cluster, **spec: Any) -> dict[str, Any]:
    thing = placement_policy("web", cluster.namespace, {**TOGETHER, **spec})
    await objects.apply(thing)
    return thing


async def said(objects: Objects, thing: Mapping[str, Any], **wanted: Any) -> dict[str, Any]:
    """Wait until the status of the policy says this."""

    async def status() -> dict[str, Any]:
        found = await objects.get(thing) or {}
        return dict(found.get("status", {}))

    return await eventually(status, lambda seen: {key: seen.get(key) for key in wanted} == wanted, f"it says {wanted}")


def converged(status: Mapping[str, Any]) -> tuple[str, str]:
    return next((each["status"], each["reason"]) for each in status["conditions"] if each["type"] == "Converged")


async def test_forty_workloads_of_one_replica(stage: Stage, objects: Objects, cluster: Cluster) -> None:
    thing = await fleet(objects, cluster)
    await said(objects, thing, workloads=0)
    await bulk(names(40), lambda name: cluster.deployment(name, 1, labels=WEB, strategy=SURGE))
    await cluster.expect("", spot=28, on_demand=12)
    await cluster.ready("", 40)
    seen = await said(objects, thing, workloads=40, replicas=40, wanted="28/12", actual="28/12")
    assert converged(seen) == ("True", "Converged")
    # Ten roll out at once, with a pod too many each.
    changed = names(10)
    before = {name: await cluster.split(name) for name in changed}
    await asyncio.gather(
        *(cluster.roll_out(name, pod_template({"app": name, "version": "2"}), seconds=120) for name in changed)
    )
    await cluster.expect("", spot=28, on_demand=12)
    assert before == {name: await cluster.split(name) for name in changed}
    await cluster.scale("Deployment", "w-20", 5)
    await cluster.expect("", spot=30, on_demand=14)
    kubeconfig = ("-n", cluster.namespace, "--kubeconfig", str(stage.plane.kubeconfig))
    text = f"counted over PlacementPolicy {cluster.namespace}/web: 30/14 of 44"
    for command in (("explain", "deployment", "w-20"), ("status",)):
        ran = await run(SCRIPT, *command, *kubeconfig)
        assert text in " ".join((ran.out + ran.err).split()), ran
    # Whoever leaves is counted no more, and its pods run on; a split of its own is one of its own.
    await cluster.annotate("Deployment", "w-20", policy(spot_percentage=0))
    await said(objects, thing, workloads=40, replicas=44)
    await cluster.expect("w-20", on_demand=5, seconds=120)
    await said(objects, thing, replicas=44)


async def test_floors_of_single_workloads_are_kept(objects: Objects, cluster: Cluster) -> None:
    thing = await fleet(objects, cluster)
    await said(objects, thing, workloads=0)
    stubborn, others = names(20)[:4], names(20)[4:]
    await bulk(stubborn, lambda name: cluster.deployment(name, 1, policy(min_on_demand=1), labels=WEB))
    await cluster.expect("", on_demand=4)
    await bulk(others, lambda name: cluster.deployment(name, 1, labels=WEB))
    await cluster.expect("", spot=14, on_demand=6)
    for name in stubborn:
        await cluster.expect(name, on_demand=1)
    await said(objects, thing, replicas=20, wanted="14/6", actual="14/6")


async def test_a_scale_in_leaves_the_sum_to_the_drift_loop(objects: Objects, cluster: Cluster) -> None:
    thing = await fleet(objects, cluster, classes=shares(50), moves={"maxPerHour": 100})
    await said(objects, thing, workloads=0)
    for name in ("a", "b"):
        await cluster.deployment(name, 6, labels=WEB)
    small = names(4)
    for name in small:
        await cluster.deployment(name, 1, labels=WEB)
    await cluster.expect("", spot=8, on_demand=8)
    await cluster.ready("", 16)
    gone = [name for name in small if "spot" in await cluster.split(name)]
    for name in gone:
        await cluster.scale("Deployment", name, 0)
    left = 16 - len(gone)
    await cluster.expect("", spot=left // 2, on_demand=left - left // 2, seconds=120)
    seen = await said(objects, thing, replicas=left, actual=f"{left // 2}/{left - left // 2}")
    assert converged(seen) == ("True", "Converged")
