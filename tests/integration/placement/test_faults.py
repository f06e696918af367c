"""Processes are killed and restarted in the middle of bursts; the split is exact all the same."""

import asyncio
import json
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from support.certificates import Authority
from support.cluster import Cluster, policy
from support.patience import eventually, stretched
from support.stage import open_stage, standard_nodes

from extender.sandbox import ControlPlane, SimKubelet, create_nodes
from extender.sandbox.spotmix import SpotmixServe, scheduler_config

pytestmark = [pytest.mark.controlplane]


async def test_the_extender_is_killed_in_a_burst() -> None:
    async with open_stage() as stage, stage.namespace() as cluster:
        wanted = {f"web-{n}": 20 + 15 * n for n in range(5)}
        await asyncio.gather(*(cluster.deployment(n, 40, policy(spot_percentage=p)) for n, p in wanted.items()))

        async def bound() -> int:
            return sum(bool(pod["spec"].get("nodeName")) for pod in await cluster.pods())

        await eventually(bound, lambda count: count >= 30, "some pods bound")
        await stage.spotmix.restart(kill=True)
        for name, percentage in wanted.items():
            spot = 40 * percentage // 100
            await cluster.expect(name, seconds=90, spot=spot, on_demand=40 - spot)


async def test_the_api_server_restarts_in_a_burst() -> None:
    async with open_stage() as stage, stage.namespace() as cluster:
        wanted = {f"web-{n}": 20 + 15 * n for n in range(5)}
        await asyncio.gather(*(cluster.deployment(n, 20, policy(spot_percentage=p)) for n, p in wanted.items()))

        async def bound() -> int:
            return sum(bool(pod["spec"].get("nodeName")) for pod in await cluster.pods())

        await eventually(bound, lambda count: count >= 10, "some pods bound")
        await stage.plane.apiserver.restart()
        for name, percentage in wanted.items():
            spot = 20 * percentage // 100
            await cluster.expect(name, seconds=90, spot=spot, on_demand=20 - spot)


async def test_https_with_client_certificates(tmp_path: Path) -> None:
    authority = Authority("test CA")
    server = authority.issue(tmp_path, "server", hosts=("127.0.0.1",))
    client = authority.issue(tmp_path, "client")
    ca = authority.write(tmp_path / "ca.pem")
    async with ControlPlane() as plane, await plane.connect() as api, SimKubelet(api):
        await create_nodes(api, standard_nodes())
        flags = ("--tls-cert", str(server.cert), "--tls-key", str(server.key), "--client-ca", str(ca))
        spotmix = SpotmixServe(plane, *flags)
        try:
            await spotmix.start()
            url = spotmix.url.replace("http:", "https:")
            tls = {"caFile": str(ca), "certFile": str(client.cert), "keyFile": str(client.key)}
            await plane.scheduler.restart(scheduler_config(url, enableHTTPS=True, tlsConfig=tls))
            cluster = Cluster(api, "tls")
            await cluster.create_namespace()
            await cluster.deployment("web", 10, policy(spot_percentage=70, min_on_demand=1))
            await cluster.expect("web", spot=7, on_demand=3)
            with pytest.raises((ssl.SSLError, OSError)):
                await asyncio.to_thread(_post_without_certificate, url, ca)
        finally:
            await spotmix.stop()


def _post_without_certificate(url: str, ca: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(ca))
    with urllib.request.urlopen(f"{url}/filter", data=b"{}", context=context, timeout=stretched(5)) as answer:  # noqa: S310 - https on loopback
        body: bytes = answer.read()
        return body


async def test_sigterm_ends_it_in_order() -> None:
    async with open_stage() as stage:
        process = stage.spotmix._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, stretched(15))
        assert code == 0
        last = [json.loads(line)["event"] for line in stage.spotmix.log_path.read_text().splitlines()[-2:]]
        assert last == ["stopping", "stopped"]
        await stage.spotmix.stop()
        await stage.spotmix.start()


def test_a_missing_kubeconfig_is_a_clear_error() -> None:
    command = [sys.executable, "-m", "extender", "serve", "--kubeconfig", "/nonexistent"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=stretched(30), check=False)
    assert done.returncode == 2
    assert "/nonexistent" in done.stderr
    assert "Traceback" not in done.stderr
