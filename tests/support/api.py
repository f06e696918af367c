"""The gRPC API over a world: served on loopback, and asked through a real channel."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from extender.core.model.access import Attributes, User
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated
from extender.servers.answers.sources import Authorizer
from extender.servers.grpc.calls import Calls, Door
from extender.servers.grpc.limits import CALLS, CallLimits
from extender.servers.grpc.replies import Replies
from extender.servers.grpc.server import RpcServer
from extender.servers.grpc.service import PlacementService
from extender.servers.grpc.tls import RpcTls
from extender.servers.grpc.watches import Watches
from spotmix.placement.v1.placement_pb2_grpc import PlacementServiceStub
from support.console import ConsoleBench

LOOPBACK = "127.0.0.1"


class ApiBench(ConsoleBench):
    """An API, and all that it is shown.

    Attributes:
        ready: whether the process is.
        access: says who may ask; None lets everybody.
        watches: those who follow decisions.
        observed: RPC and status of each call that has ended.
        ended: set when one has.
        refusals: kind and limit of each call that found as many as may be.
    """

    def __init__(self, most: int = 4, calls: int = CALLS) -> None:
        super().__init__()
        self.ready = True
        self.access: Authorizer | None = None
        self.refusals: list[tuple[str, str]] = []
        self.limits = CallLimits(lambda kind, limit: self.refusals.append((kind, limit)), calls)
        self.watches = Watches(self.log, self.sources.obstacle, self.limits.followers(most))
        self.observed: list[tuple[str, str]] = []
        self.ended = asyncio.Event()

    def server(self, tls: RpcTls | None = None) -> RpcServer:
        service = PlacementService(
            Replies(self.shared),
            self.watches,
            Door(self.sources.obstacle, self.access, self.limits),
            Calls(self._observe, self.sources.report, time.perf_counter),
            self.shared.pace,
        )
        return RpcServer(service, self.watches, lambda: self.ready, (LOOPBACK, 0), limits=self.limits, tls=tls)

    def _observe(self, rpc: str, code: str, _seconds: float) -> None:
        self.observed.append((rpc, code))
        self.ended.set()

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to the API."""
        server = self.server()
        await server.start()
        try:
            async with grpc.aio.insecure_channel(target(server)) as channel:
                yield channel
        finally:
            await server.stop()


def target(server: RpcServer) -> str:
    """Where a server listens."""
    return "{}:{}".format(*server.address)


def stub(channel: grpc.aio.Channel) -> Any:
    """The service, as clients call it."""
    return PlacementServiceStub(channel)  # type: ignore[no-untyped-call]  # made by protoc


async def refused(call: Any) -> tuple[str, str]:
    """The status and the text that a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details() or ""


async def settled(calls: list[Any], running: int) -> list[Any]:
    """The calls that have been refused, once no more than so many run."""
    while sum(not call.done() for call in calls) > running:
        await asyncio.wait([asyncio.ensure_future(call.code()) for call in calls if not call.done()], timeout=0.05)
    return [call for call in calls if call.done()]


class Guard:
    """Knows one token, and what its owner may.

    Attributes:
        asked: what it was asked.
        away: why it cannot say, if it cannot.
        name: that of the owner.
        open: cleared, it lets callers wait; then `waits` is set when one does.
    """

    TOKEN = "secret-of-ann"  # noqa: S105 - it opens nothing

    def __init__(self, *rights: Attributes) -> None:
        self.rights = set(rights)
        self.asked: list[Attributes] = []
        self.away: ApiError | None = None
        self.name = "ann"
        self.open, self.waits = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def who(self, token: str) -> User:
        raise AssertionError(f"the API asks what callers may, and not who {token!r} is")

    async def allow(self, token: str, attributes: Attributes) -> User:
        self.asked.append(attributes)
        if not self.open.is_set():
            self.waits.set()
            await self.open.wait()
        if self.away is not None:
            raise self.away
        if token != self.TOKEN:
            raise Unauthenticated("the API server does not accept the token")
        if attributes not in self.rights:
            raise Forbidden(f'user "ann" cannot {attributes}')
        return User(self.name)
