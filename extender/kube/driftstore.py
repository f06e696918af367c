"""Where the drift loop's memory outlives the process: one ConfigMap, a key for each workload's UID.

It is fenced: whoever takes it over writes its name on it, and every write names the version that it was made for. So
what a former leader still sends is refused, and so is the move that it would have made: histories are written before
evictions are sent.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from extender.core.model.errors import ApiError, WireError
from extender.kube.client import MERGE_PATCH
from extender.kube.incluster import own_namespace
from extender.kube.patches import FIELD_MANAGER
from extender.kube.paths import api_path
from extender.kube.seams import KubeApi
from extender.settings.sections.drift import DriftSettings

TERM_ANNOTATION = "spotmix.io/drift-term"
TAKEN_OVER = "TakenOver"
"""Reason of the `ApiError` when another has taken the store over."""
DEFAULT_NAMESPACE = "default"
# A ConfigMap may hold 1 MiB (pkg/apis/core/validation, MaxSecretSize); what is around the data needs little.
MAX_BYTES = 1_000_000
# Somebody else may write while we do, such as a person; each time their version is read first.
ATTEMPTS = 5


class _Metadata(Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _ConfigMap(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    data: dict[str, str] | None = None


_decoder = msgspec.json.Decoder(_ConfigMap)


def store_namespace(settings: DriftSettings) -> str:
    """Where the ConfigMap is."""
    return next(filter(None, (settings.namespace, *own_namespace(), DEFAULT_NAMESPACE)))


class StoreFullError(ApiError):
    """The entries would not fit into a ConfigMap."""


class DriftStore:
    """The ConfigMap that holds the drift loop's memory. Take it over before anything is written.

    Args:
        api: the API client.
        namespace: of the ConfigMap.
        name: of the ConfigMap; it is made when it is not there.

    Attributes:
        sizes: bytes of each entry, by its key, as they were stored last.
    """

    def __init__(self, api: KubeApi, namespace: str, name: str) -> None:
        self._api = api
        self._collection = api_path("", "v1", "configmaps", namespace=namespace)
        self._path = api_path("", "v1", "configmaps", namespace=namespace, name=name)
        self._namespace = namespace
        self._name = name
        self._term = ""
        self._version = ""
        self._lock = asyncio.Lock()
        self.sizes: dict[str, int] = {}

    def __str__(self) -> str:
        """For people."""
        return f"ConfigMap {self._namespace}/{self._name}"

    async def take_over(self, term: str) -> dict[str, str]:
        """Shut former writers out; the entries as they are then.

        Args:
            term: a text that no other writer has used.

        Raises:
            ApiError: the server refused, or was not reached.
            WireError: what it sent is no ConfigMap.
        """
        async with self._lock:
            self._term = term
            try:
                await self._read()
            except ApiError as error:
                if error.status != 404:
                    raise
                stored = await self._make({})
            else:
                stored = await self._patch({"metadata": {"annotations": {TERM_ANNOTATION: term}}})
            self.sizes = {key: len(key) + len(text.encode()) for key, text in stored.items()}
            return stored

    async def read(self) -> dict[str, str]:
        """The entries as they are now, for those who only look.

        Raises:
            ApiError: the server refused, or was not reached.
            WireError: what it sent is no ConfigMap.
        """
        return (await self._get()).data or {}

    async def review(self) -> tuple[dict[str, str], set[str]]:
        """The entries as they are now, and the keys of those that somebody else has removed.

        Raises:
            ApiError: the server refused, or was not reached.
            WireError: what it sent is no ConfigMap.
        """
        async with self._lock:
            entries = await self.read()
            removed = self.sizes.keys() - entries.keys()
            for key in removed:
                del self.sizes[key]
            return entries, removed

    async def write(self, entries: Mapping[str, str | None]) -> None:
        """Store entries; None removes one. Others stay as they are.

        Raises:
            StoreFullError: there is no room for them.
            ApiError: the server refused, was not reached, or another has taken the store over.
            WireError: what it sent is no ConfigMap.
        """
        async with self._lock:
            sizes = self.sized(entries)
            total = sum(sizes.values())
            if total > MAX_BYTES:
                raise StoreFullError(f"{self}: {total} bytes are more than fit into one ({MAX_BYTES})", reason="Full")
            await self._write(entries)
            self.sizes = sizes

    def sized(self, entries: Mapping[str, str | None]) -> dict[str, int]:
        """What `sizes` would be with these entries."""
        sizes = dict(self.sizes)
        for key, text in entries.items():
            if text is None:
                sizes.pop(key, None)
            else:
                sizes[key] = len(key) + len(text.encode())
        return sizes

    async def _write(self, entries: Mapping[str, str | None]) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._patch({"data": dict(entries)})
            except ApiError as error:
                if error.status == 404:
                    raise ApiError(f"{self} was deleted", status=404, reason="NotFound") from error
                if error.status != 409 or attempt == ATTEMPTS:
                    raise
                await self._catch_up()
            else:
                return

    async def _catch_up(self) -> None:
        """Take in a version that another wrote, if the store is ours still."""
        found = await self._read()
        term = (found.metadata.annotations or {}).get(TERM_ANNOTATION, "")
        if term != self._term:
            raise ApiError(f"{self} was taken over by {term!r}", status=409, reason=TAKEN_OVER)

    async def _get(self) -> _ConfigMap:
        body = await self._api.request("GET", self._path)
        return self._decode(body)

    async def _read(self) -> _ConfigMap:
        found = await self._get()
        self._version = found.metadata.resource_version
        return found

    async def _make(self, entries: Mapping[str, str]) -> dict[str, str]:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                "annotations": {TERM_ANNOTATION: self._term},
            },
            "data": dict(entries),
        }
        answer = await self._api.request("POST", self._collection, params={"fieldManager": FIELD_MANAGER}, body=body)
        return self._observe(answer)

    async def _patch(self, patch: dict[str, Any]) -> dict[str, str]:
        patch.setdefault("metadata", {})["resourceVersion"] = self._version
        answer = await self._api.request(
            "PATCH",
            self._path,
            params={"fieldManager": FIELD_MANAGER},
            body=patch,
            content_type=MERGE_PATCH,
        )
        return self._observe(answer)

    def _observe(self, body: bytes) -> dict[str, str]:
        stored = self._decode(body)
        self._version = stored.metadata.resource_version
        return stored.data or {}

    def _decode(self, body: bytes) -> _ConfigMap:
        try:
            return _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WireError(f"{self} does not decode: {error}") from error
