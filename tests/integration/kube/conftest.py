"""One control plane for all tests of the Kubernetes layer that can share one; nobody schedules on it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane(with_scheduler=False) as plane:
        yield plane


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def client(plane: ControlPlane) -> AsyncIterator[ApiClient]:
    async with await plane.connect() as client:
        yield client
