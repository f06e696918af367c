"""When there are traces, where they go, and that nothing is lost by their absence but they."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import pytest
import structlog
from support.tracing import Kept, collecting

from extender.sandbox.ports import free_port
from extender.telemetry.logs import configure, logger
from extender.telemetry.otel import Guarded, OtelTracer
from extender.telemetry.traces import NO_SPAN, NO_TRACES, Tracer, open_tracer, wanted

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SERVICE = {"service.name": "spotmix", "service.version": "1", "k8s.pod.name": ""}


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def opened(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Tracer:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return open_tracer(environ, SERVICE)


@pytest.mark.parametrize(
    ("environ", "on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
    ],
)
def test_the_standard_variables_say_whether(environ: Mapping[str, str], *, on: bool) -> None:
    assert wanted(environ) is on


def test_without_them_nothing_is_imported() -> None:
    code = (
        "import os, sys, extender.runtime, extender.cli.serve\n"
        "from extender.telemetry.traces import NO_TRACES, open_tracer\n"
        "assert open_tracer({}, {}) is NO_TRACES\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_package_there_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "extender.telemetry.otel", None)
    with structlog.testing.capture_logs() as lines:
        assert opened(monkeypatch, OTEL_TRACES_EXPORTER="otlp") is NO_TRACES
    assert "install spotmix[otel]" in lines[0]["error"]


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: no exporter is called 'zipkin'"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: traces are not sent by 'grpc'; write http/protobuf",
        ),
        (
            {
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: traces are not sent by 'http/json'",
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_BSP_MAX_QUEUE_SIZE": "8"}, "max_export_batch_size"),
    ],
)
def test_what_cannot_be_had_is_a_warning(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], fault: str) -> None:
    with structlog.testing.capture_logs() as lines:
        assert opened(monkeypatch, **environ) is NO_TRACES
    assert lines[0]["event"] == "no traces"
    assert fault in lines[0]["error"]


async def test_no_traces_cost_nobody_anything() -> None:
    with NO_TRACES.span("a") as span, NO_TRACES.serving("b", [], {}) as served, NO_TRACES.within(span):
        span.note({"a": 1})
        span.fail("x")
    assert span is served is NO_TRACES.current() is NO_TRACES.start("c") is NO_SPAN
    assert (NO_TRACES.outgoing(), NO_TRACES.log_keys(), NO_TRACES.on) == ({}, {}, False)
    await NO_TRACES.close(0.0)


async def test_spans_are_sent_with_what_the_environment_says_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting() as collector:
        tracer = opened(
            monkeypatch,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_RESOURCE_ATTRIBUTES="team=shop,service.version=2",
            OTEL_BSP_SCHEDULE_DELAY="60000",
        )
        with tracer.serving("filter", [(b"traceparent", PARENT.encode()), (b"host", b"x")], {"a": "b", "c": None}):
            tracer.current().note({"d": 1, "e": ""})
            tracer.start("move", under=tracer.current()).end()
        await tracer.close(10.0)
    move, request = collector.spans
    assert request.trace == move.trace == PARENT.split("-")[1]
    assert (request.parent, move.parent) == (PARENT.split("-")[2], request.id)
    assert dict(request.attributes) == {"a": "b", "d": 1}
    assert {key: request.resource[key] for key in ("service.name", "service.version", "team")} == {
        "service.name": "spotmix",
        "service.version": "2",
        "team": "shop",
    }
    assert "k8s.pod.name" not in request.resource


async def test_the_service_is_called_what_the_environment_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting() as collector:
        tracer = opened(
            monkeypatch, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/v1/traces", OTEL_SERVICE_NAME="x"
        )
        tracer.start("a").end()
        await tracer.close(10.0)
    assert collector.spans[0].resource["service.name"] == "x"


async def test_the_sampler_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting() as collector:
        tracer = opened(
            monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_SAMPLER="parentbased_always_off"
        )
        for headers in ([], [(b"traceparent", PARENT.encode())]):
            with tracer.serving("filter", headers, {}):
                assert bool(tracer.log_keys()) is bool(headers)
        await tracer.close(10.0)
    assert [span.parent for span in collector.spans] == [PARENT.split("-")[2]]


async def test_a_collector_that_is_away_is_told_of_once_and_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info", "json")
    port = free_port()
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    tracer = opened(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://user:secret@127.0.0.1:{port}",
        # Enough for a second attempt: of a first one that is the last, the exporter does not say what was wrong.
        OTEL_EXPORTER_OTLP_TIMEOUT="2",
    )
    lines: list[str] = []

    async def told(event: str) -> None:
        async with asyncio.timeout(30):
            while not any(json.loads(line)["event"] == event for line in lines):
                tracer.start("a").end()
                await asyncio.sleep(0.05)
                lines.extend(capsys.readouterr().err.splitlines())

    await told("traces are not sent")
    for _ in range(20):
        tracer.start("a").end()
        await asyncio.sleep(0.05)
    async with collecting(port) as collector:
        await told("traces are sent again")
        assert collector.spans
        await tracer.close(10.0)
    lines += capsys.readouterr().err.splitlines()
    first, second = map(json.loads, lines)
    assert (first["event"], first["level"]) == ("traces are not sent", "warning")
    assert first["exporter"] == f"http://127.0.0.1:{port}"
    assert "refused" in first["error"]
    assert "secret" not in "".join(lines)
    assert (second["event"], second["lost"] >= 1) == ("traces are sent again", True)


async def test_the_end_does_not_wait_for_a_collector_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        tracer = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
        tracer.start("a").end()
        started = time.monotonic()
        await tracer.close(0.2)
        # Its own patience with the collector is ten seconds.
        assert time.monotonic() - started < 8


async def test_a_queue_that_is_full_loses_spans_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info", "json")
    tracer = opened(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        OTEL_BSP_MAX_QUEUE_SIZE="8",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    for _ in range(1000):
        tracer.start("a").end()
    await tracer.close(5.0)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert sum("Queue full" in line.get("error", "") for line in lines) == 1
    assert len(lines) <= 2


async def test_what_the_sdk_says_of_its_variables_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with structlog.testing.capture_logs() as lines:
        tracer = opened(monkeypatch, OTEL_TRACES_EXPORTER="otlp", OTEL_TRACES_SAMPLER="sometimes")
        assert tracer.on
        await tracer.close(5.0)
    assert ["sometimes" in line["error"] for line in lines] == [True]


def test_an_exporter_with_a_bug_is_like_one_that_fails() -> None:
    class Broken:
        def export(self, spans: object) -> None:
            raise RuntimeError(f"a bug met {spans}")

    with structlog.testing.capture_logs() as lines:
        guarded = Guarded(Broken(), "there")  # type: ignore[arg-type]
        for _ in range(3):
            guarded.export([])
            guarded._lost = 1
    assert [line["error"] for line in lines] == ["RuntimeError: a bug met []"]


def test_a_span_fails_with_what_goes_wrong_in_it() -> None:
    kept = Kept()
    with pytest.raises(ValueError, match="no"), kept.tracer.span("outer"), kept.tracer.span("inner"):
        raise ValueError("no")
    for name in ("outer", "inner"):
        assert kept.one(name).status.description == "ValueError: no"
    assert kept.children(kept.one("outer")) == [kept.one("inner")]


async def test_a_cancelled_span_ends_and_has_not_failed() -> None:
    kept = Kept()

    async def wait() -> None:
        with kept.tracer.span("wait"):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert kept.one("wait").status.is_unset


async def test_tasks_do_not_mix_up_their_spans() -> None:
    kept = Kept()

    async def serve(number: int) -> None:
        with kept.tracer.serving(f"outer {number}", [], {}):
            await asyncio.sleep(0)
            with kept.tracer.span(f"inner {number}"):
                await asyncio.sleep(0)

    await asyncio.gather(*map(serve, range(10)))
    for number in range(10):
        assert kept.one(f"outer {number}").parent is None
        assert kept.children(kept.one(f"outer {number}")) == [kept.one(f"inner {number}")]


def test_whoever_is_asked_is_told_and_so_is_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    kept = Kept()
    configure("info", "json", kept.tracer.log_keys)
    assert kept.tracer.outgoing() == {}
    with kept.tracer.span("a"):
        headers = kept.tracer.outgoing()
        logger().info("within")
    logger().info("without")
    within, without = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert headers["traceparent"].startswith(f"00-{within['trace_id']}-{within['span_id']}-")
    assert "trace_id" not in without


async def test_a_task_that_outlives_its_span_is_not_of_it() -> None:
    kept = Kept()
    go = asyncio.Event()

    async def later() -> Mapping[str, str]:
        await go.wait()
        return kept.tracer.log_keys()

    with kept.tracer.span("request"):
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    go.set()
    assert await task == {}


def test_a_span_may_have_begun_earlier() -> None:
    kept = Kept()
    kept.tracer.start("move", at=1_780_000_000.5).end()
    assert kept.one("move").start_time == 1_780_000_000_500_000_000


def test_it_is_a_tracer() -> None:
    tracer: Tracer = OtelTracer.of({"OTEL_TRACES_EXPORTER": "none"}, {})
    assert tracer.on
