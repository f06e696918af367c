"""uvicorn, set up for kube-scheduler: long keep-alive, connections accepted by us, signals left to us."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator
from typing import Any

import uvicorn

from extender.core.model.errors import ConfigError
from extender.servers.bodies import BodyRoom
from extender.servers.connections import HANDSHAKE, KEEP_ALIVE, SWEEP, Connections
from extender.servers.protocol import ClientConnection

# Seconds between attempts to accept a connection, after one has failed.
_AGAIN = 0.1


class _Server(uvicorn.Server):
    """Accepts by itself, so that a connection counts from its first moment, before the handshake of TLS."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the runtime, which runs more than one server."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections from now on."""
        self.servers = []
        for listener in sockets or ():
            listener.setblocking(False)
            self._begin(self._accept(listener))
        self._begin(self._connections.watch())
        self.started = True

    async def main_loop(self) -> None:
        """Serve until it is to end; uvicorn's own looks for that ten times a second."""
        await self.on_tick(0)
        await self._ending.wait()

    def end(self) -> None:
        """Take no more connections, and return from `serve` once those that there are have ended."""
        self.should_exit = True
        self._ending.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and end."""
        accepting, self._tasks = self._tasks, set()
        for task in accepting:
            task.cancel()
        await asyncio.gather(*accepting, return_exceptions=True)
        await super().shutdown(sockets)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError:
                # The client is gone already, or the process has no descriptor left.
                self._connections.report("full")
                await asyncio.sleep(_AGAIN)
                continue
            connection = ClientConnection(self.config, self.server_state, self._connections, accepted)
            if self._connections.admit(connection):
                self._begin(self._open(connection, accepted))
            else:
                accepted.close()

    async def _open(self, connection: ClientConnection, accepted: socket.socket) -> None:
        tls = self.config.ssl
        # Who watches the connections is first, and tells of it.
        limit = HANDSHAKE + 4 * SWEEP if tls is not None else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=tls, ssl_handshake_timeout=limit
            )
        except (OSError, TimeoutError):
            # No handshake came of it, which is the client's affair.
            self._connections.left(connection)
            accepted.close()


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
        connections: limits of the port's connections.
        grace: seconds that requests in flight have to end on `stop`.
    """

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        tls: ssl.SSLContext | None = None,
        connections: Connections | None = None,
        grace: int = 3,
    ) -> None:
        self._listener = listener
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=ClientConnection,
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
        if connections is None:
            connections = Connections(BodyRoom(), lambda _reason: None)
        self._server = _Server(config, connections)
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
        self._server.end()
        if self._task is not None:
            await self._task
        self._listener.close()
