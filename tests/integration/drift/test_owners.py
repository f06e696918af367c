"""Owners of all kinds: whose pods they are, how many there should be, and where that is told."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from support.cluster import ENABLED, pod_template, policy
from support.driftstage import Drifting, DriftStage
from support.patience import eventually
from support.stage import metric_lines

from extender.core.model.errors import ApiError

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

GROUP = "owners.example.com"


async def define(cluster: Drifting, kind: str, scope: str, **version: Any) -> str:
    """Have a kind served; the path of its objects, in the test's namespace if they are in one."""
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    body = {
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}, **version}
            ],
        },
    }
    await cluster.api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body=body)
    within = f"/namespaces/{cluster.namespace}" if scope == "Namespaced" else ""
    path = f"/apis/{GROUP}/v1{within}/{plural}"

    async def served() -> bool:
        try:
            await cluster.api.request("GET", path)
        except ApiError:
            return False
        return True

    await eventually(served, bool, f"{kind} is served")
    return path


async def create(cluster: Drifting, path: str, thing: Mapping[str, Any]) -> dict[str, Any]:
    """Create an object; the reference of what it controls."""
    made = json.loads(await cluster.api.request("POST", path, body=thing))
    return {
        "apiVersion": made["apiVersion"],
        "kind": made["kind"],
        "name": made["metadata"]["name"],
        "uid": made["metadata"]["uid"],
        "controller": True,
    }


async def add_pods(cluster: Drifting, app: str, owner: Mapping[str, Any], count: int, start: int = 0) -> None:
    pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
    template = pod_template({"app": app})
    for number in range(start, start + count):
        metadata = {**template["metadata"], "name": f"{app}-{number}", "ownerReferences": [owner]}
        await cluster.api.request("POST", pods, body={"metadata": metadata, "spec": template["spec"]})


async def opt_in(cluster: Drifting, **keys: Any) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace}"
    body = {"metadata": {"labels": ENABLED, "annotations": policy(**keys)}}
    await cluster.api.request("PATCH", path, body=body, content_type="application/merge-patch+json")


class Keeper:
    """Keeps `count` pods of an owner, as somebody's controller would."""

    def __init__(self, cluster: Drifting, app: str, owner: Mapping[str, Any], count: int) -> None:
        self.cluster, self.app, self.owner, self.count = cluster, app, owner, count
        self.made = 0

    async def split(self) -> dict[str, int]:
        live = len(await self.cluster.pods(self.app))
        missing = self.count - live
        await add_pods(self.cluster, self.app, self.owner, missing, self.made)
        self.made += missing
        return await self.cluster.split(self.app)

    async def reaches(self, spot: int, on_demand: int) -> None:
        target = {"spot": spot, "on-demand": on_demand}
        wanted = {name: count for name, count in target.items() if count}
        await eventually(self.split, lambda seen: seen == wanted, f"{self.app} wants {wanted}", 90.0)


async def test_pods_that_a_pod_controls_go_by_their_namespace(cluster: Drifting) -> None:
    await opt_in(cluster, spot_percentage=100)
    pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
    driver = await create(cluster, pods, {"metadata": {"name": "driver"}, "spec": pod_template({})["spec"]})
    await add_pods(cluster, "exec", driver, 10)
    await cluster.expect("exec", spot=10)


async def test_pods_of_what_cannot_be_read_go_by_their_namespace_and_it_is_told(
    cluster: Drifting, drifts: DriftStage
) -> None:
    await opt_in(cluster, spot_percentage=100)
    secret = await create(cluster, f"/api/v1/namespaces/{cluster.namespace}/secrets", {"metadata": {"name": "keys"}})
    await add_pods(cluster, "keyed", secret, 3)
    await cluster.expect("keyed", spot=3)
    (told,) = await eventually(lambda: cluster.events("PolicyWarning"), bool, "it is told")
    assert told["regarding"]["kind"] == "Secret"
    assert "cannot be read" in told["note"]
    assert not [line for line in metric_lines(drifts.stage.spotmix) if "secrets" in line]


async def test_pods_of_a_cluster_scoped_kind_go_by_their_namespace(cluster: Drifting) -> None:
    path = await define(cluster, "Fleet", "Cluster")
    await opt_in(cluster, spot_percentage=75)
    thing = {"apiVersion": f"{GROUP}/v1", "kind": "Fleet", "metadata": {"name": "f"}, "spec": {"replicas": 8}}
    await add_pods(cluster, "fleet", await create(cluster, path, thing), 8)
    await cluster.expect("fleet", spot=6, on_demand=2)


async def test_pods_of_a_deployment_itself_are_split_and_moved_by_their_own_number(cluster: Drifting) -> None:
    await cluster.deployment("jm", 1, policy(spot_percentage=0))
    await cluster.ready("jm", 1)
    found = await cluster.get("Deployment", "jm")
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "jm", "uid": found["metadata"]["uid"]}
    keeper = Keeper(cluster, "tm", {**owner, "controller": True}, 10)
    await keeper.reaches(spot=0, on_demand=10)
    await cluster.ready("tm", 10)
    await cluster.annotate("Deployment", "jm", policy(spot_percentage=70))
    await keeper.reaches(spot=7, on_demand=3)
    await cluster.expect("jm", on_demand=1)


async def test_pods_whose_owner_has_its_size_elsewhere_are_moved(cluster: Drifting) -> None:
    scale = {"specReplicasPath": ".spec.instances", "statusReplicasPath": ".status.instances"}
    path = await define(cluster, "Database", "Namespaced", subresources={"scale": scale})
    thing = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Database",
        "metadata": {"name": "db", "labels": ENABLED, "annotations": policy(spot_percentage=0)},
        "spec": {"instances": 6},
    }
    keeper = Keeper(cluster, "db", await create(cluster, path, thing), 6)
    await keeper.reaches(spot=0, on_demand=6)
    await cluster.ready("db", 6)
    patch = {"metadata": {"annotations": policy(spot_percentage=50)}}
    await cluster.api.request("PATCH", f"{path}/db", body=patch, content_type="application/merge-patch+json")
    await keeper.reaches(spot=3, on_demand=3)


async def test_nothing_is_to_report_of_the_tail_of_a_queue_of_work(cluster: Drifting, drifts: DriftStage) -> None:
    spec = {"parallelism": 6, "template": pod_template({"app": "wq"}, restartPolicy="Never")}
    await cluster.create("Job", "wq", spec, policy(spot_percentage=50, min_on_demand=2))
    await cluster.expect("wq", spot=3, on_demand=3)
    # Else the kubelet might say that a pod runs after it is said here that it has ended.
    await cluster.ready("wq", 6)
    classes = await cluster.classes()
    pods = sorted(await cluster.pods("wq"), key=lambda pod: classes[pod["spec"]["nodeName"]] == "spot")
    done = {"status": {"phase": "Succeeded"}}
    for pod in pods[:5]:
        path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod['metadata']['name']}/status"
        await cluster.api.request("PATCH", path, body=done, content_type="application/merge-patch+json")

    async def job() -> dict[str, Any]:
        found: dict[str, Any] = (await cluster.get("Job", "wq"))["status"]
        return found

    await eventually(job, lambda status: status.get("succeeded") == 5, "five have ended well")
    await cluster.expect("wq", spot=1)
    await asyncio.gather(
        *(quiet(drifts, name) for name in ("spotmix_workloads_below_floor", "spotmix_replicas_surplus"))
    )


async def quiet(drifts: DriftStage, metric: str) -> None:
    async def values() -> list[float]:
        lines = metric_lines(drifts.stage.spotmix)
        return [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{metric} ", f"{metric}{{"))]

    await eventually(values, lambda seen: bool(seen) and not any(seen), f"{metric} is 0")
