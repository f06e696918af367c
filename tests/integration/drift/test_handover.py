"""A leader that loses its lease in the middle of a cycle sends nothing more."""

import asyncio
import os
import signal

import pytest
from support.cluster import policy
from support.driftstage import drift_flags
from support.pair import SHORT, Pair, opened_pair
from support.patience import eventually
from support.stage import metric_lines

pytestmark = [pytest.mark.controlplane]

SENT = 'spotmix_drift_evictions_total{mode="enforce",outcome="evicted"}'


def sent(pair: Pair, name: str) -> float:
    """Evictions that a replica has sent."""
    line = next(line for line in metric_lines(pair.replicas[name]) if line.startswith(SENT))
    return float(line.rsplit(" ", 1)[1])


async def test_statement_27_a_leader_that_was_frozen_sends_nothing_when_it_wakes() -> None:
    """It wakes with a plan in its hands; the Lease has another holder by then."""
    async with opened_pair(SHORT, lambda _: drift_flags(workload_in_flight=10)) as (pair, cluster):
        first = await pair.leader()
        await cluster.deployment("web", 10, policy(spot_percentage=0))
        await cluster.expect("web", on_demand=10)
        await cluster.ready("web", 10)
        before = {pod["metadata"]["uid"] for pod in await cluster.pods("web")}
        await cluster.annotate("Deployment", "web", policy(spot_percentage=60))

        async def moved() -> int:
            return len(before - {pod["metadata"]["uid"] for pod in await cluster.pods("web")})

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
        assert await moved() == 6 == sent(pair, first) + sent(pair, second)
        assert await pair.leader() == second
