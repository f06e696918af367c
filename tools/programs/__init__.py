"""Programs that only the tests and generators need, in the control plane's cache.

`python -m programs` gets all of them. Some are built once from the Go modules beside this file: each is in a folder
named after its module and what the module's files hold, so that a changed pin is a new build. Prometheus comes from
Debian's package, unpacked, not installed. Chromium is installed, as a package of the system: see `chromium`.
"""

import getpass
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from extender.core.model.errors import SandboxError
from extender.sandbox.assets import cache_home, fill, host_platform, missing_binaries
from extender.sandbox.gobuild import GoBuild
from extender.sandbox.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
MODULES = Path(__file__).resolve().parent
PROMETHEUS = ("prometheus", "promtool")
FAKETIME = "libfaketime.so.1"


def helm() -> Path:
    """The helm of helm/go.mod."""
    return _built("helm", "tool")


def kindconfig() -> Path:
    """The program of kindconfig, which reads a kind configuration as kind does."""
    return _built("kindconfig", ".")


def podstreams() -> Path:
    """The program of podstreams, which forwards ports as a kubelet and its container runtime do."""
    return _built("podstreams", ".")


def karpenter() -> Path:
    """Karpenter of karpenter/go.mod, which launches nodes that are objects alone."""
    return _built("karpenter", ".")


def kubectl() -> Path:
    """kubectl: the one on the PATH, else that of kubectl."""
    found = shutil.which("kubectl")
    return Path(found) if found is not None else _built("kubectl", ".")


def prometheus() -> Path:
    """A folder with prometheus and promtool: those on the PATH, else Debian's."""
    found = {name: shutil.which(name) for name in PROMETHEUS}
    folders = {Path(path).parent for path in found.values() if path is not None}
    if all(found.values()) and len(folders) == 1:
        return folders.pop()
    return _of_debian("prometheus", PROMETHEUS)


def faketime() -> Path:
    """The library of libfaketime, which gives a process another clock."""
    return _of_debian("libfaketime", (FAKETIME,)) / FAKETIME


def _of_debian(package: str, files: Sequence[str]) -> Path:
    """A folder with files of a Debian package."""
    cache = cache_home() / "tools" / f"{package}-debian-{host_platform()}"
    if missing_binaries(cache, files):
        with Progress() as progress:

            def make(folder: Path) -> None:
                progress.step(f"getting Debian's {package} package, once")
                _unpack(package, folder, files)

            fill(cache, make, progress, threading.Event(), files)
    return cache


def _unpack(package: str, folder: Path, files: Sequence[str]) -> None:
    """Put files of a Debian package into a folder. Needs no rights: apt keeps its lists there for the time."""
    state, root = folder / "apt", folder / "root"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    options = {
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": getpass.getuser(),
    }
    apt = ["apt-get", "--quiet", *(f"-o{key}={value}" for key, value in options.items())]
    _run([*apt, "update"], state)
    _run([*apt, "download", package], state)
    (archive,) = state.glob(f"{package}_*.deb")
    _run(["dpkg-deb", "--extract", str(archive), str(root)], state)
    for name in files:
        (found,) = (*root.glob(f"usr/bin/{name}"), *root.glob(f"usr/lib/**/{name}"))
        # A library is made executable too: the cache tells whole files from others by that.
        found.chmod(0o755)
        found.rename(folder / name)
    for left in (state, root):
        shutil.rmtree(left)


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    except OSError as error:
        raise SandboxError(
            f"{command[0]} cannot be run: {error}; Debian's packages need it, or put "
            f"{' and '.join(PROMETHEUS)} on the PATH"
        ) from error
    if done.returncode:
        raise SandboxError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")


def _built(name: str, packages: str) -> Path:
    module = MODULES / name
    digest = hashlib.sha256()
    for path in sorted(module.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    cache = cache_home() / "tools" / f"{name}-{digest.hexdigest()[:12]}-{host_platform()}"
    if missing_binaries(cache, (name,)):
        stop = threading.Event()
        with Progress() as progress:

            def make(folder: Path) -> None:
                progress.step(f"building {name} from source, once")
                GoBuild(cache_home(), progress, stop).compile(module, folder, packages)

            fill(cache, make, progress, stop, (name,))
    return cache / name
