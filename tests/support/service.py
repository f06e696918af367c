"""What a Service does: each new connection goes to a pod that is picked at that moment."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Self

from extender.core.model.errors import ApiError
from extender.kube.client import ApiClient

SELECTOR = "spotmix.io/leader=true"


class Service:
    """Forwards TCP connections on loopback; one that is open stays where it is, as conntrack has it.

    Args:
        ports: the loopback port behind each pod, by its name.

    Attributes:
        turns: the pods that were connected to, without repetitions.
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.turns: list[str] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def selected(self) -> list[str]:
        """Names of the pods to try, in this order: every one in turn comes first."""
        names = list(self._ports)
        last = names.index(self.turns[-1]) + 1 if self.turns else 0
        return names[last:] + names[:last]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # Cancelled is a task only at the end; asyncio would report that of one which it made itself.
            with contextlib.suppress(OSError, ApiError, asyncio.CancelledError):
                await self._forward(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for name in await self.selected():
            with contextlib.suppress(OSError):
                pair = await asyncio.open_connection("127.0.0.1", self._ports[name])
                if self.turns[-1:] != [name]:
                    self.turns.append(name)
                return pair
        return None

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected = await self._connect()
        if connected is None:
            return
        there, back = connected
        try:
            directions = [asyncio.ensure_future(_pump(reader, back)), asyncio.ensure_future(_pump(there, writer))]
            # Whoever closes, closes both: HTTP has no use for half of a connection.
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
        finally:
            back.close()


class LeaderService(Service):
    """The extender's, which selects the leader alone.

    Args:
        api: an API client.
        namespace: where the pods are.
        ports: see `Service`.
    """

    def __init__(self, api: ApiClient, namespace: str, ports: Mapping[str, int]) -> None:
        super().__init__(ports)
        self._api = api
        self._namespace = namespace

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/scheduler"

    async def selected(self) -> list[str]:
        """Names of the pods that the selector picks."""
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        body = await self._api.request("GET", path, params={"labelSelector": SELECTOR})
        return [pod["metadata"]["name"] for pod in json.loads(body)["items"]]


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
