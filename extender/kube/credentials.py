"""Who the client is and whom it trusts: the connection in force, loaded anew when that changes or is refused."""

import asyncio
from collections.abc import Callable

from extender.core.model.errors import ConfigError
from extender.kube.connection import Connection, ConnectionSource

# How often the loader is asked whether the token has expired or a file has changed, and how soon after a renewal that
# was of no use there may be another, which may run an exec plugin.
TOKEN_CHECK_INTERVAL = 30.0
MIN_RENEWAL_INTERVAL = 5.0
RENEWAL_TIMEOUT = 60.0


class Credentials:
    """The current connection; renewals run in a thread, once for however many callers wait for one.

    Args:
        source: loads the configuration.
        clock: seconds, monotonic.
    """

    def __init__(self, source: ConnectionSource, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._checked = 0.0
        self._renewed: float | None = None

    async def load(self) -> None:
        """Load the configuration for the first time.

        Raises:
            ConfigError: no usable configuration; the text names the file, the field and the fix.
        """
        self._connection = await self._run(self._source.load)
        self._checked = self._clock()

    async def current(self) -> Connection:
        """The connection to use now, with a token that has not expired as far as is known.

        Raises:
            ConfigError: there is none, and none could be loaded.
        """
        if self._connection is None or self._clock() - self._checked >= TOKEN_CHECK_INTERVAL:
            async with self._lock:
                if self._connection is None or self._clock() - self._checked >= TOKEN_CHECK_INTERVAL:
                    # Set first: a failing plugin is asked again after the interval, not at every request.
                    self._checked = self._clock()
                    try:
                        self._connection = await self._run(self._source.refresh)
                    except ConfigError:
                        # The old token may still be good; if it is not, its 401 renews it or tells why not.
                        if self._connection is None:
                            raise
        return self._connection

    async def renew(self, refused: Connection) -> bool:
        """Load anew because `refused` was; False when that was done so recently that it cannot help.

        Raises:
            ConfigError: no usable configuration any more.
        """
        async with self._lock:
            if self._connection is not refused:
                return True
            now = self._clock()
            if self._renewed is not None and now - self._renewed < MIN_RENEWAL_INTERVAL:
                return False
            self._renewed = now
            self._connection = await self._run(self._source.load)
            return True

    async def _run(self, load: Callable[[], Connection]) -> Connection:
        try:
            async with asyncio.timeout(RENEWAL_TIMEOUT):
                return await asyncio.to_thread(load)
        except TimeoutError as error:
            raise ConfigError(
                f"{self._source.where}: no credential within {RENEWAL_TIMEOUT:.0f} s; "
                "does the exec plugin wait for input?"
            ) from error
