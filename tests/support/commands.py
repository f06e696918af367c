"""Commands of `spotmix` as people run them: processes, what they print, and how they end."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from support.patience import stretched, within

SCRIPT = Path(sys.executable).with_name("spotmix")


class Ran(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)

    def rows(self) -> dict[str, list[str]]:
        """The first table's rows by their second column."""
        lines = self.out.split("\n\n")[0].splitlines()
        return {cells[1]: cells for cells in (line.split() for line in lines)}


async def run(*command: str | Path, **environ: str) -> Ran:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), err.decode())


class Running:
    """A command that goes on; its lines are read as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self, seconds: float = 60.0) -> str:
        """The next line of its output."""
        assert self._process.stdout is not None
        async with within(seconds):
            return (await self._process.stdout.readline()).decode().rstrip("\n")

    async def note(self, seconds: float = 60.0) -> str:
        """The next line of its errors."""
        assert self._process.stderr is not None
        async with within(seconds):
            return (await self._process.stderr.readline()).decode().rstrip("\n")

    async def interrupt(self) -> Ran:
        """Ctrl-C, and what it says until it has ended."""
        self._process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(self._process.communicate(), stretched(30))
        return Ran(self._process.returncode or 0, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def running(*command: str | Path, **environ: str) -> AsyncIterator[Running]:
    """Run a command until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
