"""What traces cost a filter request: none, all of them, and one in a hundred.

The same requests to applications over one state, in turn, as `serve` wires them. In process, without a connection.
Spans go through the SDK's queue and thread to an exporter that encodes and forgets them, beside what is timed.
"""

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, TraceIdRatioBased

from bench.report import Bench, spread
from bench.test_micro import Loaded, Silent
from extender.core.answers.decisions import DecisionLog
from extender.core.placement.controller import PlacementController
from extender.kube.recorder import EventRecorder
from extender.runtime.decisions import Decisions
from extender.runtime.placement import PlacementReports
from extender.runtime.tracing import App, traced_app
from extender.servers.extender import Extender
from extender.servers.http import ExtenderApp
from extender.telemetry.metrics import Metrics
from extender.telemetry.otel import OtelTracer
from extender.telemetry.traces import NO_TRACES, Tracer

NAME = "traces"
SIZES = (100, 500, 5000)
PATH = "/scheduler/filter"


class Forgetting(SpanExporter):
    """Encodes what it is given, and sends it nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


class Nobody:
    """An API client that is never asked."""

    async def request(self, method: str, path: str, **given: Any) -> bytes:
        raise AssertionError(f"{method} {path} {given}")


def tracer_of(sampler: Sampler) -> Tracer:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Forgetting()))
    return OtelTracer(provider)


def app_of(loaded: Loaded, tracer: Tracer) -> App:
    """As the runtime puts it together."""
    told = PlacementReports(loaded.state, EventRecorder(Nobody(), lambda *_: None))
    observer = Decisions(Metrics(), DecisionLog(), told, lambda: None, time.time, logged=False, tracer=tracer)
    extender = Extender(PlacementController(loaded.state, 100), Silent(), observer, lambda: None, time.time)
    app = ExtenderApp(extender, 1 << 24, "/scheduler", time.perf_counter, lambda *_: None)
    return traced_app(app, tracer, {PATH: "filter"})


async def run(bench: Bench) -> None:
    """Measure and report."""
    loaded = Loaded()
    tracers = {"no traces": NO_TRACES, "1 in 100": tracer_of(TraceIdRatioBased(0.01)), "all": tracer_of(ALWAYS_ON)}
    apps = {name: app_of(loaded, tracer) for name, tracer in tracers.items()}
    rounds, requests = bench.size(15, 3), bench.size(200, 20)
    for size in SIZES:
        medians: dict[str, list[float]] = {name: [] for name in apps}
        for _ in range(rounds):
            times: dict[str, list[float]] = {name: [] for name in apps}
            gc.disable()
            for number in range(requests):
                # Who comes second finds caches warm.
                for name in list(apps)[:: 1 if number % 2 else -1]:
                    times[name].append(await _time(loaded, size, apps[name]))
            gc.enable()
            for name, seen in times.items():
                medians[name].append(median(seen))
        _report(bench, f"filter, {size:,} names", medians)
    for tracer in tracers.values():
        await tracer.close(5.0)


def _report(bench: Bench, what: str, medians: Mapping[str, list[float]]) -> None:
    bare = medians["no traces"]
    for name, seen in medians.items():
        note = spread([1e6 * each for each in seen])
        if seen is bare:
            bench.add(NAME, what, name, median(seen) * 1e6, "us", note=note)
            continue
        ratio = median(new / old for new, old in zip(seen, bare, strict=True))
        bench.add(NAME, what, name, median(seen) * 1e6, "us", against="no traces", ratio=ratio, note=note)


async def _time(loaded: Loaded, size: int, app: App) -> float:
    body = loaded.body(size)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(_message: Any) -> None: ...

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": [(b"content-length", b"%d" % len(body))]}
    began = time.perf_counter()
    await app(scope, receive, send)
    seconds = time.perf_counter() - began
    loaded.release(body)
    await asyncio.sleep(0)
    return seconds
