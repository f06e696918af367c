"""Real Karpenter launches nodes for what is written on pods: exact from zero nodes, with the stock scheduler."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from support.cluster import Cluster, pod_template, policy
from support.interruptions import about, counted, heard, post_notice
from support.karpenter import Karpenter, running_karpenter
from support.patience import eventually
from support.placeholders import allow_placeholders
from support.stage import Stage
from support.webhook import SECOND, open_hooked_stage

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="module")]

STOCK = "stock"
SEVENTY = policy(spot_percentage=70, min_on_demand=2)


@dataclass
class Ground:
    """A stage without nodes, a scheduler that has never heard of Spotmix, and Karpenter."""

    stage: Stage
    karpenter: Karpenter


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with open_hooked_stage(tmp_path_factory.mktemp("karpenter"), []) as stage:
        await stage.plane.start_scheduler(STOCK)
        # A Job's pods go to spot behind placeholders.
        await allow_placeholders(stage.api)
        async with running_karpenter(stage.plane, stage.api) as karpenter:
            await karpenter.pool("mixed", "spot", "on-demand")
            yield Ground(stage, karpenter)


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(ground: Ground) -> AsyncIterator[Cluster]:
    async with ground.stage.namespace() as namespace:
        yield namespace


async def test_from_zero_nodes_and_through_a_rollout(cluster: Cluster) -> None:
    await cluster.deployment("web", 10, SEVENTY, cpu="500m", schedulerName=STOCK)
    await cluster.expect("web", spot=7, on_demand=3)
    await cluster.ready("web", 10)
    await cluster.roll_out("web", {"metadata": {"annotations": {"v": "2"}}})
    await cluster.expect("web", spot=7, on_demand=3)
    await cluster.ready("web", 10)


async def test_auto_writes_classes_though_the_scheduler_asks(ground: Ground, cluster: Cluster) -> None:
    # A scheduler that is said to ask, and is asked by: no autoscaler would know what the extender rejects.
    auto = policy(spot_percentage=70, min_on_demand=2, scheduler_name=SECOND)
    await cluster.deployment("web", 10, auto, cpu="500m")
    await cluster.expect("web", spot=7, on_demand=3)
    await cluster.ready("web", 10)
    for pod in await cluster.pods("web"):
        assert pod["spec"]["schedulerName"] == SECOND
        assert "spotmix.io/class" in pod["metadata"]["annotations"]
        assert "nominatedNodeName" not in pod["status"]
    assert [*await cluster.events("FallbackTaken"), *await cluster.events("ClassUnavailable")] == []
    seen = ground.stage.metric('spotmix_enforcement{enforcement="affinity",reason="autoscaler-seen",scheduler=""}')
    assert seen == 1


async def test_ten_workloads_at_once(cluster: Cluster) -> None:
    names = [f"web-{number}" for number in range(10)]
    await asyncio.gather(*(cluster.deployment(name, 20, SEVENTY, cpu="100m", schedulerName=STOCK) for name in names))
    for name in names:
        await cluster.expect(name, spot=14, on_demand=6, seconds=120)
        await cluster.ready(name, 20)


async def test_a_stateful_set_and_a_job(cluster: Cluster) -> None:
    half = policy(spot_percentage=50)
    pod = pod_template({"app": "db"}, cpu="500m", schedulerName=STOCK)
    spec = {
        "replicas": 6,
        "serviceName": "db",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": "db"}},
        "template": pod,
    }
    await cluster.create("StatefulSet", "db", spec, half)
    job = pod_template({"app": "job"}, cpu="500m", schedulerName=STOCK, restartPolicy="Never")
    await cluster.create("Job", "job", {"parallelism": 10, "completions": 10, "template": job}, half)
    for name, size in (("db", 6), ("job", 10)):
        await cluster.expect(name, spot=size // 2, on_demand=size // 2)
        await cluster.ready(name, size)


async def test_only_what_the_platform_takes_is_an_interruption(ground: Ground, cluster: Cluster) -> None:
    """Karpenter takes nodes away in the same way whatever the reason; its Events tell them apart."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    spot = policy(spot_percentage=100)
    await cluster.deployment("web", 2, spot, schedulerName=STOCK, topologySpreadConstraints=[spread])
    await cluster.expect("web", spot=2, on_demand=0)
    nodes = {node["metadata"]["name"]: node for node in await cluster.nodes()}
    taken, given_back = (nodes[pod["spec"]["nodeName"]] for pod in await cluster.pods("web"))
    known = await asyncio.to_thread(counted, ground.stage)

    async def staying() -> set[str]:
        found = (node["metadata"] for node in await cluster.nodes())
        return {meta["name"] for meta in found if "deletionTimestamp" not in meta}

    await post_notice(ground.stage.api, "SpotInterrupted", "karpenter", about(taken))
    await ground.karpenter.lose("spot")
    left = {taken["metadata"]["name"], given_back["metadata"]["name"]}
    await eventually(staying, lambda now: not left & now, "Karpenter takes the nodes away")
    # As Karpenter does when the platform tells it that an instance has ended, whoever ended it.
    for node in (taken, given_back):
        await post_notice(ground.stage.api, "InstanceTerminating", "karpenter", about(node))
    await eventually(lambda: heard(ground.stage, "InstanceTerminating"), lambda now: now == 2, "it is heard")
    zone = taken["metadata"]["labels"]["topology.kubernetes.io/zone"]
    assert await asyncio.to_thread(counted, ground.stage) == {**known, zone: known.get(zone, 0.0) + 1.0}
