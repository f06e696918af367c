"""The chart's admission policy on a real API server: what Spotmix writes on pods passes, all else of it does not."""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from generate.chart import NAMESPACE, template
from support.cluster import pod_template
from support.objects import Objects, namespace
from support.patience import eventually
from support.rights import service_account

from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Toleration
from extender.core.placement.gates import Release
from extender.core.placement.written import Requires
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.kube.ownpod import LEADER_LABEL, TERM_ANNOTATION
from extender.kube.patches import PodPatches
from extender.sandbox import ControlPlane
from extender.sandbox.controlplane import ADMIN_GROUP
from extender.wire.kube_v1 import DELETION_COST

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

SHOP = "policy-shop"
JSON_PATCH = "application/json-patch+json"
CONDITION = {"type": "Ready", "status": "True"}


class PolicyScene:
    """The chart's policy in force, a pod of somebody's and one of our own. `us` has every right that RBAC can give."""

    def __init__(self, us: ApiClient, admin: ApiClient) -> None:
        self.us, self.admin = us, admin

    async def patch(
        self, change: Any, *, where: str = SHOP, name: str = "web", sub: str = "", by: ApiClient | None = None
    ) -> None:
        kind = JSON_PATCH if isinstance(change, list) else MERGE_PATCH
        path = f"/api/v1/namespaces/{where}/pods/{name}{sub}"
        await (by or self.us).request("PATCH", path, body=json.dumps(change).encode(), content_type=kind)

    async def deletion(self, path: str, **params: str) -> str:
        """Have Spotmix delete a pod; why it may not, empty where it may."""
        try:
            await self.us.request("DELETE", path, params={"gracePeriodSeconds": "0", **params})
        except ApiError as error:
            return str(error)
        return ""

    async def pod(self, where: str = SHOP) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.admin.request("GET", f"/api/v1/namespaces/{where}/pods/web"))
        return found


async def make_pod(admin: ApiClient, where: str, name: str = "web", **spec: Any) -> None:
    metadata = {"name": name, "labels": {"app": "web"}, "annotations": {"example.org/a": "b"}}
    body = {"metadata": metadata, "spec": {**pod_template({})["spec"], **spec}}
    await admin.request("POST", f"/api/v1/namespaces/{where}/pods", body=body)


@pytest_asyncio.fixture(loop_scope="session")
async def scene(bare_plane: ControlPlane, objects: Objects) -> AsyncIterator[PolicyScene]:
    policy = [each for each in template() if each["kind"].startswith("ValidatingAdmissionPolicy")]
    for where in (SHOP, NAMESPACE):
        await objects.apply(namespace(where))
        await make_pod(objects.api, where)
    async with contextlib.AsyncExitStack() as stack:
        us = await stack.enter_async_context(await bare_plane.connect(service_account("spotmix"), (ADMIN_GROUP,)))
        opened = PolicyScene(us, objects.api)
        await objects.apply_all(policy)
        try:
            # A patch that changes nothing is refused to nobody.
            numbers = itertools.count()

            async def probe() -> bool:
                return await refused(opened, {"metadata": {"labels": {"probe": str(next(numbers))}}})

            async def probe_deletion() -> str:
                return await opened.deletion(f"/api/v1/namespaces/{SHOP}/pods/web", dryRun="All")

            # The API server takes up each policy by itself.
            await eventually(probe, bool, "that of changes is in force")
            await eventually(probe_deletion, lambda told: "Spotmix may" in told, "that of deletions is in force")
            yield opened
        finally:
            for each in policy:
                await objects.delete(each)
            for where in (SHOP, NAMESPACE):
                params = {"gracePeriodSeconds": "0"}
                await objects.api.request("DELETE", f"/api/v1/namespaces/{where}/pods/web", params=params)


async def test_the_account_of_an_uninstall_is_held_to_the_same(scene: PolicyScene, bare_plane: ControlPlane) -> None:
    await make_pod(scene.admin, SHOP, "gated", schedulingGates=[GATE])
    path = f"/api/v1/namespaces/{SHOP}/pods/gated"
    try:
        async with await bare_plane.connect(service_account("spotmix-release-gates"), (ADMIN_GROUP,)) as leaving:
            theirs = PolicyScene(leaving, scene.admin)
            assert await refused(theirs, {"metadata": {"labels": {"app": "other"}}}, name="gated")
            uid = json.loads(await scene.admin.request("GET", path))["metadata"]["uid"]
            assert await PodPatches(leaving).release(Release(PodId(SHOP, "gated", uid), GATE["name"], {}))
        assert "schedulingGates" not in json.loads(await scene.admin.request("GET", path))["spec"]
    finally:
        await scene.admin.request("DELETE", path, params={"gracePeriodSeconds": "0"})


async def refused(scene: PolicyScene, change: Any, **how: Any) -> bool:
    """Whether the policy refuses a change."""
    try:
        await scene.patch(change, **how)
    except ApiError as error:
        return "Spotmix may" in str(error)
    return False


REFUSED: Mapping[str, tuple[Any, str]] = {
    "a label": ({"metadata": {"labels": {"app": "other"}}}, ""),
    "a new label": ({"metadata": {"labels": {"x": "y"}}}, ""),
    "no label": ({"metadata": {"labels": {"app": None}}}, ""),
    "the leader's label": ({"metadata": {"labels": {LEADER_LABEL: "true"}}}, ""),
    "an annotation": ({"metadata": {"annotations": {"example.org/a": "c"}}}, ""),
    "a new annotation": ({"metadata": {"annotations": {"spotmix.io/disrupt": "never"}}}, ""),
    "no annotation": ({"metadata": {"annotations": {"example.org/a": None}}}, ""),
    "a finalizer": ({"metadata": {"finalizers": ["example.org/stay"]}}, ""),
    "an owner": (
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]}},
        "",
    ),
    "an image": ([{"op": "replace", "path": "/spec/containers/0/image", "value": "evil"}], ""),
    "a toleration": ([{"op": "add", "path": "/spec/tolerations/-", "value": {"key": "x", "operator": "Exists"}}], ""),
    "a deadline": ({"spec": {"activeDeadlineSeconds": 1}}, ""),
    "a phase": ({"status": {"phase": "Succeeded"}}, "/status"),
    "a condition": ({"status": {"conditions": [CONDITION]}}, "/status"),
    "an address": ({"status": {"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}]}}, "/status"),
    "a label by the status": ({"metadata": {"labels": {"app": "other"}}}, "/status"),
    "an annotation by the status": ({"metadata": {"annotations": {"example.org/a": "c"}}}, "/status"),
}


async def test_only_what_spotmix_writes_passes(scene: PolicyScene) -> None:
    before = await scene.pod()
    for what, (change, sub) in REFUSED.items():
        assert await refused(scene, change, sub=sub), what
    assert await scene.pod() == before

    pod = PodId(SHOP, "web", before["metadata"]["uid"])
    patches = PodPatches(scene.us)
    for cost in (7, -3):
        assert await patches.set_deletion_cost(pod, cost)
    assert await patches.annotate(pod, {"spotmix.io/wake": "now"})
    assert await patches.nominate(pod, "node-1")
    seen = await scene.pod()
    assert seen["metadata"]["annotations"] == {"example.org/a": "b", DELETION_COST: "-3", "spotmix.io/wake": "now"}
    assert seen["status"]["nominatedNodeName"] == "node-1"
    assert await patches.set_deletion_cost(pod, None)
    assert await patches.annotate(pod, {"spotmix.io/wake": None})

    for leads in ("true", None):
        await scene.patch({"metadata": {"labels": {LEADER_LABEL: leads}}}, where=NAMESPACE)
    await scene.patch({"metadata": {"annotations": {TERM_ANNOTATION: "now"}}}, where=NAMESPACE)
    # Nobody else is held to it.
    await scene.patch({"metadata": {"labels": {"x": "y"}}}, by=scene.admin)


GATE = {"name": "spotmix.io/placement"}
OTHER = {"name": "example.org/other"}
SPOT = Toleration("spot", "Exists", "", "NoSchedule")
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def tolerating(key: str) -> dict[str, Any]:
    """A patch that has a pod tolerate a taint; an empty key is that of all."""
    return {"op": "add", "path": "/spec/tolerations/-", "value": {"key": key, "operator": "Exists"}}


NOT_WITH_A_GATE: Mapping[str, Any] = {
    "an image": [{"op": "replace", "path": "/spec/containers/0/image", "value": "evil"}],
    **{f"a toleration of {key}": [tolerating(key)] for key in ("", "node.kubernetes.io/unschedulable", CONTROL_PLANE)},
    "a shorter toleration": [{"op": "replace", "path": "/spec/tolerations/0/tolerationSeconds", "value": 1}],
    "the gate of others": [{"op": "remove", "path": "/spec/schedulingGates/0"}],
    "an annotation": [{"op": "add", "path": "/metadata/annotations/x", "value": "y"}],
}


async def test_a_class_is_written_only_where_our_gate_is_taken_away(scene: PolicyScene) -> None:
    await make_pod(scene.admin, SHOP, "gated", schedulingGates=[OTHER, GATE], nodeSelector={"disk": "ssd"})
    path = f"/api/v1/namespaces/{SHOP}/pods/gated"
    try:
        for what, more in NOT_WITH_A_GATE.items():
            change = [{"op": "remove", "path": "/spec/schedulingGates/1"}, *more]
            assert await refused(scene, change, name="gated"), what
        assert await refused(scene, {"metadata": {"annotations": {"spotmix.io/class": "spot"}}}, name="gated")
        # Of a node selector the API server itself lets nobody change what is there.
        with pytest.raises(ApiError, match="only additions to"):
            await scene.patch({"spec": {"nodeSelector": {"disk": "any"}}}, name="gated")
        uid = json.loads(await scene.admin.request("GET", path))["metadata"]["uid"]
        label = "karpenter.sh/capacity-type"
        requires = Requires(((label, "spot"),), ((Requirement(label, "In", ("spot",)),),), (SPOT,))
        pod, written = PodId(SHOP, "gated", uid), {"spotmix.io/class": "spot"}
        release = Release(pod, GATE["name"], written, "spot", requires)
        assert await PodPatches(scene.us).release(release)
        before = (await scene.pod())["spec"]["tolerations"]
        seen = json.loads(await scene.admin.request("GET", path))
        assert seen["spec"]["schedulingGates"] == [OTHER]
        assert seen["spec"]["nodeSelector"] == {"disk": "ssd", label: "spot"}
        assert seen["spec"]["tolerations"] == [*before, {"key": "spot", "operator": "Exists", "effect": "NoSchedule"}]
        assert seen["metadata"]["annotations"]["spotmix.io/class"] == "spot"
    finally:
        await scene.admin.request("DELETE", path, params={"gracePeriodSeconds": "0"})


async def test_only_pods_without_a_node_and_placeholders_are_deleted(scene: PolicyScene) -> None:
    written = {"annotations": {"spotmix.io/class": "spot"}}
    label = {"labels": {"spotmix.io/placeholder": "uid"}}
    cases: Mapping[str, tuple[str, Mapping[str, Any], str, bool]] = {
        "runs": (SHOP, written, "node", False),
        "of-others": (SHOP, {}, "", False),
        "as-placeholder": (SHOP, label, "", False),
        "pending": (SHOP, written, "", True),
        "placeholder": (NAMESPACE, label, "node", True),
        "our-own": (NAMESPACE, {}, "node", False),
    }
    for name, (where, metadata, node, may) in cases.items():
        spec = {**pod_template({})["spec"], **({"nodeName": node} if node else {})}
        path = f"/api/v1/namespaces/{where}/pods"
        await scene.admin.request("POST", path, body={"metadata": {"name": name, **metadata}, "spec": spec})
        refusal = await scene.deletion(f"{path}/{name}")
        if refusal:
            await scene.admin.request("DELETE", f"{path}/{name}", params={"gracePeriodSeconds": "0"})
        assert ("Spotmix may delete no pod but" in refusal) is not may, (name, refusal)
    with pytest.raises(ApiError, match="Spotmix may delete no pod but"):
        await scene.us.request("DELETE", f"/api/v1/namespaces/{SHOP}/pods")
