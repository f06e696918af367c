"""Telling the user that long work goes on: a live line on a terminal, elsewhere a plain one now and then."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.status import Status

_PLAIN_INTERVAL = 15.0


class Progress:
    """Shows what is being done, as a context manager, on standard error so that output can be piped.

    On a terminal the last text is shown live. Elsewhere, as in a CI log, a step is printed when it starts,
    and its progress every 15 seconds.
    """

    def __init__(self, stream: TextIO | None = None, *, interval: float = _PLAIN_INTERVAL) -> None:
        """Show on `stream` (standard error when None), in plain mode at most every `interval` seconds."""
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._interval = interval
        self._status: Status | None = None
        self._printed = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def step(self, text: str) -> None:
        """Say that a new piece of work starts, or that something is worth knowing; it stays on the screen."""
        self._console.print(text, markup=False)
        self._printed = time.monotonic()

    def update(self, text: str) -> None:
        """Say how far it is."""
        if self._status is not None:
            self._status.update(text.replace("[", r"\["))
            self._status.start()
        elif time.monotonic() - self._printed >= self._interval:
            self.step(text)
