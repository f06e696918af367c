"""The console's ASGI application: GET alone, a strict Content-Security-Policy, and half of the time at most."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import quote

from extender.servers.asgi import TEXT, Receive, Scope, Send, respond
from extender.servers.console import rendering
from extender.servers.console.assets import files
from extender.servers.console.live import Live
from extender.servers.console.pages import Context, PageNotFoundError, Pages
from extender.servers.console.ports import Sources
from extender.servers.console.query import Query

App = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX = "/console"
HTML = b"text/html; charset=utf-8"
MOST_WAITING = 64
"""Requests that wait for their page at a time."""

SECURITY: Mapping[bytes, bytes] = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
_PAGE = {**SECURITY, b"cache-control": b"no-store"}
_FILE = {**SECURITY, b"cache-control": b"public, max-age=31536000, immutable"}
_GET = {b"allow": b"GET, HEAD"}
_LATER = {b"retry-after": b"5"}


class ConsoleApp:
    """Serves `/console` and what is below it.

    Args:
        sources: what there is to show.
        otherwise: serves all other paths.
    """

    def __init__(self, sources: Sources, otherwise: App) -> None:
        self._otherwise = otherwise
        self._sources = sources
        self._pages = Pages(sources)
        self._live = Live(sources.decisions)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._free_at = 0.0

    def stop(self) -> None:
        """End the streams, which would never end by themselves."""
        self._live.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and (scope["path"] == PREFIX or scope["path"].startswith(f"{PREFIX}/")):
            await self._serve(scope, receive, send)
        else:
            await self._otherwise(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, b"only GET is served here\n", TEXT, {**_PAGE, **_GET})
            return
        # Names in a path may hold an escaped slash: it is taken apart as the browser sent it.
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        path = raw.decode("latin-1").partition("?")[0].removeprefix(PREFIX).strip("/")
        first, *rest = path.split("/")
        query = Query.parse(f"{PREFIX}/{path}".rstrip("/"), scope["query_string"])
        if first == "static" and len(rest) == 2:
            await self._file(rest[0], rest[1], send)
        elif path == "live/stream":
            await self._stream(scope, query, receive, send)
        elif self._waiting >= MOST_WAITING:
            await respond(send, 503, b"too many requests at once; try again\n", TEXT, {**_PAGE, **_LATER})
        else:
            status, body = await self._page(first, rest, query)
            await respond(send, status, body, HTML, _PAGE)

    @staticmethod
    async def _file(digest: str, name: str, send: Send) -> None:
        file = files().get(name)
        if file is None or file.digest != digest:
            await respond(send, 404, b"no such file\n", TEXT, _PAGE)
        else:
            await respond(send, 200, file.body, file.content_type, _FILE)

    async def _stream(self, scope: Scope, query: Query, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await respond(send, 405, b"only GET is served here\n", TEXT, {**_PAGE, b"allow": b"GET"})
            return
        if self._live.full:
            await respond(send, 503, b"as many live views are open as may be; close one\n", TEXT, {**_PAGE, **_LATER})
            return
        await rendering.prepared()
        last = next((value for name, value in scope["headers"] if name == b"last-event-id"), b"").decode("latin-1")
        text = last or query.text("after")
        after = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no"), *_PAGE.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._live.stream(query.words(), after, receive, send)

    async def _page(self, first: str, rest: list[str], query: Query) -> tuple[int, bytes]:
        await rendering.prepared()
        async with self._slot():
            status = 200
            try:
                template, context = await self._context(first, rest, query)
                # Filling it in takes as long again.
                await asyncio.sleep(0)
                body = self._render(template, query, context)
            except PageNotFoundError as error:
                status, body = 404, self._render("missing.html", query, {"title": "Not found", "text": str(error)})
            except Exception as error:  # noqa: BLE001 - no cluster may end the console; the fault is told
                fault = f"{type(error).__name__}: {error}"
                self._sources.report("console", f"{query.path} met a fault: {fault}")
                text = f"This page met a fault, and nothing else did: {fault}"
                status, body = 500, self._render("missing.html", query, {"title": "A fault", "text": text})
            return status, body

    def _render(self, template: str, query: Query, context: Context) -> bytes:
        section = template.removesuffix(".html")
        return rendering.render(template, {**self._pages.common(section, query), **context})

    async def _context(self, first: str, rest: list[str], query: Query) -> tuple[str, Context]:
        pages = self._pages
        match first, len(rest):
            case "", 0:
                return "overview.html", await pages.overview(query)
            case "workloads", 3:
                return "workload.html", pages.workload(query, rest)
            case "nodes", 0:
                return "nodes.html", pages.nodes(query)
            case "live", 0:
                return "live.html", pages.live(query)
            case "plan", 0:
                return "plan.html", await pages.plan(query)
        raise PageNotFoundError("There is no such page.")

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """One page at a time, and after each a pause as long as it took: the extender comes first."""
        clock = asyncio.get_running_loop().time
        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(max(0.0, self._free_at - clock()))
                started = clock()
                try:
                    yield
                finally:
                    ended = clock()
                    self._free_at = ended + (ended - started)
        finally:
            self._waiting -= 1
