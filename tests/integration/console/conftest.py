"""One cluster and one browser for all tests of the console."""

from collections.abc import AsyncIterator

import pytest_asyncio
from support.browser import Window, open_window
from support.people import People
from support.scene import ConsoleScene, open_scene

from extender.sandbox.spotmix import SpotmixServe


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def scene() -> AsyncIterator[ConsoleScene]:
    async with open_scene() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def window(scene: ConsoleScene) -> AsyncIterator[Window]:
    async with open_window(scene.url) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def guarded(scene: ConsoleScene) -> AsyncIterator[SpotmixServe]:
    """Another replica, which asks who looks and is asked by no scheduler."""
    flags = ("--console-auth", "kubernetes", "--drift-enabled", "false", "--scale-in-deletion-cost", "false")
    serve = SpotmixServe(scene.stage.plane, *flags, "--log-level", "debug", name="guarded")
    await serve.start()
    yield serve
    await serve.stop()


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def people(scene: ConsoleScene) -> People:
    return People(scene.stage.api)
