"""Credentials that a kubeconfig has inline stay on disk no longer than it takes to read them.

The official package writes inline certificates and keys to temporary files, which is how OpenSSL wants them, and
deletes these only when the process ends in order: one that is killed leaves a private key behind.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

_READING = Lock()


@contextmanager
def reading() -> Iterator[None]:
    """While the official package reads kubeconfig files, and what it writes is used: one at a time, as it knows its
    temporary files by their content, for all. They are deleted at the end.
    """
    with _READING:
        try:
            yield
        finally:
            written = _written()
            for file in written.values():
                Path(file).unlink(missing_ok=True)
            written.clear()


def written_out() -> frozenset[str]:
    """The temporary files that there are."""
    return frozenset(_written().values())


def _written() -> dict[str, str]:
    """The package's own list of its temporary files, by content; it is imported when it is first needed."""
    return getattr(sys.modules.get("kubernetes.config.kube_config"), "_temp_files", {})
