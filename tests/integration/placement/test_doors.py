"""A real `spotmix serve` whose ports are met by the slow, the silent and the greedy: it stays small, and answers."""

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from support.cluster import policy
from support.doubles_servers import HttpClient
from support.patience import eventually, within
from support.stage import Stage, metric_lines

from extender.sandbox.spotmix import SpotmixServe, scheduler_config
from extender.servers.connections import MOST

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

MB = 1_000_000
CROWD = 1100
IDLE_FILES = 1024
OTHERS = {"metadata": {"name": "coredns-1", "namespace": "kube-system", "uid": "u"}}


class Doors:
    """The ports of one process that leaves the cluster alone."""

    def __init__(self, spotmix: SpotmixServe) -> None:
        self.spotmix = spotmix

    def rss(self) -> int:
        """Bytes of memory that it has now."""
        return int(Path(f"/proc/{self.spotmix.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def ended(self, port: str, why: str) -> float:
        start = f'spotmix_connections_ended_total{{port="{port}",why="{why}"}}'
        return next(float(line.rsplit(" ", 1)[1]) for line in metric_lines(self.spotmix) if line.startswith(start))

    @contextlib.asynccontextmanager
    async def connected(self, url: str = "") -> AsyncIterator[HttpClient]:
        parts = urlsplit(url or self.spotmix.url)
        client = HttpClient(*await asyncio.open_connection(parts.hostname, parts.port))
        try:
            yield client
        finally:
            client.writer.transport.abort()

    async def passes(self) -> None:
        """Ask like a scheduler that comes anew."""
        body = json.dumps({"Pod": OTHERS, "NodeNames": ["n1"]}).encode()
        async with within(2), self.connected() as client:
            assert (await client.send("POST", "/scheduler/filter", body)).json() == {"NodeNames": ["n1"]}


@contextlib.asynccontextmanager
async def opened(stage: Stage, *flags: str) -> AsyncIterator[Doors]:
    quiet = ("--drift-enabled", "false", "--scale-in-deletion-cost", "false", "--api-enabled", "false")
    spotmix = SpotmixServe(stage.plane, *quiet, *flags, name="doors")
    try:
        await spotmix.start()
        yield Doors(spotmix)
        spotmix.check()
    finally:
        await spotmix.stop()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def doors(stage: Stage) -> AsyncIterator[Doors]:
    async with opened(stage) as each:
        yield each


def request(size: int) -> bytes:
    return f"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


@pytest.mark.parametrize("sent", ["all but the end", "all", "in chunks"])
async def test_thirty_large_requests_take_little_memory(doors: Doors, sent: str) -> None:
    pod = {"metadata": {"name": "p", "namespace": "shop", "uid": "u" * 15 * MB}}
    body = json.dumps({"Pod": pod, "Nodes": None, "NodeNames": ["n1"]}).encode()
    head, tail = request(len(body)), b""
    if sent == "in chunks":
        head = head.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked") + b"%x\r\n" % len(body)
        tail = b"\r\n0\r\n" + b"a: b\r\n" * 100_000
    whole = head + (body[:-1] if sent == "all but the end" else body) + tail
    await doors.passes()
    before, most = doors.rss(), 0

    async def post() -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            async with doors.connected() as client:
                client.writer.write(whole)
                await client.writer.drain()
                await client.answer()

    posts = [asyncio.create_task(post()) for _ in range(30)]
    for _ in range(60):
        _, left = await asyncio.wait(posts, timeout=0.05)
        most = max(most, doors.rss())
        if not left:
            break
    # While they hold on, others are answered.
    await doors.passes()
    for each in posts:
        each.cancel()
    await asyncio.gather(*posts, return_exceptions=True)
    await doors.passes()
    assert most - before < 20 * MB
    assert doors.rss() - before < 20 * MB


async def test_idle_connections_end_nothing(doors: Doors) -> None:
    assert doors.spotmix.pid is not None
    resource.prlimit(doors.spotmix.pid, resource.RLIMIT_NOFILE, (IDLE_FILES, IDLE_FILES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    async with doors.connected() as scheduler:
        body = json.dumps({"Pod": OTHERS, "NodeNames": ["n1"]}).encode()
        assert (await scheduler.send("POST", "/scheduler/filter", body)).status == 200
        for port, url in (("extender", doors.spotmix.url), ("metrics", doors.spotmix.metrics_url)):
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(CROWD):
                    await stack.enter_async_context(doors.connected(url))
                await doors.passes()
                # Whoever has asked before is not among those that go.
                assert (await scheduler.send("POST", "/scheduler/filter", body)).status == 200
                assert doors.ended(port, "full") >= CROWD - MOST
                files = list(Path(f"/proc/{doors.spotmix.pid}/fd").iterdir())  # noqa: ASYNC240 - not on a disk
                assert len(files) < IDLE_FILES - 100
    assert "connections are ended or refused" in doors.spotmix.log_tail(1000)


async def test_a_scheduler_with_large_requests_places_the_pods_of_others(stage: Stage) -> None:
    async with opened(stage, "--extender-max-body", "8192") as doors:
        config = scheduler_config(doors.spotmix.url, nodeCacheCapable=False)
        profiles = [{"schedulerName": "large"}]
        scheduler = await stage.plane.start_scheduler("large", {**config, "profiles": profiles})
        async with stage.namespace() as cluster:
            await cluster.deployment("others", 3, labels={}, schedulerName="large")
            await cluster.deployment("ours", 2, policy(spot_percentage=50), schedulerName="large")

            async def bound() -> list[str]:
                placed = [pod for pod in await cluster.pods() if pod["spec"].get("nodeName")]
                return [pod["metadata"]["labels"]["app"] for pod in placed]

            await eventually(bound, lambda apps: apps == ["others"] * 3, "the pods of others bound")
            errors = 'spotmix_request_errors_total{verb="filter"}'

            async def refused() -> bool:
                return any(line.startswith(errors) and float(line.split()[1]) for line in metric_lines(doors.spotmix))

            await eventually(refused, bool, "our pods refused with an error")
            assert await bound() == ["others"] * 3
        await scheduler.stop()


async def test_slow_bodies_do_not_hold_up_the_end(stage: Stage) -> None:
    async with opened(stage) as doors, contextlib.AsyncExitStack() as stack:
        for url in (doors.spotmix.url, doors.spotmix.metrics_url):
            for sent in (b"", request(1000)[:20], request(1000), request(1000) + b"{"):
                client = await stack.enter_async_context(doors.connected(url))
                client.writer.write(sent)
                await client.writer.drain()
        async with within(5):
            await doors.spotmix.stop()
        assert doors.spotmix.exit_code in (0, None)
        await doors.spotmix.start()
