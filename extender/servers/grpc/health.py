"""grpc.health.v1: whether the process is ready, for the API as a whole and for its service.

The servicer that comes with gRPC holds a lock while it writes: one watcher that takes nothing would keep all others,
and those who ask once, from their answers.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer

LOOK = 1.0
"""How often it is looked whether those who watch are to be told of a change (seconds)."""


class HealthService(HealthServicer):
    """Tells whether the process is ready, as gRPC's own health protocol has it.

    Args:
        ready: whether the process is ready.
        services: names that are told of, beside the empty one for all.

    Attributes:
        stopping: whether the process is about to end, and so serves no more.
    """

    def __init__(self, ready: Callable[[], bool], *services: str) -> None:
        super().__init__()
        self._ready = ready
        self._services = ("", *services)
        self.stopping = False

    async def Check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:
        """See grpc.health.v1."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return HealthCheckResponse(status=self._status(request.service))

    async def Watch(self, request: HealthCheckRequest, context: Any) -> None:
        """See grpc.health.v1."""
        told = None
        while True:
            status = self._status(request.service)
            if status != told:
                told = status
                await context.write(HealthCheckResponse(status=status))
            await asyncio.sleep(LOOK)

    def _status(self, service: str) -> Any:
        if service not in self._services:
            return HealthCheckResponse.SERVICE_UNKNOWN
        ready = self._ready() and not self.stopping
        return HealthCheckResponse.SERVING if ready else HealthCheckResponse.NOT_SERVING
