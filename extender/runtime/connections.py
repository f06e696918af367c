"""What connections may take of the process, and what is told of those that took too much."""

import resource
import time
from collections.abc import Iterator
from functools import partial

from extender.servers.bodies import BodyRoom
from extender.servers.connections import MOST, Connections
from extender.telemetry import catalogue as families
from extender.telemetry.logs import logger
from extender.telemetry.metrics import PORTS, Metrics
from extender.telemetry.readings import Reading

FOR_OTHERS = 256
"""Descriptors for all that is no connection of these ports: the API server, the gRPC API, files."""
FEWEST = 16
LOG_SECONDS = 10.0
"""How often it is logged that connections of a port were ended for one reason."""
_WHY = {
    "full": "there are as many as may be, and these did least",
    "headers": "headers are not complete in time, or too long",
    "body": "bodies are not complete in time",
    "memory": "bodies that arrive take too much memory together",
    "stalled": "clients do not take their answers",
}


def raise_descriptors() -> int:
    """Let the process have as many descriptors as it may; how many it has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most_of_each(descriptors: int) -> int:
    """Connections that each port may have, so that none takes what the others need."""
    if descriptors == resource.RLIM_INFINITY:
        return MOST
    return max(FEWEST, min(MOST, (descriptors - FOR_OTHERS) // len(PORTS)))


class PortConnections:
    """The connections of all HTTP ports: their limits, and what is counted and logged of them.

    Args:
        metrics: counts.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = logger()
        self._logged: dict[tuple[str, str], float] = {}
        room, most = BodyRoom(), most_of_each(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._of = {port: Connections(room, partial(self._ended, port), most) for port in PORTS}

    def of(self, port: str) -> Connections:
        """Those of a port: extender, webhook or metrics."""
        return self._of[port]

    def readings(self) -> Iterator[Reading]:
        """How many there are."""
        yield Reading(families.CONNECTIONS, {(port,): len(connections) for port, connections in self._of.items()})

    def _ended(self, port: str, reason: str) -> None:
        """A connection was ended or refused."""
        self._metrics.disconnected(port, reason)
        now, key = time.monotonic(), (port, reason)
        if reason != "idle" and now - self._logged.get(key, -LOG_SECONDS) >= LOG_SECONDS:
            self._logged[key] = now
            self._log.warning("connections are ended or refused", server=port, error=_WHY[reason])
