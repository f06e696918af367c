"""A reflector that follows a resource of the fake API server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from unit.kube.fake_api import (
    FakeApi,
    FakeResource,
    Store,
    ThingDecoder,
    VirtualTime,
    write_kubeconfig,
)

from extender.kube.client import ApiClient
from extender.kube.reflector import Reflector, WatchOptions
from extender.kube.resources import NAMESPACES, ApiResource


class ReflectedWorld:
    """A reflector of namespaces with all that is around it."""

    def __init__(self, resource: FakeResource, time: VirtualTime) -> None:
        self.resource = resource
        self.time = time
        self.store = Store()
        self.reports: list[str] = []
        self.reflector: Reflector

    async def settled(self) -> None:
        """Wait until all scripts are played and a watch hangs."""
        async with asyncio.timeout(10):
            await self.resource.hanging.wait()
            # The server hangs before the client has read the headers.
            while self.reflector.health().last_error:  # noqa: ASYNC110 - nobody sets an event for it
                await asyncio.sleep(0)


@asynccontextmanager
async def follow(
    api: FakeApi,
    tmp_path: Path,
    time: VirtualTime,
    script: Callable[[FakeResource, Store], None],
    resource: ApiResource = NAMESPACES,
    **options: float,
) -> AsyncIterator[ReflectedWorld]:
    world = ReflectedWorld(api.resource(resource.path), time)
    script(world.resource, world.store)
    async with await ApiClient.connect(write_kubeconfig(tmp_path / "config", api.url)) as client:
        world.reflector = Reflector(
            client,
            resource,
            ThingDecoder(),
            world.store,
            lambda _key, text: world.reports.append(text),
            timing=time.timing(),
            options=WatchOptions(**options),  # type: ignore[arg-type]
        )
        task = asyncio.create_task(world.reflector.run())
        try:
            yield world
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
