"""The official releases: an archive of Kubernetes' server and one of etcd, each against its pinned checksum."""

import hashlib
import http.client
import shutil
import tarfile
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from extender.core.model.errors import SandboxError
from extender.sandbox.progress import Progress
from extender.sandbox.versions import BINARIES, CHECKSUMS, ETCD, KUBERNETES

KUBERNETES_URL = "https://dl.k8s.io"
ETCD_URL = "https://github.com/etcd-io/etcd/releases/download"

_CHUNK = 1 << 20
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of a release.

    Attributes:
        base: URL below which it lies.
        path: its path below the base, which names it in `versions.CHECKSUMS` and in messages.
        members: the files wanted of it, by what they are called in the assets folder.
    """

    base: str
    path: str
    members: Mapping[str, str]


class Releases:
    """Downloads of the pinned versions for one platform."""

    def __init__(
        self,
        platform: str,
        environ: Mapping[str, str],
        progress: Progress,
        stop: threading.Event,
        checksums: Mapping[str, str] = CHECKSUMS,
    ) -> None:
        """Say what to download.

        Args:
            platform: `linux-amd64` or `linux-arm64`.
            environ: `SPOTMIX_SANDBOX_KUBERNETES_URL` and `SPOTMIX_SANDBOX_ETCD_URL` replace the addresses,
                as for a mirror.
            progress: where to show how far it is.
            stop: give up when it is set.
            checksums: see `versions.CHECKSUMS`.
        """
        kubernetes = environ.get("SPOTMIX_SANDBOX_KUBERNETES_URL") or KUBERNETES_URL
        etcd = environ.get("SPOTMIX_SANDBOX_ETCD_URL") or ETCD_URL
        name = f"etcd-{ETCD}-{platform}"
        self._checksums = checksums
        self._progress = progress
        self._stop = stop
        self._archives = (
            Archive(etcd, f"{ETCD}/{name}.tar.gz", {"etcd": f"{name}/etcd"}),
            Archive(
                kubernetes,
                f"{KUBERNETES}/kubernetes-server-{platform}.tar.gz",
                {binary: f"kubernetes/server/bin/{binary}" for binary in BINARIES if binary != "etcd"},
            ),
        )

    def fetch(self, folder: Path) -> None:
        """Download all archives, and unpack what is wanted of them into `folder`, executable.

        Raises:
            SandboxError: a checksum differs, or a download failed.
        """
        for archive in self._archives:
            url = f"{archive.base.rstrip('/')}/{archive.path}"
            packed = folder / archive.path.rsplit("/", 1)[1]
            algorithm, expected = self._checksums[archive.path].split(":")
            seen = self._get(url, packed, algorithm)
            if seen != expected:
                raise SandboxError(f"{url}: its {algorithm.upper()} is {seen}, not {expected} as pinned")
            self._unpack(url, packed, archive.members)
            packed.unlink()

    def _get(self, url: str, target: Path, algorithm: str) -> str:
        """Write a file, and return its digest."""
        if not url.startswith(("https://", "http://")):
            raise SandboxError(f"{url}: only https:// and http:// addresses can be downloaded")
        self._progress.step(f"downloading {url}")
        digest = hashlib.new(algorithm)
        got = 0
        try:
            with (
                urllib.request.urlopen(url, timeout=_TIMEOUT) as response,  # noqa: S310 (scheme checked above)
                target.open("wb") as file,
            ):
                total = int(response.headers.get("Content-Length") or 0)
                while chunk := response.read(_CHUNK):
                    digest.update(chunk)
                    got += file.write(chunk)
                    self._progress.update(f"downloading {target.name}: {_size(got)} of {_size(total)}")
                    if self._stop.is_set():
                        raise SandboxError(f"{url}: given up")
        except urllib.error.HTTPError as error:
            with error:
                raise SandboxError(f"{url}: HTTP {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise SandboxError(f"{url}: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise SandboxError(f"{url}: {type(error).__name__}: {error}") from error
        if got < total:
            # A read in pieces does not tell an early end from the end.
            raise SandboxError(f"{url}: ended after {got} of {total} bytes")
        return digest.hexdigest()

    def _unpack(self, url: str, packed: Path, members: Mapping[str, str]) -> None:
        self._progress.step(f"unpacking {', '.join(members)}")
        wanted = {member: binary for binary, member in members.items()}
        try:
            # From front to end: looking a member up would read a compressed archive once for each.
            with tarfile.open(packed, mode="r|gz") as archive:
                for entry in archive:
                    binary = wanted.pop(entry.name.removeprefix("./"), None)
                    file = archive.extractfile(entry) if binary else None
                    if file is not None:
                        target = packed.with_name(str(binary))
                        with target.open("wb") as out:
                            shutil.copyfileobj(file, out, _CHUNK)
                        target.chmod(0o755)
                    if not wanted:
                        return
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise SandboxError(f"{url}: cannot be unpacked: {error}") from error
        raise SandboxError(f"{url}: no {', '.join(wanted)} in it")


def _size(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB" if count else "?"
