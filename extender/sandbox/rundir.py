"""Run directories: one for each control plane, removed with it, and swept after an owner that was killed.

A run directory `run-XXXX` has a file `run-XXXX.lock` beside it, which its owner holds locked. The kernel
lets the lock go when the owner dies, so a lock that can be taken marks a directory that nobody needs.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from extender.core.model.errors import SandboxError


def default_base() -> Path:
    """Return this user's folder for run directories, below the system's folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"spotmix-sandbox-{os.getuid()}"


class RunDirectory:
    """A private directory (mode 0700) that lives as long as its owner.

    Attributes:
        path: the directory.
    """

    def __init__(self, base: Path | None = None, *, keep: bool = False) -> None:
        """Create the directory, and remove those of owners that died.

        Args:
            base: folder to create it in; this user's when None.
            keep: leave it in place at the end, for a look at logs and data.

        Raises:
            SandboxError: the folder belongs to somebody else, or cannot be written.
        """
        self._base = base or default_base()
        self._keep = keep
        try:
            self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
            # In a folder that all may write, another user could have made it first, to read our keys.
            if self._base.stat().st_uid != os.getuid():
                raise SandboxError(f"{self._base} belongs to another user; set TMPDIR to a folder of your own")
            sweep(self._base)
            self.path, self._lock = self._create()
        except OSError as error:
            raise SandboxError(f"no run directory can be made in {self._base}: {error}") from error

    def close(self) -> None:
        """Remove the directory, unless it is to be kept, and let the lock go."""
        if self._lock < 0:
            return
        if not self._keep:
            shutil.rmtree(self.path, ignore_errors=True)
        _lock_path(self.path).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _create(self) -> tuple[Path, int]:
        while True:
            path = self._base / f"run-{secrets.token_hex(4)}"
            lock = _take(_lock_path(path))
            if lock is not None:
                path.mkdir(mode=0o700)
                return path, lock


def sweep(base: Path) -> list[Path]:
    """Remove the run directories below `base` whose owner is dead; return them."""
    swept = []
    for lock_path in base.glob("run-*.lock"):
        lock = _take(lock_path)
        if lock is None:
            continue
        path = lock_path.with_suffix("")
        shutil.rmtree(path, ignore_errors=True)
        lock_path.unlink(missing_ok=True)
        os.close(lock)
        swept.append(path)
    return swept


def _lock_path(path: Path) -> Path:
    return path.with_suffix(".lock")


def _take(path: Path) -> int | None:
    """Lock the file, made if need be; None when somebody holds it or has just removed it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between our open and our lock a sweep may have unlinked the file: then we hold a lock on nothing.
        if os.fstat(lock).st_ino == path.stat().st_ino:
            return lock
    os.close(lock)
    return None
