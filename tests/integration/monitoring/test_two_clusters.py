"""One real Prometheus with the Spotmix of two clusters: rules and dashboards keep them apart.

What the replicas expose is written by hand: it is little, and has to go away at the right moment.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import pytest_asyncio
import yaml
from generate.chart import pick, template
from support.dashboards import Target, filled, load, targets
from support.patience import eventually
from support.prometheus import JOB, Prometheus, Series, scraping

from extender.sandbox.ports import LOOPBACK

pytestmark = [pytest.mark.tools, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

REPLICAS: Mapping[str, tuple[str, int, int]] = {
    "east-0": ("east", 1, 7),
    "east-1": ("east", 0, 7),
    "west-0": ("west", 1, 3),
    "west-1": ("west", 0, 3),
}
"""Cluster, whether it leads, and spot replicas that are wanted there, by pod."""
CHANGES: Mapping[str, Any] = {
    "enabled": True,
    "runbooks": "https://git.example.org/spotmix/blob/main/",
    "alertLabels": {"team": "platform"},
    # So that it fires for one of them.
    "alerts": {"SpotmixPodsWaiting": {"threshold": 5, "for": "1s"}, "SpotmixDown": {"for": "1s"}},
}
WAITING = {"east": 9, "west": 2}


def exposition(pod: str) -> str:
    cluster, leads, wanted = REPLICAS[pod]
    return (
        'spotmix_build_info{version="1"} 1\n'
        f"spotmix_leader {leads}\n"
        f'spotmix_replicas_wanted{{mode="enforce",capacity_class="spot"}} {wanted}\n'
        f'spotmix_nodes{{capacity_class="spot"}} {wanted}\n'
        f'spotmix_pods_waiting{{reason="wait-class"}} {WAITING[cluster]}\n'
    )


class Replicas:
    """Serves what each pod exposes; those of a cluster that is gone answer nothing."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.urls: dict[str, str] = {}

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for pod in REPLICAS:
                server = stack.enter_context(ThreadingHTTPServer((LOOPBACK, 0), self._handler(pod)))
                Thread(target=server.serve_forever, daemon=True).start()
                stack.callback(server.shutdown)
                self.urls[pod] = f"http://{LOOPBACK}:{server.server_port}"
            yield

    def _handler(self, pod: str) -> type[BaseHTTPRequestHandler]:
        replicas = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exposition(pod).encode()
                self.send_response(503 if REPLICAS[pod][0] in replicas.gone else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture(scope="module")
def replicas() -> Iterator[Replicas]:
    made = Replicas()
    with made.serving():
        yield made


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["cluster", "k8s", ""])
async def asked(
    request: pytest.FixtureRequest, replicas: Replicas, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Prometheus, str]]:
    """A Prometheus with the chart's rules, and the name of the label; empty for a single cluster that has none."""
    label: str = request.param
    replicas.gone.clear()
    folder: Path = tmp_path_factory.mktemp("clusters")
    rules = folder / "rules.yaml"
    rendered = template({"prometheusRule": CHANGES, "clusterLabel": label or "cluster"})
    rules.write_text(yaml.safe_dump(pick(rendered, "PrometheusRule")["spec"]))
    there = {pod: url for pod, url in replicas.urls.items() if label or REPLICAS[pod][0] == "east"}
    labels = {pod: {label: REPLICAS[pod][0]} if label else {} for pod in there}
    async with scraping(folder, there, rules, labels) as prometheus:
        yield prometheus, label


async def alerts(prometheus: Prometheus, name: str) -> list[Any]:
    found = (await prometheus.get("alerts"))["alerts"]
    return [alert for alert in found if alert["labels"]["alertname"] == name and alert["state"] == "firing"]


def numbers(found: Sequence[Series], label: str) -> dict[str, float]:
    return {series["metric"].get(label, ""): float(series["value"][1]) for series in found}


async def test_rules_know_each_cluster_by_itself(asked: tuple[Prometheus, str]) -> None:
    prometheus, label = asked
    wanted = {"east": 7, "west": 3} if label else {"": 7}

    async def recorded() -> dict[str, float]:
        found = await prometheus.at("cluster_job_mode_class:spotmix_replicas_wanted:max", time.time())
        return numbers(found, label)

    await eventually(recorded, lambda found: found == wanted, "each has its own")
    waiting = await eventually(partial(alerts, prometheus, "SpotmixPodsWaiting"), bool, "it fires")
    (alert,) = waiting
    assert alert["labels"].get(label, "") == ("east" if label else "")
    assert alert["labels"]["team"] == "platform"
    assert alert["annotations"]["runbook_url"] == f"{CHANGES['runbooks']}docs/how-to/alerts.md#spotmixpodswaiting"
    # Two leaders, one in each, are none too many.
    groups = (await prometheus.get("rules"))["groups"]
    assert {
        rule["name"]: rule.get("lastError") for group in groups for rule in group["rules"] if rule.get("lastError")
    } == {}

    async def states() -> list[str]:
        groups = (await prometheus.get("rules"))["groups"]
        found = {rule["name"]: rule["state"] for group in groups for rule in group["rules"] if "state" in rule}
        return [found[name] for name in ("SpotmixTwoLeaders", "SpotmixNoLeader", "SpotmixDown")]

    # None leads as long as the follower's metrics alone have been scraped.
    await eventually(states, lambda seen: seen == ["inactive"] * 3, "nothing is amiss")


async def test_dashboards_show_the_cluster_that_is_chosen(asked: tuple[Prometheus, str]) -> None:
    prometheus, label = asked

    def query(target: Target, cluster: str) -> str:
        expr = target.expr.replace('cluster="$cluster"', f'{label or "cluster"}="$cluster"')
        return filled(expr, {"cluster": cluster, "job": JOB, "__rate_interval": "5s"})

    async def chosen(panel: str, cluster: str) -> list[float]:
        (target,) = [each for each in targets() if each.dashboard == "spotmix-service.json" and each.panel == panel]
        found = await prometheus.at(query(target, cluster), time.time())
        return [float(series["value"][1]) for series in found]

    for cluster in ("east", "west") if label else ("",):
        await eventually(partial(chosen, "Leaders", cluster), lambda found: found == [1], f"one leads {cluster}")
        assert await chosen("Replicas", cluster) == [2]
    marks = {mark["name"]: mark for mark in load()["spotmix-service.json"]["annotations"]["list"]}
    expr = marks["Leader changes"]["expr"].replace('cluster="$cluster"', f'{label or "cluster"}="$cluster"')
    found = await prometheus.at(filled(expr, {"cluster": "east" if label else "", "job": JOB}), time.time())
    assert [series["metric"]["pod"] for series in found] == ["east-0"]


async def test_a_cluster_that_has_lost_spotmix_is_told_of_though_another_has_it(
    asked: tuple[Prometheus, str], replicas: Replicas
) -> None:
    prometheus, label = asked
    lost = "west" if label else "east"
    replicas.gone.add(lost)
    (alert,) = await eventually(partial(alerts, prometheus, "SpotmixDown"), bool, "it is missed")
    assert alert["labels"].get(label, "") == (lost if label else "")
