"""The console's ASGI application: GET alone, a strict Content-Security-Policy, and half of the time at most."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from extender.core.model.access import watch_decisions
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated, WorkloadFaultError
from extender.servers.answers.allowance import AllowanceSpentError, host_of
from extender.servers.answers.shared import SharedAnswers
from extender.servers.answers.sources import TOLD, Authorizer
from extender.servers.asgi import TEXT, Receive, Scope, Send, respond
from extender.servers.console import rendering
from extender.servers.console.access import ANYBODY, NAMESPACE, PageAccess, Visitor, header, right_of
from extender.servers.console.assets import files
from extender.servers.console.live import Live, wanted_of
from extender.servers.console.pages import Context, PageNotFoundError, Pages
from extender.servers.console.query import Query
from extender.servers.console.signin import SIGN_IN, SIGN_OUT, Answer, SignIn, forbidden, visitor_context

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
        shared: the overview and the plan, and what there is to show.
        otherwise: serves all other paths.
        authorizer: knows who may look at what; None lets everybody look.
    """

    def __init__(self, shared: SharedAnswers, otherwise: App, authorizer: Authorizer | None = None) -> None:
        sources = shared.sources
        self._otherwise = otherwise
        self._sources = sources
        self._pages = Pages(shared)
        self._live = Live(sources.decisions)
        self._gate = PageAccess(authorizer)
        self._sign_in = SignIn(self._gate, sources.report)
        self._pace = shared.pace

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
        # Names in a path may hold an escaped slash: it is taken apart as the browser sent it.
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        path = raw.decode("latin-1").partition("?")[0].removeprefix(PREFIX).strip("/").split("/")
        query = Query.parse(f"{PREFIX}/{'/'.join(path)}".rstrip("/"), scope["query_string"])
        form = not self._gate.open and path in ([SIGN_IN], [SIGN_OUT])
        if scope["method"] not in ("GET", "HEAD") and not (form and scope["method"] == "POST"):
            await respond(send, 405, b"only GET is served here\n", TEXT, {**_PAGE, **_GET})
        elif path[0] == "static" and len(path) == 3:
            await self._file(path[1], path[2], send)
        elif self._pace.waiting >= MOST_WAITING:
            await respond(send, 503, b"too many requests at once; try again\n", TEXT, {**_PAGE, **_LATER})
        elif form:
            await rendering.prepared()
            await self._answer(await self._form(path[0], scope, receive), query, ANYBODY, send)
        else:
            await self._admitted(path, query, scope, receive, send)

    async def _form(self, name: str, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            return self._sign_in.asked(PREFIX)
        enter = name == SIGN_IN
        return await (self._sign_in.enter if enter else self._sign_in.leave)(scope, receive)

    async def _admitted(self, path: list[str], query: Query, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer whoever may see the page, and tell others why they may not."""
        await rendering.prepared()
        visitor = ANYBODY
        try:
            visitor = await self._gate.who(scope)
            for right in (right_of(path, query), self._pages.right_above(path)):
                if right is not None:
                    await self._gate.check(scope, right)
        except (Unauthenticated, ApiError) as error:
            answer = self._sign_in.refused(error, query.address())
        except Forbidden as error:
            answer = forbidden(error, path[0], query)
        else:
            if path == ["live", "stream"]:
                await self._stream(scope, query, visitor, receive, send)
            else:
                await self._page(path, query, visitor, send)
            return
        if header(scope, b"hx-request"):
            # A part of a page cannot show it: the page as a whole does.
            answer[3][b"hx-refresh"] = b"true"
        await self._answer(answer, query, visitor, send)

    async def _answer(self, answer: Answer, query: Query, visitor: Visitor, send: Send) -> None:
        status, template, context, headers = answer
        body = self._render(template, query, {**visitor_context(visitor, query), **context})
        await respond(send, status, body, HTML, {**_PAGE, **headers})

    @staticmethod
    async def _file(digest: str, name: str, send: Send) -> None:
        file = files().get(name)
        if file is None or file.digest != digest:
            await respond(send, 404, b"no such file\n", TEXT, _PAGE)
        else:
            await respond(send, 200, file.body, file.content_type, _FILE)

    async def _stream(self, scope: Scope, query: Query, visitor: Visitor, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await respond(send, 405, b"only GET is served here\n", TEXT, {**_PAGE, b"allow": b"GET"})
            return
        reader = visitor.name or host_of((scope.get("client") or ("",))[0])
        try:
            with self._live.allowance.taken(reader):
                await self._streamed(scope, query, receive, send)
        except AllowanceSpentError as error:
            await respond(send, 503, f"{error}\n".encode(), TEXT, {**_PAGE, **_LATER})

    async def _streamed(self, scope: Scope, query: Query, receive: Receive, send: Send) -> None:
        last = header(scope, b"last-event-id")
        text = last or query.text("after")
        after = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no"), *_PAGE.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def still() -> None:
            await self._gate.check(scope, watch_decisions(query.text(NAMESPACE)))

        await self._live.stream(wanted_of(query), after, receive, send, still)

    async def _page(self, path: list[str], query: Query, visitor: Visitor, send: Send) -> None:
        """A page that may be seen."""
        async with self._pace.turn():
            status, said = 200, visitor_context(visitor, query)
            try:
                template, context = await self._context(path, query)
                # Filling it in takes as long again.
                await asyncio.sleep(0)
                body = self._render(template, query, {**said, **context})
            except PageNotFoundError as error:
                missing = {"title": "Not found", "text": str(error)}
                status, body = 404, self._render("missing.html", query, {**said, **missing})
            except WorkloadFaultError as error:
                fault = {"title": "It cannot be shown", "text": f"{error}. {TOLD[0].upper()}{TOLD[1:]}."}
                status, body = 500, self._render("missing.html", query, {**said, **fault})
            except Exception as error:  # noqa: BLE001 - no cluster may end the console; the fault is told
                met = f"{type(error).__name__}: {error}"
                self._sources.report("console", f"{query.path} met a fault: {met}")
                text = f"This page met a fault, and nothing else did: {met}"
                status, body = 500, self._render("missing.html", query, {**said, "title": "A fault", "text": text})
        await respond(send, status, body, HTML, _PAGE)

    def _render(self, template: str, query: Query, context: Context) -> bytes:
        section = template.removesuffix(".html")
        return rendering.render(template, {**self._pages.common(section, query), **context})

    async def _context(self, path: list[str], query: Query) -> tuple[str, Context]:
        pages = self._pages
        match path:
            case [""]:
                return "overview.html", await pages.overview(query)
            case ["workloads", _, _, _]:
                return "workload.html", pages.workload(query, path[1:])
            case ["pods", _, _]:
                return "pod.html", await pages.pod(query, path[1:])
            case ["nodes"]:
                return "nodes.html", pages.nodes(query)
            case ["live"]:
                return "live.html", pages.live(query)
            case ["plan"]:
                return "plan.html", await pages.plan(query)
        raise PageNotFoundError("There is no such page.")
