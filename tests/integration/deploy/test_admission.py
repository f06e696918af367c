"""Which reviews the chart's webhook configurations let through: the API server judges, a stand-in for us counts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from generate.chart import NAMESPACE, template
from support.cluster import PATHS, pod_template
from support.counting_webhook import Reviews, redirected, reviews
from support.objects import Objects, namespace
from support.patience import eventually

from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

SHOP = "admission-shop"
UID = "00000000-0000-0000-0000-000000000000"
MANAGED = {"spotmix.io/spot-percentage": "70"}


def owned_by(kind: str, name: str = "any", *, controller: bool = True) -> dict[str, Any]:
    versions = {"ReplicaSet": "apps/v1", "DaemonSet": "apps/v1", "Node": "v1", "Deployment": "apps/v1"}
    owner = {"apiVersion": versions[kind], "kind": kind, "name": name, "uid": UID, "controller": controller}
    return {"ownerReferences": [owner]}


async def create(api: ApiClient, path: str, name: str, metadata: Mapping[str, Any], **body: Any) -> None:
    thing = {"metadata": {"name": name, **metadata}, **body}
    await api.request("POST", path, body=thing, params={"dryRun": "All"})


async def create_pod(api: ApiClient, where: str, name: str, metadata: Mapping[str, Any], **spec: Any) -> None:
    path = f"/api/v1/namespaces/{where}/pods"
    await create(api, path, name, metadata, spec={**pod_template({})["spec"], **spec})


async def create_workload(api: ApiClient, kind: str, name: str, metadata: Mapping[str, Any]) -> None:
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app": name}}, "template": pod_template({"app": name})}
    if kind == "StatefulSet":
        spec["serviceName"] = name
    if kind in ("Job", "CronJob"):
        spec = {"template": pod_template({}, restartPolicy="Never")}
    if kind == "CronJob":
        spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": spec}}
    await create(api, PATHS[kind].format(SHOP), name, metadata, spec=spec)


async def ask(plane: ControlPlane, objects: Objects, asked: Reviews) -> None:
    """Create all kinds of things, as dry runs: they are admitted like any other."""
    api = objects.api
    await create_pod(api, SHOP, "replica", owned_by("ReplicaSet"))
    await create_pod(api, SHOP, "alone", {})
    await create_pod(api, SHOP, "owned-in-name-only", owned_by("ReplicaSet", controller=False))
    await create_pod(api, SHOP, "daemon", owned_by("DaemonSet"))
    await create_pod(api, SHOP, "static", owned_by("Node"))
    await create_pod(api, SHOP, "bound", owned_by("ReplicaSet"), nodeName="somewhere")
    for where in (NAMESPACE, "kube-system"):
        await create_pod(api, where, f"in-{where}", owned_by("ReplicaSet"))

    for kind in ("Deployment", "ReplicaSet", "StatefulSet", "Job", "CronJob"):
        await create_workload(api, kind, "says", {"annotations": MANAGED})
        await create_workload(api, kind, "silent", {"annotations": {"example.org/a": "b"}})
    await create_workload(api, "ReplicaSet", "revision", {"annotations": MANAGED, **owned_by("Deployment")})
    await create_workload(api, "Deployment", "opted-in", {"labels": {"spotmix.io/enabled": "true"}})
    await create_workload(api, "Deployment", "other-prefix", {"annotations": {"spotalis.io/min-on-demand": "1"}})
    for user in ("system:kube-controller-manager", "system:serviceaccount:kube-system:deployment-controller"):
        groups = ("system:masters", "system:serviceaccounts:kube-system") if "account" in user else ("system:masters",)
        async with await plane.connect(user, groups) as controller:
            await create_workload(controller, "Deployment", "by-a-controller", {"annotations": MANAGED})
    await create(api, "/api/v1/namespaces", "managed-namespace", {"annotations": MANAGED})
    await create(api, "/api/v1/namespaces", "plain-namespace", {})

    for where in (SHOP, NAMESPACE):
        path = f"/api/v1/namespaces/{where}/configmaps"
        await create(api, path, f"scheduler-{where}", {"labels": {"spotmix.io/inject-extender": "true"}}, data={})
        await create(api, path, f"other-{where}", {}, data={})
    assert asked.seen


async def test_what_is_not_managed_is_not_sent(bare_plane: ControlPlane, objects: Objects, tmp_path: Path) -> None:
    for name in (SHOP, NAMESPACE):
        await objects.apply(namespace(name))
    with reviews(tmp_path) as asked:
        hooks = redirected([each for each in template() if "webhooks" in each], asked)
        try:
            await objects.apply_all(hooks)
            await active(objects, asked)
            await ask(bare_plane, objects, asked)
        finally:
            for each in hooks:
                await objects.delete(each)
    assert asked.of("/mutate/pods") == {("Pod", "replica", "CREATE")}
    assert asked.of("/validate/workloads") == {
        *((kind, "says", "CREATE") for kind in ("Deployment", "ReplicaSet", "StatefulSet", "Job", "CronJob")),
        ("Deployment", "opted-in", "CREATE"),
        ("Deployment", "other-prefix", "CREATE"),
        ("Namespace", "managed-namespace", "CREATE"),
    }
    assert asked.of("/mutate/scheduler-configs") == {
        ("ConfigMap", f"scheduler-{where}", "CREATE") for where in (SHOP, NAMESPACE)
    }


async def test_every_workload_is_sent_where_that_is_asked_for(objects: Objects, tmp_path: Path) -> None:
    await objects.apply(namespace(SHOP))
    with reviews(tmp_path) as asked:
        rendered = template({"webhook": {"reviewAllWorkloads": True}})
        hooks = redirected([each for each in rendered if "webhooks" in each], asked)
        try:
            await objects.apply_all(hooks)
            await active(objects, asked)
            await create_workload(objects.api, "Deployment", "silent-too", {})
            await create_workload(objects.api, "ReplicaSet", "of-a-silent-one", owned_by("Deployment"))
            await create(objects.api, "/api/v1/namespaces", "another-plain-namespace", {})
        finally:
            for each in hooks:
                await objects.delete(each)
    assert asked.of("/validate/workloads") == {("Deployment", "says", "CREATE"), ("Deployment", "silent-too", "CREATE")}


async def active(objects: Objects, asked: Reviews) -> None:
    """Wait until the API server has taken the configurations over; each in its own time."""

    async def sent() -> set[str]:
        await create_pod(objects.api, SHOP, "replica", owned_by("ReplicaSet"))
        await create_workload(objects.api, "Deployment", "says", {"annotations": MANAGED})
        return {path for path, *_ in asked.seen}

    wanted = {"/mutate/pods", "/validate/workloads"}
    await eventually(sent, lambda paths: paths == wanted, "both configurations are active")
