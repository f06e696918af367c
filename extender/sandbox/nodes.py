"""Simulated nodes: Node objects that look like a platform's, and what a spot termination does to one.

A node is nothing but its object. Nobody sends heartbeats for it, and no controller that would miss them runs.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from extender.core.model.errors import ApiError, SandboxError
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.kube.paths import api_path
from extender.kube.resources import NODES, PODS
from extender.sandbox.bulk import bulk
from extender.sandbox.versions import KUBERNETES

CapacityClass = Literal["spot", "on-demand"]
Taint = Mapping[str, str]
"""`key`, `effect` and perhaps `value`, as in a Node's `spec.taints`."""

SPOT_NOTICE: Taint = {"key": "aws-node-termination-handler/spot-itn", "effect": "NoSchedule"}
"""What a termination handler puts on a node whose spot capacity will be taken back."""

_PATCH_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class _Platform:
    """How a platform marks capacity: labels of each class, and the taint of its spot nodes if it has one."""

    spot: Mapping[str, str]
    on_demand: Mapping[str, str]
    spot_taint: Taint | None = None


_PLATFORMS: Mapping[str, _Platform] = {
    "karpenter": _Platform({"karpenter.sh/capacity-type": "spot"}, {"karpenter.sh/capacity-type": "on-demand"}),
    "eks": _Platform({"eks.amazonaws.com/capacityType": "SPOT"}, {"eks.amazonaws.com/capacityType": "ON_DEMAND"}),
    "gke": _Platform(
        {"cloud.google.com/gke-spot": "true", "cloud.google.com/gke-provisioning": "spot"},
        {"cloud.google.com/gke-provisioning": "standard"},
        {"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NoSchedule"},
    ),
    "aks": _Platform(
        {"kubernetes.azure.com/scalesetpriority": "spot"},
        {},
        {"key": "kubernetes.azure.com/scalesetpriority", "value": "spot", "effect": "NoSchedule"},
    ),
    "none": _Platform({}, {}),
}


@dataclass(frozen=True, slots=True)
class SimNode:
    """A node to create.

    Attributes:
        name: object name and hostname label.
        capacity_class: `spot` or `on-demand`, marked as `platform` marks it.
        zone: `topology.kubernetes.io/zone`; the region is `sandbox`.
        instance_type: `node.kubernetes.io/instance-type`.
        cpu, memory: allocatable, Kubernetes quantities.
        pods: allocatable number of pods.
        taints: beside the platform's own.
        labels: beside the platform's own, which they override.
        platform: `karpenter`, `eks`, `gke`, `aks`, or `none` for no mark of its class.
        ready: status of the Ready condition.
    """

    name: str
    capacity_class: CapacityClass = "on-demand"
    zone: str = "a"
    instance_type: str = "m.large"
    cpu: str = "8"
    memory: str = "32Gi"
    pods: int = 110
    taints: Sequence[Taint] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = "karpenter"
    ready: bool = True

    def body(self) -> dict[str, Any]:
        """Return the Node object, spec and status, as the API takes it."""
        platform = _PLATFORMS.get(self.platform)
        if platform is None:
            raise SandboxError(f"node {self.name!r}: platform {self.platform!r} is none of {', '.join(_PLATFORMS)}")
        spot = self.capacity_class == "spot"
        taints = [dict(taint) for taint in self.taints]
        if spot and platform.spot_taint is not None:
            taints.append(dict(platform.spot_taint))
        allocatable = {
            "cpu": self.cpu,
            "memory": self.memory,
            "pods": str(self.pods),
            "ephemeral-storage": "100Gi",
        }
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": {
                    "kubernetes.io/hostname": self.name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64",
                    "topology.kubernetes.io/zone": self.zone,
                    "topology.kubernetes.io/region": "sandbox",
                    "node.kubernetes.io/instance-type": self.instance_type,
                    **(platform.spot if spot else platform.on_demand),
                    **self.labels,
                },
            },
            "spec": {"taints": taints},
            "status": {
                "capacity": allocatable,
                "allocatable": allocatable,
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True" if self.ready else "False",
                        "reason": "SandboxNode",
                        "message": "simulated",
                    }
                ],
                "nodeInfo": {
                    "architecture": "amd64",
                    "operatingSystem": "linux",
                    "kubeletVersion": KUBERNETES,
                    "kubeProxyVersion": "",
                    "containerRuntimeVersion": "sandbox://1",
                    "osImage": "sandbox",
                    "kernelVersion": "0",
                    "machineID": "",
                    "systemUUID": "",
                    "bootID": "",
                },
            },
        }


def node_pool(
    count: int,
    *,
    capacity_class: CapacityClass,
    prefix: str | None = None,
    zones: Sequence[str] = ("a",),
    instance_types: Sequence[str] = ("m.large",),
    start: int = 0,
    **shape: Any,
) -> list[SimNode]:
    """Return nodes named `PREFIX-START`, and so on, spread over zones and then instance types.

    Args:
        count: how many.
        capacity_class: of all of them.
        prefix: of the names; the class when None.
        zones: taken in turn.
        instance_types: the next one after each round of zones, so that every pool (type x zone) gets its
            share.
        start: number of the first.
        **shape: further fields of `SimNode`, the same for all.
    """
    return [
        SimNode(
            name=f"{prefix or capacity_class}-{start + index}",
            capacity_class=capacity_class,
            zone=zones[index % len(zones)],
            instance_type=instance_types[index // len(zones) % len(instance_types)],
            **shape,
        )
        for index in range(count)
    ]


async def create_nodes(api: ApiClient, nodes: Sequence[SimNode], *, concurrency: int = 32) -> None:
    """Create the nodes, one request each.

    Raises:
        ApiError: a node exists already, or the API server was not reached; the others may be there.
    """

    async def create(node: SimNode) -> None:
        await api.request("POST", NODES.path, body=node.body())

    await bulk(nodes, create, concurrency=concurrency)


async def add_taint(api: ApiClient, name: str, taint: Taint) -> None:
    """Add a taint to a node, unless one with its key and effect is there.

    Raises:
        ApiError: the node is not there, or the API server was not reached.
    """

    def added(taints: list[dict[str, str]]) -> list[dict[str, str]]:
        kept = [each for each in taints if (each["key"], each["effect"]) != (taint["key"], taint["effect"])]
        return [*kept, dict(taint)]

    await _change_taints(api, name, added)


async def remove_taint(api: ApiClient, name: str, key: str) -> None:
    """Remove the taints with this key from a node.

    Raises:
        ApiError: the node is not there, or the API server was not reached.
    """
    await _change_taints(api, name, lambda taints: [each for each in taints if each["key"] != key])


async def terminate_node(api: ApiClient, name: str, *, notice: float = 0.0, marker: Taint | None = SPOT_NOTICE) -> None:
    """Take a node away as a cloud takes back spot capacity; return when it and its pods are gone.

    The pods' objects go last, as they do in a cluster: their node is gone before anyone has cleaned up.

    Args:
        api: with rights to patch and delete nodes and to list and delete pods.
        name: of the node.
        notice: seconds between the marker and the end.
        marker: taint that announces it; None for an end without warning.

    Raises:
        ApiError: the node is not there, or the API server was not reached.
    """
    if marker is not None:
        await add_taint(api, name, marker)
    await asyncio.sleep(notice)
    await api.request("DELETE", api_path("", "v1", "nodes", name=name))
    await end_pods(api, name)


async def end_pods(api: ApiClient, name: str) -> None:
    """Take the pods of a node away whose machine is gone.

    Raises:
        ApiError: the API server was not reached.
    """
    listed = await api.request("GET", PODS.path, params={"fieldSelector": f"spec.nodeName={name}"})
    pods = msgspec.json.decode(listed)["items"] or []
    await bulk(pods, lambda pod: _force_delete(api, pod["metadata"]))


async def _force_delete(api: ApiClient, metadata: Mapping[str, str]) -> None:
    path = api_path("", "v1", "pods", namespace=metadata["namespace"], name=metadata["name"])
    options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
    try:
        await api.request("DELETE", path, body=options)
    except ApiError as error:
        # Gone already, or gone and replaced by another pod of that name.
        if error.status not in (404, 409):
            raise


async def _change_taints(
    api: ApiClient, name: str, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]
) -> None:
    # A list is patched as a whole; the resource version makes sure that nobody's taint is lost on the way.
    path = api_path("", "v1", "nodes", name=name)
    for attempt in range(1, _PATCH_ATTEMPTS + 1):
        node = msgspec.json.decode(await api.request("GET", path))
        before = node["spec"].get("taints") or []
        after = change(before)
        if after == before:
            return
        body = {
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
            "spec": {"taints": after},
        }
        try:
            await api.request("PATCH", path, body=body, content_type=MERGE_PATCH)
        except ApiError as error:
            if error.status != 409 or attempt == _PATCH_ATTEMPTS:
                raise
        else:
            return
