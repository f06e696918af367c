"""Real helm uninstalls in the middle of a burst: no pod keeps our gate, and all run.

Containers do not run here. What the chart's pods would run are processes of ours with the rights of its accounts: two
replicas of `spotmix serve`, and the command of the Job that helm waits for.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from generate.chart import CHART, NAMESPACE, RELEASE, pick, run_helm, template
from support.cluster import Cluster, pod_template, policy
from support.commands import SCRIPT, Ran, run
from support.objects import Objects
from support.patience import eventually
from support.rights import service_account
from support.stage import metric_lines, standard_nodes
from support.webhook import Hook

from extender.kube.client import MERGE_PATCH
from extender.sandbox import ControlPlane, SimKubelet, create_nodes
from extender.sandbox.podstatus import SandboxPod, ended
from extender.sandbox.spotmix import SpotmixServe

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="module")]

GATE = "spotmix.io/placement"
SEVENTY = policy(spot_percentage=70, min_on_demand=2, enforcement="affinity")
JOB = "spotmix-release-gates"
GATED_AT_LEAST = 48
PLACEHOLDER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "spotmix-placeholder-left",
        "namespace": NAMESPACE,
        "labels": {"spotmix.io/placeholder": "true"},
    },
    "spec": {**pod_template({})["spec"], "schedulerName": "nobody"},
}
"""What a leader has left that was killed."""


class Installed:
    """The chart on a control plane, as helm has installed it, and replicas of `spotmix serve`.

    Args:
        plane: the control plane.
        api: a client with all rights.
        folder: for certificates, and helm's home.
    """

    def __init__(self, plane: ControlPlane, api: Any, folder: Path) -> None:
        self.plane, self.objects, self.cluster = plane, Objects(api), Cluster(api, "shop")
        self._environ = {"KUBECONFIG": str(plane.kubeconfig), "HOME": str(folder)}
        self.hook = Hook.of_files(folder)
        self.rendered = template()

    async def helm(self, *arguments: str) -> str:
        return await asyncio.to_thread(run_helm, *arguments, "--namespace", NAMESPACE, environ=self._environ)

    async def install(self) -> None:
        """Have helm install it. The API server finds the webhook at a replica's port: no Service leads there."""
        await self.helm("install", RELEASE, str(CHART), "--create-namespace")
        for kind in ("Mutating", "Validating"):
            configuration = pick(self.rendered, f"{kind}WebhookConfiguration")
            bundle = base64.b64encode(self.hook.ca).decode()
            operations = [
                {
                    "op": "replace",
                    "path": f"/webhooks/{number}/clientConfig",
                    "value": {"url": self.hook.url + webhook["clientConfig"]["service"]["path"], "caBundle": bundle},
                }
                for number, webhook in enumerate(configuration["webhooks"])
            ]
            await self.objects.patch(configuration, operations, "application/json-patch+json")

    def replica(self, name: str, port: int = 0) -> SpotmixServe:
        """One with the rights of the chart, which the API server calls where a port is given."""
        flags = self.hook.flags_at(port) if port else ()
        pod = {"POD_NAME": name, "POD_NAMESPACE": NAMESPACE}
        election = ("--leader-election-enabled", "true")
        return SpotmixServe(self.plane, *election, *flags, name=name, user=service_account("spotmix"), **pod)

    async def gated(self) -> list[str]:
        """Names of the pods that have our gate."""
        pods = json.loads(await self.objects.api.request("GET", "/api/v1/pods"))["items"]
        return [
            pod["metadata"]["name"]
            for pod in pods
            if any(gate["name"] == GATE for gate in pod["spec"].get("schedulingGates", ()))
        ]

    async def as_account(self, name: str, *arguments: str) -> Ran:
        """Run `spotmix` with the rights of a service account of the chart."""
        kubeconfig = self.plane.write_kubeconfig(service_account(name))
        return await run(SCRIPT, *arguments, KUBECONFIG=str(kubeconfig))

    async def run_job(self) -> Ran:
        """Run what the pod of the Job is to run, once it has a node, and have it end so."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"

        async def started() -> bytes:
            params = {"labelSelector": f"batch.kubernetes.io/job-name={JOB}"}
            items = json.loads(await self.objects.api.request("GET", path, params=params))["items"]
            return json.dumps(items[0]).encode() if items and items[0]["status"]["phase"] == "Running" else b""

        found = await eventually(started, bool, "the Job's pod runs")
        pod = json.loads(found)
        assert pod["spec"]["serviceAccountName"] == JOB
        ran = await self.as_account(JOB, *pod["spec"]["containers"][0]["args"])
        status = ended(msgspec.json.decode(found, type=SandboxPod), exit_code=ran.code)
        where = f"{path}/{pod['metadata']['name']}/status"
        await self.objects.api.request("PATCH", where, body=status, content_type=MERGE_PATCH)
        return ran


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def installed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installed]:
    async with ControlPlane() as plane, await plane.connect() as api, SimKubelet(api):
        await create_nodes(api, standard_nodes())
        opened = Installed(plane, api, tmp_path_factory.mktemp("uninstall"))
        await opened.install()
        await opened.cluster.create_namespace()
        yield opened
        plane.check()


async def test_spotmix_own_account_may_release_gates_too(installed: Installed) -> None:
    """What those do who installed plain manifests: it is run in a pod of the Deployment."""
    spec = pod_template({"app": "left"})["spec"] | {"schedulingGates": [{"name": GATE}, {"name": "example.org/other"}]}
    body = {"metadata": {"name": "left", "labels": {"app": "left"}}, "spec": spec}
    await installed.objects.api.request("POST", "/api/v1/namespaces/shop/pods", body=body)
    tried = await installed.as_account("spotmix", "release-gates", "--dry-run")
    assert (tried.code, tried.out) == (0, "pod/shop/left (dry run)\n")
    assert await installed.gated() == ["left"]
    done = await installed.as_account("spotmix", "release-gates")
    assert (done.code, done.out) == (0, "pod/shop/left\n")
    (left,) = await installed.cluster.pods("left")
    assert left["spec"]["schedulingGates"] == [{"name": "example.org/other"}]
    await installed.objects.api.request("DELETE", "/api/v1/namespaces/shop/pods/left")


async def test_uninstalled_in_a_burst_no_pod_keeps_the_gate(installed: Installed) -> None:
    cluster = installed.cluster
    async with contextlib.AsyncExitStack() as stack:
        leader = installed.replica("leader")
        stack.push_async_callback(leader.stop)
        await leader.start()
        other = installed.replica("other", installed.hook.port)
        stack.push_async_callback(other.stop)
        await other.start()
        await cluster.deployment("before", 10, SEVENTY)
        await cluster.expect("before", spot=7, on_demand=3)
        before = [pod["metadata"].get("annotations", {}) for pod in await cluster.pods("before")]
        ungated = sum("spotmix.io/class" not in annotations for annotations in before)
        # None is let pass ungated but where the webhook says that it could not look: its owner came late, say.
        start = 'spotmix_admissions_total{outcome="failed",verb="mutate-pods"} '
        (failed,) = [line.removeprefix(start) for line in metric_lines(other) if line.startswith(start)]
        assert ungated == float(failed)

        await installed.objects.apply(PLACEHOLDER)

        # Nobody takes gates away for as long as the leader's Lease lasts, and pods are gated still.
        await leader.stop(kill=True)
        names = [f"burst-{number}" for number in range(12)]
        await asyncio.gather(*(cluster.deployment(name, 12, SEVENTY) for name in names[:6]))
        await eventually(installed.gated, lambda seen: len(seen) >= GATED_AT_LEAST, "gated pods")

        async def go_on() -> None:
            for name in names[6:]:
                await cluster.deployment(name, 12, SEVENTY)
                await asyncio.sleep(0.3)

        burst = asyncio.create_task(go_on())
        helm = asyncio.create_task(installed.helm("uninstall", RELEASE))
        ran = await installed.run_job()
        assert ran.code == 0, ran.err
        assert len(ran.out.splitlines()) >= GATED_AT_LEAST
        assert "mutatingwebhookconfiguration/spotmix deleted" in ran.err
        assert "placeholders deleted: " in ran.err
        await asyncio.gather(burst, helm)
        await other.stop()
    for name in names:
        await cluster.ready(name, 12)
    assert await installed.gated() == []
    assert await installed.objects.get(PLACEHOLDER) is None
    # The kinds of policies stay, and with them what users have written.
    kept = [each for each in installed.rendered if each["kind"] == "CustomResourceDefinition"]
    assert [bool(await installed.objects.get(each)) for each in kept] == [True, True]
    for each in (*installed.rendered, *template(hooks=True)):
        if each in kept:
            continue
        await installed.objects.gone(each)
    await cluster.deployment("after", 3, SEVENTY)
    await cluster.ready("after", 3)
