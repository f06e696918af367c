"""What the rest of this package reaches the outside through: the clock, jitter and the API client."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Report = Callable[[str, str], None]
"""Takes the name of what went wrong (a resource's key, a part of this package) and a text. Must not raise."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Where clock, sleep and jitter come from; tests put virtual ones here.

    `clock` gives monotonic seconds, `now` seconds since the epoch, `sleep` waits seconds, `uniform` draws from [a, b].
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform
    now: Callable[[], float] = time.time


class KubeApi(Protocol):
    """The API client, for single requests."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Make one request; raises `ApiError`."""
        ...


class KubeWatchApi(KubeApi, Protocol):
    """The API client, for watches too."""

    def watch(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        idle_timeout: float,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Give the lines of a watch; raises `ApiError`."""
        ...
