"""Port-forwards to an API server that does what it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from unit.kube.fake_api import FakeApi, Fault, write_kubeconfig

from extender.core.model.errors import ApiError, ServiceError
from extender.kube.client import ApiClient
from extender.kube.portforward import PROTOCOL, PortForward

PATH = "/api/v1/namespaces/shop/pods/p/portforward"
PORT = (9444).to_bytes(2, "little")
Script = Callable[[web.WebSocketResponse], Awaitable[object]]


def plays(api: FakeApi, script: Script, protocol: str = PROTOCOL) -> None:
    """Let the path of the port-forward upgrade, and go by the script."""

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(protocol,))
        await socket.prepare(request)
        await script(socket)
        await socket.close()
        return socket

    api.handlers[PATH] = handler


async def said(api: FakeApi, tmp_path: Path, sent: bytes = b"") -> tuple[bytes, ApiError | None]:
    """What comes until the connection ends, and what was wrong with it."""
    async with await ApiClient.connect(write_kubeconfig(tmp_path / "config", api.url, {"token": "t"})) as client:
        forward = PortForward(client, "shop", "p", 9444)
        async with forward.listening() as path:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(sent)
            async with asyncio.timeout(10):
                told = await reader.read()
            writer.close()
        return told, forward.failure


async def test_a_channel_begins_with_its_port(api: FakeApi, tmp_path: Path) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\0" + PORT + b"ab")
        await socket.send_bytes(b"\1" + PORT)
        received = await socket.receive_bytes()
        await socket.send_bytes(b"\0" + received)

    plays(api, script)
    assert await said(api, tmp_path, b"hello") == (b"ab\0hello", None)
    method, _, query, headers, _ = api.seen[0]
    assert (method, query, headers["Authorization"]) == ("GET", {"ports": "9444"}, "Bearer t")
    # Container runtimes know of no JSON.
    assert headers["Accept"] == "*/*"


async def test_the_runtimes_error_is_told_whole(api: FakeApi, tmp_path: Path) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        for data in (PORT[:1], PORT[1:], b"connection ", b"refused"):
            await socket.send_bytes(b"\1" + data)

    plays(api, script)
    told, failure = await said(api, tmp_path)
    assert (told, str(failure)) == (b"", "port 9444 of pod shop/p: connection refused")


async def test_a_connection_that_ends_before_anything_comes_is_told(api: FakeApi, tmp_path: Path) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\0" + PORT)

    plays(api, script)
    told, failure = await said(api, tmp_path)
    assert (told, str(failure)) == (
        b"",
        "port 9444 of pod shop/p: it was closed at once; does anything listen there?",
    )


@pytest.mark.parametrize("message", ["text", b"", b"\2x"])
async def test_what_is_not_the_protocol_ends_it(message: str | bytes, api: FakeApi, tmp_path: Path) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))

    plays(api, script)
    told, failure = await said(api, tmp_path)
    assert (told, str(failure)) == (b"", f"port 9444 of pod shop/p: the API server sent what is no {PROTOCOL}")


async def test_a_server_that_speaks_something_else(api: FakeApi, tmp_path: Path) -> None:
    async def script(_socket: web.WebSocketResponse) -> None: ...

    plays(api, script, "other")
    told, failure = await said(api, tmp_path)
    assert (told, str(failure)) == (b"", f"GET {PATH}: the server does not speak {PROTOCOL}")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, f"GET {PATH}: 403 Forbidden: no; a port-forward needs the rights to get and create pods/portforward"),
        (404, f"GET {PATH}: 404 Forbidden: no"),
    ],
)
async def test_a_refused_handshake_is_told_with_the_servers_words(
    status: int, text: str, api: FakeApi, tmp_path: Path
) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return Fault(status, "Forbidden", message="no").response()

    api.handlers[PATH] = refuse
    told, failure = await said(api, tmp_path)
    assert (told, str(failure)) == (b"", text)
    assert failure is not None
    assert failure.status == status


async def test_a_refusal_from_further_on_is_told_by_its_status(api: FakeApi, tmp_path: Path) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        if "Upgrade" in request.headers:
            return web.Response(status=500, reason="Internal Server Error", text="no network namespace")
        return Fault(400, "BadRequest", message="Upgrade request required").response()

    api.handlers[PATH] = refuse
    _, failure = await said(api, tmp_path)
    assert failure is not None
    assert (failure.status, str(failure)) == (500, f"GET {PATH}: 500 Internal Server Error")


async def test_a_token_that_has_expired_is_renewed(api: FakeApi, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    refused = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal refused
        if request.headers["Authorization"] != "Bearer new":
            refused += 1
            token.write_text("new")
            return Fault(401, "Unauthorized").response()
        socket = web.WebSocketResponse(protocols=(PROTOCOL,))
        await socket.prepare(request)
        await socket.send_bytes(b"\0" + PORT + b"in")
        await socket.close()
        return socket

    api.handlers[PATH] = handler
    kubeconfig = write_kubeconfig(tmp_path / "config", api.url, {"tokenFile": str(token)})
    async with await ApiClient.connect(kubeconfig) as client:
        forward = PortForward(client, "shop", "p", 9444)
        async with forward.listening() as path:
            reader, writer = await asyncio.open_unix_connection(path)
            assert await reader.read() == b"in"
            writer.close()
    assert (refused, forward.failure) == (1, None)


async def test_without_unix_sockets_it_says_what_to_do(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(asyncio, "start_unix_server")
    async with await ApiClient.connect(write_kubeconfig(tmp_path / "config", api.url)) as client:
        with pytest.raises(ServiceError, match=r"needs Unix sockets.* run kubectl port-forward.* --server$"):
            async with PortForward(client, "shop", "web", 80).listening():
                pass
