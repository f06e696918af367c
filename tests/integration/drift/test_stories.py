"""What users will see of the drift loop: a spot node that ends, a policy that is edited, a rollout in between.

Each story prints how long the workload was off its split and how many evictions that cost; `pytest -rP` shows it.
"""

import pytest
from support.cluster import policy
from support.convergence import follow
from support.driftstage import Drifting
from support.patience import eventually
from support.stage import standard_nodes

from extender.sandbox import create_nodes, terminate_node

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]
SEVENTY = policy(spot_percentage=70, min_on_demand=2)


async def spot_node_of(cluster: Drifting, app: str) -> str:
    """The spot node that holds most pods of an app."""
    classes = await cluster.classes()
    names: list[str] = [pod["spec"]["nodeName"] for pod in await cluster.pods(app)]
    return max((name for name in names if classes[name] == "spot"), key=names.count)


async def test_a_spot_node_ends_without_notice(cluster: Drifting) -> None:
    await cluster.deployment("web", 10, SEVENTY)
    await cluster.expect("web", spot=7, on_demand=3)
    await cluster.ready("web", 10)
    lost = await spot_node_of(cluster, "web")
    async with follow("a spot node of 10 replicas ends without notice", cluster, 0) as course:
        await terminate_node(cluster.api, lost, marker=None)
        await cluster.ready("web", 10)
        await cluster.expect("web", spot=7, on_demand=3)
    await create_nodes(cluster.api, [node for node in standard_nodes() if node.name == lost])
    assert course.evictions == 0


async def test_a_policy_is_edited_up_and_down(cluster: Drifting) -> None:
    await cluster.deployment("web", 10, policy(spot_percentage=50))
    await cluster.expect("web", spot=5, on_demand=5)
    await cluster.ready("web", 10)
    for percentage, surplus in ((80, 3), (20, 6)):
        async with follow(f"the policy of 10 replicas is edited to {percentage} %", cluster, surplus) as course:
            await cluster.annotate("Deployment", "web", policy(spot_percentage=percentage))
            spot = percentage // 10
            await cluster.expect("web", spot=spot, on_demand=10 - spot, seconds=120)
            await cluster.ready("web", 10)
        assert course.evictions == surplus


async def test_a_rollout_in_the_middle_of_it(cluster: Drifting) -> None:
    """Whatever the rollout replaces needs no eviction."""
    await cluster.drift("web", 12, policy(spot_percentage=50))
    async with follow("a rollout while 12 replicas drift", cluster, 6) as course:

        async def evicted() -> int:
            return len(cluster.evicted())

        await eventually(evicted, lambda count: count > 0, "the first eviction")
        template = {"metadata": {"annotations": {"rolled": "out"}}}
        await cluster.roll_out("web", template, seconds=120)
        await cluster.expect("web", spot=6, on_demand=6, seconds=120)
        await cluster.ready("web", 12)
    assert course.evictions <= 6
