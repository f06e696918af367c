"""Who gets in over TLS, and certificates that are exchanged while connections last."""

import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.certificates import Authority, KeyPair
from support.doubles_kube import KubeClient, StoredObjects
from support.doubles_servers import connected, no_metrics, running

from extender.core.model.errors import ConfigError
from extender.pki.x509 import BACKDATE, Names, issue, issue_ca, write_certificates, write_key
from extender.runtime.certificates import Certificates
from extender.servers.http import HealthApp
from extender.servers.server import HttpServer
from extender.servers.tls import MemoryTls, ReloadingTls
from extender.settings import Settings
from extender.settings.sections.ports import ExtenderSettings, TlsSettings

HOSTS = ("127.0.0.1",)


class HttpFiles:
    """A server's certificate and client CA as files, and what clients need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority("servers")
        self.ca = self.authority.write(folder / "ca.pem")
        self.server = self.authority.issue(folder, "server", HOSTS)
        self.clients = {name: Authority(name) for name in ("old", "new")}
        self.client_ca = self.clients["old"].write(folder / "clients.pem")
        self.pairs = {name: authority.issue(folder, f"client-{name}") for name, authority in self.clients.items()}

    def tls(self) -> ReloadingTls:
        return ReloadingTls(str(self.server.cert), str(self.server.key), str(self.client_ca))

    def context(self, pair: KeyPair | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        return context


@pytest.fixture
def files(tmp_path: Path) -> HttpFiles:
    return HttpFiles(tmp_path)


@pytest.fixture
def tls(files: HttpFiles) -> ReloadingTls:
    return files.tls()


@pytest.fixture
async def server(tls: ReloadingTls) -> AsyncIterator[HttpServer]:
    async with running(HealthApp(list, no_metrics), tls.context) as server:
        yield server


async def admitted(server: HttpServer, context: ssl.SSLContext) -> bool:
    """Whether the server talks to a client; with TLS 1.3 a refusal is seen at the first read."""
    try:
        async with connected(server, context) as client:
            return (await client.send("GET", "/livez")).status == 200
    except (OSError, EOFError):
        return False


async def test_clients_have_to_show_a_certificate_of_the_ca(server: HttpServer, files: HttpFiles) -> None:
    assert await admitted(server, files.context(files.pairs["old"]))
    assert not await admitted(server, files.context(files.pairs["new"]))
    assert not await admitted(server, files.context())


async def test_without_a_client_ca_none_is_asked_for(files: HttpFiles) -> None:
    tls = ReloadingTls(str(files.server.cert), str(files.server.key))
    async with running(HealthApp(list, no_metrics), tls.context) as server:
        assert await admitted(server, files.context())


async def test_a_client_ca_is_exchanged_without_a_restart(
    server: HttpServer, tls: ReloadingTls, files: HttpFiles
) -> None:
    old, new = files.context(files.pairs["old"]), files.context(files.pairs["new"])
    assert not tls.reload()
    both = files.client_ca.read_text() + files.clients["new"].write(files.folder / "x.pem").read_text()
    files.client_ca.write_text(both)
    assert tls.reload()
    assert await admitted(server, old)
    assert await admitted(server, new)
    # It can be taken back too, and a session from before is no way around it.
    files.clients["new"].write(files.client_ca)
    assert tls.reload()
    assert not await admitted(server, old)
    assert await admitted(server, new)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_can_be_resumed_where_clients_are_verified(files: HttpFiles, version: ssl.TLSVersion) -> None:
    """In memory: the handshake of a client that would like to resume its session."""
    server_context = files.tls().context
    context = files.context(files.pairs["old"])
    context.minimum_version = context.maximum_version = version
    session: ssl.SSLSession | None = None
    for _ in range(2):
        pipes = [ssl.MemoryBIO() for _ in range(2)]
        server = server_context.wrap_bio(pipes[0], pipes[1], server_side=True)
        client = context.wrap_bio(pipes[1], pipes[0], server_hostname="127.0.0.1", session=session)
        if version is ssl.TLSVersion.TLSv1_2:
            with pytest.raises(ssl.SSLError):
                shake(client, server)
            return
        shake(client, server)
        assert not client.session_reused
        session = client.session


def shake(client: ssl.SSLObject, server: ssl.SSLObject) -> None:
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
                side.read(1)
            except ssl.SSLWantReadError:
                pass


async def test_a_certificate_is_exchanged_without_a_restart(
    server: HttpServer, tls: ReloadingTls, files: HttpFiles
) -> None:
    other = Authority("other servers")
    trusting = ssl.create_default_context(cafile=other.write(files.folder / "other.pem"))
    trusting.load_cert_chain(files.pairs["old"].cert, files.pairs["old"].key)
    async with connected(server, files.context(files.pairs["old"])) as kept:
        other.issue(files.folder, "server", HOSTS)
        assert tls.reload()
        assert await admitted(server, trusting)
        assert not await admitted(server, files.context(files.pairs["old"]))
        # Connections from before live on.
        assert (await kept.send("GET", "/livez")).status == 200


async def test_half_written_files_keep_the_last_good_ones(
    server: HttpServer, tls: ReloadingTls, files: HttpFiles
) -> None:
    old = files.context(files.pairs["old"])
    cert, client_ca = files.server.cert.read_bytes(), files.client_ca.read_bytes()
    strange_key = Authority("x").issue(files.folder, "strange").key.read_bytes()
    key = files.server.key.read_bytes()
    for path, content, text in (
        (files.server.cert, cert[: len(cert) // 2], "they are no PEM pair"),
        (files.server.cert, b"", "they are no PEM pair"),
        (files.server.key, strange_key, "they are no PEM pair"),
        (files.client_ca, b"", "client CA .* cannot be used"),
    ):
        path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(ConfigError, match=text):
                tls.reload()
        assert await admitted(server, old)
        for good, bytes_ in ((files.server.cert, cert), (files.server.key, key), (files.client_ca, client_ca)):
            good.write_bytes(bytes_)
        tls.reload()
    files.server.key.unlink()
    with pytest.raises(ConfigError, match=r"server\.key is no file"):
        tls.reload()
    assert await admitted(server, old)


def issued(now: float, validity: float = 60.0) -> tuple[bytes, bytes, bytes]:
    """CA, certificate and key in PEM, as we make them."""
    ca = issue_ca(now, 10 * validity)
    cert, key = issue(ca, Names(("web.shop.svc",), HOSTS), now, validity)
    return write_certificates([ca.cert]), write_certificates([cert]), write_key(key)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_from_memory_is_served_and_exchanged(version: ssl.TLSVersion) -> None:
    tls = MemoryTls()
    async with running(HealthApp(list, no_metrics), tls.context) as server:
        first, second = issued(time.time()), issued(time.time(), 90.0)
        clients = []
        for ca, _, _ in (first, second):
            client = ssl.create_default_context(cadata=ca.decode())
            client.verify_flags |= ssl.VERIFY_X509_STRICT
            client.minimum_version = client.maximum_version = version
            clients.append(client)
        # Refused while there is none.
        assert tls.ends is None
        assert not await admitted(server, clients[0])
        tls.load(*first[1:])
        assert await admitted(server, clients[0])
        assert not await admitted(server, clients[1])
        async with connected(server, clients[0]) as kept:
            tls.load(*second[1:])
            assert await admitted(server, clients[1])
            assert not await admitted(server, clients[0])
            assert (await kept.send("GET", "/livez")).status == 200
        ends = tls.ends
        for cert, key in ((first[1], second[2]), (b"", second[2]), (second[1], b""), (b"x", b"x")):
            with pytest.raises(ConfigError, match=r"tls\.crt and tls\.key cannot be served"):
                tls.load(cert, key)
        assert tls.ends == ends
        assert await admitted(server, clients[1])


async def test_a_certificate_from_memory_is_served_to_those_who_show_one(files: HttpFiles) -> None:
    tls = MemoryTls(verifies=True)
    ca, cert, key = issued(time.time())
    contexts = {}
    for name, pair in files.pairs.items():
        contexts[name] = ssl.create_default_context(cadata=ca.decode())
        contexts[name].load_cert_chain(pair.cert, pair.key)
    async with running(HealthApp(list, no_metrics), tls.context) as server:
        assert not await admitted(server, contexts["old"])
        tls.load(cert, key, files.client_ca.read_bytes())
        assert await admitted(server, contexts["old"])
        assert not await admitted(server, contexts["new"])
        assert not await admitted(server, ssl.create_default_context(cadata=ca.decode()))
        # Who signs for clients can change, and be taken back.
        both = files.client_ca.read_bytes() + files.clients["new"].write(files.folder / "new.pem").read_bytes()
        tls.load(cert, key, both)
        assert [await admitted(server, context) for context in contexts.values()] == [True, True]
        tls.load(cert, key, (files.folder / "new.pem").read_bytes())
        assert [await admitted(server, context) for context in contexts.values()] == [False, True]
        with pytest.raises(ConfigError, match="cannot be served"):
            tls.load(cert, key, b"")


def test_nothing_is_left_of_a_certificate_from_memory() -> None:
    before = set(Path("/proc/self/fd").iterdir())
    MemoryTls().load(*issued(time.time())[1:])
    with pytest.raises(ConfigError, match=r"tls\.crt and tls\.key cannot be served"):
        MemoryTls().load(b"x", b"x")
    assert set(Path("/proc/self/fd").iterdir()) <= before


def test_the_end_of_a_file_is_known(files: HttpFiles) -> None:
    tls = files.tls()
    assert tls.ends == pytest.approx(time.time() + 3600, abs=60)
    _, cert, key = issued(time.time(), 7200.0)
    files.server.cert.write_bytes(cert)
    files.server.key.write_bytes(key)
    assert tls.reload()
    assert tls.ends == pytest.approx(time.time() + 7200, abs=60)


@pytest.mark.parametrize(
    ("begins", "fault"), [(-120.0, "is expired"), (0.0, ""), (BACKDATE + 60.0, "is not valid yet")]
)
def test_a_certificate_in_files_is_ready_while_it_is_valid(files: HttpFiles, begins: float, fault: str) -> None:
    _, cert, key = issued(time.time() + begins, 60.0)
    files.server.cert.write_bytes(cert)
    files.server.key.write_bytes(key)
    settings = Settings(extender=ExtenderSettings(tls=TlsSettings(str(files.server.cert), str(files.server.key))))
    certificates = Certificates(settings, KubeClient(StoredObjects()), lambda _name, _text: None)
    found = list(certificates.faults(time.time()))
    assert len(found) == bool(fault)
    assert all(text.startswith("extender: the certificate in ") and fault in text for text in found)


def test_files_that_cannot_be_used_are_told_at_the_start(files: HttpFiles) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.pem is no file"):
        ReloadingTls(str(files.folder / "nowhere.pem"), str(files.server.key))
    with pytest.raises(ConfigError, match="client CA"):
        ReloadingTls(str(files.server.cert), str(files.server.key), str(files.folder / "nowhere.pem"))
