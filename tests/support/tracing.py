"""Spans to look at: kept in memory, or received over OTLP/HTTP as a collector does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from extender.servers.asgi import Receive, Scope, Send, read_body, respond
from extender.servers.server import HttpServer, bind
from extender.telemetry.otel import OtelTracer
from support.patience import stretched

LIMIT = 1 << 26


class Kept:
    """A tracer whose spans are kept."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._provider = TracerProvider(shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = OtelTracer(self._provider)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """All that have ended."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def children(self, parent: ReadableSpan) -> list[ReadableSpan]:
        return [each for each in self.spans if each.parent is not None and each.parent == parent.context]


@dataclass(frozen=True)
class Received:
    """A span as a collector has it; ids are in hex, those of no parent empty."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    failed: str
    start: int
    end: int


@dataclass
class Collector:
    """Takes what is sent to /v1/traces. While `status` is not 200 it answers that, and takes nothing."""

    spans: list[Received] = field(default_factory=list)
    requests: int = 0
    status: int = 200
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    def find(self, id_: str) -> Received | None:
        return next((span for span in self.spans if span.id == id_), None)

    def children(self, parent: Received) -> list[Received]:
        return [span for span in self.spans if (span.trace, span.parent) == (parent.trace, parent.id)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, LIMIT)
        self.requests += 1
        if scope["path"] != "/v1/traces" or self.status != 200:
            await respond(send, 404 if self.status == 200 else self.status, b"")
            return
        assert dict(scope["headers"])[b"content-type"] == b"application/x-protobuf"
        self.spans += decoded(bytes(body))
        await respond(send, 200, ExportTraceServiceResponse().SerializeToString(), b"application/x-protobuf")


def decoded(body: bytes) -> list[Received]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Received(
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.kind,
            {each.key: _value(each.value) for each in span.attributes},
            {each.key: _value(each.value) for each in group.resource.attributes},
            span.status.message or "failed" if span.status.code == span.status.STATUS_CODE_ERROR else "",
            span.start_time_unix_nano,
            span.end_time_unix_nano,
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


@contextlib.asynccontextmanager
async def collecting(port: int = 0) -> AsyncIterator[Collector]:
    """A collector on loopback."""
    collector = Collector()
    server = HttpServer(collector, bind("127.0.0.1", port, "collector"), grace=1)
    await server.start()
    collector.port = server.address[1]
    try:
        yield collector
    finally:
        await asyncio.wait_for(server.stop(), stretched(10))
