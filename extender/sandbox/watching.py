"""One watch of objects for those who pretend to be a machine: what is there, then each change, for ever."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from extender.core.model.errors import ApiError
from extender.kube.client import ApiClient
from extender.sandbox.podstatus import SandboxMetadata

RETRY_FIRST = 0.1
RETRY_MOST = 2.0

_CHANGES = ("ADDED", "MODIFIED", "DELETED")


class Watched(Protocol):
    """An object, as far as it is decoded."""

    @property
    def metadata(self) -> SandboxMetadata: ...


Item = TypeVar("Item", bound=Watched)


class _Event(Struct):
    type: str
    object: msgspec.Raw


class _Other(Struct):
    """What a bookmark or an error carries: hardly anything of an object."""

    metadata: SandboxMetadata = SandboxMetadata()
    code: int = 0


class _List(Struct):
    metadata: SandboxMetadata = SandboxMetadata()
    items: list[msgspec.Raw] | None = None


_event_decoder = msgspec.json.Decoder(_Event)
_list_decoder = msgspec.json.Decoder(_List)
_other_decoder = msgspec.json.Decoder(_Other)


class ObjectWatch(Generic[Item]):
    """Shows all objects of a resource and each change of them.

    Args:
        api: a client with the right to watch them.
        path: of the resource's list.
        decoder: of one object.
        see: takes an object as it is now.
        forget: takes the UID of one that is gone.
        selector: which ones, by fields.
    """

    def __init__(  # noqa: PLR0917 - each of a type of its own
        self,
        api: ApiClient,
        path: str,
        decoder: msgspec.json.Decoder[Item],
        see: Callable[[Item], None],
        forget: Callable[[str], None],
        selector: str = "",
    ) -> None:
        self._api, self._path, self._decoder = api, path, decoder
        self._see, self._forget = see, forget
        self._selector = {"fieldSelector": selector} if selector else {}
        self._known: set[str] = set()
        self._version = ""

    async def run(self) -> None:
        """Watch until cancelled."""
        delay = RETRY_FIRST
        while True:
            try:
                await self._watch_once()
                delay = RETRY_FIRST
            except ApiError as error:
                if error.status == 410:
                    self._version = ""
                    continue
                # A restart of the API server; a version it no longer knows comes back as 410 above.
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MOST)

    async def _watch_once(self) -> None:
        """Watch from where the last watch stood until the server ends it; list first where there was none."""
        if not self._version:
            await self._list()
        params = {**self._selector, "allowWatchBookmarks": "true", "resourceVersion": self._version}
        async with contextlib.aclosing(self._api.watch(self._path, params)) as lines:
            async for line in lines:
                event = _event_decoder.decode(line)
                if event.type in _CHANGES:
                    item = self._decoder.decode(event.object)
                    self._version = item.metadata.resource_version
                    if event.type == "DELETED":
                        self._gone(item.metadata.uid)
                    else:
                        self._is_there(item)
                else:
                    other = _other_decoder.decode(event.object)
                    if event.type == "ERROR":
                        raise ApiError(f"WATCH {self._path}: ended by the server", status=other.code)
                    self._version = other.metadata.resource_version

    async def _list(self) -> None:
        """See all that is there. What went while nobody listened is gone."""
        found = _list_decoder.decode(await self._api.request("GET", self._path, params=self._selector))
        unseen = set(self._known)
        for each in found.items or ():
            item = self._decoder.decode(each)
            unseen.discard(item.metadata.uid)
            self._is_there(item)
        for uid in unseen:
            self._gone(uid)
        self._version = found.metadata.resource_version

    def _is_there(self, item: Item) -> None:
        self._known.add(item.metadata.uid)
        self._see(item)

    def _gone(self, uid: str) -> None:
        self._known.discard(uid)
        self._forget(uid)
