"""Commands that go on until Ctrl-C."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

import click

from extender.cli.help import INTERRUPTED


def until_interrupted(work: Coroutine[Any, Any, None]) -> None:
    """Run it; after Ctrl-C it is cancelled, and the command exits with `INTERRUPTED`. A second one does not wait."""
    try:
        asyncio.run(_woken(work))
    except (asyncio.CancelledError, KeyboardInterrupt):
        click.get_current_context().exit(INTERRUPTED)


async def _woken(work: Coroutine[Any, Any, None]) -> None:
    """Do it, in a loop that a signal wakes.

    `asyncio.run` sees a signal when the loop turns next. One that comes right before the loop falls asleep, or to
    another thread (gRPC has some), would be seen once something else happens.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task

    def interrupt() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        task.cancel()

    # Windows has none; its loop is woken all the same.
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, interrupt)
    await work
