"""What requests tell of themselves in traces."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from support.doubles import make_view
from support.doubles_kube import refusal
from support.doubles_servers import Bench, HttpClient, connected, running
from support.tracing import Kept

from extender.core.model.errors import ApiError
from extender.runtime.tracing import TracedApi, of_decision, template_of, traced_app
from extender.telemetry.traces import NO_TRACES

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
VERBS = {"/scheduler/filter": "filter"}


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
async def client(kept: Kept) -> AsyncIterator[HttpClient]:
    async with running(traced_app(Bench().app, kept.tracer, VERBS)) as server, connected(server) as client:
        yield client


def told(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


async def test_each_request_is_a_span_of_its_callers_trace(kept: Kept, client: HttpClient) -> None:
    await client.send("POST", "/scheduler/filter", b"{", f"traceparent: {PARENT}")
    await client.send("POST", "/scheduler/filter", b"{")
    await client.send("GET", "/scheduler/filter")
    first, second, third = kept.named("filter")
    assert first.parent is not None
    assert first.parent.is_remote
    assert f"00-{first.parent.trace_id:032x}-{first.parent.span_id:016x}-01" == PARENT
    assert second.parent is third.parent is None
    assert first.kind is SpanKind.SERVER
    assert dict(told(second)) == {
        "http.request.method": "POST",
        "http.route": "/scheduler/filter",
        "http.response.status_code": 200,
    }
    assert told(third)["http.response.status_code"] == 405


async def test_a_traceparent_that_is_none_is_no_parent(kept: Kept, client: HttpClient) -> None:
    for text in ("x", "00-0-0-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "\xff" * 300):
        assert (await client.send("POST", "/scheduler/filter", b"{", f"traceparent: {text}")).status == 200
    assert [span.parent for span in kept.named("filter")] == [None] * 4


async def test_other_paths_have_no_spans(kept: Kept, client: HttpClient) -> None:
    await client.send("POST", "/scheduler/prioritize", b"{")
    await client.send("POST", "/elsewhere", b"{")
    assert kept.spans == ()


def test_without_traces_everything_is_as_it_was() -> None:
    app = Bench().app
    assert traced_app(app, NO_TRACES, VERBS) is app


async def test_a_status_of_a_fault_is_a_failed_span(kept: Kept) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's signature
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with running(traced_app(broken, kept.tracer, VERBS)) as server, connected(server) as client:
        assert (await client.send("POST", "/scheduler/filter")).status == 503
    assert not kept.one("filter").status.is_ok


@pytest.mark.parametrize(
    ("path", "template", "about"),
    [
        (
            "/api/v1/namespaces/shop/pods/web-0/eviction",
            "/api/v1/namespaces/{namespace}/pods/{name}/eviction",
            {"k8s.namespace.name": "shop", "k8s.pod.name": "web-0"},
        ),
        (
            "/api/v1/namespaces/default/configmaps/spotmix-drift",
            "/api/v1/namespaces/{namespace}/configmaps/{name}",
            {"k8s.namespace.name": "default"},
        ),
        ("/api/v1/nodes/n1", "/api/v1/nodes/{name}", {"k8s.node.name": "n1"}),
        ("/api/v1/pods", "/api/v1/pods", {}),
        (
            "/apis/apps/v1/namespaces/shop/replicasets",
            "/apis/apps/v1/namespaces/{namespace}/replicasets",
            {"k8s.namespace.name": "shop"},
        ),
        ("/api/v1/namespaces/shop", "/api/v1/namespaces/{name}", {}),
        ("/version", "/version", {}),
    ],
)
def test_a_path_is_told_without_names(path: str, template: str, about: Mapping[str, str]) -> None:
    assert template_of(path) == (template, about)


class Server:
    """An API client that keeps the headers it was given, or refuses."""

    def __init__(self, error: ApiError | None = None) -> None:
        self.headers: list[Mapping[str, str]] = []
        self._error = error

    async def base_url(self) -> str:
        return "https://10.0.0.1"

    async def request(self, method: str, path: str, **given: Any) -> bytes:
        assert (method, path[:4]) == ("POST", "/api")
        self.headers.append(given["headers"])
        if self._error is not None:
            raise self._error
        return b"{}"


PATH = "/api/v1/namespaces/shop/pods/web-0/eviction"
NAME = "POST /api/v1/namespaces/{namespace}/pods/{name}/eviction"


async def test_requests_to_the_api_are_spans_and_name_themselves(kept: Kept) -> None:
    server = Server()
    with kept.tracer.span("move"):
        assert await TracedApi(server, kept.tracer).request("POST", PATH, body={}) == b"{}"
    span = kept.one(NAME)
    assert kept.children(kept.one("move")) == [span]
    assert span.context is not None
    assert f"{span.context.trace_id:032x}-{span.context.span_id:016x}" in server.headers[0]["traceparent"]
    assert dict(told(span)) == {
        "http.request.method": "POST",
        "url.template": "/api/v1/namespaces/{namespace}/pods/{name}/eviction",
        "url.full": f"https://10.0.0.1{PATH}",
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "web-0",
    }


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (refusal(429, "TooManyRequests"), 429, "429"),
        (ApiError("no", reason="ServerTimeoutError"), None, "ServerTimeoutError"),
    ],
)
async def test_a_refusal_is_told(kept: Kept, error: ApiError, status: int | None, kind: str) -> None:
    with pytest.raises(ApiError):
        await TracedApi(Server(error), kept.tracer).request("POST", PATH)
    span = kept.one(NAME)
    assert (told(span).get("http.response.status_code"), told(span)["error.type"]) == (status, kind)
    assert str(error) in (span.status.description or "")


def test_a_decision_is_told_in_the_words_of_the_log() -> None:
    bench = Bench()
    offered = bench.world.nodes(spot=2, on_demand=1)
    web = bench.world.deployment("web", 1, spot_percentage=100)
    view = make_view("uid", web, name="web-1-a")
    assert of_decision(view, bench.world.decide(view, offered), 7) == {
        "spotmix.workload": "Deployment/web",
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "web-1-a",
        "k8s.pod.uid": "uid",
        "spotmix.reason": "seat",
        "spotmix.wanted": "spot",
        "spotmix.class": "spot",
        "spotmix.decision.id": 7,
        "spotmix.nodes.offered": 3,
        "spotmix.nodes.passed": 2,
    }
