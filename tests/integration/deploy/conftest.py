"""One control plane for all tests of the deployment that can share one."""

from collections.abc import AsyncIterator

import pytest_asyncio
from support.objects import Objects, install_crds

from extender.sandbox import ControlPlane


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def bare_plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane(with_scheduler=False) as plane:
        yield plane
        plane.check()


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def objects(bare_plane: ControlPlane) -> AsyncIterator[Objects]:
    async with await bare_plane.connect() as api:
        known = Objects(api)
        await install_crds(known)
        yield known
