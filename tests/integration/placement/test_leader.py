"""Two replicas behind a Service, on a real control plane: one is lost in a burst, the split is exact all the same."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from support.batch import ran_on, run_jobs
from support.cluster import policy
from support.objects import Objects
from support.pair import SHORT, Pair, opened_pair
from support.patience import eventually, stretched
from support.policyobjects import define, follows, placement_policy, served, shares

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pair() -> AsyncIterator[Pair]:
    """A pair for all tests that leave two replicas behind."""
    async with opened_pair(SHORT) as (opened, _):
        yield opened


def fetch(url: str, body: Any = None) -> tuple[dict[str, str], str]:
    """Headers and body of an answer with status 200."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(url, data=data, timeout=stretched(5)) as answer:  # noqa: S310 - http on loopback
        return {name.lower(): value for name, value in answer.headers.items()}, answer.read().decode()


async def test_what_a_follower_answers(pair: Pair) -> None:
    async with pair.namespace() as cluster:
        first = await pair.leader()
        follower = next(replica for name, replica in pair.replicas.items() if name != first)
        await cluster.deployment("web", 2, policy(spot_percentage=50))
        await cluster.deployment("plain", 2, labels={})
        await cluster.expect("web", spot=1, on_demand=1)
        await cluster.ready("plain", 2)
        nodes = [node["metadata"]["name"] for node in await cluster.nodes()]
        for app, answer in (
            ("web", {"Error": "spotmix: this replica is not the leader"}),
            ("plain", {"NodeNames": nodes}),
        ):
            pod = (await cluster.pods(app))[0]

            async def good(pod: Any = pod, answer: Any = answer) -> bool:
                request = {"Pod": pod, "NodeNames": nodes}
                headers, body = await asyncio.to_thread(fetch, f"{follower.url}/filter", request)
                return headers["connection"] == "close" and json.loads(body) == answer

            await eventually(good, bool, f"the answer for {app}")
        _, ready = await asyncio.to_thread(fetch, f"{follower.metrics_url}/readyz")
        assert ready == "ok\n"
        for name, replica in pair.replicas.items():
            _, metrics = await asyncio.to_thread(fetch, f"{replica.metrics_url}/metrics")
            assert f"spotmix_leader {float(name == first)}" in metrics.splitlines()


@pytest.mark.parametrize("kill", [True, False], ids=["SIGKILL", "SIGTERM"])
async def test_the_leader_ends_in_a_burst(pair: Pair, kill: bool) -> None:
    async with pair.namespace() as cluster:
        first = await pair.leader()
        del pair.service.turns[:-1]
        assert await pair.holder() == first
        wanted = {f"web-{n}": 20 + 15 * n for n in range(5)}
        await asyncio.gather(*(cluster.deployment(n, 40, policy(spot_percentage=p)) for n, p in wanted.items()))

        async def bound() -> int:
            return sum(bool(pod["spec"].get("nodeName")) for pod in await cluster.pods())

        await eventually(bound, lambda count: count >= 30, "some pods bound")
        await pair.replicas[first].stop(kill=kill)
        second = await pair.successor(first)
        assert await pair.holder() == second
        for name, percentage in wanted.items():
            spot = 40 * percentage // 100
            await cluster.expect(name, seconds=60, spot=spot, on_demand=40 - spot)
            await cluster.ready(name, 40)
        # The first one comes back and follows; what is scaled out then is decided by the second.
        await pair.replicas[first].start()
        await cluster.scale("Deployment", "web-2", 60)
        await cluster.expect("web-2", spot=30, on_demand=30)
        assert (await pair.leader(), await pair.holder()) == (second, second)
        assert pair.service.turns == [first, second]


async def test_the_leader_is_killed_between_runs(pair: Pair) -> None:
    async with pair.namespace() as cluster:
        objects = Objects(pair.api)
        await define(objects)
        await served(objects)
        thing = placement_policy("ci", cluster.namespace, {"count": "Runs", "classes": shares(70)})
        await objects.apply(thing)

        async def told() -> int:
            seen = await objects.get(thing) or {}
            return sum(seen.get("status", {}).get("runs", {"none": -1}).values())

        # Of runs from before a replica follows policies it knows what the status tells.
        await asyncio.gather(*map(follows, pair.replicas.values()))
        await eventually(told, lambda count: count == 0, "the policy is told of")
        first = await pair.leader()
        await run_jobs(cluster, [f"step-{n}" for n in range(3)], {})
        await eventually(told, lambda count: count == 3, "three runs are told")
        await run_jobs(cluster, [f"step-{n}" for n in range(3, 9)], {})
        # What it had no time to tell is known by the other, which follows.
        await pair.replicas[first].stop(kill=True)
        await pair.successor(first, 90)
        await run_jobs(cluster, [f"step-{n}" for n in range(9, 20)], {})
        assert await ran_on(cluster) == {"spot": 14, "on-demand": 6}
        await eventually(told, lambda count: count == 20, "all runs are told")
        await pair.replicas[first].start()


async def test_pods_that_wait_are_not_forgotten() -> None:
    """What a rejected pod waits for is in the leader's memory; the next one has to wake it."""
    async with opened_pair(SHORT) as (pair, cluster):
        first = await pair.leader()
        rules = policy(spot_percentage=100, fallback_after="8s", max_per_pool=1)
        await cluster.deployment("web", 9, rules)
        await cluster.expect("web", spot=6, pending=3)
        await pair.replicas[first].stop(kill=True)
        await cluster.expect("web", seconds=60, spot=6, on_demand=3)
