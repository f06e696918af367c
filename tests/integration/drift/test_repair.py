"""Workloads off their split come back to it, with as many evictions as pods were too many."""

import pytest
from support.cluster import policy
from support.driftstage import Drifting

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_a_policy_that_is_edited_is_followed_exactly(cluster: Drifting, kind: str) -> None:
    await cluster.drift("web", 10, policy(spot_percentage=70, min_on_demand=1), kind)
    await cluster.expect("web", spot=7, on_demand=3)
    await cluster.ready("web", 10)
    assert [eviction.status for eviction in cluster.evictions()] == [201] * 7, cluster.evictions()
