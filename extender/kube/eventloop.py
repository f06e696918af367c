"""The event loop of whoever talks to an API server for long: uvloop's, where a descriptor has one owner."""

import socket
from typing import Any

import uvloop


class Loop(uvloop.Loop):
    """uvloop's, but for one fault of it (0.23).

    A connection that is made of a socket object belongs to libuv from then on, which closes its descriptor. Where the
    peer resets it before the handshake of TLS, uvloop lets the object keep the number: when it is collected it closes
    whatever connection has that number by then, of whomever. Source: issues 645 and 738 of uvloop.
    """

    async def create_connection(self, *what: Any, sock: socket.socket | None = None, **how: Any) -> Any:
        """As of any event loop; a socket that is given is not the caller's any more, however it ends."""
        try:
            return await super().create_connection(*what, sock=sock, **how)
        finally:
            if sock is not None:
                sock.detach()


def new_event_loop() -> Loop:
    """A loop that is not running."""
    return Loop()
