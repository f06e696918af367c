"""What a Service does: each new connection goes to the pod that the selector picks at that moment."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Self

from extender.core.errors import ApiError
from extender.kube.client import ApiClient

SELECTOR = "spotmix.io/leader=true"


class LeaderService:
    """Forwards TCP connections on loopback; one that is open stays where it is, as conntrack has it.

    Args:
        api: an API client.
        namespace: where the pods are.
        ports: the loopback port behind each pod, by its name.
    """

    def __init__(self, api: ApiClient, namespace: str, ports: Mapping[str, int]) -> None:
        self._api = api
        self._namespace = namespace
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
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/scheduler"

    async def selected(self) -> list[str]:
        """Names of the pods that the selector picks."""
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        body = await self._api.request("GET", path, params={"labelSelector": SELECTOR})
        return [pod["metadata"]["name"] for pod in json.loads(body)["items"]]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, ApiError):
                await self._forward(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names = await self.selected()
        if not names:
            return
        if self.turns[-1:] != names[:1]:
            self.turns.append(names[0])
        there, back = await asyncio.open_connection("127.0.0.1", self._ports[names[0]])
        try:
            directions = [asyncio.ensure_future(_pump(reader, back)), asyncio.ensure_future(_pump(there, writer))]
            # Whoever closes, closes both: HTTP has no use for half of a connection.
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
        finally:
            back.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
