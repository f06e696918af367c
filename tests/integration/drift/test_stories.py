"""What users will see: spot capacity that goes and comes back, policies that are edited, budgets, rollouts, faults.

Each story tells how long the workload was off its split and how many evictions that cost.
"""

import asyncio
import time
from pathlib import Path

import pytest
from support.cluster import Cluster, policy
from support.convergence import Course, Courses
from support.driftstage import Drifting, drift_flags, drift_stage
from support.pair import SHORT, opened_pair
from support.patience import eventually
from support.stage import ZONES, standard_nodes

from extender.sandbox import create_nodes, node_pool, terminate_node

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]
SEVENTY = policy(spot_percentage=70, min_on_demand=2)


async def uids(cluster: Cluster) -> set[str]:
    return {pod["metadata"]["uid"] for pod in await cluster.pods()}


async def spot_node_of(cluster: Drifting, app: str) -> str:
    """The spot node that holds most pods of an app."""
    classes = await cluster.classes()
    names: list[str] = [pod["spec"]["nodeName"] for pod in await cluster.pods(app)]
    return max((name for name in names if classes[name] == "spot"), key=names.count)


async def test_a_spot_node_ends_without_notice(courses: Courses, cluster: Drifting) -> None:
    await cluster.deployment("web", 10, SEVENTY)
    await cluster.expect("web", spot=7, on_demand=3)
    await cluster.ready("web", 10)
    lost = await spot_node_of(cluster, "web")
    async with courses.follow("a spot node of 10 replicas ends without notice", cluster, 0) as course:
        await terminate_node(cluster.api, lost, marker=None)
        await cluster.ready("web", 10)
        await cluster.expect("web", spot=7, on_demand=3)
    await create_nodes(cluster.api, [node for node in standard_nodes() if node.name == lost])
    assert course.evictions == 0


async def test_all_spot_goes_and_comes_back(courses: Courses, tmp_path: Path) -> None:
    spot = node_pool(4, capacity_class="spot", zones=ZONES)
    on_demand = node_pool(3, capacity_class="on-demand", zones=ZONES)
    async with drift_stage(tmp_path, [*spot, *on_demand]) as drifts, drifts.namespace() as cluster:
        await cluster.deployment("web", 10, SEVENTY)
        await cluster.expect("web", spot=7, on_demand=3)
        await cluster.ready("web", 10)
        async with courses.follow("all spot nodes end at once", cluster, 0) as lost:
            await asyncio.gather(*(terminate_node(cluster.api, node.name, marker=None) for node in spot))
            await cluster.expect("web", on_demand=10)
            await cluster.ready("web", 10)
        async with courses.follow(".. and are back", cluster, 7) as back:
            await create_nodes(cluster.api, spot)
            await cluster.expect("web", spot=7, on_demand=3, seconds=120)
            await cluster.ready("web", 10)
        assert (lost.evictions, back.evictions) == (0, 7)
        assert cluster.deleted() == []


async def test_a_policy_is_edited_up_and_down(courses: Courses, cluster: Drifting) -> None:
    await cluster.deployment("web", 10, policy(spot_percentage=50))
    await cluster.expect("web", spot=5, on_demand=5)
    await cluster.ready("web", 10)
    for percentage, surplus in ((80, 3), (20, 6)):
        async with courses.follow(f"the policy of 10 replicas is edited to {percentage} %", cluster, surplus) as course:
            await cluster.annotate("Deployment", "web", policy(spot_percentage=percentage))
            spot = percentage // 10
            await cluster.expect("web", spot=spot, on_demand=10 - spot, seconds=120)
            await cluster.ready("web", 10)
        assert course.evictions == surplus


async def test_a_rollout_in_the_middle_of_it(courses: Courses, cluster: Drifting) -> None:
    """Whatever the rollout replaces needs no eviction."""
    await cluster.drift("web", 12, policy(spot_percentage=50))
    async with courses.follow("a rollout while 12 replicas drift", cluster, 6) as course:

        async def evicted() -> int:
            return len(cluster.evicted())

        await eventually(evicted, lambda count: count > 0, "the first eviction")
        template = {"metadata": {"annotations": {"rolled": "out"}}}
        await cluster.patch("Deployment", "web", {"spec": {"template": template}})
        await cluster.expect("web", spot=6, on_demand=6, seconds=120)
        await cluster.ready("web", 12)
    assert course.evictions <= 6


async def test_the_api_server_is_away_for_half_a_minute(courses: Courses, tmp_path: Path) -> None:
    # Controllers take up to a minute to find their server again.
    async with drift_stage(tmp_path, replacement_timeout="2m") as drifts, drifts.namespace() as cluster:
        await cluster.drift("web", 10, SEVENTY)
        async with courses.follow("the API server is away for 30 s while 10 replicas drift", cluster, 7) as course:

            async def evicted() -> int:
                return len(cluster.evicted())

            await eventually(evicted, lambda count: count > 0, "the first eviction")
            apiserver = drifts.stage.plane.apiserver
            await apiserver.stop()
            await asyncio.sleep(30)
            await apiserver.start()
            await cluster.expect("web", spot=7, on_demand=3, seconds=150)
            await cluster.ready("web", 10)
        assert course.evictions == 7
        assert cluster.deleted() == []


async def test_fifty_workloads_at_once(courses: Courses, tmp_path: Path) -> None:
    """The budget of the cluster holds at every moment, and everyone gets his turn."""
    names = [f"web-{number}" for number in range(50)]
    async with drift_stage(tmp_path, max_moves_in_flight=10) as drifts, drifts.namespace() as cluster:
        await asyncio.gather(*(cluster.steady(name, 4) for name in names))
        seen: list[float] = []

        async def watch() -> None:
            while True:
                seen.append(drifts.stage.metric("spotmix_drift_in_flight") or 0.0)
                await asyncio.sleep(0.2)

        watching = asyncio.create_task(watch())
        try:
            async with courses.follow("50 workloads of 4 replicas drift at once", cluster, 100) as course:
                await asyncio.gather(*(cluster.annotate("Deployment", n, policy(spot_percentage=50)) for n in names))
                for name in names:
                    await cluster.expect(name, spot=2, on_demand=2, seconds=180)
                    await cluster.ready(name, 4)
        finally:
            watching.cancel()
        assert course.evictions == 100
        assert 2 <= max(seen) <= 10


async def test_the_leader_is_killed_in_the_middle_of_a_move(courses: Courses) -> None:
    """What is in flight, and what was moved in this hour, is known to the next one: no pod is moved twice."""
    async with opened_pair(SHORT, lambda _: drift_flags()) as (pair, cluster):
        first = await pair.leader()
        await cluster.deployment("web", 10, policy(spot_percentage=0))
        await cluster.expect("web", on_demand=10)
        await cluster.ready("web", 10)
        before = await uids(cluster)
        started = time.monotonic()
        await cluster.annotate("Deployment", "web", SEVENTY)

        async def moved() -> int:
            return len(before - await uids(cluster))

        await eventually(moved, lambda count: count > 0, "the first move")
        await pair.replicas[first].stop(kill=True)
        await pair.successor(first, 20)
        await cluster.expect("web", spot=7, on_demand=3, seconds=120)
        await cluster.ready("web", 10)
        seconds = time.monotonic() - started
        courses.ended.append(Course("the leader is killed in the middle of a move", 7, await moved(), seconds))
        assert await moved() == 7
