"""uvicorn, set up for kube-scheduler: long keep-alive, bounded headers, sockets bound by us, signals left to us."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from extender.core.model.errors import ConfigError

# The scheduler keeps idle connections for 90 s; whoever closes first loses the race with a request.
KEEP_ALIVE = 120
MAX_HEADER_BYTES = 64 * 1024


class _Protocol(HttpToolsProtocol):
    """httptools collects headers without a limit; this gives up on a client that sends too many."""

    _header_bytes = 0
    _in_headers = True

    def on_message_begin(self) -> None:
        """A request starts."""
        self._in_headers = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its headers are complete."""
        self._in_headers = False
        self._header_bytes = 0
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self.transport.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the runtime, which runs more than one server."""
        yield


def bind(host: str, port: int, what: str) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigError: the address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=1024)
        # Accepted connections inherit it; asyncio sets it on sockets of its own making alone.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        fix = f"choose another with {what}" if port else "check the host"
        raise ConfigError(f"{what} {host}:{port} cannot be listened on: {error.strerror or error}; {fix}") from error
    return listener


class HttpServer:
    """One listening socket with an ASGI application behind it.

    Args:
        app: a raw ASGI application.
        listener: a listening socket; it is closed on `stop`.
        tls: context for HTTPS; None serves plain HTTP.
        grace: seconds that requests in flight have to end on `stop`.
    """

    def __init__(self, app: Any, listener: socket.socket, tls: ssl.SSLContext | None = None, grace: int = 10) -> None:
        self._listener = listener
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=grace,
        )
        config.load()
        config.ssl = tls
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on."""
        host, port, *_ = self._listener.getsockname()
        return str(host), int(port)

    async def start(self) -> None:
        """Serve from now on."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.001)
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """Take no more connections, answer what is in flight, close."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._listener.close()
