"""An API server for single objects, in memory: versions, conflicts, watches by name, and faults on demand."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from extender.core.model.errors import ApiError

STRATEGIC = "application/strategic-merge-patch+json"


def refusal(status: int, reason: str = "told to") -> ApiError:
    return ApiError(f"{status} {reason}", status=status, reason=reason)


def merged(old: Any, patch: Any, *, by_name: bool = False) -> Any:
    """A JSON merge patch; `by_name` merges lists of named objects too, as a strategic one does."""
    if by_name and isinstance(patch, list) and isinstance(old, list):
        given = {item["name"]: item for item in patch}
        return [merged(item, given.get(item["name"], {}), by_name=True) for item in old]
    if not isinstance(patch, Mapping):
        return patch
    base = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            base.pop(key, None)
        else:
            base[key] = merged(base.get(key), value, by_name=by_name)
    return base


class StoredObjects:
    """The objects by path; `Client`s share them. `numbers` are for names that are not taken."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.stored: dict[str, dict[str, Any]] = {}
        self.version = 100
        self._changed: list[asyncio.Event] = []

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {**body.get("metadata", {}), "resourceVersion": str(self.version)}
        self.stored[path] = {**body, "metadata": metadata}
        self._tell()
        return self.stored[path]

    def delete(self, path: str) -> None:
        self.version += 1
        del self.stored[path]
        self._tell()

    def _tell(self) -> None:
        waiting, self._changed = self._changed, []
        for event in waiting:
            event.set()

    async def change(self) -> None:
        event = asyncio.Event()
        self._changed.append(event)
        await event.wait()


class KubeClient:
    """One client of `Objects`: a double of the API client.

    Attributes:
        down: whether the server cannot be reached.
        silent: whether it takes requests and never answers.
        before: called before each request with method and path; may raise what the server shall answer.
        seen: method and path of each request.
        watches: whether watches work.
    """

    def __init__(self, objects: StoredObjects) -> None:
        self.objects = objects
        self.down = self.silent = False
        self.before: Callable[[str, str], None] = lambda _method, _path: None
        self.seen: list[tuple[str, str]] = []
        self.watches = True

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,  # noqa: ARG002 - the port's signature
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        await asyncio.sleep(0.001)
        if self.silent:
            await asyncio.Event().wait()
        if self.down:
            raise refusal(0, "no answer")
        self.seen.append((method, path))
        self.before(method, path)
        given = body if isinstance(body, Mapping) else {}
        return json.dumps(self._serve(method, path, given, content_type)).encode()

    def _serve(self, method: str, path: str, body: Mapping[str, Any], content_type: str) -> Mapping[str, Any]:
        stored = self.objects.stored
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in stored:
                raise refusal(409, "AlreadyExists")
            return self.objects.put(path, json.loads(json.dumps(body)))
        if path not in stored:
            raise refusal(404, "NotFound")
        if method == "PATCH":
            given = body.get("metadata", {}).get("resourceVersion")
            if given is not None and given != stored[path]["metadata"]["resourceVersion"]:
                raise refusal(409, "Conflict")
            new = merged(stored[path], json.loads(json.dumps(body)), by_name=content_type == STRATEGIC)
            return stored[path] if new == stored[path] else self.objects.put(path, new)
        return stored[path]

    async def watch(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        idle_timeout: float,  # noqa: ARG002 - the port's signature
        on_open: Callable[[], None] | None = None,  # noqa: ARG002 - likewise
    ) -> AsyncGenerator[bytes, None]:
        if self.down or not self.watches:
            raise refusal(0, "no answer")
        name = f"{path}/{params['fieldSelector'].removeprefix('metadata.name=')}"
        known = params.get("resourceVersion", "")
        while True:
            found = self.objects.stored.get(name)
            version = found["metadata"]["resourceVersion"] if found else ""
            if version != known:
                yield json.dumps({"type": "MODIFIED" if found else "DELETED", "object": found}).encode()
                known = version
            await self.objects.change()
