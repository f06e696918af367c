"""Loopback ports that stay ours while a component restarts.

A port that is merely looked up is free only until somebody else takes it, and the API server is restarted on
its own port in the middle of traffic. So the port is bound here with SO_REUSEPORT and never listened on:
nobody else gets it, neither another sandbox nor an outgoing connection, while the component binds the same
port with `--permit-port-sharing` and receives every connection, being the only listener.
"""

import contextlib
import secrets
import socket
from pathlib import Path

from extender.core.model.errors import SandboxError

LOOPBACK = "127.0.0.1"

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LEAST = 10_000
_MOST = 65_535
_ATTEMPTS = 100
_CLAIM = "\0spotmix-port-{}"
_claimed: set[int] = set()
"""Ports that `free_port` has given. Each claim is a name among the kernel's abstract sockets, which are as private to a
network as its ports: another process on it finds the name taken, until this one ends."""


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


def _given_by_kernel() -> tuple[int, int]:
    """The ports that the kernel chooses from for whoever names none, the last included."""
    try:
        low, high = map(int, _EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        return 32_768, 60_999
    return low, high


def _beyond(low: int, high: int) -> list[int]:
    """Ports that are neither among those nor in common use."""
    return [*range(_LEAST, low), *range(high + 1, _MOST + 1)]


def free_port() -> int:
    """Return a loopback port that is free now, for a program that cannot share one.

    Nobody gets it who does not ask for just this one: until the program binds it, and while the program is down,
    neither an outgoing connection nor a port 0 request takes it, and no other process is given it here.

    Raises:
        SandboxError: all ports that were tried are taken.
    """
    candidates = [port for port in _beyond(*_given_by_kernel()) if port not in _claimed]
    for _ in range(_ATTEMPTS):
        # Where all ports are the kernel's to give, it has to choose.
        chosen = secrets.choice(candidates) if candidates else 0
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, chosen))
            bound: int = probe.getsockname()[1]
            _claim(bound)
            return bound
    raise SandboxError(f"no loopback port is free: {_ATTEMPTS} tried; end what listens on them")


def _claim(port: int) -> None:
    """Keep a port from being given again.

    Raises:
        OSError: another process was given it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
        claim.bind(_CLAIM.format(port))
        # Open from now on until the process ends.
        claim.detach()
    _claimed.add(port)
