"""A component: one child process that is started, known to be ready, stopped, and never left behind.

Three things end a component. An orderly `stop`. The kernel, through PR_SET_PDEATHSIG, when the *thread* that
started it ends, which covers `kill -9` of the owner and a crash of the interpreter; so start components from
a thread that lives as long as they shall, as the main thread does. And the wrapper itself, when the owner
died before that signal was armed.

Every component leads a session and process group of its own: a Ctrl-C at the terminal reaches the owner
alone, which then stops them in order, and what a component forks can be killed with it.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from extender.core.model.errors import SandboxError

READY = ""
Probe = Callable[[], Awaitable[str]]
"""Says `READY`, or in a few words what is not ready yet. It never raises for a component that is starting."""

_POLL = 0.1
_LOG_LINES = 15

# Runs in the child between fork and exec of the real program, as a program of its own: code that Python runs
# in a forked child (preexec_fn) may deadlock when the owner has threads. prctl(1, 9) is PR_SET_PDEATHSIG,
# SIGKILL.
_WRAPPER = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(125)
os.execv(sys.argv[2], sys.argv[2:])
"""


def dies_with_us(command: Sequence[str]) -> list[str]:
    """Return the command line that runs `command` and has it killed when this thread ends."""
    return [sys.executable, "-I", "-S", "-c", _WRAPPER, str(os.getpid()), *command]


class Deadlines(NamedTuple):
    """How long a process may take, in seconds.

    `start` is from its start to ready before it is given up; many, as a busy machine takes long, and a process that
    fails ends. `stop` is what it has to end after SIGTERM before it is killed.
    """

    start: float = 180.0
    stop: float = 5.0


DEFAULT_DEADLINES = Deadlines()


class Component:
    """A child process with a log file and a way to know that it is ready.

    Attributes:
        name: what messages and the log file call it.
        log_path: stdout and stderr of every start, appended.
        url: its HTTPS address, or empty.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        directory: Path,
        probe: Probe,
        url: str = "",
        env: Mapping[str, str] | None = None,
        deadlines: Deadlines = DEFAULT_DEADLINES,
    ) -> None:
        """Describe the process; nothing is started.

        Args:
            name: what messages call it.
            command: absolute path of the program, then its arguments.
            directory: its working directory, where its log file is too.
            probe: says whether it is ready.
            url: its HTTPS address, for those who want to call it.
            env: its whole environment; ours when None.
            deadlines: how long it may take to start and to stop.
        """
        self.name = name
        self.log_path = directory / f"{name}.log"
        self.url = url
        self._command = [str(part) for part in command]
        self._directory = directory
        self._probe = probe
        self._env = dict(env) if env is not None else None
        self._deadlines = deadlines
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code (minus the signal's number when killed) if it ended by itself, else None."""
        return self._process.poll() if self._process is not None else None

    async def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            SandboxError: it ended, or was not ready in time; it is stopped and the text carries its last log
                lines.
        """
        if self.running:
            raise SandboxError(f"{self.name} runs already (pid {self.pid}); stop it first")
        self._process = self._spawn()
        try:
            await self._wait_ready()
        except BaseException:
            # Cancelled or failed alike: a half-started component is of no use to anybody.
            self.kill()
            raise

    async def stop(self, *, kill: bool = False) -> None:
        """Stop the process; does nothing when it does not run.

        Args:
            kill: SIGKILL at once, as a crash would be; else SIGTERM, and SIGKILL after the grace.
        """
        process = self._process
        if process is None:
            return
        try:
            if not kill and process.poll() is None:
                self._signal(signal.SIGTERM)
                deadline = time.monotonic() + self._deadlines.stop
                while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 (no event tells)
                    await asyncio.sleep(_POLL)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL the whole process group now and reap the process; does nothing when it does not run."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    async def restart(self, *, kill: bool = False) -> None:
        """Stop and start again, on the same port with the same data."""
        await self.stop(kill=kill)
        await self.start()

    def log_tail(self, lines: int = _LOG_LINES) -> str:
        """Return the last lines of the log, at most 64 KiB of it."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, self.log_path.stat().st_size - 65536))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:]) or "(empty log)"

    def check(self) -> None:
        """Raise SandboxError, with exit code and last log lines, if the process ended by itself."""
        code = self.exit_code
        if code is not None:
            raise SandboxError(f"{self.name} ended with {_ending(code)}; its log ends:\n{self.log_tail()}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        if not os.access(self._command[0], os.X_OK):
            raise SandboxError(f"{self.name} cannot be started: {self._command[0]} is not a program")
        try:
            with self.log_path.open("ab") as log:
                return subprocess.Popen(  # noqa: S603 (our own command line, no shell)
                    dies_with_us(self._command),
                    cwd=self._directory,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise SandboxError(f"{self.name} cannot be started: {error}") from error

    async def _wait_ready(self) -> None:
        deadline = time.monotonic() + self._deadlines.start
        while True:
            self.check()
            missing = await self._probe()
            if missing == READY:
                return
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{self.name} is not ready after {self._deadlines.start:.0f} s ({missing});"
                    f" its log ends:\n{self.log_tail()}"
                )
            await asyncio.sleep(_POLL)

    def _signal(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            # The wrapper made the process a group leader before anything else ran, so pid and group are one.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)


def _ending(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
