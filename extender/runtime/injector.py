"""Has scheduler configurations changed in a process of their own, within limits of time, size and number."""

import asyncio
import sys
from collections.abc import Mapping

import msgspec

from extender.core.model.errors import BusyError, ConfigError, WireError
from extender.schedulerconfig.child import Done, Task
from extender.schedulerconfig.read import mentions
from extender.schedulerconfig.yamltree import MAX_CHARS
from extender.settings import Settings, stanza_from

WAITING = 4
"""ConfigMaps that are looked at or wait for it."""
SECONDS = 1.5
"""Time for one, the wait for its turn included: the API server gives a webhook 2 s."""


class Injector:
    """Gives texts our extender; see `servers.admission.Inject`.

    Args:
        settings: say how our extender is reached.
        seconds: time for the texts of one ConfigMap.
        command: the process, made for each ConfigMap.
    """

    def __init__(
        self,
        settings: Settings,
        seconds: float = SECONDS,
        command: tuple[str, ...] = (sys.executable, "-P", "-m", "extender.schedulerconfig.child"),
    ) -> None:
        self._settings = settings
        self._seconds = seconds
        self._command = command
        self._turn = asyncio.Lock()
        self._waiting = 0

    def go_by(self, settings: Settings) -> None:
        """Say it as other settings do from now on."""
        self._settings = settings

    async def __call__(self, texts: Mapping[str, str]) -> Mapping[str, str]:
        """Give the texts that have changed, by key.

        Raises:
            WireError: a text is a scheduler's configuration and is invalid.
            BusyError: there is no time for it, or it is too large.
        """
        texts = {key: text for key, text in texts.items() if mentions(text)}
        if not texts:
            return {}
        size = sum(map(len, texts.values()))
        if size > MAX_CHARS:
            raise BusyError(f"its scheduler configurations have {size} characters; no more than {MAX_CHARS} are read")
        if self._waiting >= WAITING:
            raise BusyError("too many ConfigMaps are being looked at; write it again")
        try:
            task = msgspec.json.encode(Task(stanza_from(self._settings), texts))
        except ConfigError as error:
            raise WireError(f"spotmix's own settings do not say how it is reached: {error}") from error
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds), self._turn:
                answer = await self._run(task)
            done = msgspec.json.decode(answer, type=Done)
        except TimeoutError as error:
            raise BusyError(f"its scheduler configurations were not read within {self._seconds} s") from error
        except (OSError, msgspec.DecodeError) as error:
            raise BusyError("its scheduler configurations could not be read within their limits") from error
        finally:
            self._waiting -= 1
        if done.wrong:
            raise WireError(f"data[{done.key!r}]: {done.wrong}")
        return done.changed

    async def _run(self, task: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            answer, _ = await process.communicate(task)
            return answer
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
