"""Decisions as they are made, by server-sent events. A row is rendered once for all readers."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from extender.core.answers.decisions import DecisionLog, Entry, Filter
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated
from extender.servers.answers.allowance import Allowance
from extender.servers.answers.following import AT_ONCE, CHECK, Follower, Followers
from extender.servers.answers.search import matches
from extender.servers.asgi import Receive, Send
from extender.servers.console.query import Query, numbered
from extender.servers.console.rendering import decision_row

CLIENTS = 32
OF_ONE = 8
"""Views at a time, of all readers and of one: a user, or a host where nobody signs in."""

PAUSE = 0.1
"""Between two messages to a reader (seconds): the first decision goes out at once, those that follow together."""

PING = 15.0
"""How often a line is sent when nothing happens, so that nobody in between gives the connection up (seconds)."""

_ROWS = 4 * AT_ONCE


class Live:
    """Streams a log of decisions. Of more than fit into a message the oldest are counted as lost.

    Args:
        log: of decisions.

    Attributes:
        allowance: how many readers there may be; who reads has taken of it.
    """

    def __init__(self, log: DecisionLog) -> None:
        self._log = log
        self._rows: OrderedDict[int, str] = OrderedDict()
        self._readers = Followers(log)
        self.allowance = Allowance("live views", CLIENTS, OF_ONE)

    def stop(self) -> None:
        """Let all readers go."""
        self._readers.stop()

    async def stream(
        self,
        wanted: Filter,
        after: int,
        receive: Receive,
        send: Send,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        """Send the body of an answer until the reader leaves, or may read no longer.

        Args:
            wanted: whether the reader wants a decision.
            after: the number of the last decision that the reader has.
            receive: tells when it has left.
            send: takes the body.
            check: raises when the reader may read no longer.
        """
        with self._readers.joined(wanted) as reader:
            gone = asyncio.create_task(_departure(receive, reader.wake))
            ended = asyncio.create_task(_rights_end(check, reader.wake))
            try:
                entries, lost = self._missed(wanted, after)
                await _send(send, reader, self._message(entries, lost) or b": \n\n")
                while not self._readers.stopping:
                    await reader.sleep(PING)
                    if gone.done():
                        return
                    if ended.done():
                        if ended.result():
                            line = f"event: ended\ndata: {ended.result()}\n\n"
                            await _send(send, reader, line.encode("utf-8", "replace"))
                        break
                    batch = reader.take()
                    await _send(send, reader, self._message(batch.entries, batch.lost) or b": \n\n")
                    if batch.entries:
                        await asyncio.sleep(PAUSE)
                await send({"type": "http.response.body", "body": b""})
            except (TimeoutError, OSError):
                return
            finally:
                gone.cancel()
                ended.cancel()

    def _missed(self, wanted: Filter, after: int) -> tuple[list[Entry], int]:
        """What was decided since the reader's last decision, oldest first, and how much of it is not to be had."""
        latest = self._log.latest(AT_ONCE)
        newest = latest[0].number if latest else 0
        if after > newest:
            # It has them from a process that was here before.
            after = 0
        entries = [entry for entry in reversed(latest) if entry.number > after]
        return [entry for entry in entries if wanted(entry)], newest - after - len(entries)

    def _message(self, entries: Sequence[Entry], lost: int) -> bytes:
        shown = entries[-AT_ONCE:]
        lost += len(entries) - len(shown)
        parts = []
        if lost:
            parts.append(f"event: lost\ndata: {lost}\n\n")
        if shown:
            # The newest comes first, as on the page.
            lines = "\n".join(self._rendered(reversed(shown))).splitlines()
            data = "\n".join(f"data: {line}" for line in lines)
            parts.append(f"event: decisions\nid: {shown[-1].number}\n{data}\n\n")
        return "".join(parts).encode("utf-8", "replace")

    def _rendered(self, entries: Iterable[Entry]) -> list[str]:
        rows = []
        for entry in entries:
            row = self._rows.get(entry.number)
            if row is None:
                row = self._rows[entry.number] = decision_row(entry)
                if len(self._rows) > _ROWS:
                    self._rows.popitem(last=False)
            rows.append(row)
        return rows


def wanted_of(query: Query) -> Filter:
    """Whether a decision is in the namespace that an address names, and has its number, or its words in names."""
    namespace, words = query.text("namespace"), query.words()
    number = numbered(words)

    def wanted(entry: Entry) -> bool:
        confined = not namespace or entry.namespace == namespace
        if number:
            return confined and entry.number == number
        return confined and matches(words, entry.namespace, entry.workload, entry.pod)

    return wanted


async def _send(send: Send, reader: Follower, data: bytes) -> None:
    """Send a part of the body; raises `TimeoutError` when the reader does not take it."""
    await reader.give(send({"type": "http.response.body", "body": data, "more_body": True}))


async def _departure(receive: Receive, wake: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    wake()


async def _rights_end(check: Callable[[], Awaitable[None]], wake: Callable[[], None]) -> str:
    """Return when the reader may read no longer: a line that says why, empty when that is not known now."""
    while True:
        await asyncio.sleep(CHECK)
        try:
            await check()
        except (Unauthenticated, Forbidden) as error:
            wake()
            return " ".join(str(error).split())
        except ApiError:
            wake()
            return ""
