"""Decisions as they are made, to callers that follow them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from extender.core.answers.decisions import DecisionLog, Entry
from extender.core.model.reasons import Reason
from extender.servers.answers.allowance import Allowance
from extender.servers.answers.following import AT_ONCE, CHECK, PATIENCE, Follower, Followers
from extender.servers.grpc.calls import Code, RefusedError
from extender.servers.grpc.requests import Following
from extender.wire.placement_v1 import number_of, to_message
from spotmix.placement.v1 import placement_pb2 as pb

PAUSE = 0.05
"""Between two messages to a caller (seconds): the first decision goes out at once, those that follow together."""

QUIET = 3600.0
"""A caller to whom nothing was sent for so long is let go (seconds): those who still listen come back."""

LOOK = 1.0
"""How often it is looked whether this replica still decides (seconds)."""

Write = Callable[[pb.WatchDecisionsResponse], Awaitable[None]]
Renew = Callable[[], Awaitable[object]]


class Watches:
    """All callers that follow decisions.

    Args:
        log: of decisions.
        obstacle: why this replica makes no decision now, None when it does.
        allowance: how many there may be.

    Attributes:
        allowance: as given; who follows has taken of it.
    """

    def __init__(self, log: DecisionLog, obstacle: Callable[[], Reason | None], allowance: Allowance) -> None:
        self.allowance = allowance
        self._log = log
        self._obstacle = obstacle
        self._callers = Followers(log)

    def __len__(self) -> int:
        return len(self._callers)

    def stop(self) -> None:
        """Let all callers go."""
        self._callers.stop()

    async def follow(self, asked: Following, write: Write, renew: Renew) -> None:
        """Send decisions until the caller leaves, which cancels this.

        Args:
            asked: which.
            write: sends a message, and waits while the caller takes none.
            renew: lets the caller go on, or raises `RefusedError`.

        Raises:
            RefusedError: it may not follow any more or takes nothing, nothing was decided for long, or this process
                ends.
        """
        # Nothing is missed once it has joined; what was before is replayed.
        with self._callers.joined(asked.wants) as caller:
            await _Stream(self._obstacle, write).run(self._before(asked), caller, renew, self._ended)

    def _ended(self) -> None:
        if self._callers.stopping:
            raise RefusedError(Code.UNAVAILABLE, "this replica is shutting down; ask again, another one will answer")

    def _before(self, asked: Following) -> list[Entry]:
        """What is to be replayed, oldest first."""
        if not asked.replay:
            return []
        found: list[Entry] = []
        for entry in self._log.latest(len(self._log)):
            if asked.wants(entry):
                found.append(entry)
                if len(found) == asked.replay:
                    break
        return found[::-1]


class _Stream:
    """What is sent to one caller."""

    def __init__(self, obstacle: Callable[[], Reason | None], write: Write) -> None:
        self._obstacle = obstacle
        self._write = write
        self._told: Reason | None = None

    async def run(self, before: Sequence[Entry], caller: Follower, renew: Renew, ended: Callable[[], None]) -> None:
        clock = asyncio.get_running_loop().time
        await self._send(caller, before, 0)
        renewed = sent = clock()
        while True:
            await caller.sleep(LOOK)
            batch = caller.take()
            if batch.entries or self._obstacle() is not self._told:
                await self._send(caller, batch.entries, batch.lost)
                sent = clock()
            elif clock() - sent >= QUIET:
                raise RefusedError(Code.UNAVAILABLE, f"nothing was decided for {QUIET:.0f} s; follow decisions again")
            # What was decided before the end is still sent.
            ended()
            if batch.entries:
                await asyncio.sleep(PAUSE)
            if clock() - renewed >= CHECK:
                renewed = clock()
                await renew()

    async def _send(self, caller: Follower, entries: Sequence[Entry], lost: int) -> None:
        self._told = self._obstacle()
        for start in range(0, max(1, len(entries)), AT_ONCE):
            message = pb.WatchDecisionsResponse(
                decisions=[to_message(entry) for entry in entries[start : start + AT_ONCE]],
                lost=0 if start else lost,
                obstacle=number_of(self._told),
            )
            try:
                await caller.give(self._write(message))
            except TimeoutError as error:
                text = f"nothing was taken for {PATIENCE:.0f} s; follow decisions again, and read faster"
                raise RefusedError(Code.ABORTED, text) from error
