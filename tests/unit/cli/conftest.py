"""An API server for commands, which run event loops of their own."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from unit.kube.fake_api import FakeApi, fake_api


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server with a thread and an event loop of its own: commands have theirs."""
    serving, begun = asyncio.new_event_loop(), threading.Event()
    over = asyncio.Event()
    found: list[FakeApi] = []

    async def serve() -> None:
        async with fake_api() as served:
            found.append(served)
            begun.set()
            await over.wait()

    thread = threading.Thread(target=serving.run_until_complete, args=(serve(),))
    thread.start()
    begun.wait()
    yield found[0]
    serving.call_soon_threadsafe(over.set)
    thread.join()
    serving.close()
