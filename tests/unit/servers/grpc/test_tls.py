"""The API's certificates: whom it lets in, and that they are exchanged without a restart."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from support.api import LOOPBACK, ApiBench, stub, target
from support.certificates import Authority, KeyPair

from extender.core.model.errors import ConfigError
from extender.servers.grpc.server import RpcServer
from extender.servers.grpc.tls import RpcTls
from spotmix.placement.v1 import placement_pb2 as pb


class GrpcFiles:
    """A server's certificate and client CA as files, and what clients need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authorities = {name: Authority(f"servers {name}") for name in ("old", "new")}
        self.clients = {name: Authority(f"clients {name}") for name in ("old", "new")}
        self.client_ca = self.clients["old"].write(folder / "clients.pem")
        self.pairs = {name: authority.issue(folder, f"client-{name}") for name, authority in self.clients.items()}
        self.server = self.issue("old")

    def issue(self, name: str) -> KeyPair:
        """Write the server's certificate, signed by that authority."""
        return self.authorities[name].issue(self.folder, "server", (LOOPBACK,))

    def tls(self, *, verifies: bool = True) -> RpcTls:
        return RpcTls(str(self.server.cert), str(self.server.key), str(self.client_ca) if verifies else "")

    def credentials(self, server: str, client: str = "") -> grpc.ChannelCredentials:
        """Of a client that trusts the server's authority of that name, with the certificate of another."""
        root = self.authorities[server].write(self.folder / f"ca-{server}.pem").read_bytes()
        pair = self.pairs.get(client)
        if pair is None:
            return grpc.ssl_channel_credentials(root)
        return grpc.ssl_channel_credentials(root, pair.key.read_bytes(), pair.cert.read_bytes())


@pytest.fixture
def files(tmp_path: Path) -> GrpcFiles:
    return GrpcFiles(tmp_path)


@pytest.fixture
def tls(files: GrpcFiles) -> RpcTls:
    return files.tls()


@pytest.fixture
async def server(tls: RpcTls) -> AsyncIterator[RpcServer]:
    server = ApiBench().server(tls)
    await server.start()
    yield server
    await server.stop()


async def admitted(server: RpcServer, credentials: grpc.ChannelCredentials) -> bool:
    """Whether a new connection gets an answer."""
    # Channels to one target share a connection, but for those with options of their own.
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.secure_channel(target(server), credentials, options) as channel:
        try:
            await stub(channel).ListWorkloads(pb.ListWorkloadsRequest())
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return True


async def test_clients_have_to_show_a_certificate_of_the_ca(server: RpcServer, files: GrpcFiles) -> None:
    assert await admitted(server, files.credentials("old", "old"))
    assert not await admitted(server, files.credentials("old", "new"))
    assert not await admitted(server, files.credentials("old"))
    assert not await admitted(server, files.credentials("new", "old"))


async def test_without_a_client_ca_none_is_asked_for(files: GrpcFiles) -> None:
    server = ApiBench().server(files.tls(verifies=False))
    await server.start()
    assert await admitted(server, files.credentials("old"))
    await server.stop()


async def test_a_certificate_is_exchanged_without_a_dropped_connection(
    server: RpcServer, tls: RpcTls, files: GrpcFiles
) -> None:
    before = tls.ends
    async with grpc.aio.secure_channel(target(server), files.credentials("old", "old")) as channel:
        await stub(channel).ListWorkloads(pb.ListWorkloadsRequest())
        assert not tls.reload()
        files.issue("new")
        assert tls.reload()
        assert tls.ends is not None
        assert before is not None
        assert tls.ends >= before
        assert await admitted(server, files.credentials("new", "old"))
        assert not await admitted(server, files.credentials("old", "old"))
        await stub(channel).ListWorkloads(pb.ListWorkloadsRequest())


async def test_a_client_ca_is_exchanged_without_a_restart(server: RpcServer, tls: RpcTls, files: GrpcFiles) -> None:
    assert await admitted(server, files.credentials("old", "old"))
    files.clients["new"].write(files.client_ca)
    assert tls.reload()
    assert await admitted(server, files.credentials("old", "new"))
    assert not await admitted(server, files.credentials("old", "old"))


async def test_what_does_not_fit_keeps_the_last_good_one(server: RpcServer, tls: RpcTls, files: GrpcFiles) -> None:
    good = files.server.key.read_bytes()
    files.server.key.write_bytes(files.pairs["old"].key.read_bytes())
    for _ in range(2):
        with pytest.raises(ConfigError, match="they are no PEM pair"):
            tls.reload()
    assert await admitted(server, files.credentials("old", "old"))
    files.server.key.write_bytes(good)
    assert tls.reload()
    assert await admitted(server, files.credentials("old", "old"))


def test_files_that_cannot_be_used_are_named(files: GrpcFiles) -> None:
    with pytest.raises(ConfigError, match=r"TLS certificate /nowhere.pem and key .* /nowhere.pem is no file"):
        RpcTls("/nowhere.pem", str(files.server.key))
