"""The connections of one port: how many there may be, how long each may take, and who goes when there are too many."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from extender.servers.bodies import BodyRoom

HANDSHAKE = 10.0
"""Seconds for the handshake of TLS."""
HEADERS = 10.0
"""Seconds from the start of a request until its headers are complete."""
BODY = 15.0
"""Seconds from the start of a request until its body is complete."""
KEEP_ALIVE = 120
"""Seconds for which a connection is kept that nothing is asked on.

Go's clients, such as API server and scheduler, open more than they need and keep them for 90 s, those included on which
they have asked nothing yet. Whoever closes first may meet a request, which is then lost.
"""
STALLED = 30.0
"""Seconds for which a client may take nothing of its answer."""
LAST = 1.0
"""Seconds that a request which has not arrived in full has left when the server stops."""
MOST = 256
"""Connections of a port."""
SWEEP = 0.5

Report = Callable[[str], None]
"""Is told of each connection that was ended or refused, by why: full, headers, body, memory, stalled or idle."""


class Connected(Protocol):
    """A connection, from accept to close."""

    answered: bool
    """It has been given an answer."""

    @property
    def busy(self) -> bool:
        """Whether a request that has arrived is being answered."""
        ...

    @property
    def since(self) -> float:
        """When it began, or began to be idle; seconds of the loop's clock."""
        ...

    def late(self, now: float) -> str:
        """Why it has to end; empty when it has time."""
        ...

    def end(self, reason: str) -> None:
        """Close at once."""
        ...


class Connections:
    """Keeps count of a port's connections.

    Args:
        room: for the bodies of requests, shared by all ports.
        report: see `Report`.
        most: connections at a time.
    """

    def __init__(self, room: BodyRoom, report: Report, most: int = MOST) -> None:
        self.room = room
        self.report = report
        self._most = most
        self._all: dict[Connected, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, new: Connected) -> bool:
        """Take a connection in, whose place may be that of one that does nothing; false when all are busy."""
        if len(self._all) >= self._most:
            idle = [each for each in self._all if not each.busy]
            if not idle:
                self.report("full")
                return False
            # Whoever has never asked goes before whoever has.
            min(idle, key=lambda each: (each.answered, each.since)).end("full")
        self._all[new] = None
        return True

    def left(self, gone: Connected) -> None:
        """A connection is closed."""
        self._all.pop(gone, None)

    async def watch(self) -> None:
        """End what takes too long, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP)
            now = loop.time()
            for each in list(self._all):
                if reason := each.late(now):
                    each.end(reason)
            self.room.sweep(now)
