"""One stage for all tests of policy objects; it is opened without their definitions, which come while it runs."""

from collections.abc import AsyncIterator

import msgspec
import pytest_asyncio
from support.cluster import RULES, Cluster, policy
from support.objects import Objects
from support.policyobjects import define, served
from support.stage import Stage, open_stage


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def bare_stage() -> AsyncIterator[Stage]:
    async with open_stage(
        flags=("--drift-min-pod-age", "0s", "--drift-dwell", "0s", "--drift-interval", "5s"),
        environ={"SPOTMIX_CLASSES": msgspec.json.encode({"extraRules": RULES.extra_rules}).decode()},
    ) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def stage(bare_stage: Stage) -> Stage:
    """With the definitions of the chart, which came after a workload was placed by its annotations alone."""
    async with bare_stage.namespace() as cluster:
        await cluster.deployment("web", 4, policy(spot_percentage=50))
        await cluster.expect("web", spot=2, on_demand=2)
    await define(Objects(bare_stage.api))
    return bare_stage


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def objects(stage: Stage) -> Objects:
    found = Objects(stage.api)
    await served(found)
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(stage: Stage) -> AsyncIterator[Cluster]:
    async with stage.namespace() as namespace:
        yield namespace
