"""An API server that keeps what it is sent."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from extender.core.model.errors import ApiError


class Recording:
    """Stands for the API: keeps requests, fails as told, and lets a test hold answers back."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Mapping[str, str] | None, Any, str]] = []
        self.faults: list[ApiError | None] = []
        self.answer = b"{}"
        self.gate = asyncio.Event()
        self.gate.set()
        self.flying = 0
        self.most = 0

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        self.requests.append((method, path, params, body, content_type))
        self.flying += 1
        self.most = max(self.most, self.flying)
        await self.gate.wait()
        await asyncio.sleep(0)
        self.flying -= 1
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        return self.answer

    @property
    def bodies(self) -> list[Any]:
        return [request[3] for request in self.requests]


async def until(done: Callable[[], bool]) -> None:
    """Let others run until something is true."""
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0)
