"""What happens when a class has no room, has room that was not offered, or loses it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from support.cluster import Cluster, policy, scheduled_message
from support.patience import eventually
from support.stage import ZONES, Stage, open_stage, scheduler_errors, standard_nodes

from extender.core.model.reasons import Reason
from extender.sandbox import SimNode, create_nodes, node_pool, terminate_node
from extender.sandbox.spotmix import scheduler_config

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

FELL_BACK = 'spotmix_decisions_total{capacity_class="on-demand",outcome="passed",reason="fallback",verb="filter"}'

MISSED = 'spotmix_decisions_total{capacity_class="spot",outcome="rejected",reason="wait-sample",verb="filter"}'


Opened = Callable[..., contextlib.AbstractAsyncContextManager[Cluster]]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage() -> AsyncIterator[Stage]:
    """A stage without nodes."""
    async with open_stage([]) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sampled() -> AsyncIterator[Stage]:
    """A stage with so many nodes that its scheduler offers but a sample of them."""
    async with open_stage(many_nodes(600, 2), scheduler=SMALL_SAMPLE) as opened:
        yield opened


@pytest.fixture
def opened(stage: Stage) -> Opened:
    """Gives a namespace on so many nodes of each class; no scheduler error may be ours."""

    @contextlib.asynccontextmanager
    async def opened(*, spot: int, on_demand: int) -> AsyncIterator[Cluster]:
        async with stage.alone(standard_nodes(spot, on_demand)) as cluster:
            yield cluster
            assert stage.scheduler_errors() == []

    return opened


async def waiting_for(cluster: Cluster, app: str, reason: Reason, count: int) -> None:
    """Wait until so many pods are Pending with our constant reason in their PodScheduled condition."""

    async def messages() -> list[str]:
        return [scheduled_message(p) for p in await cluster.pods(app) if not p["spec"].get("nodeName")]

    await eventually(
        messages,
        lambda seen: len(seen) == count and all(reason.text in m for m in seen),
        f"{count} wait: {reason}",
    )


async def scheduled_at(cluster: Cluster) -> list[datetime]:
    """When each pod was scheduled, as the cluster has it; the earliest first."""
    names = {pod["metadata"]["name"] for pod in await cluster.pods()}

    async def moments() -> dict[str, str]:
        return {event["regarding"]["name"]: event["eventTime"] for event in await cluster.events("Scheduled")}

    scheduled = await eventually(moments, lambda seen: seen.keys() >= names, "an Event of each pod's scheduling")
    return sorted(datetime.fromisoformat(scheduled[name]) for name in names)


async def test_without_spot_nodes_fallback_runs_on_demand_and_wait_waits_for_one(opened: Opened, stage: Stage) -> None:
    async with opened(spot=0, on_demand=4) as cluster:
        await cluster.deployment("falls-back", 6, policy(spot_percentage=50))
        await cluster.expect("falls-back", on_demand=6)
        await cluster.deployment("waits", 6, policy(spot_percentage=50, when_unsatisfiable="wait"))
        await cluster.expect("waits", on_demand=3, pending=3)
        await waiting_for(cluster, "waits", Reason.WAIT_CLASS, 3)
        await create_nodes(stage.api, node_pool(1, capacity_class="spot", zones=ZONES))
        await cluster.expect("waits", spot=3, on_demand=3)
        await cluster.ready("waits", 6)


async def test_fallback_after_waits_so_long_and_no_longer(opened: Opened) -> None:
    async with opened(spot=0, on_demand=4) as cluster:
        before = datetime.now(UTC)
        await cluster.deployment("web", 4, policy(spot_percentage=50, fallback_after="3s"))
        await cluster.expect("web", on_demand=2, pending=2)
        await waiting_for(cluster, "web", Reason.WAIT_FALLBACK, 2)
        await cluster.expect("web", on_demand=4)
        # The scheduler alone would have tried again after minutes; its back-off may add a second or two.
        assert (await scheduled_at(cluster))[-2] - before >= timedelta(seconds=3)
        await cluster.ready("web", 4)


async def test_a_policy_edit_wakes_the_pods_that_wait(opened: Opened) -> None:
    async with opened(spot=0, on_demand=4) as cluster:
        await cluster.deployment("web", 4, policy(spot_percentage=50, when_unsatisfiable="wait"))
        await waiting_for(cluster, "web", Reason.WAIT_CLASS, 2)
        await cluster.annotate("Deployment", "web", policy(when_unsatisfiable="fallback"))
        await cluster.expect("web", seconds=30, on_demand=4)


async def test_any_lets_spot_stand_in_and_fallback_does_not(opened: Opened) -> None:
    async with opened(spot=3, on_demand=0) as cluster:
        await cluster.deployment("any", 4, policy(spot_percentage=50, when_unsatisfiable="any"))
        await cluster.expect("any", spot=4)
        await cluster.deployment("floor", 4, policy(spot_percentage=50, min_on_demand=2))
        await cluster.expect("floor", spot=2, pending=2)
        await waiting_for(cluster, "floor", Reason.WAIT_CLASS, 2)


async def test_full_spot_nodes_are_no_room(opened: Opened, stage: Stage) -> None:
    async with opened(spot=0, on_demand=4) as cluster:
        await create_nodes(stage.api, node_pool(2, capacity_class="spot", zones=ZONES, pods=2))
        await cluster.deployment("web", 10, policy(spot_percentage=100))
        await cluster.expect("web", spot=4, on_demand=6)


# The scheduler looks for at least 100 feasible nodes: with 5 % of these it offers a sixth of 600.
SMALL_SAMPLE = {"percentageOfNodesToScore": 5}


def many_nodes(count: int, spot: int) -> list[SimNode]:
    return [
        *node_pool(count - spot, capacity_class="on-demand", zones=ZONES),
        *node_pool(spot, capacity_class="spot", zones=ZONES),
    ]


async def test_six_spot_nodes_among_300(stage: Stage) -> None:
    before = stage.metric(FELL_BACK)
    async with stage.alone(many_nodes(300, 6)) as cluster:
        await cluster.deployment("web", 20, policy(spot_percentage=50, min_on_demand=2))
        await cluster.deployment("all", 20, policy(spot_percentage=100))
        await cluster.expect("web", spot=10, on_demand=10)
        await cluster.expect("all", spot=20)
        assert stage.scheduler_errors() == []
        assert stage.metric(FELL_BACK) == before


async def test_spot_nodes_outside_of_the_sample_are_found_by_nomination(sampled: Stage) -> None:
    before = sampled.metric(FELL_BACK)
    async with sampled.namespace() as cluster:
        await cluster.deployment("all", 20, policy(spot_percentage=100))
        await cluster.expect("all", spot=20)
        assert sampled.scheduler_errors() == []
        assert sampled.metric(FELL_BACK) == before
        # The sample did miss them: without that the test would show nothing.
        missed = sampled.metric(MISSED) or 0
        nominated = sampled.metric('spotmix_wakes_total{how="nominate"}') or 0
        # A pod may be tried again by chance before its nomination is written.
        assert 0 < nominated <= missed


async def test_nominated_nodes_that_the_scheduler_refuses_end_in_fallback(sampled: Stage) -> None:
    # To us both spot nodes have room for all; the scheduler knows that each takes one pod.
    apart = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
            ]
        }
    }
    async with sampled.namespace() as cluster:
        await cluster.deployment("web", 5, policy(spot_percentage=100), affinity=apart)
        await cluster.expect("web", spot=2, on_demand=3)
        await cluster.ready("web", 5)
        assert sampled.scheduler_errors() == []


async def test_a_terminated_spot_node_is_replaced_by_policy(opened: Opened, stage: Stage) -> None:
    async with opened(spot=3, on_demand=3) as cluster:
        await cluster.deployment("web", 10, policy(spot_percentage=60, min_on_demand=2))
        await cluster.expect("web", spot=6, on_demand=4)
        await cluster.ready("web", 10)
        busy = next(pod["spec"]["nodeName"] for pod in await cluster.pods("web") if "spot" in pod["spec"]["nodeName"])
        await terminate_node(stage.api, busy, notice=0.5)
        await cluster.expect("web", spot=6, on_demand=4)
        assert busy not in {pod["spec"]["nodeName"] for pod in await cluster.pods("web")}


async def test_the_scheduler_may_send_whole_nodes(stage: Stage) -> None:
    config = scheduler_config(stage.spotmix.url, nodeCacheCapable=False)
    scheduler = await stage.plane.start_scheduler("whole", config)
    started = len(scheduler.log_path.read_text())
    async with stage.alone(standard_nodes()) as cluster:
        await cluster.deployment("web", 10, policy(spot_percentage=70, min_on_demand=1), schedulerName="whole")
        await cluster.deployment("plain", 3, labels={}, schedulerName="whole")
        await cluster.expect("web", spot=7, on_demand=3)
        await cluster.ready("plain", 3)
        assert scheduler_errors(scheduler.log_path.read_text()[started:]) == []
    await scheduler.stop()


async def test_two_schedulers_share_one_truth(stage: Stage) -> None:
    async with stage.alone(standard_nodes()) as cluster:
        await stage.plane.start_scheduler("second", scheduler_config(stage.spotmix.url))
        names = [f"web-{n}" for n in range(6)]
        await asyncio.gather(
            *(
                cluster.deployment(
                    name,
                    20,
                    policy(spot_percentage=65),
                    schedulerName="second" if n % 2 else "default-scheduler",
                )
                for n, name in enumerate(names)
            )
        )
        for name in names:
            await cluster.expect(name, spot=13, on_demand=7)
        assert stage.scheduler_errors() == []
