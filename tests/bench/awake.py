"""Keeps the cores awake, at the lowest priority there is.

A request and its answer are two hand-overs between processes. On an idle virtual machine each of them may first have to
wake a halted core, which costs tens of microseconds, or not, depending on which core the kernel has put a process on:
a server is then fast or slow for a whole run by chance. Beside a scheduler at work cores do not sleep.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen

from extender.sandbox.process import dies_with_us

LONGEST = 600.0


@contextmanager
def awake() -> Iterator[None]:
    """One process per core that only runs where nobody else wants to, until the end of the block."""
    command = dies_with_us([sys.executable, __file__])
    spinners = [Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
        for spinner in spinners:
            spinner.wait()


def _spin() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        pass


if __name__ == "__main__":
    _spin()
