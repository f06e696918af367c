"""Where the demo is shown: a live table on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec
from rich.console import Console
from rich.live import Live

from extender.sandbox.demo.acts import Row, summary_table
from extender.sandbox.demo.facts import Look
from extender.sandbox.demo.screen import Scene, picture

_KEPT = 100


class Show(Protocol):
    """A way to show the demo."""

    def step(self, text: str) -> None:
        """Say what is being prepared or wound up."""
        ...

    def curtain(self) -> contextlib.AbstractContextManager[None]:
        """The time in which the cluster is shown."""
        ...

    def act(self, title: str, about: str) -> None:
        """A new act begins."""
        ...

    def log(self, text: str) -> None:
        """Something happened."""
        ...

    def see(self, snapshot: Look) -> None:
        """The cluster has been looked at."""
        ...

    def summary(self, rows: Iterable[Row]) -> None:
        """The rows of all acts."""
        ...

    def say(self, lines: Iterable[str]) -> None:
        """Lines to copy from."""
        ...


class PlainShow:
    """Plain lines, for a pipe or a CI log."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        """See `Show.step`."""
        self._print(text)

    @contextlib.contextmanager
    def curtain(self) -> Iterator[None]:
        """See `Show.curtain`."""
        yield

    def act(self, title: str, about: str) -> None:
        """See `Show.act`."""
        self._print(f"== {title}: {about}")

    def log(self, text: str) -> None:
        """See `Show.log`."""
        self._print(text)

    def see(self, snapshot: Look) -> None:
        """See `Show.see`."""

    def summary(self, rows: Iterable[Row]) -> None:
        """See `Show.summary`."""
        self._print("== Summary")
        self.say(row.line for row in rows)

    def say(self, lines: Iterable[str]) -> None:
        """See `Show.say`."""
        for line in lines:
            print(line, flush=True)  # noqa: T201 - standard output is what this class is for

    def _print(self, text: str) -> None:
        self.say([f"{time.monotonic() - self._began:6.1f} s  {text}"])


class LiveShow:
    """A table that follows the cluster, redrawn at each look; what was said stays above it.

    Args:
        console: a terminal.
        title: the first line.
    """

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._began = time.monotonic()
        self._scene = Scene(title, "", "")
        self._snapshot = Look()
        self._live: Live | None = None

    def step(self, text: str) -> None:
        """See `Show.step`."""
        self._console.print(f"{time.monotonic() - self._began:6.1f} s  {text}", markup=False, highlight=False)

    @contextlib.contextmanager
    def curtain(self) -> Iterator[None]:
        """See `Show.curtain`."""
        self._console.print()
        with Live(console=self._console, auto_refresh=False, vertical_overflow="crop") as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def act(self, title: str, about: str) -> None:
        """See `Show.act`."""
        self._scene = msgspec.structs.replace(self._scene, act=title, about=about)
        self._draw()

    def log(self, text: str) -> None:
        """See `Show.log`."""
        entry = (time.monotonic() - self._began, text)
        self._scene = msgspec.structs.replace(self._scene, log=(*self._scene.log[-_KEPT:], entry))
        self._draw()

    def see(self, snapshot: Look) -> None:
        """See `Show.see`."""
        self._snapshot = snapshot
        self._draw()

    def summary(self, rows: Iterable[Row]) -> None:
        """See `Show.summary`."""
        self._console.print(summary_table(rows))

    def say(self, lines: Iterable[str]) -> None:
        """See `Show.say`."""
        for line in lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(picture(self._scene, self._snapshot, self._console), refresh=True)


def choose_show(title: str) -> Show:
    """The live table when standard output is a terminal that can show it, else plain lines."""
    console = Console(highlight=False)
    if console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf"):
        return LiveShow(console, title)
    return PlainShow()
