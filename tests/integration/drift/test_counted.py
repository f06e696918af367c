"""What is counted before a pod is moved, on a real control plane: the rest keeps a pod, what does not matter none."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.cluster import policy
from support.driftstage import IGNORED, Drifting, DriftStage
from support.patience import eventually
from support.versions import minor

from extender.sandbox import SimNode, create_nodes

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

HALF = policy(spot_percentage=50)
RESOURCES = "/apis/resource.k8s.io/v1"
APART = {"key": "apart", "effect": "NoSchedule"}
DEVICE_CLASS, SLICE, VOLUME, NODE = "counted-gpu", "counted-slice", "counted-disk", "counted-apart"


@contextlib.asynccontextmanager
async def devices(cluster: Drifting) -> AsyncIterator[None]:
    """A claim of a device that on-demand nodes alone can use."""
    term = {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}
    spec = {
        "driver": "gpu.example.com",
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
        "nodeSelector": {"nodeSelectorTerms": [{"matchExpressions": [term]}]},
        "devices": [{"name": "one"}],
    }
    request = {"name": "g", "exactly": {"deviceClassName": DEVICE_CLASS}}
    claims = f"{RESOURCES}/namespaces/{cluster.namespace}/resourceclaims"
    post = cluster.api.request
    await post("POST", f"{RESOURCES}/deviceclasses", body={"metadata": {"name": DEVICE_CLASS}, "spec": {}})
    await post("POST", f"{RESOURCES}/resourceslices", body={"metadata": {"name": SLICE}, "spec": spec})
    body = {"metadata": {"name": "one"}, "spec": {"devices": {"requests": [request]}}}
    await post("POST", claims, body=body)
    try:
        yield
    finally:
        await post("DELETE", f"{RESOURCES}/resourceslices/{SLICE}")
        await post("DELETE", f"{RESOURCES}/deviceclasses/{DEVICE_CLASS}")


@contextlib.asynccontextmanager
async def disk_apart(cluster: Drifting) -> AsyncIterator[None]:
    """A bound claim whose volume says by its label alone that it is in a zone of one on-demand node."""
    node = SimNode(NODE, zone="z", taints=[APART])
    claims = f"/api/v1/namespaces/{cluster.namespace}/persistentvolumeclaims"
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "hostPath": {"path": "/x"}}
    where = {"labels": {"topology.kubernetes.io/zone": "z"}}
    volume = {"metadata": {"name": VOLUME, **where}, "spec": {**spec, "storageClassName": ""}}
    wanted = {"storageClassName": "", "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    await create_nodes(cluster.api, [node])
    await cluster.api.request("POST", "/api/v1/persistentvolumes", body=volume)
    await cluster.api.request(
        "POST", claims, body={"metadata": {"name": "data"}, "spec": {**wanted, "volumeName": VOLUME}}
    )

    async def phase() -> str:
        found = json.loads(await cluster.api.request("GET", f"{claims}/data"))
        return str(found["status"].get("phase"))

    await eventually(phase, lambda seen: seen == "Bound", "the claim is bound")
    try:
        yield
    finally:
        await cluster.api.request("DELETE", f"/api/v1/persistentvolumes/{VOLUME}")
        await cluster.api.request("DELETE", f"/api/v1/nodes/{NODE}")


async def fill_spot(cluster: Drifting) -> None:
    """For each spot node a pod that would fill it and has a gate, and one for a scheduler that there is not."""
    spot = [name for name, capacity_class in (await cluster.classes()).items() if capacity_class == "spot"]
    keeps: tuple[dict[str, Any], ...] = ({"schedulingGates": [{"name": "wait/here"}]}, {"schedulerName": "nobody"})
    for number in range(len(spot)):
        for kind, keep in enumerate(keeps):
            asks = {"requests": {"cpu": "7990m"}}
            spec = {"containers": [{"name": "c", "image": "x", "resources": asks}], **keep}
            body = {"metadata": {"name": f"big-{kind}-{number}"}, "spec": spec}
            await cluster.api.request("POST", f"/api/v1/namespaces/{cluster.namespace}/pods", body=body)


async def staying(drifts: DriftStage, reason: str, count: int) -> None:
    async def seen() -> float | None:
        return drifts.stage.metric(f'spotmix_drift_staying_replicas{{reason="{reason}"}}')

    await eventually(seen, lambda found: found == count, f"{count} stay: {reason}")


async def test_what_cannot_be_counted_stays_and_what_does_not_count_moves(
    drifts: DriftStage, cluster: Drifting
) -> None:
    claim: dict[str, Any] = {"resourceClaims": [{"name": "g", "resourceClaimName": "one"}]}
    volume: dict[str, Any] = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}
    asks = {"requests": {IGNORED: "2"}, "limits": {IGNORED: "2"}}
    # Devices are claimed by an API that 1.34 was the first to serve by itself.
    claimed = minor() >= 34
    async with devices(cluster) if claimed else contextlib.nullcontext(), disk_apart(cluster):
        await fill_spot(cluster)
        if claimed:
            await cluster.steady("claims", 2, **claim)
        await cluster.steady("apart", 2, **volume, tolerations=[{**APART, "operator": "Exists"}])
        await cluster.steady("ignored", 2, containers=[{"name": "main", "image": "sim", "resources": asks}])
        stay = {app: await cluster.uids(app) for app in ("claims", "apart")[not claimed :]}
        for app in (*stay, "ignored"):
            await cluster.annotate("Deployment", app, HALF)
        await cluster.expect("ignored", spot=1, on_demand=1)
        if claimed:
            await staying(drifts, "unmodelled", 1)
        await staying(drifts, "volume", 1)
        assert {app: await cluster.uids(app) for app in stay} == stay
        assert len(cluster.evictions()) == 1
