"""The API client: what it sends, how it fails, and how it keeps its credentials."""

import asyncio
import base64
import contextlib
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.certificates import Authority
from unit.kube.fake_api import FakeApi, Fault, VirtualTime, write_kubeconfig

from extender.core.model.errors import ApiError, ConfigError
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.kube.connection import ConnectionSource
from extender.kube.credentials import MIN_RENEWAL_INTERVAL, TOKEN_CHECK_INTERVAL


def guard(api: FakeApi, *tokens: str) -> None:
    """Let `/x` answer only those who know one of the tokens; the list can be changed by the test."""
    accepted = {f"Bearer {token}" for token in tokens}

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") not in accepted:
            return Fault(401, "Unauthorized").response()
        return web.json_response({})

    api.handlers["/x"] = handler


def plugin(path: Path, *, body: str = "", expires: str = "") -> dict[str, Any]:
    """An exec plugin that gives a new token (`token-1`, `token-2`, ..) at each call and counts its calls."""
    status = "{'token': f'token-{n}'" + (f", 'expirationTimestamp': '{expires}'" if expires else "") + "}"
    path.write_text(
        "import json, pathlib\n"
        f"count = pathlib.Path({str(path)!r}).with_suffix('.count')\n"
        "n = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(n))\n"
        f"{body}\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', "
        f"'status': {status}}}))\n"
    )
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(path)],
    }
    return {"exec": command}


def calls(path: Path) -> int:
    return int(path.with_suffix(".count").read_text())


async def connect(kubeconfig: str, time: VirtualTime) -> ApiClient:
    client = ApiClient(ConnectionSource(kubeconfig), clock=lambda: time.now)
    await client._credentials.load()
    return client


async def test_a_request_carries_body_token_and_parameters(api: FakeApi, tmp_path: Path) -> None:
    guard(api, "secret")
    kubeconfig = write_kubeconfig(tmp_path / "config", api.url, {"token": "secret"})
    async with await ApiClient.connect(kubeconfig) as client:
        answer = await client.request("PATCH", "/x", params={"a": "b c="}, body={"k": 1}, content_type=MERGE_PATCH)
        assert answer == b"{}"
        assert await client.request("POST", "/x", body=b"[2]") == b"{}"
        assert await client.base_url() == api.url
    method, _, query, headers, body = api.seen[0]
    assert (method, query, body) == ("PATCH", {"a": "b c="}, b'{"k":1}')
    assert headers["Content-Type"] == MERGE_PATCH
    assert headers["Authorization"] == "Bearer secret"
    assert api.seen[1][4] == b"[2]"


async def test_each_answer_is_told_with_the_time_it_took(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    guard(api, "secret")

    async def slow(_: web.Request) -> web.StreamResponse:
        time.now += 2.5
        return web.json_response({})

    async def gone(_: web.Request) -> web.StreamResponse:
        return Fault(410, "Expired").response()

    async def empty(_: web.Request) -> web.StreamResponse:
        return web.Response(text="")

    api.handlers["/empty"] = empty
    api.handlers["/slow"] = slow
    api.handlers["/gone"] = gone
    seen: list[tuple[str, str, int, float]] = []
    async with await connect(write_kubeconfig(tmp_path / "config", api.url, {"token": "secret"}), time) as client:
        client.observe = lambda *answer: seen.append(answer)
        await client.request("POST", "/slow")
        with pytest.raises(ApiError):
            await client.request("GET", "/gone")
        async with contextlib.aclosing(client.watch("/empty", {})) as lines:
            assert [line async for line in lines] == []
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = write_kubeconfig(tmp_path / "away", f"http://127.0.0.1:{unused.getsockname()[1]}")
        async with await connect(away, time) as client:
            client.observe = lambda *answer: seen.append(answer)
            with pytest.raises(ApiError):
                await client.request("GET", "/x")
    assert seen == [
        ("POST", "/slow", 200, 2.5),
        ("GET", "/gone", 410, 0.0),
        ("WATCH", "/empty", 200, 0.0),
        ("GET", "/x", 0, 0.0),
    ]


async def test_a_refusal_names_verb_path_reason_and_message(api: FakeApi, tmp_path: Path) -> None:
    async def busy(_request: web.Request) -> web.StreamResponse:
        return Fault(429, "TooManyRequests", {"Retry-After": "3"}, "the eviction budget").response()

    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="<html>bad gateway</html>")

    async def later(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"reason": "ServerTimeout", "details": {"retryAfterSeconds": 2}}, status=504)

    async def budget(_request: web.Request) -> web.StreamResponse:
        causes = [{"reason": "DisruptionBudget", "message": "web needs 3 healthy pods"}, {}]
        return web.json_response({"message": "Cannot evict", "details": {"causes": causes}}, status=429)

    api.handlers |= {"/busy": busy, "/broken": broken, "/later": later, "/budget": budget}
    async with await ApiClient.connect(write_kubeconfig(tmp_path / "config", api.url)) as client:
        with pytest.raises(ApiError, match=r"^POST /busy: 429 TooManyRequests: the eviction budget$") as caught:
            await client.request("POST", "/busy")
        assert (caught.value.status, caught.value.reason, caught.value.retry_after) == (
            429,
            "TooManyRequests",
            3,
        )
        with pytest.raises(ApiError, match="GET /broken: 502 Bad Gateway: <html>bad gateway</html>") as caught:
            await client.request("GET", "/broken")
        assert caught.value.retry_after is None
        with pytest.raises(ApiError) as caught:
            await client.request("GET", "/later")
        assert (caught.value.retry_after, caught.value.causes) == (2, ())
        with pytest.raises(ApiError, match=r"Cannot evict \(web needs 3 healthy pods\)$") as caught:
            await client.request("POST", "/budget")
        assert caught.value.causes == ("DisruptionBudget",)


async def test_no_server_is_status_zero_with_its_cause(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with await ApiClient.connect(write_kubeconfig(tmp_path / "config", url)) as client:
            with pytest.raises(ApiError, match=f"GET /x: {url}: ClientConnectorError") as caught:
                await client.request("GET", "/x")
    assert caught.value.status == 0
    assert caught.value.__cause__ is not None


async def test_no_answer_in_time_is_status_zero(api: FakeApi, tmp_path: Path) -> None:
    over = asyncio.Event()

    async def slow(_request: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    api.handlers["/x"] = slow
    async with await ApiClient.connect(write_kubeconfig(tmp_path / "config", api.url)) as client:
        with pytest.raises(ApiError, match="TimeoutError") as caught:
            await client.request("GET", "/x", timeout=0.05)
    over.set()
    assert caught.value.status == 0


async def test_a_closed_client_refuses(api: FakeApi, tmp_path: Path) -> None:
    client = await ApiClient.connect(write_kubeconfig(tmp_path / "config", api.url))
    await client.close()
    with pytest.raises(ApiError, match="Session is closed"):
        await client.request("GET", "/x")


async def test_a_401_runs_the_exec_plugin_once_for_many_callers(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    script = tmp_path / "plugin.py"
    guard(api, "token-2")
    async with await connect(write_kubeconfig(tmp_path / "config", api.url, plugin(script)), time) as client:
        assert await asyncio.gather(*(client.request("GET", "/x") for _ in range(20))) == [b"{}"] * 20
    assert calls(script) == 2


async def test_a_lasting_401_fails_and_does_not_run_the_plugin_every_time(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    script = tmp_path / "plugin.py"
    guard(api)
    async with await connect(write_kubeconfig(tmp_path / "config", api.url, plugin(script)), time) as client:
        for _ in range(5):
            with pytest.raises(ApiError, match="401 Unauthorized"):
                await client.request("GET", "/x")
        assert calls(script) == 2
        time.now += MIN_RENEWAL_INTERVAL
        with pytest.raises(ApiError, match="401 Unauthorized"):
            await client.request("GET", "/x")
        assert calls(script) == 3


async def test_an_expired_token_is_renewed_before_it_is_refused(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    script = tmp_path / "plugin.py"
    guard(api, "token-1", "token-2")
    user = plugin(script, expires="2020-01-01T00:00:00Z")
    async with await connect(write_kubeconfig(tmp_path / "config", api.url, user), time) as client:
        await asyncio.gather(*(client.request("GET", "/x") for _ in range(10)))
        assert calls(script) == 1
        time.now += TOKEN_CHECK_INTERVAL
        await asyncio.gather(*(client.request("GET", "/x") for _ in range(10)))
        assert calls(script) == 2
    assert api.seen[-1][3]["Authorization"] == "Bearer token-2"


async def test_the_event_loop_runs_while_the_plugin_does(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    """The plugin ends only once the event loop has answered it."""
    asked = asyncio.Event()

    async def hello(_request: web.Request) -> web.StreamResponse:
        asked.set()
        return web.Response()

    api.handlers["/hello"] = hello
    guard(api, "token-1")
    opener = "urllib.request.build_opener(urllib.request.ProxyHandler({}))"
    body = f"import urllib.request; {opener}.open('{api.url}/hello', timeout=20)"
    user = plugin(tmp_path / "plugin.py", body=body)
    async with await connect(write_kubeconfig(tmp_path / "config", api.url, user), time) as client:
        assert asked.is_set()
        await client.request("GET", "/x")


async def test_a_token_file_is_read_again(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    guard(api, "first", "second")
    kubeconfig = write_kubeconfig(tmp_path / "config", api.url, {"tokenFile": str(token)})
    async with await connect(kubeconfig, time) as client:
        await client.request("GET", "/x")
        token.write_text("second\n")
        time.now += TOKEN_CHECK_INTERVAL
        await client.request("GET", "/x")
    assert [headers["Authorization"] for *_, headers, _ in api.seen] == ["Bearer first", "Bearer second"]


async def test_a_plugin_that_fails_later_leaves_the_old_token(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    guard(api, "first")
    token = tmp_path / "token"
    token.write_text("first")
    kubeconfig = write_kubeconfig(tmp_path / "config", api.url, {"tokenFile": str(token)})
    async with await connect(kubeconfig, time) as client:
        token.unlink()
        time.now += TOKEN_CHECK_INTERVAL
        await client.request("GET", "/x")
        guard(api, "second")
        with pytest.raises(ApiError, match="401 Unauthorized") as caught:
            await client.request("GET", "/x")
    assert isinstance(caught.value.__cause__, ConfigError)
    assert str(token) in str(caught.value)


@dataclass
class Presented:
    """A server on loopback whose certificate can be exchanged, and the kubeconfig of who calls it."""

    folder: Path
    authority: Authority
    context: ssl.SSLContext
    url: str = ""
    calls: int = 0

    def present(self, authority: Authority, name: str) -> None:
        """Show a certificate of this authority from now on."""
        pair = authority.issue(self.folder, name, ("127.0.0.1",))
        self.context.load_cert_chain(pair.cert, pair.key)


@pytest.fixture
async def presented(tmp_path: Path) -> AsyncIterator[Presented]:
    first = Authority("first")
    server = Presented(tmp_path, first, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    server.present(first, "server-1")

    async def handler(request: web.Request) -> web.StreamResponse:
        server.calls += 1
        if "upgrade" in request.headers:
            socket = web.WebSocketResponse(protocols=("p",))
            await socket.prepare(request)
            return socket
        # A connection for each request: the next one is verified.
        return web.json_response({}, headers={"Connection": "close"})

    app = web.Application()
    app.router.add_route("*", "/x", handler)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server.context).start()
    server.url = "https://{}:{}".format(*runner.addresses[0][:2])
    yield server
    await runner.cleanup()


def trusting(presented: Presented, authority: Authority, *, inline: bool) -> str:
    """A kubeconfig that names an authority by file, or holds it."""
    ca = authority.write(presented.folder / "ca.pem")
    config = presented.folder / "config"
    if inline:
        data = base64.b64encode(ca.read_bytes()).decode()
        return write_kubeconfig(config, presented.url, None, **{"certificate-authority-data": data})
    return write_kubeconfig(config, presented.url, None, **{"certificate-authority": str(ca)})


@pytest.mark.parametrize("inline", [False, True])
async def test_a_new_ca_of_the_server_is_read_when_it_is_not_verified(
    presented: Presented, time: VirtualTime, inline: bool
) -> None:
    async with await connect(trusting(presented, presented.authority, inline=inline), time) as client:
        await client.request("GET", "/x")
        second = Authority("second")
        presented.present(second, "server-2")
        with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED") as refused:
            await client.request("GET", "/x")
        assert refused.value.status == 0
        trusting(presented, second, inline=inline)
        # Not sooner: the file may be the same for a minute, and an exec plugin is not to be run at every request.
        with pytest.raises(ApiError):
            await client.request("GET", "/x")
        time.now += MIN_RENEWAL_INTERVAL
        assert await asyncio.gather(*(client.request("GET", "/x") for _ in range(5))) == [b"{}"] * 5
        assert presented.calls == 6


async def test_a_socket_is_opened_under_a_new_ca(presented: Presented, time: VirtualTime) -> None:
    async with await connect(trusting(presented, presented.authority, inline=False), time) as client:
        await client.request("GET", "/x")
        second = Authority("second")
        presented.present(second, "server-2")
        trusting(presented, second, inline=False)
        async with client.websocket("/x", {}, "p"):
            pass


async def test_a_ca_that_is_taken_back_is_trusted_no_longer(presented: Presented, time: VirtualTime) -> None:
    async with await connect(trusting(presented, presented.authority, inline=False), time) as client:
        await client.request("GET", "/x")
        trusting(presented, Authority("second"), inline=False)
        time.now += TOKEN_CHECK_INTERVAL
        with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.request("GET", "/x")


async def test_a_ca_that_is_half_written_keeps_the_old_one(presented: Presented, time: VirtualTime) -> None:
    async with await connect(trusting(presented, presented.authority, inline=False), time) as client:
        (presented.folder / "ca.pem").write_text("-----BEGIN")
        time.now += TOKEN_CHECK_INTERVAL
        await client.request("GET", "/x")
