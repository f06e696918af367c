"""Where spans come from: what is served and what is asked, wrapped when traces are on and as it was when they are not.

A pod's decision, a review and a move add what they are about to the current span.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from extender.core.drift.moves import Move
from extender.core.model.errors import ApiError
from extender.core.placement.decide import Decision, PodView
from extender.core.policy.workload import Workload
from extender.servers.asgi import Message, Receive, Scope, Send
from extender.telemetry import vocabulary as words
from extender.telemetry.traces import Attributes, Tracer

# How OpenTelemetry's semantic conventions call them.
METHOD = "http.request.method"
ROUTE = "http.route"
STATUS = "http.response.status_code"
TEMPLATE = "url.template"
URL = "url.full"
ERROR_TYPE = "error.type"

FLUSH_SECONDS = 3.0
"""How long the end waits for spans to be sent."""


class App(Protocol):
    """An ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        ...


class TracedApp:
    """An application each of whose requests is a span.

    Args:
        app: answers.
        tracer: makes spans.
        names: of the spans, by path; requests for other paths have none.
    """

    def __init__(self, app: App, tracer: Tracer, names: Mapping[str, str]) -> None:
        self._app = app
        self._tracer = tracer
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        name = self._names.get(scope.get("path", ""))
        if name is None:
            await self._app(scope, receive, send)
            return
        about: Attributes = {METHOD: scope["method"], ROUTE: scope["path"]}
        with self._tracer.serving(name, scope["headers"], about) as span:
            if not span.recorded:
                await self._app(scope, receive, send)
                return

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.note({STATUS: message["status"]})
                    if message["status"] >= 500:
                        span.fail("")
                await send(message)

            await self._app(scope, receive, answer)


def traced_app(app: App, tracer: Tracer, names: Mapping[str, str]) -> App:
    """An application that is traced if there are traces."""
    return TracedApp(app, tracer, names) if tracer.on else app


class HeadedApi(Protocol):
    """An API client that can be given headers; `ApiClient` is one."""

    async def base_url(self) -> str:
        """Give the API server's URL without a trailing slash."""
        ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Make one request; raises `ApiError`."""
        ...


class TracedApi:
    """An `Api` each of whose requests is a span, which the API server is told.

    Args:
        client: makes the requests.
        tracer: makes spans.
    """

    def __init__(self, client: HeadedApi, tracer: Tracer) -> None:
        self._client = client
        self._tracer = tracer

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Make one request; raises `ApiError`."""
        template, about = template_of(path)
        told: Attributes = {METHOD: method, TEMPLATE: template, **about}
        with self._tracer.span(f"{method} {template}", told, kind="client") as span:
            span.note({URL: f"{await self._client.base_url()}{path}"})
            try:
                return await self._client.request(
                    method,
                    path,
                    params=params,
                    body=body,
                    content_type=content_type,
                    headers=self._tracer.outgoing(),
                )
            except ApiError as error:
                span.note({STATUS: error.status or None, ERROR_TYPE: str(error.status or error.reason)})
                raise


_OF_PODS = {"pods": words.POD, "nodes": words.NODE}


def template_of(path: str) -> tuple[str, Attributes]:
    """A path of the API with placeholders for what is named in it, and the names.

    `/api/v1/namespaces/shop/pods/web-0/eviction` is `/api/v1/namespaces/{namespace}/pods/{name}/eviction`.
    """
    parts = path.split("/")
    start = 3 if parts[1:2] == ["api"] else 4
    about: dict[str, str] = {}
    if parts[start : start + 1] == ["namespaces"] and len(parts) > start + 2:
        about[words.NAMESPACE] = parts[start + 1]
        parts[start + 1] = "{namespace}"
        start += 2
    if len(parts) > start + 1:
        resource = parts[start]
        if resource in _OF_PODS:
            about[_OF_PODS[resource]] = parts[start + 1]
        parts[start + 1] = "{name}"
    return "/".join(parts), about


def of_pod(pod: PodView, workload: Workload | None) -> dict[str, str]:
    """A pod that is decided on."""
    return {
        words.NAMESPACE: pod.namespace,
        words.POD: pod.name,
        words.POD_UID: pod.uid,
        words.WORKLOAD: words.named(workload.kind, workload.name) if workload is not None else "",
    }


def of_decision(pod: PodView, decision: Decision, number: int | None) -> Attributes:
    """A decision of filter; `number` is its number in the decision log, None of a pod that is not managed."""
    return {
        **of_pod(pod, decision.workload),
        words.REASON: str(decision.reason),
        words.WANTED: decision.wanted,
        words.CLASS: decision.capacity_class,
        words.DECISION: number,
        words.OFFERED: decision.offered if number is not None else None,
        words.PASSED: len(decision.nodes) if decision.nodes is not None else None,
    }


def of_move(move: Move) -> Attributes:
    """A move of the drift loop."""
    return {
        words.WORKLOAD: words.named(move.workload.kind, move.workload.name),
        words.NAMESPACE: move.pod.namespace,
        words.POD: move.pod.name,
        words.POD_UID: move.pod.uid,
        words.NODE: move.node,
        words.CLASS: move.destination,
        words.REASON: str(move.reason),
    }
