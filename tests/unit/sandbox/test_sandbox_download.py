"""Downloads against a server on loopback: what is not verified is not kept."""

import contextlib
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from extender.core.model.errors import SandboxError
from extender.sandbox.assets import missing_binaries
from extender.sandbox.download import Releases
from extender.sandbox.ports import free_port
from extender.sandbox.progress import Progress
from extender.sandbox.versions import ETCD, KUBERNETES

PLATFORM = "linux-amd64"
ARCHIVE = f"etcd-{ETCD}-{PLATFORM}"
ETCD_PATH = f"{ETCD}/{ARCHIVE}.tar.gz"
SERVER_PATH = f"{KUBERNETES}/kubernetes-server-{PLATFORM}.tar.gz"
NAMES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def archive(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member, content in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def release() -> dict[str, bytes]:
    server = {f"kubernetes/server/bin/{name}": f"the {name}".encode() for name in NAMES}
    return {
        SERVER_PATH: archive(**{"kubernetes/LICENSES": b"", "kubernetes/server/bin/kubelet": b"big"}, **server),
        ETCD_PATH: archive(**{f"{ARCHIVE}/etcd": b"the etcd"}),
    }


@contextlib.contextmanager
def serving(files: Mapping[str, bytes], truncated: frozenset[str] = frozenset()) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/")
            content = files.get(path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if path in truncated else content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has in the base class
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def releases(url: str, pinned: Mapping[str, bytes], stop: threading.Event | None = None) -> Releases:
    """Downloads from `url` that expect the archives `pinned`."""
    environ = {"SPOTMIX_SANDBOX_KUBERNETES_URL": url, "SPOTMIX_SANDBOX_ETCD_URL": url + "/"}
    checksums = {
        SERVER_PATH: f"sha512:{hashlib.sha512(pinned[SERVER_PATH]).hexdigest()}",
        ETCD_PATH: f"sha256:{hashlib.sha256(pinned[ETCD_PATH]).hexdigest()}",
    }
    return Releases(PLATFORM, environ, Progress(io.StringIO()), stop or threading.Event(), checksums)


def test_a_verified_release_is_unpacked_and_executable(tmp_path: Path) -> None:
    files = release()
    with serving(files) as url:
        releases(url, files).fetch(tmp_path)
    assert missing_binaries(tmp_path) == []
    assert (tmp_path / "etcd").read_bytes() == b"the etcd"
    assert (tmp_path / "kube-scheduler").read_bytes() == b"the kube-scheduler"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(("etcd", *NAMES))


@pytest.mark.parametrize("path", [SERVER_PATH, ETCD_PATH])
def test_another_checksum_is_refused_with_both(tmp_path: Path, path: str) -> None:
    good = release()
    with serving(good | {path: b"something else"}) as url, pytest.raises(SandboxError) as caught:
        releases(url, good).fetch(tmp_path)
    algorithm = hashlib.sha512 if path == SERVER_PATH else hashlib.sha256
    assert algorithm(b"something else").hexdigest() in str(caught.value)
    assert algorithm(good[path]).hexdigest() in str(caught.value)
    assert not (tmp_path / ("kube-apiserver" if path == SERVER_PATH else "etcd")).exists()


def test_what_is_pinned_is_what_a_release_has_to_be(tmp_path: Path) -> None:
    mirrors = ("SPOTMIX_SANDBOX_KUBERNETES_URL", "SPOTMIX_SANDBOX_ETCD_URL")
    with serving(release()) as url, pytest.raises(SandboxError, match=r"its SHA256 is .* as pinned"):
        Releases(PLATFORM, dict.fromkeys(mirrors, url), Progress(io.StringIO()), threading.Event()).fetch(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with serving({}) as url, pytest.raises(SandboxError, match=f"{ETCD_PATH}: HTTP 404"):
        releases(url, release()).fetch(tmp_path)


def test_a_download_that_ends_early_is_told_from_a_wrong_one(tmp_path: Path) -> None:
    files = release()
    with serving(files, frozenset({ETCD_PATH})) as url, pytest.raises(SandboxError, match=r"ended after \d+ of"):
        releases(url, files).fetch(tmp_path)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="refused"):
        releases(f"http://127.0.0.1:{free_port()}", release()).fetch(tmp_path)


def test_an_archive_without_the_file_is_refused(tmp_path: Path) -> None:
    files = release() | {ETCD_PATH: archive(other=b"")}
    with serving(files) as url, pytest.raises(SandboxError, match=f"no {ARCHIVE}/etcd in it"):
        releases(url, files).fetch(tmp_path)


@pytest.mark.parametrize("content", [b"<html>", release()[ETCD_PATH][:40]], ids=["text", "cut short"])
def test_an_archive_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    files = release() | {ETCD_PATH: content}
    with serving(files) as url, pytest.raises(SandboxError, match="cannot be unpacked"):
        releases(url, files).fetch(tmp_path)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="only https:// and http://"):
        releases("file:///tmp", release()).fetch(tmp_path)


def test_it_can_be_given_up(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    files = release()
    with serving(files) as url, pytest.raises(SandboxError, match="given up"):
        releases(url, files, stop).fetch(tmp_path)
