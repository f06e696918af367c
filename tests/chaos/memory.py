"""How much memory the replicas hold."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Self

from extender.sandbox.spotmix import SpotmixServe

_EVERY = 0.5


class Memory:
    """Looks at the resident memory of processes all the time, as an asynchronous context manager.

    Attributes:
        peak: the most that any of them held, in MiB.
    """

    def __init__(self, processes: Collection[SpotmixServe]) -> None:
        self.peak = 0.0
        self._processes = processes

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    def now(self) -> float:
        """The most that any holds now, in MiB."""
        return max((_rss(process.pid) for process in self._processes if process.pid is not None), default=0.0)

    async def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, self.now())
            await asyncio.sleep(_EVERY)


def _rss(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * 4096 / 2**20
