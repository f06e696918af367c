"""A small API server on loopback that does exactly what a test tells it, and virtual time."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from extender.core.model.errors import WireError
from extender.core.model.objects import Namespace
from extender.core.state.events import Event, Gone, Listed, Upsert
from extender.kube.seams import Timing
from extender.wire.watch import Page, WatchEvent

CUT = "cut"
"""Watch script: close the connection without ending the body."""
HANG = "hang"
"""Watch script: send nothing more until the test is over."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class VirtualTime:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def timing(self) -> Timing:
        """Time from here, chance always at its worst: the longest delay."""
        return Timing(clock=lambda: self.now, sleep=self.sleep, uniform=lambda _low, high: high)


@dataclass
class Fault:
    """An HTTP error in the shape of metav1.Status."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "told to"

    def response(self) -> web.Response:
        body = {"kind": "Status", "reason": self.reason, "message": self.message, "code": self.status}
        return web.json_response(body, status=self.status, headers=self.headers)


def thing(name: str, version: int = 1, *, bad: bool = False) -> dict[str, Any]:
    """An object; a bad one does not decode."""
    spec = {"bad": True} if bad else {}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}, "spec": spec}


def line(kind: str, item: Mapping[str, Any]) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return line("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


def error_line(code: int) -> bytes:
    return line("ERROR", {"kind": "Status", "code": code, "message": "told to"})


class FakeResource:
    """Lists `items` in pages at `version`, and plays one script for each watch; then watches hang.

    Who asks for a single object once there was a watch wants to know the version of the store: it is `shown`.
    """

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.version = 10
        self.shown: int | Fault = 10**6
        self.looks = 0
        self.looked_for: Mapping[str, str] = {}
        self.list_faults: deque[Fault | None] = deque()
        self.watch_scripts: deque[Fault | list[bytes | str]] = deque()
        self.lists: list[Mapping[str, str]] = []
        self.watches: list[Mapping[str, str]] = []
        self.hanging = asyncio.Event()
        self.over = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await self._watch(request)
        if self.watches and request.query["limit"] == "1":
            self.looked_for = dict(request.query)
            return self._look()
        self.lists.append(dict(request.query))
        fault = self.list_faults.popleft() if self.list_faults else None
        if fault is not None:
            return fault.response()
        start = int(request.query.get("continue", "0"))
        end = start + int(request.query["limit"])
        meta = {"resourceVersion": str(self.version)}
        if end < len(self.items):
            meta["continue"] = str(end)
        return web.json_response({"metadata": meta, "items": self.items[start:end]})

    def _look(self) -> web.Response:
        self.looks += 1
        if isinstance(self.shown, Fault):
            return self.shown.response()
        return web.json_response({"metadata": {"resourceVersion": str(self.shown)}, "items": self.items[:1]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.watches.append(dict(request.query))
        script = self.watch_scripts.popleft() if self.watch_scripts else [HANG]
        if isinstance(script, Fault):
            return script.response()
        response = web.StreamResponse()
        await response.prepare(request)
        for step in script:
            if isinstance(step, bytes):
                await response.write(step)
            elif step == CUT:
                assert request.transport is not None
                request.transport.close()
            else:
                self.hanging.set()
                await self.over.wait()
        return response


class FakeApi:
    """Handlers by path; `seen` holds every request as (method, path, query, headers, body)."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.seen: list[tuple[str, str, Mapping[str, str], Mapping[str, str], bytes]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.path, dict(request.query), request.headers, body))
        handler = self.handlers.get(request.path)
        return Fault(404, "NotFound").response() if handler is None else await handler(request)

    def resource(self, path: str) -> FakeResource:
        resource = FakeResource()
        self.handlers[path] = resource
        return resource


@asynccontextmanager
async def fake_api() -> AsyncIterator[FakeApi]:
    api = FakeApi()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api.url = f"http://{host}:{port}"
    try:
        yield api
    finally:
        for handler in api.handlers.values():
            if isinstance(handler, FakeResource):
                handler.over.set()
        await runner.cleanup()


def write_kubeconfig(path: Path, server: str, user: Mapping[str, Any] | None = None, **cluster: Any) -> str:
    """Write a kubeconfig with one context named `here`."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "me", "user": dict(user or {})}],
    }
    path.write_text(json.dumps(document))
    return str(path)


class ThingDecoder:
    """Decodes things to namespaces; one whose `spec.bad` is set raises, with all of its page."""

    def page(self, data: bytes) -> Page:
        decoded = json.loads(data)
        meta = decoded["metadata"]
        objects = [self._object(item) for item in decoded["items"]]
        return Page(list(objects), meta.get("resourceVersion", ""), meta.get("continue", ""))

    def change(self, line: bytes) -> WatchEvent:
        try:
            decoded = json.loads(line)
        except ValueError as error:
            raise WireError(f"watch line: {error}") from error
        item = decoded["object"]
        if decoded["type"] == "ERROR":
            return WatchEvent("ERROR", None, "", item["code"], item["message"])
        version = item["metadata"]["resourceVersion"]
        return WatchEvent(decoded["type"], None if decoded["type"] == "BOOKMARK" else self._object(item), version)

    def _object(self, item: Mapping[str, Any]) -> Namespace:
        if item["spec"].get("bad"):
            raise WireError("spec.bad: must not be")
        return Namespace(item["metadata"]["uid"], item["metadata"]["name"], {}, {})


class Store:
    """What a sink makes of the events: the names known per `uid`, and the events themselves."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.names: dict[str, str] = {}
        self.fail: list[Exception] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        if self.fail and not isinstance(event, Listed):
            raise self.fail.pop()
        self.events.append(event)
        if isinstance(event, Upsert):
            self.names[event.object.uid] = event.object.name
        elif isinstance(event, Gone):
            self.names.pop(event.uid, None)
        elif isinstance(event, Listed):
            self.names = {uid: name for uid, name in self.names.items() if uid in event.uids}
        self._changed.set()

    async def until(self, *names: str) -> None:
        """Wait until exactly these names are known after a complete list."""
        async with asyncio.timeout(10):
            while set(self.names.values()) != set(names):
                self._changed.clear()
                await self._changed.wait()
