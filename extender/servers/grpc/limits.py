"""What callers may take of the API: how many calls at a time, and how long each may say nothing.

Health and reflection ask nobody who they are, so they have small allowances of their own. A call of the API itself is a
stranger's until it is known who makes it; from then on it counts for its caller: a user, or a host where nobody is
asked for a token.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION

from extender.servers.answers.allowance import Allowance, AllowanceSpentError, host_of

CALLS = 100
"""Calls of known callers at a time, beside those that follow decisions."""
CONNECTIONS = 256
"""Connections at a time."""
STREAMS = 256
"""Calls at a time by one connection: more than may be, so that those that are refused are told so, and counted."""

ASKED = 10.0
"""How long a call may take to say what it asks (seconds)."""
LASTS = 600.0
"""A stream of health ends after this (seconds), and one of reflection that asks nothing for so long."""

Refused = Callable[[str, str], None]
Code = grpc.StatusCode
Context = grpc.aio.ServicerContext[Any, Any]


def host_in(peer: str) -> str:
    """The host of a peer as gRPC names it, such as `ipv4:10.0.0.7:51234` or `ipv6:%5B::1%5D:51234`."""
    kind, _, address = unquote(peer).partition(":")
    return host_of(address.rpartition(":")[0].strip("[]")) if kind in ("ipv4", "ipv6") else peer


class Allowances(Protocol):
    """What callers may take of a server: `strangers` is the allowance of calls until it is known who makes them."""

    strangers: Allowance

    def open_to_all(self, method: str) -> Allowance | None:
        """The allowance of a method that asks nobody who they are, from a call's start to its end; None for others."""
        ...


class CallLimits:
    """The allowances of the API, by what is asked for.

    Args:
        refused: told of each call that is refused: what kind it is, and whose limit it reached.
        calls: of known callers, at a time.
    """

    def __init__(self, refused: Refused, calls: int = CALLS) -> None:
        self._refused = refused
        self.strangers = self._allowance("stranger", "calls of callers that are not known yet", 64, 16)
        self.callers = self._allowance("call", "calls", calls, max(1, calls // 4))
        self._health = self._allowance("health", "calls that ask for health", 32, 8)
        self._health_watches = self._allowance("health-watch", "calls that follow health", 32, 8)
        self._reflection = self._allowance("reflection", "calls of reflection", 16, 4)

    def open_to_all(self, method: str) -> Allowance | None:
        """The allowance of a method that needs no token, such as `/grpc.health.v1.Health/Watch`; None for others."""
        service, _, name = method.strip("/").partition("/")
        if service == HEALTH:
            return self._health_watches if name == "Watch" else self._health
        return self._reflection if service == REFLECTION else None

    def followers(self, most: int) -> Allowance:
        """The allowance of those who follow decisions; one has half of it at most."""
        things = f"calls that follow decisions (api.maxWatches={most})"
        return self._allowance("watch", things, most, max(1, -(-most // 2)))

    def _allowance(self, kind: str, things: str, most: int, of_one: int) -> Allowance:
        return Allowance(things, most, of_one, partial(self._refused, kind))


class Entrance(grpc.aio.ServerInterceptor):
    """What every call passes first, whatever it asks.

    gRPC would read a call's message before anything of ours runs, and wait for it without end; here that has a limit.

    Args:
        limits: the allowances.
    """

    def __init__(self, limits: Allowances) -> None:
        self._limits = limits

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Put the limits before a method."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        serve = partial(self._serve, handler, self._limits.open_to_all(handler_call_details.method))

        # gRPC looks whether it is a coroutine function, which a partial of one is not.
        async def served(_requests: Any, context: Context) -> None:
            await serve(context)

        return grpc.stream_stream_rpc_method_handler(served, handler.request_deserializer, handler.response_serializer)

    async def _serve(self, handler: Any, allowance: Allowance | None, context: Context) -> None:
        host = host_in(context.peer())
        try:
            if allowance is None:
                with self._limits.strangers.taken(host):
                    request = await _asked(context, ASKED)
                await _answer(handler, request, context)
                return
            with allowance.taken(host):
                if handler.request_streaming:
                    await _answer(handler, _requests(context), context)
                    return
                request = await _asked(context, ASKED)
                try:
                    async with asyncio.timeout(LASTS):
                        await _answer(handler, request, context)
                except TimeoutError:
                    await context.abort(Code.UNAVAILABLE, f"such a call lasts {LASTS:.0f} s at most; make it again")
        except AllowanceSpentError as error:
            await context.abort(Code.RESOURCE_EXHAUSTED, str(error))


async def _asked(context: Context, limit: float) -> Any:
    """The next message of a call."""
    try:
        async with asyncio.timeout(limit):
            message = await context.read()
    except TimeoutError:
        await context.abort(Code.DEADLINE_EXCEEDED, f"nothing was asked for {limit:.0f} s")
    except DecodeError:
        await context.abort(Code.INVALID_ARGUMENT, "the request does not decode; send the message of proto/")
    if message is grpc.aio.EOF:
        await context.abort(Code.INVALID_ARGUMENT, "the call ended before it asked anything")
    return message


async def _requests(context: Context) -> AsyncIterator[Any]:
    while True:
        try:
            async with asyncio.timeout(LASTS):
                message = await context.read()
        except TimeoutError:
            await context.abort(Code.UNAVAILABLE, f"nothing was asked for {LASTS:.0f} s; make the call again")
        if message is grpc.aio.EOF:
            return
        yield message


async def _answer(handler: Any, request: Any, context: Context) -> None:
    """Have a method answer, whichever of gRPC's forms it has."""
    if handler.stream_stream is not None:
        async for answer in handler.stream_stream(request, context):
            await context.write(answer)
    elif handler.unary_stream is not None:
        await handler.unary_stream(request, context)
    else:
        await context.write(await handler.unary_unary(request, context))
