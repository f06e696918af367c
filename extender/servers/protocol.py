"""uvicorn's HTTP/1.1 with limits: of time, of headers and trailers, of requests sent ahead, of bodies in memory."""

import contextlib
import socket
from asyncio import Transport
from typing import Literal

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from extender.servers.asgi import KEPT_NO_MORE
from extender.servers.connections import BODY, HANDSHAKE, HEADERS, KEEP_ALIVE, LAST, STALLED, Connections

MAX_HEADER_BYTES = 64 * 1024
"""Bytes of a request that are no body, one after the other: request line and headers, trailers, marks of a chunk."""
PIECE = MAX_HEADER_BYTES // 4
"""Bytes that are parsed at once: of those after a body only what comes in a further piece is counted."""
AHEAD = 16
"""Requests that a client may send before it has the answer to an earlier one."""

Phase = Literal["headers", "body", "answer", "idle"]


class _Nowhere(list[tuple[bytes, bytes]]):
    """Takes trailers, which nobody looks at, and keeps none."""

    def append(self, _header: tuple[bytes, bytes], /) -> None:
        pass


_NO_TRAILERS = _Nowhere()


class _Flow(FlowControl):
    """Stays paused while it is held, whoever wants to read."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class _FarAheadError(Exception):
    """Stops the parser."""


class ClientConnection(HttpToolsProtocol):
    """One connection.

    Args:
        config: of the server.
        state: of the server.
        connections: all of this port.
        accepted: the connection's socket.

    Attributes:
        answered: it has been given an answer.
        since: when it or its request began, or its client began to be idle; seconds of the loop's clock.
    """

    def __init__(
        self, config: uvicorn.Config, state: ServerState, connections: Connections, accepted: socket.socket
    ) -> None:
        super().__init__(config, state, {})
        self._doors = connections
        self._room = connections.room
        self._socket = accepted
        self.answered = False
        self._opened = self._ended = False
        self._pauses: _Flow
        self.since = self.loop.time()
        self._phase: Phase = "idle"
        self._kept = True
        self._beside = 0
        self._stuck: float | None = None

    # What the limits are kept by

    @property
    def busy(self) -> bool:
        """See `Connected`; a client that does not take its answer keeps nobody busy."""
        return self._phase == "answer" and not self.flow.write_paused

    @property
    def arriving(self) -> bool:
        """See `Sender`."""
        return self._phase == "body"

    def hold(self) -> None:
        """See `Sender`."""
        self._pauses.held = True
        self._pauses.pause_reading()

    def go_on(self) -> None:
        """See `Sender`."""
        if self._pauses.held:
            self._pauses.held = False
            self._pauses.resume_reading()

    def late(self, now: float) -> str:
        """See `Connected`."""
        passed = now - self.since
        if not self._opened and passed > HANDSHAKE:
            return "headers"
        if self._phase == "idle" and not self.answered and passed > KEEP_ALIVE:
            return "idle"
        if self._phase == "headers" and passed > HEADERS:
            return "headers"
        if self._phase == "body" and passed > BODY:
            return "body"
        if self._opened and (self.flow.write_paused or self.transport.is_closing()):
            self._stuck = self._stuck or now
            return "stalled" if now - self._stuck > STALLED else ""
        self._stuck = None
        return ""

    def end(self, reason: str) -> None:
        """Close at once, and say why."""
        if not self._ended:
            self._doors.report(reason)
            self._close()

    def _close(self) -> None:
        self._ended = True
        self._doors.left(self)
        self._room.released(self, self.loop.time())
        if self._opened:
            self.transport.abort()
        else:
            # The handshake of TLS finds it closed.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def shutdown(self) -> None:
        """Close as soon as what has been asked is answered; what has not been asked in full has little time left."""
        super().shutdown()
        if self._phase == "body":
            self.loop.call_later(LAST, self._give_up)

    def _give_up(self) -> None:
        if self._phase == "body":
            self._close()

    # What uvicorn and the parser call

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """The connection can be used."""
        super().connection_made(transport)
        self.flow = self._pauses = _Flow(transport)
        self._opened = True

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self._doors.left(self)
        self._room.released(self, self.loop.time())
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self._beside += len(piece)
            super().data_received(piece)
            if self._beside > MAX_HEADER_BYTES:
                self.end("headers")
            if self.transport.is_closing():
                return
        if self._phase == "body":
            # It does not come at once, so it may be large.
            self.scope["extensions"] = {KEPT_NO_MORE: self._kept_no_more}  # type: ignore[dict-item]

    def send_400_response(self, msg: str) -> None:
        """The parser has stopped."""
        if not self._ended:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """A request starts."""
        self._phase = "headers"
        self._kept = True
        self.since = self.loop.time()
        super().on_message_begin()

    def _kept_no_more(self) -> None:
        """The application keeps nothing of this body, neither what it has been given nor what is to come."""
        self._kept = False
        self._room.released(self, self.loop.time())
        self.go_on()

    def on_headers_complete(self) -> None:
        """Its headers are complete."""
        if len(self.pipeline) >= AHEAD:
            self.end("headers")
            raise _FarAheadError
        self._phase = "body"
        super().on_headers_complete()
        self.headers = _NO_TRAILERS

    def on_body(self, body: bytes) -> None:
        """A part of its body arrived."""
        self._beside = 0
        if not self.cycle.response_complete:
            super().on_body(body)
            if self._kept:
                self._room.took(self, len(body), self.since)

    def on_message_complete(self) -> None:
        """It has arrived in full."""
        self._beside = 0
        self._phase = "idle" if self.cycle.response_complete else "answer"
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is answered."""
        self.answered = True
        self.since = now = self.loop.time()
        if not self.pipeline:
            self._room.released(self, now)
            if self._phase == "answer":
                self._phase = "idle"
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was asked for as long as a connection is kept."""
        self._doors.report("idle")
        super().timeout_keep_alive_handler()
