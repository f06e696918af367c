"""Two replicas that both gate pods: one decides, and when it dies in a burst the other goes on from the pods."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.cluster import Cluster, policy
from support.pair import REPLICAS, SHORT, Pair, opened_pair
from support.patience import eventually
from support.stage import metric_lines
from support.webhook import CONFIGURATIONS, Hook

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

STOCK = "stock"
SEVENTY = policy(spot_percentage=70, min_on_demand=2, enforcement="affinity")
ASKED = dict(zip(REPLICAS, ("odd", "even"), strict=True))
"""The replica that the API server asks about a pod, by the name of its workload."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Pair, Cluster]]:
    folder = tmp_path_factory.mktemp("pair")
    hooks = {name: Hook.of_files(folder) for name in REPLICAS}
    async with opened_pair(SHORT, lambda name: hooks[name].flags) as (pair, cluster):
        await pair.plane.start_scheduler(STOCK)
        for replica, app in ASKED.items():
            webhook = hooks[replica].webhook(
                "pods", "/mutate/pods", [("", ["pods"])], objectSelector={"matchLabels": {"app": app}}
            )
            body = {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": replica},
                "webhooks": [webhook],
            }
            await pair.api.request("POST", CONFIGURATIONS.format("mutating"), body=body)
        yield pair, cluster


async def test_both_are_asked_and_the_one_that_decides_is_killed_in_a_burst(opened: tuple[Pair, Cluster]) -> None:
    pair, cluster = opened
    leader = await pair.leader()

    async def decided() -> int:
        return sum("spotmix.io/class" in pod["metadata"].get("annotations", {}) for pod in await cluster.pods())

    async def gated() -> int:
        return sum(bool(pod["spec"].get("schedulingGates")) for pod in await cluster.pods())

    # Both are called before anything depends on it.
    for app in ASKED.values():
        await cluster.deployment(app, 2, SEVENTY, schedulerName=STOCK)
    await eventually(decided, lambda count: count == 2 * len(ASKED), "both gate pods, and the leader decides")
    for name, replica in pair.replicas.items():
        asked = [line for line in metric_lines(replica) if 'outcome="mutated",verb="mutate-pods"' in line]
        assert any(float(line.split()[-1]) > 0 for line in asked), name

    await asyncio.gather(*(cluster.scale("Deployment", app, 50) for app in ASKED.values()))
    await eventually(decided, lambda count: count >= 20, "some pods are decided")
    await pair.replicas[leader].stop(kill=True)
    # Those that were gated are decided by the next one; those that come while none leads are not gated.
    for app in ASKED.values():
        await cluster.ready(app, 50)
    assert not await gated()
    await pair.successor(leader)
    late = next(app for replica, app in ASKED.items() if replica != leader)
    await cluster.roll_out(late, {"metadata": {"annotations": {"v": "2"}}})
    await cluster.expect(late, spot=35, on_demand=15)
