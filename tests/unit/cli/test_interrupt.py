"""Ctrl-C ends a command that goes on, whenever and wherever its signal comes."""

import asyncio
import signal
import threading

import click
import pytest

from extender.cli.help import INTERRUPTED
from extender.cli.interrupt import until_interrupted


@pytest.mark.parametrize("elsewhere", [False, True], ids=["main thread", "another thread"])
def test_a_sleeping_loop_is_woken(*, elsewhere: bool) -> None:
    cleaned = late = False

    def woken_by_time() -> None:
        nonlocal late
        late = True

    async def work() -> None:
        nonlocal cleaned
        main = threading.main_thread().ident
        # The clock of these tests' limits is a signal too, and would wake the loop each second.
        signal.setitimer(signal.ITIMER_REAL, 0)
        asyncio.get_running_loop().call_later(20, woken_by_time)

        def send() -> None:
            ident = threading.get_ident() if elsewhere else main
            assert ident is not None
            signal.pthread_kill(ident, signal.SIGINT)

        # By then the loop sleeps.
        timer = threading.Timer(0.2, send)
        timer.start()
        try:
            await asyncio.Event().wait()
        finally:
            timer.join()
            cleaned = True

    with click.Context(click.Command("watch")), pytest.raises(click.exceptions.Exit) as ended:
        until_interrupted(work())
    assert (ended.value.exit_code, cleaned, late) == (INTERRUPTED, True, False)


def test_a_second_one_does_not_wait() -> None:
    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            signal.raise_signal(signal.SIGINT)
            await asyncio.Event().wait()

    with click.Context(click.Command("watch")), pytest.raises(click.exceptions.Exit) as ended:
        until_interrupted(work())
    assert ended.value.exit_code == INTERRUPTED


def test_what_ends_by_itself_is_no_interruption() -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    until_interrupted(work())
