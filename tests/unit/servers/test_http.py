"""The real server on loopback, with the two applications."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from support.doubles_servers import LIMIT, Bench, HttpClient, connected, no_metrics, running

from extender.core.model.errors import ConfigError
from extender.servers.http import HealthApp
from extender.servers.protocol import MAX_HEADER_BYTES
from extender.servers.server import HttpServer, bind

POD = {"metadata": {"name": "p", "namespace": "shop", "uid": "u"}, "spec": {}, "status": {}}
BODY = json.dumps({"Pod": POD, "Nodes": None, "NodeNames": ["n1"]}).encode()
FILTER = "/scheduler/filter"
PRIORITIZE = "/scheduler/prioritize"


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def server(bench: Bench) -> AsyncIterator[HttpServer]:
    async with running(bench.app) as server:
        yield server


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[HttpClient]:
    async with connected(server) as client:
        yield client


async def test_one_connection_serves_many_requests(client: HttpClient, bench: Bench) -> None:
    for _ in range(20):
        answer = await client.send("POST", FILTER, BODY)
        assert (answer.status, answer.json()) == (200, {"NodeNames": ["n1"]})
        assert answer.headers["content-type"] == "application/json"
        assert (await client.send("POST", PRIORITIZE, BODY)).json() == []
    assert bench.times == ["filter", "prioritize"] * 20


async def test_a_follower_gives_each_connection_up(server: HttpServer, bench: Bench) -> None:
    bench.stay = False
    async with connected(server) as client:
        answer = await client.send("POST", FILTER, BODY)
        assert (answer.status, answer.json()) == (200, {"NodeNames": ["n1"]})
        assert answer.headers["connection"] == "close"
        assert await client.reader.read() == b""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/scheduler/bind", 404),
        ("POST", "/filter", 404),
        ("GET", "/", 404),
        ("GET", FILTER, 405),
        ("PUT", PRIORITIZE, 405),
    ],
)
async def test_other_paths_and_methods(client: HttpClient, method: str, path: str, status: int) -> None:
    answer = await client.send(method, path, b"{}")
    assert answer.status == status
    if status == 405:
        assert answer.headers["allow"] == "POST"
    else:
        assert FILTER in answer.body.decode()
    # The connection goes on, also after a body that nobody read.
    assert (await client.send("POST", FILTER, BODY)).status == 200


@pytest.mark.parametrize("body", [b"", b"garbage", b"{}", b"\xff\xfe", b"[" * 30_000])
async def test_malformed_requests(client: HttpClient, body: bytes) -> None:
    answer = await client.send("POST", FILTER, body)
    assert (answer.status, list(answer.json())) == (200, ["Error"])
    answer = await client.send("POST", PRIORITIZE, body)
    assert (answer.status, answer.json()) == (200, [])


@pytest.mark.parametrize("size", [LIMIT + 1, 3 * LIMIT, 40 * LIMIT])
async def test_a_body_over_the_limit_is_told_the_limit(server: HttpServer, size: int) -> None:
    for path in (FILTER, PRIORITIZE):
        async with connected(server) as client:
            client.writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
            if size < 4 * LIMIT:
                # It hears the answer although it sends all first.
                client.writer.write(b" " * size)
                await client.writer.drain()
            else:
                client.writer.write(b" ")
            answer = await client.answer()
            assert answer.status == 200
            assert answer.headers["connection"] == "close"
            if path == FILTER:
                assert f"larger than {LIMIT} bytes; raise extender.maxBody" in answer.json()["Error"]
            else:
                assert answer.json() == []


async def test_a_body_of_exactly_the_limit(client: HttpClient) -> None:
    answer = await client.send("POST", FILTER, BODY + b" " * (LIMIT - len(BODY)))
    assert answer.json() == {"NodeNames": ["n1"]}


async def test_chunked_bodies_have_the_limit_too(server: HttpServer) -> None:
    head = f"POST {FILTER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"%x\r\n%b\r\n" % (1000, b" " * 1000)
    for count, key in ((3, "NodeNames"), (LIMIT // 1000 + 1, "Error")):
        async with connected(server) as client:
            client.writer.write(head + b"%x\r\n%b\r\n" % (len(BODY), BODY) + chunk * count + b"0\r\n\r\n")
            assert key in (await client.answer()).json()


async def test_bodies_in_pieces(client: HttpClient) -> None:
    names = [f"node-{number}" for number in range(4000)]
    body = json.dumps({"Pod": POD, "NodeNames": names}).encode()
    client.writer.write(f"POST {FILTER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    for start in range(0, len(body), 5000):
        client.writer.write(body[start : start + 5000])
        await client.writer.drain()
        await asyncio.sleep(0)
    assert (await client.answer()).json() == {"NodeNames": names}


async def test_an_internal_error_is_answered(client: HttpClient, bench: Bench) -> None:
    bench.world.state.workloads = None  # type: ignore[assignment]  # a bug, as it were
    answer = await client.send("POST", FILTER, BODY)
    assert answer.status == 200
    assert answer.json()["Error"].startswith("spotmix: internal error: AttributeError: ")
    assert (await client.send("POST", PRIORITIZE, BODY)).json() == []
    assert [verb for verb, _ in bench.observer.faults] == ["filter", "prioritize"]


async def test_a_client_that_goes_away_harms_nobody(server: HttpServer, client: HttpClient, bench: Bench) -> None:
    head = f"POST {FILTER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()
    for sent in (b"", head[:20], head, head + b"{"):
        async with connected(server) as other:
            other.writer.write(sent)
            await other.writer.drain()
    assert (await client.send("POST", FILTER, BODY)).status == 200
    assert bench.observer.faults == []


async def test_headers_without_end_are_cut_off(server: HttpServer) -> None:
    async with connected(server) as client:
        client.writer.write(f"POST {FILTER} HTTP/1.1\r\n".encode())
        with pytest.raises(ConnectionError):  # noqa: PT012 - which write fails is chance
            for _ in range(MAX_HEADER_BYTES):
                client.writer.write(b"X-Filler: " + b"x" * 1000 + b"\r\n")
                await client.writer.drain()
                if client.reader.at_eof():
                    raise ConnectionResetError


async def test_no_http_is_answered_400(server: HttpServer) -> None:
    async with connected(server) as client:
        client.writer.write(b"\x16\x03\x01 this is TLS\r\n\r\n")
        assert (await client.answer()).status == 400


async def test_what_is_in_flight_is_answered_at_the_end() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def app(_scope: object, _receive: object, send: object) -> None:
        begun.set()
        await finish.wait()
        await HealthApp(list, no_metrics)({"type": "http", "path": "/livez", "method": "GET"}, None, send)  # type: ignore[arg-type]

    async with running(app) as server, connected(server) as idle, connected(server) as busy:
        answer = asyncio.create_task(busy.send("GET", "/"))
        await begun.wait()
        stopped = asyncio.create_task(server.stop())
        assert await idle.reader.read() == b""
        assert not stopped.done()
        finish.set()
        assert (await answer).body == b"ok\n"
        await stopped
        assert await busy.reader.read() == b""


class TestHealth:
    @pytest.fixture
    def faults(self) -> list[str]:
        return []

    @pytest.fixture
    async def health(self, faults: list[str]) -> AsyncIterator[HttpClient]:
        app = HealthApp(lambda: faults, no_metrics)
        async with running(app) as server, connected(server) as client:
            yield client

    async def test_readiness_names_what_is_not_ready(self, health: HttpClient, faults: list[str]) -> None:
        assert (await health.send("GET", "/readyz")).status == 200
        faults.extend(["pods: not listed yet", "shutting down"])
        answer = await health.send("GET", "/readyz")
        assert answer.status == 503
        assert answer.body == b"not ready\n- pods: not listed yet\n- shutting down\n"
        for alive in ("/livez", "/healthz"):
            answer = await health.send("GET", alive)
            assert (answer.status, answer.body) == (200, b"ok\n")

    async def test_metrics(self, health: HttpClient) -> None:
        answer = await health.send("GET", "/metrics")
        assert (answer.status, answer.body) == (200, b"a 1\nb 2\n")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4"

    @pytest.mark.parametrize(
        ("method", "path", "status"), [("GET", "/x", 404), ("POST", "/livez", 405), ("DELETE", "/metrics", 405)]
    )
    async def test_other_paths_and_methods(self, health: HttpClient, method: str, path: str, status: int) -> None:
        assert (await health.send(method, path)).status == status


def test_an_address_that_cannot_be_had_names_the_setting() -> None:
    with bind("127.0.0.1", 0, "extender.addr") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"extender\.addr 127\.0\.0\.1:{port} cannot be listened on: .*choose another"
        ):
            bind("127.0.0.1", port, "extender.addr")
    with pytest.raises(ConfigError, match="check the host"):
        bind("203.0.113.1", 0, "metrics.addr")
