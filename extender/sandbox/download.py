"""The official releases: single binaries of Kubernetes, an archive of etcd, each against its checksum."""

import hashlib
import http.client
import io
import re
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from extender.core.errors import SandboxError
from extender.sandbox.progress import Progress
from extender.sandbox.versions import BINARIES, ETCD, KUBERNETES, SHA256

KUBERNETES_URL = "https://dl.k8s.io"
ETCD_URL = "https://github.com/etcd-io/etcd/releases/download"

_CHUNK = 1 << 20
_TIMEOUT = 30.0
_SHA256_LINE = re.compile(r"([0-9a-fA-F]{64})\s+\*?(\S+)")


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file of a release.

    Attributes:
        base: URL below which it lies.
        path: its path below the base, which names it in `versions.SHA256` and in messages.
        member: the file wanted when it is an archive, else empty.
        binary: what that file is called in the assets folder.
    """

    base: str
    path: str
    member: str
    binary: str


class Releases:
    """Downloads of the pinned versions for one platform."""

    def __init__(self, platform: str, environ: Mapping[str, str], progress: Progress, stop: threading.Event) -> None:
        """Say what to download.

        Args:
            platform: `linux-amd64` or `linux-arm64`.
            environ: `SPOTMIX_SANDBOX_KUBERNETES_URL` and `SPOTMIX_SANDBOX_ETCD_URL` replace the addresses,
                as for a mirror; `SPOTMIX_SANDBOX_SHA256` names a file with checksums as `sha256sum` writes
                them.
            progress: where to show how far it is.
            stop: give up when it is set.
        """
        system, machine = platform.split("-")
        kubernetes = environ.get("SPOTMIX_SANDBOX_KUBERNETES_URL") or KUBERNETES_URL
        etcd = environ.get("SPOTMIX_SANDBOX_ETCD_URL") or ETCD_URL
        archive = f"etcd-{ETCD}-{platform}"
        self._checksums = environ.get("SPOTMIX_SANDBOX_SHA256")
        self._progress = progress
        self._stop = stop
        self.artefacts = [Artefact(etcd, f"{ETCD}/{archive}.tar.gz", f"{archive}/etcd", "etcd")]
        self.artefacts += [
            Artefact(kubernetes, f"{KUBERNETES}/bin/{system}/{machine}/{name}", "", name)
            for name in BINARIES
            if name != "etcd"
        ]

    def fetch(self, folder: Path) -> None:
        """Download all artefacts into `folder`, executable.

        Raises:
            SandboxError: a checksum is unknown (nothing is downloaded then) or differs, or a download failed.
        """
        checksums = self._known_checksums()
        unknown = [artefact.path for artefact in self.artefacts if artefact.path not in checksums]
        if unknown:
            raise SandboxError(
                f"no SHA-256 is pinned for {', '.join(unknown)}, and what cannot be verified is not run; name a"
                " file with the published checksums by SPOTMIX_SANDBOX_SHA256 (lines of 'HEX  NAME')"
            )
        for artefact in self.artefacts:
            url = f"{artefact.base.rstrip('/')}/{artefact.path}"
            content = self._get(url)
            seen = hashlib.sha256(content).hexdigest()
            if seen != checksums[artefact.path]:
                raise SandboxError(f"{url}: its SHA-256 is {seen}, not {checksums[artefact.path]} as expected")
            if artefact.member:
                content = _unpack(url, content, artefact.member)
            target = folder / artefact.binary
            target.write_bytes(content)
            target.chmod(0o755)

    def _known_checksums(self) -> dict[str, str]:
        """Return the checksum of each artefact that has one; the user's file comes before what is pinned."""
        known = dict(SHA256)
        if not self._checksums:
            return known
        try:
            text = Path(self._checksums).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise SandboxError(f"SPOTMIX_SANDBOX_SHA256={self._checksums} cannot be read: {error}") from error
        given = {match[2]: match[1].lower() for match in map(_SHA256_LINE.fullmatch, text.split("\n")) if match}
        for artefact in self.artefacts:
            # Checksum files name a release's file with or without the folders above it.
            for name in (artefact.path, artefact.path.rsplit("/", 1)[1]):
                if name in given:
                    known[artefact.path] = given[name]
                    break
        return known

    def _get(self, url: str) -> bytes:
        if not url.startswith(("https://", "http://")):
            raise SandboxError(f"{url}: only https:// and http:// addresses can be downloaded")
        name = url.rsplit("/", 1)[1]
        self._progress.step(f"downloading {url}")
        content = io.BytesIO()
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:  # noqa: S310 (scheme checked above)
                total = int(response.headers.get("Content-Length") or 0)
                while chunk := response.read(_CHUNK):
                    content.write(chunk)
                    self._progress.update(f"downloading {name}: {_size(content.tell())} of {_size(total)}")
                    if self._stop.is_set():
                        raise SandboxError(f"{url}: given up")
        except urllib.error.HTTPError as error:
            with error:
                raise SandboxError(f"{url}: HTTP {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise SandboxError(f"{url}: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise SandboxError(f"{url}: {type(error).__name__}: {error}") from error
        if content.tell() < total:
            # A read in pieces does not tell an early end from the end.
            raise SandboxError(f"{url}: ended after {content.tell()} of {total} bytes")
        return content.getvalue()


def _unpack(url: str, content: bytes, member: str) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            file = archive.extractfile(member)
            if file is None:
                raise SandboxError(f"{url}: {member} in it is not a file")
            return file.read()
    except (KeyError, tarfile.TarError, OSError, EOFError) as error:
        raise SandboxError(f"{url}: {member} cannot be unpacked: {error}") from error


def _size(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB" if count else "?"
