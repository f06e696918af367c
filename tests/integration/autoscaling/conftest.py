"""One stage with real Karpenter for all tests that can share one; each has a namespace and pools of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.autoscaled import Autoscaled, AutoscaledStage, open_autoscaled


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def autoscaled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AutoscaledStage]:
    async with open_autoscaled(tmp_path_factory.mktemp("autoscaled")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def scaled(autoscaled: AutoscaledStage) -> AsyncIterator[Autoscaled]:
    async with autoscaled.namespace() as namespace:
        yield namespace
