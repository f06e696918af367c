"""One stage for all tests that can share one; each has a namespace of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.cluster import Cluster
from support.stage import Stage, open_stage


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(stage: Stage) -> AsyncIterator[Cluster]:
    async with stage.namespace() as namespace:
        yield namespace
    errors = stage.scheduler_errors()
    if errors:
        pytest.fail("the scheduler logged errors:\n" + "\n".join(errors[:5]))
