"""One stage for all tests of the drift loop that can share one; each has a namespace of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.driftstage import Drifting, DriftStage, drift_stage


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def drifts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DriftStage]:
    async with drift_stage(tmp_path_factory.mktemp("drift")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(drifts: DriftStage) -> AsyncIterator[Drifting]:
    async with drifts.namespace() as namespace:
        yield namespace
        # Whatever a test is about: pods are evicted, never deleted.
        assert namespace.deleted() == []
