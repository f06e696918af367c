"""Processes are killed and restarted in the middle of bursts; the split is exact all the same."""

import asyncio
import contextlib
import json
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from support.certificates import Authority, KeyPair
from support.cluster import policy
from support.commands import run
from support.patience import eventually, stretched, within
from support.stage import Stage

from extender.sandbox.spotmix import SpotmixServe, scheduler_config

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def hit(stage: Stage) -> AsyncIterator[Stage]:
    """The stage; whatever its scheduler says of what becomes of it is as it should be."""
    yield stage
    stage.scheduler_errors()


async def test_the_extender_is_killed_in_a_burst(hit: Stage) -> None:
    async with hit.namespace() as cluster:
        wanted = {f"web-{n}": 20 + 15 * n for n in range(5)}
        await asyncio.gather(*(cluster.deployment(n, 40, policy(spot_percentage=p)) for n, p in wanted.items()))

        async def bound() -> int:
            return sum(bool(pod["spec"].get("nodeName")) for pod in await cluster.pods())

        await eventually(bound, lambda count: count >= 30, "some pods bound")
        await hit.spotmix.restart(kill=True)
        for name, percentage in wanted.items():
            spot = 40 * percentage // 100
            await cluster.expect(name, seconds=90, spot=spot, on_demand=40 - spot)


async def test_the_api_server_restarts_in_a_burst(hit: Stage) -> None:
    async with hit.namespace() as cluster:
        wanted = {f"web-{n}": 20 + 15 * n for n in range(5)}
        # A controller whose requests are cut off makes more pods than there are to be, and deletes some as it likes: so
        # all are made before any is placed.
        await hit.plane.scheduler.stop()
        await asyncio.gather(*(cluster.deployment(n, 40, policy(spot_percentage=p)) for n, p in wanted.items()))
        await eventually(cluster.pods, lambda pods: len(pods) == 200, "all pods are made")
        await hit.plane.scheduler.start()

        async def bound() -> int:
            return sum(bool(pod["spec"].get("nodeName")) for pod in await cluster.pods())

        seen = await eventually(bound, lambda count: count >= 10, "some pods bound")
        assert seen < 200, "the burst is over"
        await hit.plane.apiserver.restart()
        for name, percentage in wanted.items():
            spot = 40 * percentage // 100
            await cluster.expect(name, seconds=90, spot=spot, on_demand=40 - spot)


async def test_https_with_client_certificates(stage: Stage, tmp_path: Path) -> None:
    authority = Authority("test CA")
    server = authority.issue(tmp_path, "server", hosts=("127.0.0.1",))
    client = authority.issue(tmp_path, "client")
    ca = authority.write(tmp_path / "ca.pem")
    flags = ("--tls-cert", str(server.cert), "--tls-key", str(server.key), "--client-ca", str(ca))
    # The stage's own does the rest.
    quiet = ("--drift-enabled", "false", "--scale-in-deletion-cost", "false", "--api-enabled", "false")
    spotmix = SpotmixServe(stage.plane, *flags, *quiet, name="by-https")
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(spotmix.stop)
        await spotmix.start()
        url = spotmix.url.replace("http:", "https:")
        tls = {"caFile": str(ca), "certFile": str(client.cert), "keyFile": str(client.key)}
        config = scheduler_config(url, enableHTTPS=True, tlsConfig=tls)
        scheduler = await stage.plane.start_scheduler("https", config)
        stack.push_async_callback(scheduler.stop)
        cluster = await stack.enter_async_context(stage.namespace())
        await cluster.deployment("web", 10, policy(spot_percentage=70, min_on_demand=1), schedulerName="https")
        await cluster.expect("web", spot=7, on_demand=3)
        port = urlsplit(url).port or 0
        assert (await answered(port, ca, client)).startswith(b"HTTP/1.1 ")
        assert await answered(port, ca) == b""


async def answered(port: int, ca: Path, client: KeyPair | None = None) -> bytes:
    """The first line of the answer to a request; empty when the connection is ended instead."""
    context = ssl.create_default_context(cafile=str(ca))
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        async with within(10):
            # With TLS 1.3 a client hears only now that its certificate is missing.
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                writer.write(b"GET /scheduler/filter HTTP/1.1\r\nHost: spotmix\r\n\r\n")
                return await reader.readline()
            return b""
    finally:
        writer.close()


async def test_sigterm_ends_it_in_order(hit: Stage) -> None:
    process = hit.spotmix._process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(process.wait, stretched(15))
    assert code == 0
    last = [json.loads(line)["event"] for line in hit.spotmix.log_path.read_text().splitlines()[-2:]]
    assert last == ["stopping", "stopped"]
    await hit.spotmix.stop()
    await hit.spotmix.start()


async def test_a_missing_kubeconfig_is_a_clear_error() -> None:
    done = await run(sys.executable, "-m", "extender", "serve", "--kubeconfig", "/nonexistent")
    assert done.code == 2
    assert "/nonexistent" in done.err
    assert "Traceback" not in done.err
