"""Traces, as the rest of Spotmix sees them: spans that say what was done for what, and none at all by default.

OpenTelemetry is imported only once its standard variables ask for traces (`wanted`).
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from extender.telemetry.logs import logger

Value = str | int | float | bool
Attributes = Mapping[str, Value | None]
"""Attributes of a span; what is None or empty is left out."""
Headers = Iterable[tuple[bytes, bytes]]
"""Headers of a request, names in lower case."""
Kind = Literal["internal", "client"]

EXPORTER = "OTEL_TRACES_EXPORTER"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
DISABLED = "OTEL_SDK_DISABLED"

NOTHING: Attributes = {}


class Span(Protocol):
    """What was done, from its start to its end."""

    @property
    def recorded(self) -> bool:
        """Whether anything comes of it: it is under way, and was not left out by the sampler."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""
        ...

    def fail(self, text: str) -> None:
        """Mark it as failed, and say why."""
        ...

    def end(self) -> None:
        """It is over."""
        ...


class Tracer(Protocol):
    """Makes spans. Nothing of it raises or waits for anybody, but for `close`."""

    @property
    def on(self) -> bool:
        """Whether there are traces at all."""
        ...

    def start(
        self,
        name: str,
        attributes: Attributes = NOTHING,
        *,
        under: Span | None = None,
        kind: Kind = "internal",
        at: float | None = None,
    ) -> Span:
        """Begin a span.

        Args:
            name: what is done, in constant words.
            attributes: of the span.
            under: its parent; the current span when None.
            kind: `client` when another is asked.
            at: when it began, in seconds since the epoch; now when None.
        """
        ...

    def within(self, span: Span) -> AbstractContextManager[Span]:
        """Make a span the current one, of this task and those it starts; it is not ended by that."""
        ...

    def span(
        self, name: str, attributes: Attributes = NOTHING, *, kind: Kind = "internal"
    ) -> AbstractContextManager[Span]:
        """A span that is the current one and ends with the block; it fails with an exception."""
        ...

    def serving(self, name: str, headers: Headers, attributes: Attributes) -> AbstractContextManager[Span]:
        """The same for a request that is served; its caller's span is the parent, if the caller names one."""
        ...

    def current(self) -> Span:
        """The current span."""
        ...

    def outgoing(self) -> dict[str, str]:
        """Headers that name the current span to whoever is asked."""
        ...

    def log_keys(self) -> Mapping[str, str]:
        """What log lines say of the current span; empty when there is none."""
        ...

    async def close(self, seconds: float) -> None:
        """Send what waits, for so long at most."""
        ...


class _NoSpan:
    recorded = False

    def note(self, attributes: Attributes) -> None: ...

    def fail(self, text: str) -> None: ...

    def end(self) -> None: ...


class _NoTracer:
    """Makes none."""

    on = False

    def start(
        self,
        name: str,  # noqa: ARG002 - the port's signature, as below
        attributes: Attributes = NOTHING,  # noqa: ARG002
        *,
        under: Span | None = None,  # noqa: ARG002
        kind: Kind = "internal",  # noqa: ARG002
        at: float | None = None,  # noqa: ARG002
    ) -> Span:
        return NO_SPAN

    def within(self, span: Span) -> AbstractContextManager[Span]:
        return contextlib.nullcontext(span)

    def span(
        self,
        name: str,  # noqa: ARG002
        attributes: Attributes = NOTHING,  # noqa: ARG002
        *,
        kind: Kind = "internal",  # noqa: ARG002
    ) -> AbstractContextManager[Span]:
        return contextlib.nullcontext(NO_SPAN)

    def serving(self, name: str, headers: Headers, attributes: Attributes) -> AbstractContextManager[Span]:  # noqa: ARG002
        return contextlib.nullcontext(NO_SPAN)

    def current(self) -> Span:
        return NO_SPAN

    def outgoing(self) -> dict[str, str]:
        return {}

    def log_keys(self) -> Mapping[str, str]:
        return {}

    async def close(self, seconds: float) -> None: ...


NO_SPAN: Span = _NoSpan()
NO_TRACES: Tracer = _NoTracer()


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for traces."""
    exporter = environ.get(EXPORTER, "").strip().lower()
    if environ.get(DISABLED, "").strip().lower() == "true" or exporter == "none":
        return False
    return bool(exporter) or any(environ.get(name, "").strip() for name in ENDPOINTS)


def open_tracer(environ: Mapping[str, str], service: Mapping[str, str]) -> Tracer:
    """The tracer that the standard variables ask for. Never raises: without it the service goes on all the same.

    Args:
        environ: the environment; the SDK reads `os.environ` for what only it knows.
        service: attributes of the resource that spans come from; what the environment says of them wins.
    """
    if not wanted(environ):
        return NO_TRACES
    try:
        from extender.telemetry.otel import OtelTracer  # noqa: PLC0415 - costs time and memory, and may not be there
    except ImportError as error:
        logger().warning(
            "no traces", error=f"OTEL_ variables ask for them, and {error.name} is missing: install spotmix[otel]"
        )
        return NO_TRACES
    try:
        return OtelTracer.of(environ, service)
    except Exception as error:  # noqa: BLE001 - whatever the SDK makes of its variables must not keep the service down
        logger().warning("no traces", error=str(error))
        return NO_TRACES


def given(attributes: Attributes) -> Iterator[tuple[str, Value]]:
    """Those that say something."""
    for name, value in attributes.items():
        if value is not None and value != "":
            yield name, value
