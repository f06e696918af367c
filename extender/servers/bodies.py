"""What the bodies of requests take of memory, over all connections of a process.

Small ones share `TOTAL`; where that is not enough the one that has been arriving for longest gives way, for it is the
slowest. Of large ones there is one at a time, and a few wait. So neither many nor slow senders make the process grow.
"""

from typing import Protocol

LARGE = 256 * 1024
"""Bytes that a body may have without waiting for its turn as a large one."""
TOTAL = 8 * 1024 * 1024
"""Bytes of all bodies, but for the large one that has its turn."""
WAITING = 4
"""Large bodies that wait for their turn; of more the oldest is given up, whose client is about to give up too."""
TURN = 2.0
"""Seconds that a large body may keep others waiting while it arrives."""


class Sender(Protocol):
    """A connection on which a body arrives."""

    @property
    def arriving(self) -> bool:
        """Whether some of the body is still to come."""
        ...

    def hold(self) -> None:
        """Read no more until `go_on`."""
        ...

    def go_on(self) -> None:
        """Read on."""
        ...

    def end(self, reason: str) -> None:
        """Close at once."""
        ...


class BodyRoom:
    """Shares the memory for bodies out among connections.

    Attributes:
        total: bytes held, but for those of the large body that has its turn.
    """

    def __init__(self) -> None:
        self.total = 0
        self._held: dict[Sender, int] = {}
        self._large: Sender | None = None
        self._since = 0.0
        self._waiting: list[Sender] = []

    def took(self, sender: Sender, size: int, now: float) -> None:
        """A sender's body has grown by `size` bytes; `now` in monotonic seconds."""
        if sender is self._large:
            return
        held = self._held[sender] = self._held.get(sender, 0) + size
        self.total += size
        if held > LARGE and sender not in self._waiting:
            self._queue(sender, now)
        while self.total > TOTAL:
            self._end(next((each for each in self._held if each.arriving and each is not sender), sender), now)

    def released(self, sender: Sender, now: float) -> None:
        """Nothing of a sender's body is kept any more."""
        self.total -= self._held.pop(sender, 0)
        if sender in self._waiting:
            self._waiting.remove(sender)
        if sender is self._large:
            self._large = None
            if self._waiting:
                # The newest is the one whose client still listens.
                self._grant(self._waiting.pop(), now)

    def sweep(self, now: float) -> None:
        """Take the turn from a large body that arrives too slowly for those that wait."""
        if self._large is not None and self._waiting and self._large.arriving and now - self._since > TURN:
            self._end(self._large, now)

    def _queue(self, sender: Sender, now: float) -> None:
        if self._large is None:
            self._grant(sender, now)
            return
        sender.hold()
        self._waiting.append(sender)
        if len(self._waiting) > WAITING:
            self._end(self._waiting[0], now)

    def _grant(self, sender: Sender, now: float) -> None:
        self.total -= self._held.pop(sender, 0)
        self._large, self._since = sender, now
        sender.go_on()

    def _end(self, sender: Sender, now: float) -> None:
        self.released(sender, now)
        sender.end("memory")
