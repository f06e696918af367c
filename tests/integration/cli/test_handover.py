"""`spotmix watch` goes with the lead, on a real control plane."""

import json
from pathlib import Path

import pytest
from support.cluster import policy
from support.commands import SCRIPT, running
from support.pair import SHORT, opened_pair
from support.podstreams import PodStreams

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]


async def test_who_watches_follows_the_leader(tmp_path: Path) -> None:
    async with opened_pair(SHORT, streams=PodStreams(tmp_path)) as (pair, cluster):
        before = await pair.leader()
        await cluster.deployment("first", 4, policy(spot_percentage=50))
        await cluster.expect("first", spot=2, on_demand=2)
        command = (str(SCRIPT), "watch", "-n", cluster.namespace, "-o", "json", "--last", "4")
        async with running(*command, KUBECONFIG=str(pair.plane.kubeconfig)) as watching:
            seen = [json.loads(await watching.line()) for _ in range(4)]
            assert {each["workload"] for each in seen} == {"first"}
            await pair.replicas[before].stop()
            # It may say that it leads no more before it is gone.
            assert (await watching.note()).startswith(("spotmix: another replica makes", "spotmix: lost the service"))
            await pair.successor(before)
            await cluster.deployment("second", 4, policy(spot_percentage=50))
            seen = [json.loads(await watching.line()) for _ in range(4)]
            assert {each["workload"] for each in seen} == {"second"}
            assert sorted(each["given"] for each in seen) == ["on-demand", "on-demand", "spot", "spot"]
            assert (await watching.interrupt()).code == 130
