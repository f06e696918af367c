"""An API server for commands, which run event loops of their own."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from unit.kube.fake_api import FakeApi, fake_api


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server with a thread and an event loop of its own: commands have theirs."""
    begun, over = threading.Event(), asyncio.Event()
    found: list[FakeApi] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async with fake_api() as served:
            found.append(served)
            loops.append(asyncio.get_running_loop())
            begun.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    begun.wait()
    yield found[0]
    loops[0].call_soon_threadsafe(over.set)
    thread.join()
