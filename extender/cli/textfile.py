"""Reading a text file or standard input, and replacing a file in one step."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from extender.core.model.errors import ConfigError

STDIN = "-"


def read_text(file: str) -> str:
    """The text of a file, or of standard input for `-`, with its line ends as they are.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 at byte {error.start + 1}; save it as UTF-8") from error


def replace_text(file: str, text: str) -> None:
    """Replace a file's content: readers see all of the old or all of the new, with its mode, owner and attributes.

    A symbolic link stays, what it points at is replaced. The file that is written first begins with a dot: the kubelet
    passes over such files in its folder of static pods.

    Raises:
        ConfigError: it cannot be replaced; it is as it was.
    """
    path = Path(file).resolve()
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as new:
            new.write(text.encode())
            new.flush()
            before = path.stat()
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            shutil.copystat(path, temporary)
            os.utime(temporary)
            os.fsync(descriptor)
        Path(temporary).replace(path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        fix = "write the result elsewhere without --in-place; a file that is mounted by itself cannot be replaced"
        raise ConfigError(f"{file}: cannot be replaced: {error.strerror}; {fix}") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
