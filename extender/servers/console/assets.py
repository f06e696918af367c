"""The files that pages ask for, read once. An address names what is in the file, so that browsers may keep it."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from msgspec import Struct

_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}


class File(Struct, frozen=True):
    """A file: what is in it, its content type, and a digest."""

    body: bytes
    content_type: bytes
    digest: str


@cache
def files() -> Mapping[str, File]:
    """By name."""
    found = {}
    for entry in resources.files("extender.servers.console").joinpath("static").iterdir():
        content_type = _TYPES.get("." + entry.name.rpartition(".")[2])
        if content_type is not None:
            body = entry.read_bytes()
            found[entry.name] = File(body, content_type, hashlib.sha256(body).hexdigest()[:12])
    return found


def address(name: str) -> str:
    """Where a browser finds a file."""
    return f"/console/static/{files()[name].digest}/{name}"
