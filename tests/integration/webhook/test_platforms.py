"""Nodes as platforms label and taint them: pods get what they need to come there, without configuration."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.cluster import policy
from support.stage import ZONES, Stage
from support.webhook import SECOND, added, open_hooked_stage, schedulers

from extender.sandbox import node_pool

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def empty_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A stage without nodes, whose webhook knows of one more taint."""
    flags = ["--webhook-extra-spot-taints=[example.org/cheap=yes:NoSchedule]"]
    async with open_hooked_stage(tmp_path_factory.mktemp("platforms"), [], flags) as opened:
        yield opened


async def test_a_tainted_spot_pool_is_used_because_of_the_toleration(empty_stage: Stage) -> None:
    taint = {"key": "example.org/cheap", "value": "yes", "effect": "NoSchedule"}
    nodes = [
        *node_pool(4, capacity_class="spot", zones=ZONES, taints=(taint,)),
        *node_pool(4, capacity_class="on-demand", zones=ZONES),
    ]
    async with empty_stage.alone(nodes) as cluster:
        await cluster.deployment("web", 10, policy(spot_percentage=70))
        await cluster.expect("web", spot=7, on_demand=3)
        await cluster.deployment("invalid", 2, policy(spot_percentage="most"))
        await cluster.expect("invalid", on_demand=2)
        assert all(added(pod) == set() for pod in await cluster.pods("invalid"))
        # Without the toleration nobody gets there.
        await cluster.deployment("plain", 6, labels={})
        await cluster.expect("plain", on_demand=6)


@pytest.mark.parametrize("platform", ["gke", "gke with unlabelled on-demand nodes", "aks"])
async def test_a_platforms_own_labels_and_taints_need_no_configuration(platform: str, empty_stage: Stage) -> None:
    name = platform.partition(" ")[0]
    nodes = [
        *node_pool(4, capacity_class="spot", zones=ZONES, platform=name),
        *node_pool(3, capacity_class="on-demand", zones=ZONES, platform="none" if "unlabelled" in platform else name),
    ]
    async with empty_stage.alone(nodes) as cluster:
        await cluster.deployment("web", 10, policy(spot_percentage=70, min_on_demand=2, scheduler_name=SECOND))
        await cluster.expect("web", spot=7, on_demand=3)
        assert await schedulers(cluster, "web") == ({SECOND}, {SECOND})
