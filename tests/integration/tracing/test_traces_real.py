"""Traces of a `spotmix serve` at work, as a collector receives them; the API server traces too."""

import asyncio
import contextlib
import json
import re
import signal
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.cluster import pod_template, policy
from support.driftstage import drift_flags
from support.patience import eventually, stretched
from support.stage import Stage, open_stage
from support.tracing import Collector, Received, collecting
from support.webhook import Hook, called

from extender import __version__
from extender.sandbox.ports import free_port
from extender.sandbox.spotmix import SpotmixServe, scheduler_config
from extender.telemetry.vocabulary import KEYS, LINE

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SERVER, CLIENT = 2, 3
OURS = "4bf92f3577b34da6a3ce929d0e0e4736"
# The API server sends its own spans nowhere; what matters is that it passes on whose request it is.
WEIGHT = 15
"""With one the scheduler asks for scores too."""
API_SERVER = """\
apiVersion: apiserver.config.k8s.io/v1
kind: TracingConfiguration
endpoint: 127.0.0.1:{port}
samplingRatePerMillion: 1000000
"""


@dataclass
class Traced:
    stage: Stage
    collector: Collector

    async def spans(self, name: str, count: int = 1, **about: str) -> list[Received]:
        """The spans of a name and with attributes (`pod` is of `k8s.pod.name`), once there are so many."""
        keys = {"workload": "spotmix.workload", "pod": "k8s.pod.name", "namespace": "k8s.namespace.name"}

        async def found() -> list[Received]:
            return [
                span
                for span in self.collector.named(name)
                if all(span.attributes.get(keys[key]) == value for key, value in about.items())
            ]

        return await eventually(found, lambda spans: len(spans) >= count, f"spans {name} {about}")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stage.spotmix.log_path.read_text().splitlines()]


@contextlib.asynccontextmanager
async def traced(folder: Path) -> AsyncIterator[Traced]:
    config = folder / "tracing.yaml"
    config.write_text(API_SERVER.format(port=free_port()))
    hook = Hook.of_files(folder)
    async with collecting() as collector:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        }
        async with open_stage(
            flags=[
                *(*hook.flags, *drift_flags()),
                *("--placement-enforcement=extender", f"--scheduler-config-weight={WEIGHT}"),
            ],
            weight=WEIGHT,
            apiserver_flags=[f"--tracing-config-file={config}"],
            environ=environ,
        ) as stage:
            await hook.register(stage.api)
            await called(stage.api, stage.metric)
            yield Traced(stage, collector)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def tracing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traced]:
    async with traced(tmp_path_factory.mktemp("tracing")) as opened:
        yield opened


async def test_a_decision_is_found_from_its_span_in_the_log_and_in_the_console(tracing: Traced) -> None:
    async with tracing.stage.namespace() as cluster:
        await cluster.deployment("web", 4, policy(spot_percentage=50))
        await cluster.expect("web", spot=2, on_demand=2)
        about = {"workload": "Deployment/web", "namespace": cluster.namespace}
        filters = await tracing.spans("filter", 4, **about)
        scores = await tracing.spans("prioritize", 4, **about)
        classes = await cluster.classes()
        landed = {pod["metadata"]["name"]: classes[pod["spec"]["nodeName"]] for pod in await cluster.pods("web")}
        for span in (*filters, *scores):
            assert span.kind == SERVER
            # kube-scheduler names no trace of its own.
            assert span.parent == ""
            assert span.attributes["spotmix.class"] == landed[span.attributes["k8s.pod.name"]]
            assert span.attributes["spotmix.reason"] == "seat"
            assert span.attributes["http.response.status_code"] == 200
            assert span.start < span.end
        first = filters[0]
        assert first.resource["service.name"] == "spotmix"
        assert first.resource["service.version"] == __version__
        assert first.resource["deployment.environment.name"] == "test"
        number, pod = first.attributes["spotmix.decision.id"], first.attributes["k8s.pod.name"]
        (line,) = [line for line in tracing.lines() if line.get("decision") == number]
        assert (line["trace_id"], line["span_id"], line["pod"]) == (first.trace, first.id, pod)
        assert (line["workload"], line["class"]) == ("Deployment/web", landed[pod])
        url = f"{tracing.stage.spotmix.metrics_url}/console/live?q={urllib.parse.quote(f'#{number}')}"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=stretched(5)).read().decode())  # noqa: S310
        assert pod in page
        assert not any(other in page for other in landed if other != pod)


async def test_a_move_is_a_trace_from_its_plan_to_its_replacement(tracing: Traced) -> None:
    async with tracing.stage.namespace() as cluster:
        await cluster.deployment("web", 2, policy(spot_percentage=0))
        await cluster.expect("web", on_demand=2)
        await cluster.ready("web", 2)
        before = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in await cluster.pods("web")}
        await cluster.annotate("Deployment", "web", policy(spot_percentage=50))
        await cluster.expect("web", spot=1, on_demand=1)
        (move,) = await tracing.spans("move", workload="Deployment/web", namespace=cluster.namespace)
        (new,) = [pod for pod in await cluster.pods("web") if pod["metadata"]["name"] not in before]
    moved = move.attributes["k8s.pod.name"]
    assert move.attributes["k8s.node.name"] == before[moved]
    assert (move.attributes["spotmix.class"], move.attributes["spotmix.outcome"]) == ("spot", "moved")
    assert (move.attributes["spotmix.reason"], move.failed) == ("surplus", "")
    collector = tracing.collector
    await eventually(lambda: asyncio.sleep(0, collector.find(move.parent)), bool, "the plan's span")
    plan = collector.find(move.parent)
    assert plan is not None
    assert (plan.name, plan.trace) == ("drift plan", move.trace)
    await eventually(lambda: asyncio.sleep(0, collector.find(plan.parent)), bool, "the cycle's span")
    cycle = collector.find(plan.parent)
    assert cycle is not None
    assert (cycle.name, cycle.parent) == ("drift cycle", "")
    evict, replace = sorted(collector.children(move), key=lambda span: span.start)[:2]
    assert (evict.name, replace.name) == ("evict", "replace")
    assert move.start <= evict.start < evict.end <= replace.start < replace.end <= move.end
    assert replace.attributes["spotmix.replacement"] == new["metadata"]["name"]
    assert replace.attributes["k8s.node.name"] == new["spec"]["nodeName"]
    requests = sorted(collector.children(evict), key=lambda span: span.start)
    pods = "/api/v1/namespaces/{namespace}/pods/{name}"
    assert [span.name for span in requests] == [
        f"GET {pods}",
        "PATCH /api/v1/namespaces/{namespace}/configmaps/{name}",
        f"POST {pods}/eviction",
    ]
    assert {span.kind for span in requests} == {CLIENT}
    assert requests[2].attributes["k8s.pod.name"] == moved
    told = [line for line in tracing.lines() if line.get("trace_id") == move.trace and line.get("pod") == moved]
    assert {line["event"] for line in told} == {"move", "move judged"}


async def test_the_api_server_names_its_trace_to_the_webhook(tracing: Traced) -> None:
    async with tracing.stage.namespace() as cluster:
        await cluster.deployment("web", 1, policy(spot_percentage=100))
        await cluster.expect("web", spot=1)
        (review,) = await tracing.spans("mutate-pods", workload="Deployment/web", namespace=cluster.namespace)
        assert review.kind == SERVER
        assert review.parent
        assert review.attributes["spotmix.outcome"] == "mutated"
        assert review.attributes["http.route"] == "/mutate/pods"
        checks = await tracing.spans("validate-workloads", workload="Deployment/web", namespace=cluster.namespace)
        assert review.trace not in {check.trace for check in checks}
        # And a trace that begins further outside goes through it.
        pod = pod_template({"app": "own"})
        pod["metadata"]["name"] = "own"
        (owner,) = json.loads(await tracing.stage.api.request("GET", cluster.path("ReplicaSet")))["items"]
        meta = owner["metadata"]
        pod["metadata"]["ownerReferences"] = [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": meta["name"],
                "uid": meta["uid"],
                "controller": True,
            }
        ]
        await tracing.stage.api.request(
            "POST",
            f"/api/v1/namespaces/{cluster.namespace}/pods",
            body=pod,
            headers={"traceparent": f"00-{OURS}-00f067aa0ba902b7-01"},
        )
        (review,) = await tracing.spans("mutate-pods", pod="own", namespace=cluster.namespace)
        assert review.trace == OURS
        # The API server's own span is between.
        assert review.parent not in ("", "00f067aa0ba902b7")


async def test_every_line_is_made_of_the_vocabulary(tracing: Traced) -> None:
    known = {key.name for key in (*KEYS, *LINE)}
    lines = tracing.lines()
    assert len(lines) > 10
    for line in lines:
        assert line.keys() <= known, line
        assert not any(value is None or value == "" for value in line.values()), line
        assert re.fullmatch(r"[^A-Z].*", line["event"]), "libraries have nothing to complain of"


async def test_without_the_variables_nothing_of_it_is_imported(tracing: Traced) -> None:
    # With this Python writes each import into the log.
    serve = SpotmixServe(tracing.stage.plane, name="untraced", PYTHONPROFILEIMPORTTIME="1")
    try:
        await serve.start()
        await serve.stop()
    finally:
        serve.kill()
    imported = {line.rpartition("|")[2].strip() for line in serve.log_path.read_text().splitlines() if "|" in line}
    assert {"extender.runtime", "extender.telemetry.traces"} <= imported
    assert not [name for name in imported if name.startswith("opentelemetry") or name == "extender.telemetry.otel"]


async def test_without_a_collector_the_service_goes_on_and_says_so_once(tracing: Traced) -> None:
    stage, port = tracing.stage, free_port()
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{port}/v1/traces",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    # The stage's own does the rest.
    quiet = ("--drift-enabled", "false", "--scale-in-deletion-cost", "false", "--api-enabled", "false")
    serve = SpotmixServe(stage.plane, "--log-level", "debug", *quiet, name="unheard", **environ)

    def told(event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, serve.log_path.read_text().splitlines())
        return [line for line in lines if line["event"] == event]

    async def warned() -> list[dict[str, Any]]:
        return told("traces are not sent")

    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(serve.stop)
        await serve.start()
        scheduler = await stage.plane.start_scheduler("uncollected", scheduler_config(serve.url))
        stack.push_async_callback(scheduler.stop)
        async with stage.namespace() as cluster:
            await cluster.deployment("web", 10, policy(spot_percentage=70), schedulerName="uncollected")
            await cluster.expect("web", spot=7, on_demand=3)
            (warning,) = await eventually(warned, bool, "a warning")
            assert warning["exporter"].endswith(f":{port}/v1/traces")
            async with collecting(port) as collector:
                # Something has to be sent for it to be noticed.
                await cluster.scale("Deployment", "web", 20)
                await cluster.expect("web", spot=14, on_demand=6)
                await eventually(lambda: asyncio.sleep(0, told("traces are sent again")), bool, "it is back")
                assert collector.spans
            await cluster.scale("Deployment", "web", 30)
            await cluster.expect("web", spot=21, on_demand=9)
        process = serve._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, stretched(30)) == 0
        assert len(told("traces are sent again")) == 1
        # Once for each time that it went away.
        assert len(await warned()) <= 2
        assert json.loads(serve.log_path.read_text().splitlines()[-1])["event"] == "stopped"
