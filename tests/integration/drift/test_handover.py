"""A leader that is killed, or loses its lease in the middle of a cycle: the next one goes on, and it sends nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.cluster import Cluster, policy
from support.driftstage import drift_flags
from support.pair import SHORT, Pair, opened_pair
from support.patience import eventually
from support.stage import metric_lines

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

SENT = 'spotmix_drift_evictions_total{mode="enforce",outcome="evicted"}'


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pair() -> AsyncIterator[Pair]:
    """A pair for all tests: each leaves two replicas behind. One pod of ten is moved at a time."""
    async with opened_pair(SHORT, lambda _: drift_flags(workload_in_flight=10)) as (opened, _):
        yield opened


async def uids(cluster: Cluster) -> set[str]:
    return {pod["metadata"]["uid"] for pod in await cluster.pods()}


def sent(pair: Pair, name: str) -> float:
    """Evictions that a replica has sent."""
    line = next(line for line in metric_lines(pair.replicas[name]) if line.startswith(SENT))
    return float(line.rsplit(" ", 1)[1])


async def test_the_leader_is_killed_in_the_middle_of_a_move(pair: Pair) -> None:
    """What is in flight, and what was moved in this hour, is known to the next one: no pod is moved twice."""
    async with pair.namespace() as cluster:
        first = await pair.leader()
        await cluster.deployment("web", 10, policy(spot_percentage=0))
        await cluster.expect("web", on_demand=10)
        await cluster.ready("web", 10)
        before = await uids(cluster)
        await cluster.annotate("Deployment", "web", policy(spot_percentage=70, min_on_demand=2))

        async def moved() -> int:
            return len(before - await uids(cluster))

        await eventually(moved, lambda count: count > 0, "the first move")
        await pair.replicas[first].stop(kill=True)
        await pair.successor(first, 20)
        await cluster.expect("web", spot=7, on_demand=3, seconds=120)
        await cluster.ready("web", 10)
        assert await moved() == 7
        await pair.replicas[first].start()


async def test_statement_27_a_leader_that_was_frozen_sends_nothing_when_it_wakes(pair: Pair) -> None:
    """It wakes with a plan in its hands; the Lease has another holder by then."""
    async with pair.namespace() as cluster:
        first = await pair.leader()
        await cluster.deployment("web", 10, policy(spot_percentage=0))
        await cluster.expect("web", on_demand=10)
        await cluster.ready("web", 10)
        already = {name: sent(pair, name) for name in pair.replicas}
        before = await uids(cluster)
        await cluster.annotate("Deployment", "web", policy(spot_percentage=60))

        async def moved() -> int:
            return len(before - await uids(cluster))

        await eventually(moved, lambda count: count > 0, "the first move")
        frozen = pair.replicas[first].pid
        assert frozen is not None
        os.kill(frozen, signal.SIGSTOP)
        try:
            second = await pair.successor(first)
        finally:
            os.kill(frozen, signal.SIGCONT)
        await asyncio.to_thread(metric_lines, pair.replicas[first])
        until_then = sent(pair, first)
        await cluster.expect("web", spot=6, on_demand=4, seconds=120)
        await cluster.ready("web", 10)
        assert sent(pair, first) == until_then
        assert await moved() == 6 == sum(sent(pair, name) - already[name] for name in (first, second))
        assert await pair.leader() == second
