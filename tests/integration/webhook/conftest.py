"""One stage with the webhook at work for all tests that can share one; each has a namespace of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.cluster import Cluster
from support.stage import Stage
from support.webhook import open_hooked_stage


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with open_hooked_stage(tmp_path_factory.mktemp("webhook")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(stage: Stage) -> AsyncIterator[Cluster]:
    async with stage.namespace() as namespace:
        yield namespace
