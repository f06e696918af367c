"""What tests of the API client share."""

from collections.abc import AsyncIterator

import pytest
from unit.kube.fake_api import FakeApi, VirtualTime, fake_api


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as server:
        yield server


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()
