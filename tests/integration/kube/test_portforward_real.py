"""Port-forwards through a real API server, to the streaming code that kubelets and container runtimes have."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.certificates import Authority
from support.objects import Objects
from support.patience import within
from support.podstreams import PodStreams, make_pod
from support.rights import bind
from support.versions import minor

from extender.core.model.errors import ApiError
from extender.kube.client import ApiClient
from extender.kube.portforward import PortForward
from extender.sandbox import ControlPlane
from extender.sandbox.ports import free_port

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="module")]

NAMESPACE = "default"
MEGABYTES = 8


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    streams = PodStreams(tmp_path_factory.mktemp("streams"))
    flags = streams.apiserver_flags
    async with (
        ControlPlane(with_scheduler=False, with_controller_manager=False, apiserver_flags=flags) as plane,
        await plane.connect() as api,
        streams.running(api, ["default/echo"]),
    ):
        await make_pod(api, NAMESPACE, "echo", {})
        await make_pod(api, NAMESPACE, "unknown", {})
        await make_pod(api, NAMESPACE, "unbound", {}, node="")
        yield plane


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(plane: ControlPlane) -> AsyncIterator[ApiClient]:
    async with await plane.connect() as client:
        yield client


@contextlib.asynccontextmanager
async def echo(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that sends back what it is sent; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def refused(forward: PortForward) -> ApiError:
    """Why a connection that is made is ended."""
    async with forward.listening() as path:
        reader, writer = await asyncio.open_unix_connection(path)
        async with within(20):
            assert await reader.read() == b""
        writer.close()
    assert forward.failure is not None
    return forward.failure


async def test_bytes_go_both_ways_on_many_connections(client: ApiClient) -> None:
    async with echo() as port:
        forward = PortForward(client, NAMESPACE, "echo", port)
        async with forward.listening() as path:

            async def talk(number: int) -> None:
                sent = bytes([number]) * MEGABYTES * 2**20
                reader, writer = await asyncio.open_unix_connection(path)

                async def send() -> None:
                    writer.write(sent)
                    await writer.drain()

                sending = asyncio.create_task(send())
                assert await reader.readexactly(len(sent)) == sent
                await sending
                writer.close()
                await writer.wait_closed()

            async with within(60):
                await asyncio.gather(*(talk(number) for number in range(3)))
        assert forward.failure is None
    assert not Path(path).parent.exists()


async def test_the_service_may_speak_tls(client: ApiClient, tmp_path: Path) -> None:
    authority = Authority("authority")
    pair = authority.issue(tmp_path, "service", ("127.0.0.1",))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pair.cert, pair.key)
    trusting = ssl.create_default_context(cafile=str(authority.write(tmp_path / "ca.pem")))
    trusting.verify_flags &= ~ssl.VERIFY_X509_STRICT
    async with echo(server) as port, PortForward(client, NAMESPACE, "echo", port).listening() as path:
        reader, writer = await asyncio.open_unix_connection(path, ssl=trusting, server_hostname="127.0.0.1")
        writer.write(b"hidden")
        assert await reader.readexactly(6) == b"hidden"
        writer.close()


async def test_a_server_that_ends_the_connection_ends_it_here(client: ApiClient) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    forward = PortForward(client, NAMESPACE, "echo", server.sockets[0].getsockname()[1])
    async with server, forward.listening() as path, within(20):
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b"bye"
        writer.close()
    assert forward.failure is None


async def test_a_port_nobody_listens_on(client: ApiClient) -> None:
    port = free_port()
    failure = await refused(PortForward(client, NAMESPACE, "echo", port))
    assert str(failure).startswith(f"port {port} of pod default/echo: error forwarding port {port} to pod default/echo")
    assert "connection refused" in str(failure)


async def test_no_such_pod(client: ApiClient) -> None:
    failure = await refused(PortForward(client, NAMESPACE, "none", 1))
    assert failure.status == 404
    assert 'pods "none" not found' in str(failure)


async def test_a_pod_without_a_node(client: ApiClient) -> None:
    failure = await refused(PortForward(client, NAMESPACE, "unbound", 1))
    assert failure.status == 400
    assert "pod unbound does not have a host assigned" in str(failure)


async def test_a_pod_that_the_kubelet_does_not_run(client: ApiClient) -> None:
    failure = await refused(PortForward(client, NAMESPACE, "unknown", 1))
    assert failure.status == 404
    assert str(failure).startswith("GET /api/v1/namespaces/default/pods/unknown/portforward: 404")


# Before 1.35 the right to get was enough for a WebSocket.
@pytest.mark.parametrize("verbs", [[], *([["get"]] if minor() >= 35 else ()), ["create"]])
async def test_without_the_rights_they_are_named(plane: ControlPlane, client: ApiClient, verbs: list[str]) -> None:
    user = f"with-{'-'.join(verbs) or 'none'}"
    await _allow(client, user, verbs)
    async with await plane.connect(user) as api:
        told = await refused(PortForward(api, NAMESPACE, "echo", 1))
        assert told.status == 403
        assert str(told).endswith("a port-forward needs the rights to get and create pods/portforward")


async def test_get_and_create_will_do(plane: ControlPlane, client: ApiClient) -> None:
    await _allow(client, "with-both", ["get", "create"])
    async with (
        await plane.connect("with-both") as api,
        echo() as port,
        PortForward(api, NAMESPACE, "echo", port).listening() as path,
    ):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()


async def test_an_api_server_that_goes_ends_the_connection(plane: ControlPlane, client: ApiClient) -> None:
    async with echo() as port:
        forward = PortForward(client, NAMESPACE, "echo", port)
        async with forward.listening() as path:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await plane.apiserver.stop()
            async with within(20):
                assert await reader.read() == b""
            writer.close()
        assert forward.failure is None
        assert "ClientConnectorError" in str(await refused(forward))
        await plane.apiserver.start()


async def _allow(client: ApiClient, user: str, verbs: list[str]) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods/portforward"], "verbs": verbs}] if verbs else []
    await bind(Objects(client), user, rules, {"kind": "User", "name": user})
