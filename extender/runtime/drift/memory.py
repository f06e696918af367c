"""The history of moves, kept in the API so that a restart or another leader forgets nothing.

What cannot be read is not guessed at: without the store nothing is moved, and a workload whose entry does not decode is
left alone until the entry is put right or removed.
"""

import asyncio
from collections.abc import Callable

from extender.core.drift.history import History, Remembered
from extender.core.model.errors import ApiError, WireError
from extender.core.state.interruptions import Interruptions
from extender.kube.driftstore import MAX_BYTES, TAKEN_OVER, DriftStore
from extender.kube.seams import Report
from extender.wire.drift_v1 import (
    INTERRUPTIONS,
    decode_history,
    decode_interruptions,
    encode_history,
    encode_interruptions,
)

SOURCE = "drift store"
MOST_INTERRUPTIONS = 1_000
"""Nodes whose interruption is stored: some 120 bytes each."""


class Memory(Remembered):
    """The stored history of moves, and the interruptions of late.

    Args:
        store: where they are kept.
        interruptions: of the cluster; they go on being counted whether the store is open or not.
        now: seconds since the epoch.
        term: makes a text that no other writer of the store has used.
        report: told of entries that do not decode, and of those that are forgotten for want of room.
    """

    def __init__(
        self,
        store: DriftStore,
        interruptions: Interruptions,
        now: Callable[[], float],
        term: Callable[[], str],
        report: Report,
    ) -> None:
        super().__init__()
        self._store = store
        self._interruptions = interruptions
        self._now = now
        self._term = term
        self._report = report
        self._lock = asyncio.Lock()

    def close(self) -> None:
        """Forget: another may lead from now on."""
        self.history = History()
        self.opened = False
        self.unreadable = {}

    async def open(self) -> None:
        """Take the store over, and remember what it holds.

        Raises:
            ApiError: the server refused, or was not reached.
            WireError: it is no ConfigMap.
        """
        entries = await self._store.take_over(self._term())
        self.close()
        self._recall(entries.pop(INTERRUPTIONS, ""))
        for uid, text in entries.items():
            self._take(uid, text)
        self.opened = True

    async def review(self) -> None:
        """Heed what a person did to the store: put entries right that did not decode, or removed some.

        Raises:
            ApiError: the server refused, or was not reached.
            WireError: it is no ConfigMap.
        """
        try:
            entries, removed = await self._store.review()
        except ApiError as error:
            if error.status != 404:
                raise
            # Deleted as a whole, which may be somebody's tidying up: it is made anew.
            self.history.changed |= self.history.workloads.keys()
            self._interruptions.changed = True
            await self.save()
            return
        for uid in removed.difference(self.history.changed):
            self.history.workloads.pop(uid, None)
        for uid in list(self.unreadable):
            del self.unreadable[uid]
            if uid in entries:
                self._take(uid, entries[uid])

    async def save(self) -> None:
        """Store what has changed. Of several callers at once one writes for all.

        Raises:
            ApiError: the server refused, was not reached, or another leads; what has changed is kept for the next time.
            WireError: what it sent is no ConfigMap.
        """
        async with self._lock:
            changed, self.history.changed = self.history.changed, set()
            interrupted, self._interruptions.changed = self._interruptions.changed, False
            if not (changed or interrupted):
                return
            try:
                await self._write(changed, interrupted=interrupted)
            except BaseException as error:
                self.history.changed |= changed
                self._interruptions.changed |= interrupted
                if isinstance(error, ApiError) and error.reason == TAKEN_OVER:
                    # Whoever has it knows better what was done.
                    self.opened = False
                raise

    def _take(self, uid: str, text: str) -> None:
        try:
            self.history.workloads[uid] = decode_history(text)
        except WireError as error:
            self.unreadable[uid] = str(error)
            self._report(SOURCE, f"{self._store}: {uid}: {error}; the workload is left alone until that is put right")

    def _recall(self, text: str) -> None:
        try:
            self._interruptions.restore(decode_interruptions(text) if text else (), self._now())
        except WireError as error:
            self._report(SOURCE, f"{self._store}: {INTERRUPTIONS}: {error}; they are counted anew")

    async def _write(self, changed: set[str], *, interrupted: bool) -> None:
        try:
            await self._store.write(self._entries(changed, interrupted=interrupted))
        except ApiError as error:
            if error.status != 404:
                raise
            # Somebody deleted it. What it held is here.
            self._report(SOURCE, f"{error}; it is made anew")
            await self._store.take_over(self._term())
            await self._store.write(self._entries({*self.history.workloads}, interrupted=True))

    def _entries(self, changed: set[str], *, interrupted: bool) -> dict[str, str | None]:
        entries: dict[str, str | None] = {}
        for uid in changed:
            history = self.history.get(uid)
            entries[uid] = encode_history(history) if history is not None and not history.empty else None
        if interrupted:
            lasting = self._interruptions.lasting(MOST_INTERRUPTIONS, self._now())
            entries[INTERRUPTIONS] = encode_interruptions(lasting) if lasting else None
        return self._with_room(entries)

    def _with_room(self, entries: dict[str, str | None]) -> dict[str, str | None]:
        """Forget what is oldest when not all of it fits. Moves in flight are never forgotten."""
        sizes = self._store.sized(entries)
        total = sum(sizes.values())
        workloads = self.history.workloads
        idle = sorted((uid for uid in sizes if uid in workloads and not workloads[uid].in_flight), key=self._last)
        forgotten = 0
        for uid in idle:
            if total <= MAX_BYTES:
                break
            total -= sizes[uid]
            del workloads[uid]
            entries[uid] = None
            forgotten += 1
        if forgotten:
            self._report(SOURCE, f"{self._store} is full: the back-off of {forgotten} workloads is forgotten")
        return entries

    def _last(self, uid: str) -> float:
        return self.history.workloads[uid].last
