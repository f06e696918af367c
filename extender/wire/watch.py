"""What a list page and a watch line of the Kubernetes API decode to, whatever the resource."""

from typing import Protocol

from msgspec import Struct

from extender.core.model.objects import Object


class Page(Struct, frozen=True):
    """A page of a list. `token` is empty on the last page."""

    objects: list[Object]
    resource_version: str
    token: str


class WatchEvent(Struct, frozen=True, gc=False):
    """A line of a watch: `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.

    `object` is None for BOOKMARK and ERROR; `code` and `message` are set for ERROR (410: the version is too old).
    """

    type: str
    object: Object | None
    resource_version: str
    code: int = 0
    message: str = ""


class Decoder(Protocol):
    """Decodes the list pages and watch lines of one resource. Raises `WireError` naming the field."""

    def page(self, data: bytes) -> Page:
        """Decode the body of a list."""
        ...

    def change(self, line: bytes) -> WatchEvent:
        """Decode one line of a watch."""
        ...
