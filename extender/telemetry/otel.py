"""Traces by OpenTelemetry. Importing this imports its SDK, which the extra `otel` installs.

Spans are sent by a thread of the SDK's, in batches from a bounded queue; what does not fit is dropped. Nothing that a
request does waits for it.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import SpanKind, Status, StatusCode

import extender
from extender.core.model.errors import ConfigError
from extender.telemetry.logs import logger
from extender.telemetry.traces import ENDPOINTS, EXPORTER, NOTHING, Attributes, Headers, Kind, Span, given

PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
DEFAULT_ENDPOINT = "http://localhost:4318"
_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}
_NANOSECONDS = 1e9
_NOBODY = otel_context.Context()


class OtelSpan:
    """A `Span` of the SDK's."""

    __slots__ = ("sdk",)

    def __init__(self, sdk: trace.Span) -> None:
        self.sdk = sdk

    @property
    def recorded(self) -> bool:
        """See `Span`."""
        return self.sdk.is_recording()

    def note(self, attributes: Attributes) -> None:
        """See `Span`."""
        if self.sdk.is_recording():
            self.sdk.set_attributes(dict(given(attributes)))

    def fail(self, text: str) -> None:
        """See `Span`."""
        self.sdk.set_status(Status(StatusCode.ERROR, text))

    def end(self) -> None:
        """See `Span`."""
        self.sdk.end()


class _Within:
    """Makes a span the current one. A class, for generators cost a request more."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def __enter__(self) -> OtelSpan:
        self._token = otel_context.attach(trace.set_span_in_context(self._span.sdk))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)


class _Throughout(_Within):
    """The same, and ends it."""

    __slots__ = ()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if isinstance(error, Exception):
            self._span.fail(f"{type(error).__name__}: {error}")
        self._span.end()


class OtelTracer:
    """A `Tracer` of the SDK's.

    Args:
        provider: makes and sends spans.
        guard: what it sends them by, if it sends them.
    """

    on = True

    def __init__(self, provider: TracerProvider, guard: "Guarded | None" = None) -> None:
        self._provider = provider
        self._guard = guard
        self._tracer = provider.get_tracer("spotmix", extender.__version__)
        self._fields = frozenset(field.encode("latin-1") for field in propagate.get_global_textmap().fields)

    @classmethod
    def of(cls, environ: Mapping[str, str], service: Mapping[str, str]) -> Self:
        """Make one as the standard variables say.

        Raises:
            ConfigError: they ask for what there is not.
        """
        known = OTELResourceDetector().detect().attributes
        resource = Resource.create({name: value for name, value in service.items() if value and name not in known})
        names = [name.strip().lower() for name in environ.get(EXPORTER, "").split(",") if name.strip()] or ["otlp"]
        if unknown := [name for name in names if name not in ("otlp", "console", "none")]:
            raise ConfigError(f"{EXPORTER}: no exporter is called {unknown[0]!r}; write otlp, console or none")
        _listen_to_sdk()
        provider, guard = TracerProvider(resource=resource, shutdown_on_exit=False), None
        if "otlp" in names:
            _check_protocol(environ)
            guard = Guarded(OTLPSpanExporter(), _endpoint(environ))
            provider.add_span_processor(BatchSpanProcessor(guard))
        if "console" in names:
            provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
        return cls(provider, guard)

    def start(
        self,
        name: str,
        attributes: Attributes = NOTHING,
        *,
        under: Span | None = None,
        kind: Kind = "internal",
        at: float | None = None,
    ) -> OtelSpan:
        """See `Tracer`."""
        parent = trace.set_span_in_context(under.sdk) if isinstance(under, OtelSpan) else None
        return OtelSpan(
            self._tracer.start_span(
                name,
                parent,
                _KINDS[kind],
                dict(given(attributes)),
                start_time=None if at is None else int(at * _NANOSECONDS),
            )
        )

    def within(self, span: Span) -> AbstractContextManager[Span]:
        """See `Tracer`."""
        return _Within(span) if isinstance(span, OtelSpan) else contextlib.nullcontext(span)

    def span(self, name: str, attributes: Attributes = NOTHING, *, kind: Kind = "internal") -> "_Throughout":
        """See `Tracer`."""
        return _Throughout(self.start(name, attributes, kind=kind))

    def serving(self, name: str, headers: Headers, attributes: Attributes) -> "_Throughout":
        """See `Tracer`."""
        fields = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers if key in self._fields}
        parent = propagate.extract(fields, _NOBODY) if fields else _NOBODY
        return _Throughout(OtelSpan(self._tracer.start_span(name, parent, SpanKind.SERVER, dict(given(attributes)))))

    def current(self) -> OtelSpan:
        """See `Tracer`."""
        return OtelSpan(trace.get_current_span())

    def outgoing(self) -> dict[str, str]:
        """See `Tracer`."""
        headers: dict[str, str] = {}
        propagate.inject(headers)
        return headers

    def log_keys(self) -> dict[str, str]:
        """See `Tracer`. A task may outlive the span it was started in: one that has ended is not named."""
        span = trace.get_current_span()
        if not span.is_recording():
            return {}
        context = span.get_span_context()
        return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}

    async def close(self, seconds: float) -> None:
        """See `Tracer`. What cannot be sent by then is lost."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):
                # Nobody waits any more.
                loop.call_soon_threadsafe(closed.set)

        # A thread of its own: the loop's own ones are waited for at the end, however long they take.
        threading.Thread(target=close, name="close traces", daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                await closed.wait()
        except TimeoutError:
            if self._guard is not None:
                self._guard.shutdown()


class Guarded(SpanExporter):
    """Tells once when spans cannot be sent, and once when they can again.

    Args:
        exporter: sends them.
        where: it sends them to, for people.
    """

    def __init__(self, exporter: SpanExporter, where: str) -> None:
        self._exporter = exporter
        self._where = where
        self._lost = 0
        self._closed = False
        self._log = logger()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        _here.said = ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - told of like any other failure
            result = SpanExportResult.FAILURE
            _here.said = f"{type(error).__name__}: {error}"
        said, _here.said = _here.said, None
        if result is SpanExportResult.FAILURE:
            if not self._lost and not self._closed:
                self._log.warning("traces are not sent", exporter=self._where, error=said)
            self._lost += len(spans)
        elif self._lost:
            self._log.info("traces are sent again", exporter=self._where, lost=self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        """See `SpanExporter`; may be called again, and while spans are sent: then no more attempts are made."""
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanExporter`."""
        return self._exporter.force_flush(timeout_millis)


class _Here(threading.local):
    """What the SDK has said while this thread sends spans; None while it does not."""

    said: str | None = None


class _Sdk(logging.Handler):
    """Takes what the SDK logs: what is said while spans are sent is kept for `Guarded`, all else is told once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: set[object] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if _here.said is not None:
            # What comes last of a series of attempts says only that it was the last.
            if not _here.said or "due to timeout" not in text:
                _here.said = text
        elif record.msg not in self._told:
            self._told.add(record.msg)
            logger().warning("traces", error=text)


_here = _Here()


def _listen_to_sdk() -> None:
    root = logging.getLogger("opentelemetry")
    root.handlers[:] = [_Sdk()]
    root.propagate = False


def _check_protocol(environ: Mapping[str, str]) -> None:
    for name in PROTOCOLS:
        protocol = environ.get(name, "").strip()
        if protocol:
            if protocol != PROTOCOL:
                raise ConfigError(
                    f"{name}: traces are not sent by {protocol!r}; write {PROTOCOL}, which collectors take on port 4318"
                )
            return


def _endpoint(environ: Mapping[str, str]) -> str:
    """Where spans are sent to, without what an address may hold of a password."""
    url = next(filter(None, (environ.get(name, "").strip() for name in ENDPOINTS)), DEFAULT_ENDPOINT)
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
