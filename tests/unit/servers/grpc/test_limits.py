"""What callers may take of the API: nobody shuts others out, by whichever call, and who says nothing is let go."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support.api import ApiBench, Guard, refused, settled, stub, target
from support.patience import eventually

from extender.core.model.access import list_workloads, watch_decisions
from extender.servers.grpc import limits
from extender.servers.grpc.limits import CONNECTIONS, host_in
from extender.servers.grpc.server import SERVICE
from spotmix.placement.v1 import placement_pb2 as pb

# Channels to one target share a connection, but for those with options of their own.
OWN = (("grpc.use_local_subchannel_pool", 1),)
BEARER = ("authorization", f"Bearer {Guard.TOKEN}")
ASK = HealthCheckRequest(service=SERVICE)


def health(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


def health_watch(channel: grpc.aio.Channel) -> Any:
    return health(channel).Watch(ASK)


def reflection(channel: grpc.aio.Channel) -> Any:
    made: Any = reflection_pb2_grpc.ServerReflectionStub
    return made(channel).ServerReflectionInfo()


def half_open(channel: grpc.aio.Channel) -> Any:
    """A call whose request never comes."""
    return channel.stream_unary(f"/{SERVICE}/ListWorkloads")()


def half_open_health(channel: grpc.aio.Channel) -> Any:
    return channel.stream_unary("/grpc.health.v1.Health/Check")()


def followed(channel: grpc.aio.Channel) -> Any:
    return stub(channel).WatchDecisions(pb.WatchDecisionsRequest())


@pytest.mark.parametrize(
    ("method", "kind", "may"),
    [
        (health_watch, "health-watch", 8),
        (reflection, "reflection", 4),
        (half_open, "stranger", 16),
        (half_open_health, "health", 8),
        (followed, "watch", 2),
    ],
)
@pytest.mark.parametrize("guarded", [False, True])
async def test_130_calls_of_nobody_shut_nobody_out(
    method: Callable[[grpc.aio.Channel], Any], kind: str, may: int, *, guarded: bool
) -> None:
    bench = ApiBench()
    if guarded:
        bench.access = Guard(list_workloads())
    async with contextlib.AsyncExitStack() as stack:
        server = bench.server()
        stack.push_async_callback(server.stop)
        await server.start()
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(target(server), options=OWN)) for _ in range(6)
        ]
        channel = channels.pop()
        calls = [method(channels[number % 5]) for number in range(130)]
        over = await settled(calls, 0 if guarded and kind == "watch" else may)
        codes = {(await call.code()).name for call in over}
        assert codes <= {"RESOURCE_EXHAUSTED", "UNAUTHENTICATED"}
        if not (guarded and kind == "watch"):
            assert len(over) == 130 - may
            # A call whose request has not come with its head is a stranger's until it does: of those there may be 16.
            assert len(bench.refusals) == 130 - may
            assert (kind, "caller") in bench.refusals
            assert set(bench.refusals) <= {(kind, "caller"), ("stranger", "caller")}
        # Others, and the same host with other calls, are served.
        if kind != "stranger":
            await stub(channel).ListWorkloads(pb.ListWorkloadsRequest(), metadata=(BEARER,))
        if kind != "health":
            await health(channel).Check(ASK)
        for call in calls:
            call.cancel()

        async def served() -> bool:
            """Whether all is served again: the server learns of calls that end as their connections tell it."""
            try:
                await stub(channel).ListWorkloads(pb.ListWorkloadsRequest(), metadata=(BEARER,))
                await health(channel).Check(ASK)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                return False
            return True

        await eventually(served, bool, "all is served again")


async def test_users_have_budgets_of_their_own_whichever_host_they_come_from() -> None:
    bench = ApiBench(calls=8)
    bench.access = guard = Guard(list_workloads(), watch_decisions())
    async with bench.served() as channel:
        api = stub(channel)
        first, second, third = (api.WatchDecisions(pb.WatchDecisionsRequest(), metadata=(BEARER,)) for _ in range(3))
        await asyncio.gather(first.read(), second.read(), return_exceptions=True)
        codes = [call for call in (first, second, third) if call.done()] or [third]
        code, text = await refused(codes[0].read())
        assert (code, "you have as many calls that follow decisions (api.maxWatches=4)" in text) == (
            "RESOURCE_EXHAUSTED",
            True,
        )
        await bench.ended.wait()
        assert bench.observed == [("WatchDecisions", "RESOURCE_EXHAUSTED")]
        guard.name = "bob"
        other = api.WatchDecisions(pb.WatchDecisionsRequest(), metadata=(BEARER,))
        await other.read()
        for call in (first, second, third, other):
            call.cancel()


async def test_callers_who_wait_to_be_known_are_few_and_take_nothing_of_those_who_are() -> None:
    bench = ApiBench()
    bench.access = guard = Guard(list_workloads())
    guard.open.clear()
    async with bench.served() as channel:
        calls = [stub(channel).ListWorkloads(pb.ListWorkloadsRequest(), metadata=(BEARER,)) for _ in range(30)]
        over = await settled(calls, 16)
        assert {(await call.code()).name for call in over} == {"RESOURCE_EXHAUSTED"}
        assert bench.refusals == [("stranger", "caller")] * 14
        guard.open.set()
        assert [(await call).total_size for call in calls if call not in over] == [0] * 16


@pytest.mark.parametrize(
    ("method", "setting", "expected"),
    [
        (half_open, "ASKED", ("DEADLINE_EXCEEDED", "nothing was asked for 0 s")),
        (half_open_health, "ASKED", ("DEADLINE_EXCEEDED", "nothing was asked for 0 s")),
        (health_watch, "LASTS", ("UNAVAILABLE", "such a call lasts 0 s at most; make it again")),
        (reflection, "LASTS", ("UNAVAILABLE", "nothing was asked for 0 s; make the call again")),
    ],
)
async def test_who_says_nothing_is_let_go(
    method: Callable[[grpc.aio.Channel], Any],
    setting: str,
    expected: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, setting, 0.05)
    async with ApiBench().served() as channel:
        call = method(channel)
        if method is health_watch:
            await call.read()
        assert ((await call.code()).name, await call.details()) == expected


async def test_what_is_no_request_is_refused() -> None:
    async with ApiBench().served() as channel:
        raw: Any = channel.unary_unary(f"/{SERVICE}/ListWorkloads")
        code, text = await refused(raw(b"\xff\xff\xff"))
        assert code == "INVALID_ARGUMENT"
        assert "does not decode" in text
        empty: Any = channel.stream_unary(f"/{SERVICE}/ListWorkloads")
        code, text = await refused(empty(iter(())))
        assert (code, text) == ("INVALID_ARGUMENT", "the call ended before it asked anything")
        unknown: Any = channel.unary_unary("/no.Service/Method")
        code, _ = await refused(unknown(b""))
        assert code == "UNIMPLEMENTED"


async def test_a_reader_that_takes_nothing_keeps_nobody_from_their_answers() -> None:
    bench = ApiBench()
    async with bench.served() as channel:
        watch = health_watch(channel)
        bench.ready = False
        assert (await health(channel).Check(ASK)).status == HealthCheckResponse.NOT_SERVING
        watch.cancel()
        unknown = health(channel).Watch(HealthCheckRequest(service="x"))
        assert (await unknown.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
        unknown.cancel()
        code, _ = await refused(health(channel).Check(HealthCheckRequest(service="x")))
        assert code == "NOT_FOUND"


async def test_reflection_answers_many_questions() -> None:
    async with ApiBench().served() as channel:
        call = reflection(channel)
        for _ in range(3):
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            names = {each.name for each in (await call.read()).list_services_response.service}
            assert SERVICE in names
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK


async def test_connections_have_an_end_too() -> None:
    bench = ApiBench()
    server = bench.server()
    await server.start()

    async def answered() -> bool:
        async with grpc.aio.insecure_channel(target(server), options=OWN) as channel:
            try:
                await stub(channel).ListWorkloads(pb.ListWorkloadsRequest())
            except grpc.aio.AioRpcError:
                return False
        return True

    def opened() -> int:
        held = []
        for _ in range(2 * CONNECTIONS):
            connection = socket.create_connection(server.address)
            connection.settimeout(5)
            held.append(connection)
        # The server greets first, unless it has closed.
        greeted = 0
        for connection in held:
            with contextlib.suppress(OSError):
                greeted += bool(connection.recv(1))
            connection.close()
        return greeted

    try:
        # gRPC lets in some more than it was told, while it has not yet greeted others.
        assert 0 < await asyncio.to_thread(opened) < 2 * CONNECTIONS
        await eventually(answered, bool, "there is room again")
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:10.0.0.7:51234", "10.0.0.7"),
        ("ipv6:%5B2001:db8::1%5D:51234", "2001:db8::/64"),
        ("ipv6:[::ffff:10.0.0.7]:51234", "10.0.0.7"),
        ("unix:/tmp/s", "unix:/tmp/s"),
    ],
)
def test_the_host_of_a_peer(peer: str, host: str) -> None:
    assert host_in(peer) == host
