"""Port-forwards of our own: a Unix socket here, a port of a pod there, the API server between.

Each connection is a WebSocket to `pods/NAME/portforward?ports=PORT` in the protocol `v4.channel.k8s.io`, which the API
server hands on, by way of the kubelet, to the container runtime. Every version that is maintained speaks it, and no
SPDY is needed. The right to `get` pods/portforward is asked for, and from Kubernetes 1.35 on that to `create` as well
(feature AuthorizePodWebsocketUpgradeCreatePermission).

A binary message begins with the number of its channel: 0 is the connection, 1 tells of an error. The first two bytes of
each channel are the port (k8s.io/cri-streaming, portforward/websocket.go). There is no half of a connection: whoever
ends it, ends it all.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import aiohttp

from extender.core.model.errors import ApiError, ServiceError
from extender.kube.paths import api_path

PROTOCOL = "v4.channel.k8s.io"
RIGHTS = "a port-forward needs the rights to get and create pods/portforward"

_DATA, _ERROR = 0, 1
_PORT_BYTES = 2
_CHUNK = 65536
# A Unix socket's path has 107 characters at most.
_LONGEST = 80


class WebSocketApi(Protocol):
    """The API client, for WebSockets."""

    def websocket(
        self, path: str, params: Mapping[str, str], protocol: str
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """Open one for the length of the block; raises `ApiError`."""
        ...


class PortForward:
    """Forwards connections to a port of a pod.

    Args:
        api: the API client.
        namespace: of the pod.
        pod: its name.
        port: the port that its container listens on.

    Attributes:
        failure: why the last connection that could not be made, or that the runtime refused, was not; None while all
            were.
    """

    def __init__(self, api: WebSocketApi, namespace: str, pod: str, port: int) -> None:
        self._api = api
        self._path = api_path("", "v1", "pods", namespace=namespace, name=pod, subresource="portforward")
        self._where = f"port {port} of pod {namespace}/{pod}"
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.failure: ApiError | None = None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Forward what connects to a Unix socket that nobody else can reach; its path is given.

        Raises:
            ServiceError: this system has no Unix sockets.
        """
        if not hasattr(asyncio, "start_unix_server"):
            raise ServiceError(
                "a port-forward needs Unix sockets, which this system has not; run kubectl port-forward, and give the "
                "address with --server"
            )
        with _private_folder() as folder:
            path = f"{folder}/s"
            server = await asyncio.start_unix_server(self._accepted, path)
            try:
                yield path
            finally:
                server.close()
                for task in list(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._forward(reader, writer)
        except ApiError as error:
            self.failure = self._explained(error)
        finally:
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._api.websocket(self._path, {"ports": str(self._port)}, PROTOCOL) as socket:
            sending = asyncio.create_task(_send(reader, socket))
            try:
                await self._receive(socket, writer)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
        """Write what comes until the other side ends; that it ended well or was cut is not told apart by runtimes.

        Raises:
            ApiError: the runtime tells of an error, or what comes is not the protocol.
        """
        ports, error, came = {_DATA: _PORT_BYTES, _ERROR: _PORT_BYTES}, b"", False
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data or message.data[0] not in ports:
                raise ApiError(f"{self._where}: the API server sent what is no {PROTOCOL}", reason="Protocol")
            channel, data = message.data[0], message.data[1:]
            skipped = min(len(data), ports[channel])
            ports[channel] -= skipped
            data = data[skipped:]
            if channel == _ERROR:
                error += data
            elif data:
                came = True
                writer.write(data)
                with contextlib.suppress(OSError):
                    await writer.drain()
        if error:
            raise ApiError(f"{self._where}: {error.decode(errors='replace')}", reason="PortForward")
        if not came:
            # A runtime may end it before its error is read.
            raise ApiError(f"{self._where}: it was closed at once; does anything listen there?", reason="PortForward")

    def _explained(self, error: ApiError) -> ApiError:
        if error.status != 403:
            return error
        return ApiError(f"{error}; {RIGHTS}", status=error.status, reason=error.reason)


def _private_folder() -> "tempfile.TemporaryDirectory[str]":
    root = tempfile.gettempdir()
    return tempfile.TemporaryDirectory(prefix="spotmix-", dir=root if len(root) <= _LONGEST else "/tmp")  # noqa: S108


async def _send(reader: asyncio.StreamReader, socket: aiohttp.ClientWebSocketResponse) -> None:
    """Send what comes from here; its end ends the connection."""
    prefix = bytes([_DATA])
    with contextlib.suppress(OSError, aiohttp.ClientError):
        while chunk := await reader.read(_CHUNK):
            await socket.send_bytes(prefix + chunk)
    await socket.close()
