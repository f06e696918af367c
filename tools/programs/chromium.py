"""A real Chromium: found, or installed from Debian's packages."""

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


class NoBrowserError(Exception):
    """There is no Chromium, and none can be installed; the text says what to do."""


def chromium() -> Path:
    """Where Chromium is; it is installed where that is possible.

    Raises:
        NoBrowserError: it is not there.
    """
    found = _find()
    if found is None:
        _install()
        found = _find()
    if found is None:
        raise NoBrowserError("chromium was installed, but is not on the PATH")
    return found


def _find() -> Path | None:
    named = os.environ.get("SPOTMIX_SANDBOX_CHROMIUM", "")
    path = named or next(filter(None, map(shutil.which, NAMES)), None)
    return Path(path) if path else None


def _install() -> None:
    how = "install Debian's package chromium, or name another in SPOTMIX_SANDBOX_CHROMIUM"
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise NoBrowserError(f"the tests of the console need Chromium, and it can be installed by root only; {how}")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "chromium"]):
        done = subprocess.run([apt, *command], env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoBrowserError(f"apt-get {command[0]} failed; {how}:\n{done.stderr[-1000:]}")
