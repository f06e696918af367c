"""Loopback ports that stay ours while a component restarts.

A port that is merely looked up is free only until somebody else takes it, and the API server is restarted on
its own port in the middle of traffic. So the port is bound here with SO_REUSEPORT and never listened on:
nobody else gets it, neither another sandbox nor an outgoing connection, while the component binds the same
port with `--permit-port-sharing` and receives every connection, being the only listener.
"""

import contextlib
import socket

LOOPBACK = "127.0.0.1"


class PortReservations:
    """Ports held until `close`."""

    def __init__(self) -> None:
        self._sockets = contextlib.ExitStack()

    def reserve(self) -> int:
        """Return a loopback port, held for a component that binds it with SO_REUSEPORT."""
        # The kernel never gives a port 0 request a port that is shared already, so this one is new.
        holder = self._sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((LOOPBACK, 0))
        port: int = holder.getsockname()[1]
        return port

    def close(self) -> None:
        """Let all ports go."""
        self._sockets.close()


def free_port() -> int:
    """Return a loopback port that is free now, for a program that cannot share one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
