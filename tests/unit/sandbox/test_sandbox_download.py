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

from extender.core.errors import SandboxError
from extender.sandbox.assets import missing_binaries
from extender.sandbox.download import Releases
from extender.sandbox.ports import free_port
from extender.sandbox.progress import Progress
from extender.sandbox.versions import ETCD, KUBERNETES

PLATFORM = "linux-amd64"
ARCHIVE = f"etcd-{ETCD}-{PLATFORM}"
ETCD_PATH = f"{ETCD}/{ARCHIVE}.tar.gz"
APISERVER_PATH = f"{KUBERNETES}/bin/linux/amd64/kube-apiserver"


def archive(member: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def release() -> dict[str, bytes]:
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    files = {f"{KUBERNETES}/bin/linux/amd64/{name}": f"the {name}".encode() for name in names}
    return files | {ETCD_PATH: archive(f"{ARCHIVE}/etcd", b"the etcd")}


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


def releases(url: str, sums: Path | None, stop: threading.Event | None = None) -> Releases:
    environ = {"SPOTMIX_SANDBOX_KUBERNETES_URL": url, "SPOTMIX_SANDBOX_ETCD_URL": url + "/"}
    if sums is not None:
        environ["SPOTMIX_SANDBOX_SHA256"] = str(sums)
    return Releases(PLATFORM, environ, Progress(io.StringIO()), stop or threading.Event())


def checksums(folder: Path, files: Mapping[str, bytes], *, short: bool = False) -> Path:
    path = folder / "SHA256SUMS"
    named = {name.rsplit("/", 1)[1] if short else name: content for name, content in files.items()}
    path.write_text("".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in named.items()))
    return path


@pytest.mark.parametrize("short", [False, True])
def test_a_verified_release_is_unpacked_and_executable(tmp_path: Path, short: bool) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with serving(release()) as url:
        releases(url, checksums(tmp_path, release(), short=short)).fetch(out)
    assert missing_binaries(out) == []
    assert (out / "etcd").read_bytes() == b"the etcd"
    assert (out / "kube-scheduler").read_bytes() == b"the kube-scheduler"


def test_an_artefact_without_a_checksum_is_not_even_asked_for(tmp_path: Path) -> None:
    files = release()
    sums = checksums(tmp_path, {name: files[name] for name in files if name != APISERVER_PATH})
    with pytest.raises(SandboxError, match=f"no SHA-256 is pinned for {APISERVER_PATH},"):
        releases(f"http://127.0.0.1:{free_port()}", sums).fetch(tmp_path)


def test_another_checksum_is_refused_with_both(tmp_path: Path) -> None:
    sums = checksums(tmp_path, release())
    with serving(release() | {APISERVER_PATH: b"something else"}) as url, pytest.raises(SandboxError) as caught:
        releases(url, sums).fetch(tmp_path)
    assert hashlib.sha256(b"something else").hexdigest() in str(caught.value)
    assert hashlib.sha256(b"the kube-apiserver").hexdigest() in str(caught.value)
    assert not (tmp_path / "kube-apiserver").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with serving({}) as url, pytest.raises(SandboxError, match=f"{ETCD_PATH}: HTTP 404"):
        releases(url, checksums(tmp_path, release())).fetch(tmp_path)


def test_a_download_that_ends_early_is_told_from_a_wrong_one(tmp_path: Path) -> None:
    with serving(release(), frozenset({ETCD_PATH})) as url, pytest.raises(SandboxError, match=r"ended after \d+ of"):
        releases(url, checksums(tmp_path, release())).fetch(tmp_path)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="refused"):
        releases(f"http://127.0.0.1:{free_port()}", checksums(tmp_path, release())).fetch(tmp_path)


def test_an_archive_without_the_file_is_refused(tmp_path: Path) -> None:
    files = release() | {ETCD_PATH: archive("other", b"")}
    with serving(files) as url, pytest.raises(SandboxError, match="cannot be unpacked"):
        releases(url, checksums(tmp_path, files)).fetch(tmp_path)


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    files = release() | {ETCD_PATH: b"<html>"}
    with serving(files) as url, pytest.raises(SandboxError, match="cannot be unpacked"):
        releases(url, checksums(tmp_path, files)).fetch(tmp_path)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="only https:// and http://"):
        releases("file:///tmp", checksums(tmp_path, release())).fetch(tmp_path)


def test_a_checksum_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"SPOTMIX_SANDBOX_SHA256=.*cannot be read"):
        releases("http://127.0.0.1:1", tmp_path / "none").fetch(tmp_path)


def test_it_can_be_given_up(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with serving(release()) as url, pytest.raises(SandboxError, match="given up"):
        releases(url, checksums(tmp_path, release()), stop).fetch(tmp_path)
