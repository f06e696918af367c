"""grpc.health.v1: whether the process is ready, for the API as a whole and for its service."""

import asyncio
from collections.abc import Callable
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

LOOK = 1.0
"""How often those who watch are told of a change (seconds); who asks once is told how it is."""


class HealthService(aio.HealthServicer):
    """Tells whether the process is ready, as gRPC's own health protocol has it.

    Args:
        ready: whether the process is ready.
        services: names that are told of, beside the empty one for all.
    """

    def __init__(self, ready: Callable[[], bool], *services: str) -> None:
        super().__init__()
        self._ready = ready
        self._services = ("", *services)
        self._told: bool | None = None

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:
        """See grpc.health.v1."""
        await self.look()
        return await super().Check(request, context)

    async def look(self) -> None:
        """Tell how it is now."""
        ready = self._ready()
        if ready is not self._told:
            self._told = ready
            status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
            for name in self._services:
                await self.set(name, status)

    async def keep_looking(self) -> None:
        """Do so until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK)
