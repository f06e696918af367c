"""The chart's scheduler: the real kube-scheduler with the chart's configuration and rights."""

import asyncio
import base64
import contextlib
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from generate.chart import NAMESPACE, pick, pod_templates, template
from support.audit import Audit
from support.cluster import Cluster, policy
from support.objects import Objects, namespace
from support.patience import eventually, stretched
from support.rights import Right, grant, rights, service_account
from support.stage import standard_nodes

from extender.sandbox import Component, ControlPlane, SimKubelet, components, create_nodes
from extender.sandbox.ports import LOOPBACK
from extender.sandbox.spotmix import SpotmixServe

pytestmark = [
    pytest.mark.controlplane,
    pytest.mark.tools,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]

ACCOUNT = "spotmix-scheduler"
CERTIFICATES = "spotmix-extender-tls"
# A lease that its holder lost is soon to be had again.
VALUES = {"scheduler": {"leaderElection": {"leaseDuration": "2s", "renewDeadline": "1s", "retryPeriod": "0.2s"}}}
CLAIM = "/api/v1/namespaces/shop/persistentvolumeclaims"


class SchedulerScene:
    """A cluster with two classes of nodes, `spotmix serve`, and no scheduler but the default one."""

    def __init__(self, plane: ControlPlane, objects: Objects, serve: SpotmixServe, audit: Audit) -> None:
        self.plane = plane
        self.objects = objects
        self.audit = audit
        self.serve = serve
        self.cluster = Cluster(objects.api, "shop")

    @contextlib.asynccontextmanager
    async def scheduler(self, name: str, user: str) -> AsyncIterator[Component]:
        """The scheduler of the chart as this user, whether it gets ready or not."""
        plane = self.plane
        text = pick(template(VALUES), "ConfigMap", ACCOUNT)["data"]["scheduler-config.yaml"]
        config = yaml.safe_load(text)
        kubeconfig = plane.write_kubeconfig(user)
        # What a pod has by itself: its account, and Service names that resolve.
        config["clientConnection"] = {"kubeconfig": str(kubeconfig)}
        extender = config["extenders"][0]
        extender["urlPrefix"] = self.serve.url.replace("http:", "https:")
        mounted = await self.mounted()
        extender["tlsConfig"] = {field: str(mounted / Path(path).name) for field, path in extender["tlsConfig"].items()}
        path = plane.directory / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        assert plane._assets is not None
        port = plane._ports.reserve()
        command = components.scheduler(plane._assets / "kube-scheduler", port, plane._credentials, kubeconfig, path)
        component = Component(name, command, **plane._serving(port, "/healthz"))
        start = asyncio.create_task(component.start())
        try:
            yield component
        finally:
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            await component.stop()

    async def mounted(self) -> Path:
        """What the pod's volume has of the Secret that Spotmix has filled."""
        found = await self.objects.get(pick(template(VALUES), "Secret", CERTIFICATES))
        assert found
        (volume,) = (v for v in self.pod_spec()["volumes"] if v["name"] == "extender-ca")
        (source,) = volume["projected"]["sources"]
        assert source["secret"]["name"] == CERTIFICATES
        folder = self.plane.directory / "extender-ca"
        folder.mkdir(exist_ok=True)
        for item in source["secret"]["items"]:
            (folder / item["path"]).write_bytes(base64.b64decode(found["data"][item["key"]]))
        return folder

    def pod_spec(self) -> dict[str, Any]:
        """Of the chart's scheduler."""
        spec: dict[str, Any] = dict(pod_templates(template(VALUES)))[ACCOUNT]["spec"]
        return spec

    async def needs_volumes(self) -> None:
        """A pod whose volume has to be bound by the scheduler that places it."""
        post = partial(self.objects.api.request, "POST")
        storage_class = {
            "metadata": {"name": "local"},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
        await post("/apis/storage.k8s.io/v1/storageclasses", body=storage_class)
        size = {"storage": "1Gi"}
        zone = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}
        volume = {
            "capacity": size,
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            "local": {"path": "/data"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}},
        }
        await post("/api/v1/persistentvolumes", body={"metadata": {"name": "disk"}, "spec": volume})
        claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "local", "resources": {"requests": size}}
        await post(CLAIM, body={"metadata": {"name": "data"}, "spec": claim})
        mounted = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        await self.cluster.deployment("with-volume", 1, schedulerName="spotmix", volumes=mounted)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SchedulerScene]:
    audit = Audit(tmp_path_factory.mktemp("audit"))
    async with ControlPlane(apiserver_flags=audit.flags) as plane, await plane.connect() as api, SimKubelet(api):
        objects = Objects(api)
        await create_nodes(api, standard_nodes())
        await objects.apply(namespace(NAMESPACE))
        await objects.apply(pick(template(VALUES), "Secret", CERTIFICATES))
        made = yaml.safe_load(pick(template(VALUES), "ConfigMap")["data"]["config.yaml"])["extender"]["certificates"]
        flags = ("--extender-certificates-secret", made["secret"], "--extender-certificates-service", made["service"])
        # Here it is called by its address.
        here = ("--extender-certificates-ip-addresses", f"[{LOOPBACK}]")
        serve = SpotmixServe(plane, *flags, *here, POD_NAMESPACE=NAMESPACE)
        try:
            await serve.start()
            opened = SchedulerScene(plane, objects, serve, audit)
            await opened.cluster.create_namespace()
            yield opened
            serve.check()
            plane.check()
        finally:
            await serve.stop()


def of_the_scheduler() -> list[dict[str, Any]]:
    """Its account, roles and bindings."""
    kinds = ("ServiceAccount", "ClusterRoleBinding", "Role", "RoleBinding")
    component = "app.kubernetes.io/component"
    return [
        each
        for each in template(VALUES)
        if each["kind"] in kinds and each["metadata"]["labels"][component] == "scheduler"
    ]


async def holder(scene: SchedulerScene) -> str:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": ACCOUNT, "namespace": NAMESPACE},
    }
    found = await scene.objects.get(lease)
    return str(found["spec"].get("holderIdentity") or "") if found else ""


async def test_nobody_is_answered_without_the_certificate_of_a_scheduler(scene: SchedulerScene) -> None:
    folder = await scene.mounted()
    port = int(scene.serve.url.rsplit(":", 1)[1].partition("/")[0])

    def ask(*, shows: bool, plain: bool = False) -> bytes:
        context = None if plain else ssl.create_default_context(cafile=folder / "ca.crt")
        if context is not None and shows:
            context.load_cert_chain(folder / "client.crt", folder / "client.key")
        url = f"{'http' if plain else 'https'}://{LOOPBACK}:{port}/scheduler/filter"
        with urllib.request.urlopen(url, b"{}", timeout=stretched(10), context=context) as answer:  # noqa: S310 - loopback
            return bytes(answer.read())

    assert b"has no Pod" in await asyncio.to_thread(ask, shows=True)
    for refused in (partial(ask, shows=False), partial(ask, shows=False, plain=True)):
        with pytest.raises((ssl.SSLError, urllib.error.URLError, ConnectionError)):
            await asyncio.to_thread(refused)


async def test_two_replicas_place_exactly_and_one_takes_over(scene: SchedulerScene) -> None:
    await scene.objects.apply_all(of_the_scheduler())
    user = service_account(ACCOUNT)
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(scene.scheduler("first", user))
        await eventually(partial(holder, scene), bool, "a scheduler leads")
        await scene.cluster.deployment("web", 10, policy(spot_percentage=70, min_on_demand=1), schedulerName="spotmix")
        await scene.cluster.expect("web", spot=7, on_demand=3)
        await scene.needs_volumes()
        await scene.cluster.ready("with-volume", 1)
        second = await stack.enter_async_context(scene.scheduler("second", user))
        before = await holder(scene)
        await first.stop(kill=True)
        await eventually(partial(holder, scene), lambda name: name not in ("", before), "the second one leads")
        await scene.cluster.scale("Deployment", "web", 20)
        await scene.cluster.expect("web", spot=14, on_demand=6)
        assert second.running
        assert await scene.audit.refused(user) == set()


_LEASE = partial(Right, "leases", group="coordination.k8s.io", name=ACCOUNT, local=True)
# What is taken away, a right of the Role or the role of a binding, and a right that the scheduler then lacks.
PROBES: dict[Right | str, Right] = {
    _LEASE("get"): _LEASE("get").kind,
    _LEASE("update"): _LEASE("update").kind,
    "system:kube-scheduler": Right("nodes", "list"),
    "system:volume-scheduler": Right("storageclasses", "list", "storage.k8s.io"),
    "extension-apiserver-authentication-reader": Right("configmaps", "list"),
}


async def test_no_right_of_the_scheduler_is_spare(scene: SchedulerScene) -> None:
    things = of_the_scheduler()
    own = rights(pick(things, "Role", ACCOUNT))
    bound = [each for each in things if each["kind"].endswith("Binding") and each["roleRef"]["name"] != ACCOUNT]
    assert {*own, *(each["roleRef"]["name"] for each in bound)} == set(PROBES)
    for number, (taken, missed) in enumerate(PROBES.items()):
        name = f"scheduler-without-{number}"
        kept = [each for each in bound if each["roleRef"]["name"] != taken]
        user = await grant(scene.objects, name, own - {taken}, kept)
        async with scene.scheduler(name, user):
            await eventually(partial(scene.audit.lacked, user, missed), bool, f"without {taken} something fails")
