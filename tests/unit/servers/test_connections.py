"""Connections that do nothing, too little or too much: each is ended in time, told of, and harms nobody else."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest
import uvloop
from support.certificates import Authority
from support.doubles_servers import Bench, HttpClient, connected
from support.patience import stretched, within

from extender.servers import connections, protocol
from extender.servers.asgi import Receive, Scope, Send, respond
from extender.servers.bodies import BodyRoom
from extender.servers.connections import Connections
from extender.servers.protocol import AHEAD, MAX_HEADER_BYTES
from extender.servers.server import HttpServer, bind
from extender.servers.tls import MemoryTls

FILTER = "/scheduler/filter"
POD = {"metadata": {"name": "p", "namespace": "shop", "uid": "u"}}
BODY = json.dumps({"Pod": POD, "NodeNames": ["n1"]}).encode()
HEAD = f"POST {FILTER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()


class Port:
    """A server with few connections, and what was told of them."""

    def __init__(self, app: object, most: int = 4, tls: MemoryTls | None = None) -> None:
        self.told: list[str] = []
        self.connections = Connections(BodyRoom(), self.told.append, most)
        listener = bind("127.0.0.1", 0, "test")
        self.server = HttpServer(app, listener, tls.context if tls is not None else None, self.connections)

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()

    async def counts(self, number: int) -> None:
        async with within(10):
            while len(self.connections) != number:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    async with Port(Bench().app) as port:
        yield port


async def ends(client: HttpClient) -> None:
    """Wait until the connection is closed by the server."""
    async with within(10):
        with contextlib.suppress(ConnectionError):
            while await client.reader.read(65536):
                pass


@pytest.mark.parametrize(
    ("sent", "limit", "why"),
    [
        (b"", "KEEP_ALIVE", "idle"),
        (HEAD[:20], "HEADERS", "headers"),
        (b"POST / HTTP/1.1\r\nA: " + b"b" * 100, "HEADERS", "headers"),
        (HEAD, "BODY", "body"),
        (HEAD + b"{" * 999, "BODY", "body"),
        (HEAD.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked") + b"4\r\nabcd\r\n", "BODY", "body"),
    ],
)
async def test_what_is_not_sent_in_time_is_ended(
    port: Port, monkeypatch: pytest.MonkeyPatch, sent: bytes, limit: str, why: str
) -> None:
    monkeypatch.setattr(protocol, limit, 0.1)
    async with connected(port.server) as client:
        client.writer.write(sent)
        await ends(client)
    assert port.told == [why]
    await port.counts(0)


async def test_who_has_asked_nothing_yet_is_not_late(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the API server keeps connections that it has opened beside the one it used."""
    monkeypatch.setattr(protocol, "HEADERS", 0.0)
    async with connected(port.server) as client:
        await asyncio.sleep(2 * connections.SWEEP)
        assert (await client.send("POST", FILTER, BODY)).status == 200
    assert port.told == []


async def test_a_second_request_has_its_own_deadline(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(port.server) as client:
        assert (await client.send("POST", FILTER, BODY)).status == 200
        monkeypatch.setattr(protocol, "HEADERS", 0.0)
        await asyncio.sleep(2 * connections.SWEEP)
        # Nothing has been asked, so nothing is late.
        assert (await client.send("POST", FILTER, BODY)).status == 200
        client.writer.write(HEAD[:20])
        await ends(client)
    assert port.told == ["headers"]


async def test_a_client_that_takes_no_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await respond(send, 200, b"x" * (64 * 1024 * 1024))

    monkeypatch.setattr(protocol, "STALLED", 0.1)
    async with Port(app) as port, connected(port.server) as client:
        client.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await port.counts(1)
        await port.counts(0)
        assert port.told == ["stalled"]


async def test_who_has_asked_stays_and_who_has_not_goes(port: Port) -> None:
    async with contextlib.AsyncExitStack() as stack:
        scheduler = await stack.enter_async_context(connected(port.server))
        assert (await scheduler.send("POST", FILTER, BODY)).status == 200
        crowd = []
        for _ in range(20):
            crowd.append(await stack.enter_async_context(connected(port.server)))
            await asyncio.sleep(0)
        for client in crowd[:-3]:
            await ends(client)
        assert len(port.connections) == 4
        assert (await scheduler.send("POST", FILTER, BODY)).status == 200
        late = await stack.enter_async_context(connected(port.server))
        assert (await late.send("POST", FILTER, BODY)).status == 200
        assert set(port.told) == {"full"}


async def test_where_all_are_answered_a_newcomer_is_refused() -> None:
    begun, finish = asyncio.Barrier(3), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await begun.wait()
        await finish.wait()
        await respond(send, 200, b"done")

    async with Port(app, 2) as port, connected(port.server) as one, connected(port.server) as two:
        for client in (one, two):
            client.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(begun.wait(), stretched(10))
        async with connected(port.server) as refused:
            await ends(refused)
        finish.set()
        assert [(await client.answer()).body for client in (one, two)] == [b"done", b"done"]
    assert port.told == ["full"]


def test_connections_count_before_their_handshake(tmp_path: Path) -> None:
    authority = Authority("servers")
    pair = authority.issue(tmp_path, "server", ("127.0.0.1",))
    files = Path(pair.cert).read_bytes(), Path(pair.key).read_bytes()
    trusting = ssl.create_default_context(cafile=authority.write(tmp_path / "ca.pem"))

    async def play() -> None:
        tls = MemoryTls()
        tls.load(*files)
        async with Port(Bench().app, 4, tls) as port:
            silent = [await asyncio.open_connection(*port.server.address) for _ in range(12)]
            async with within(10):
                for reader, _ in silent[:8]:
                    with contextlib.suppress(ConnectionError):
                        assert await reader.read() == b""
            assert len(port.connections) == 4
            async with connected(port.server, trusting) as client:
                assert (await client.send("POST", FILTER, BODY)).status == 200
            assert set(port.told) == {"full"}
            for _, writer in silent:
                writer.close()
            await port.counts(0)

    for loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(play())


def test_a_handshake_that_does_not_come_is_ended_and_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Authority("servers").issue(tmp_path, "server", ("127.0.0.1",))
    files = Path(pair.cert).read_bytes(), Path(pair.key).read_bytes()
    monkeypatch.setattr(protocol, "HANDSHAKE", 0.1)

    async def play() -> None:
        tls = MemoryTls()
        tls.load(*files)
        async with Port(Bench().app, 4, tls) as port:
            async with connected(port.server) as silent:
                await ends(silent)
            assert port.told == ["headers"]
            await port.counts(0)

    for loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(play())


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("sent", [b"a: " + b"b" * 100 + b"\r\n", b"c" * 500])
async def test_trailers_have_the_limit_of_headers(port: Port, sent: bytes, *, at_once: bool) -> None:
    head = HEAD.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked")
    parts = [head + b"2\r\n{}\r\n0\r\n", *[sent] * (2 * MAX_HEADER_BYTES // len(sent))]
    async with connected(port.server) as client:
        with contextlib.suppress(ConnectionError):
            for part in [b"".join(parts)] if at_once else parts:
                client.writer.write(part)
                await client.writer.drain()
                # The server takes each part as it comes.
                await asyncio.sleep(0)
        await ends(client)
    assert port.told == ["headers"]


async def test_bodies_in_small_chunks_are_no_trailers(port: Port) -> None:
    head = HEAD.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked")
    body = BODY + b" " * 40_000
    chunks = b"".join(b"40\r\n%b\r\n" % body[start : start + 64].ljust(64) for start in range(0, len(body), 64))
    async with connected(port.server) as client:
        client.writer.write(head + chunks + b"0\r\nDigest: x\r\n\r\n")
        assert (await client.answer()).json() == {"NodeNames": ["n1"]}


async def test_requests_sent_far_ahead_end_the_connection(port: Port) -> None:
    async with connected(port.server) as client:
        for _ in range(AHEAD // 2):
            client.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(AHEAD // 2):
            assert (await client.answer()).status == 404
        client.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4000)
        await ends(client)
    assert port.told == ["headers"]


async def test_slow_bodies_do_not_hold_up_the_end(port: Port) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for sent in (b"", HEAD[:20], HEAD, HEAD + b"{"):
            client = await stack.enter_async_context(connected(port.server))
            client.writer.write(sent)
        await port.counts(4)
        await asyncio.sleep(0.1)
        async with within(5):
            await port.server.stop()


async def test_what_a_connection_leaves_behind_is_nothing(port: Port) -> None:
    for sent in (b"", HEAD, HEAD + b"{", b"garbage\r\n\r\n", HEAD.replace(b"1000", b"0")):
        async with connected(port.server) as client:
            client.writer.write(sent)
            await client.writer.drain()
            await asyncio.sleep(0.02)
    await port.counts(0)
    assert port.connections.room.total == 0
