"""The real kube-scheduler works with what is rendered and injected: it becomes ready, and asks Spotmix."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.certificates import Authority
from support.cluster import Cluster, policy
from support.patience import stretched
from support.stage import standard_nodes

from extender.sandbox import ControlPlane, SimKubelet, components, create_nodes
from extender.sandbox.ports import LOOPBACK, free_port
from extender.sandbox.probes import https_probe
from extender.sandbox.process import Component
from extender.sandbox.spotmix import SpotmixServe
from extender.schedulerconfig.read import API_VERSION, KIND

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]


class Plane:
    """A control plane whose schedulers are the tests' own, with Spotmix running."""

    def __init__(self, plane: ControlPlane, spotmix: SpotmixServe, cluster: Cluster) -> None:
        self.plane = plane
        self.spotmix = spotmix
        self.cluster = cluster

    @contextlib.asynccontextmanager
    async def scheduler(self, name: str, config: Path, kubeconfig: Path) -> AsyncIterator[Component]:
        """A kube-scheduler with a configuration file as it is."""
        assets, port = self.plane._assets, free_port()
        assert assets is not None
        credentials = self.plane._credentials
        url = f"https://{LOOPBACK}:{port}"
        component = Component(
            name,
            components.scheduler(assets / "kube-scheduler", port, credentials, kubeconfig, config),
            directory=self.plane.directory,
            probe=https_probe(f"{url}/readyz", credentials),
            url=url,
        )
        try:
            await component.start()
            yield component
            component.check()
        finally:
            await component.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane() -> AsyncIterator[Plane]:
    async with ControlPlane(with_scheduler=False) as started, await started.connect() as api, SimKubelet(api):
        await create_nodes(api, standard_nodes())
        spotmix = SpotmixServe(started)
        cluster = Cluster(api, "scheduler-config")
        await cluster.create_namespace()
        try:
            await spotmix.start()
            yield Plane(started, spotmix, cluster)
        finally:
            await spotmix.stop()


async def spotmix(*args: str | Path) -> str:
    """Run the command line; its standard output."""
    command = [sys.executable, "-m", "extender", "scheduler-config", *map(str, args)]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=stretched(60), check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_rendered_second_scheduler_asks_us_and_elects_by_its_own_lease(plane: Plane, tmp_path: Path) -> None:
    # Its own Lease is none that the role system:kube-scheduler may write; the chart adds a role for it.
    kubeconfig = plane.plane.kubeconfig
    options = ("--scheduler-name", "spotmix", "--scheduler-name", "batch", "--lease-namespace", "kube-system")
    url = ("--scheduler-config-url-prefix", plane.spotmix.url)
    config = tmp_path / "rendered.yaml"
    config.write_text(await spotmix("render", *options, "--scheduler-kubeconfig", kubeconfig, *url))
    async with plane.scheduler("rendered", config, kubeconfig):
        await plane.cluster.deployment("second", 10, policy(spot_percentage=70), schedulerName="spotmix")
        await plane.cluster.deployment("third", 4, policy(spot_percentage=50), schedulerName="batch")
        await plane.cluster.expect("second", spot=7, on_demand=3)
        await plane.cluster.expect("third", spot=2, on_demand=2)
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/spotmix-scheduler"
        lease = json.loads(await plane.cluster.api.request("GET", path))
        assert lease["spec"]["holderIdentity"]


KUBEADM = """\
# Read by kube-scheduler as --config; mounted into its static pod.
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: KUBECONFIG   # /etc/kubernetes/scheduler.conf on a kubeadm node
leaderElection:
  leaderElect: true
profiles:
- schedulerName: default-scheduler
  plugins:
    score:
      # We prefer full nodes.
      disabled:
      - name: NodeResourcesBalancedAllocation
  pluginConfig:
  - name: NodeResourcesFit
    args:
      scoringStrategy:
        type: MostAllocated
        resources:
        - {name: cpu, weight: 1}   # memory is plenty
"""


async def test_the_default_scheduler_of_a_kubeadm_cluster_is_exact_once_injected(plane: Plane, tmp_path: Path) -> None:
    kubeconfig = plane.plane.write_kubeconfig("system:kube-scheduler")
    config = tmp_path / "scheduler.yaml"
    before = KUBEADM.replace("KUBECONFIG", str(kubeconfig))
    config.write_text(before)
    url = ("--scheduler-config-url-prefix", plane.spotmix.url)
    await spotmix("inject", config, "--in-place", *url)
    assert config.read_text().startswith(before)
    await spotmix("check", config, *url)
    async with plane.scheduler("kubeadm", config, kubeconfig):
        await plane.cluster.deployment("web", 10, policy(spot_percentage=60, min_on_demand=2))
        await plane.cluster.expect("web", spot=6, on_demand=4)
        await plane.cluster.ready("web", 10)


async def test_a_scheduler_verifies_us_by_the_ca_that_was_injected(plane: Plane, tmp_path: Path) -> None:
    authority = Authority("test CA")
    server, client = authority.issue(tmp_path, "server", (LOOPBACK,)), authority.issue(tmp_path, "client")
    ca = authority.write(tmp_path / "ca.pem")
    flags = ("--tls-cert", str(server.cert), "--tls-key", str(server.key), "--client-ca", str(ca))
    serve = SpotmixServe(plane.plane, *flags, name="spotmix-tls")
    kubeconfig = plane.plane.write_kubeconfig("system:kube-scheduler")
    config = tmp_path / "scheduler.json"
    config.write_text(
        json.dumps(
            {
                "kind": KIND,
                "apiVersion": API_VERSION,
                "clientConnection": {"kubeconfig": str(kubeconfig)},
                "extenders": None,
            },
            indent=2,
        )
    )
    try:
        await serve.start()
        options = {
            "url-prefix": serve.url.replace("http:", "https:"),
            "cert-file": str(client.cert),
            "key-file": str(client.key),
        }
        given = [part for name, value in options.items() for part in (f"--scheduler-config-{name}", value)]
        await spotmix("inject", config, "--in-place", *given, "--scheduler-config-ca-data", ca.read_text())
        async with plane.scheduler("tls", config, kubeconfig):
            await plane.cluster.deployment("tls", 5, policy(spot_percentage=60))
            await plane.cluster.expect("tls", spot=3, on_demand=2)
    finally:
        await serve.stop()
