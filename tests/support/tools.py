"""Programs that only the tests need, built once from Go modules in tests/tools into the control plane's cache.

Each is in a folder named after its module and what the module's files hold, so that a changed pin is a new build.
"""

import hashlib
import threading
from pathlib import Path

from extender.sandbox.assets import cache_home, fill, host_platform, missing_binaries
from extender.sandbox.gobuild import GoBuild
from extender.sandbox.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "tests" / "tools"


def helm() -> Path:
    """The helm of tests/tools/helm/go.mod."""
    return _built("helm", "tool")


def kindconfig() -> Path:
    """The program of tests/tools/kindconfig, which reads a kind configuration as kind does."""
    return _built("kindconfig", ".")


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


if __name__ == "__main__":
    for path in (helm(), kindconfig()):
        print(path)
