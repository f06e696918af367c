"""Real Karpenter on a sandbox: its nodes are objects alone, and what it launches can be refused.

The sandbox's kubelet has to start its nodes, as `open_stage` has it do.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from programs import karpenter

from extender.core.model.errors import ApiError
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.sandbox import ControlPlane, bulk
from extender.sandbox.controlplane import ADMIN_GROUP
from extender.sandbox.nodes import end_pods
from extender.sandbox.ports import free_port
from extender.sandbox.probes import http_probe
from extender.sandbox.process import Component
from support.patience import eventually, within

CAPACITY_TYPE = "karpenter.sh/capacity-type"
POOL = "karpenter.sh/nodepool"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NODE_CLASSES = "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses"
_POOLS, _CLAIMS = "/apis/karpenter.sh/v1/nodepools", "/apis/karpenter.sh/v1/nodeclaims"
_CPUS = (2, 4, 8)
_ZONES = ("a", "b", "c")
_PRICE = {"spot": 0.01, "on-demand": 0.03}
_UNDECIDED: Mapping[str, Any] = {}
_THERE = 409
_POLL = 0.2


class Karpenter:
    """One that runs.

    Args:
        api: a client with all rights.
        refused: the file with the capacity types that cannot be launched.
        process: the program.
    """

    def __init__(self, api: ApiClient, refused: Path, process: Component) -> None:
        self._api, self._refused, self.process = api, refused, process

    def refuse(self, *classes: str, unavailable: str = "0s") -> None:
        """Have no capacity of these classes from now on, and of all others.

        Each launch of them fails. For as long after a failed one as `unavailable` says Karpenter knows, as clouds'
        providers do for three minutes, and launches nothing that needs them.
        """
        # In one step: a launch must not read half of it.
        new = self._refused.with_suffix(".new")
        new.write_text("".join(f"{name} {unavailable}\n" for name in classes))
        new.rename(self._refused)

    def allow(self) -> None:
        """Have capacity of all classes again; what is known to be unavailable stays so for its time."""
        self.refuse()

    async def pool(
        self,
        name: str,
        *classes: str,
        taints: Sequence[Mapping[str, str]] = (),
        labels: Mapping[str, str] = _UNDECIDED,
        consolidate: str = "Never",
        registration: str = "0s",
        startup_taints: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """A NodePool of nodes of these classes.

        Args:
            name: of the pool.
            classes: its capacity types.
            taints: of its nodes.
            labels: of its nodes.
            consolidate: how long it waits before it removes nodes.
            registration: how long a launched node takes to appear.
            startup_taints: of its nodes, until something takes them away.
        """
        node_class = {"nodeRegistrationDelay": registration}
        body = _object("karpenter.kwok.sh/v1alpha1", "KWOKNodeClass", name, node_class)
        await self._api.request("POST", _NODE_CLASSES, body=body)
        spec = {
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": name},
                    "expireAfter": "Never",
                    "requirements": [{"key": CAPACITY_TYPE, "operator": "In", "values": list(classes)}],
                    "taints": list(taints),
                    "startupTaints": list(startup_taints),
                },
            },
            "disruption": {
                "consolidationPolicy": "WhenEmptyOrUnderutilized",
                "consolidateAfter": consolidate,
                "budgets": [{"nodes": "100%"}],
            },
        }
        await self._api.request("POST", _POOLS, body=_object("karpenter.sh/v1", "NodePool", name, spec))

        async def ready() -> bool:
            pool = json.loads(await self._api.request("GET", f"{_POOLS}/{name}"))
            return _is_true(pool, "Ready")

        await eventually(ready, bool, f"NodePool {name} is ready")

    async def remove(self, *pools: str) -> None:
        """Delete pools, with their nodes, without waiting for them to be gone."""
        for pool in pools:
            await self._api.request("DELETE", f"{_POOLS}/{pool}")

    async def consolidate(self, pool: str, after: str) -> None:
        """Have a pool that is there wait so long before it removes nodes; `Never` is not at all."""
        await self._patch(f"{_POOLS}/{pool}", {"disruption": {"consolidateAfter": after}})

    async def slow(self, pool: str, registration: str) -> None:
        """Have the nodes of a pool take so long to appear from now on, once they are launched."""
        await self._patch(f"{_NODE_CLASSES}/{pool}", {"nodeRegistrationDelay": registration})

    async def claims(self) -> list[dict[str, Any]]:
        """The NodeClaims there are."""
        found: list[dict[str, Any]] = json.loads(await self._api.request("GET", _CLAIMS))["items"]
        return found

    async def initialized(self, pool: str = "", seconds: float = 60.0) -> list[dict[str, Any]]:
        """The NodeClaims of a pool, or all, once there are some whose nodes run; before Karpenter removes none."""

        async def claims() -> list[dict[str, Any]]:
            return [each for each in await self.claims() if pool in ("", each["metadata"]["labels"].get(POOL))]

        def started(claims: list[dict[str, Any]]) -> bool:
            return bool(claims) and all(_is_true(claim, "Initialized") for claim in claims)

        return await eventually(claims, started, "the NodeClaims are initialized", seconds)

    async def events(self, reason: str) -> list[dict[str, Any]]:
        """What Karpenter has said for a reason, such as `InsufficientCapacityError`, of whatever object."""
        params = {"fieldSelector": f"reason={reason}"}
        found: list[dict[str, Any]] = json.loads(await self._api.request("GET", "/api/v1/events", params=params))[
            "items"
        ]
        return found

    async def refused(self, seconds: float = 60.0) -> list[dict[str, Any]]:
        """The Events about launches that failed for want of capacity, once there are some."""
        return await eventually(
            lambda: self.events("InsufficientCapacityError"), bool, "a launch fails for want of capacity", seconds
        )

    async def lose(self, capacity_class: str, notice: float = 10.0) -> int:
        """Have all nodes of a class taken back, as a cloud does with spot capacity; return when their pods are gone.

        Their NodeClaims are deleted, and Karpenter drains them; what is left after `notice` seconds ends with them.

        Returns:
            How many there were.
        """
        lost = [c for c in await self.claims() if c["metadata"].get("labels", {}).get(CAPACITY_TYPE) == capacity_class]
        nodes = [claim["status"]["nodeName"] for claim in lost if claim.get("status", _UNDECIDED).get("nodeName")]
        names = [claim["metadata"]["name"] for claim in lost]
        await bulk(names, lambda name: self._api.request("DELETE", f"{_CLAIMS}/{name}"))
        with contextlib.suppress(TimeoutError):
            async with within(notice):
                while await self._pods_on(nodes):  # noqa: ASYNC110 - the API server tells
                    await asyncio.sleep(_POLL)
        await bulk(nodes, lambda node: end_pods(self._api, node))
        return len(lost)

    async def _pods_on(self, nodes: Sequence[str]) -> bool:
        pods = json.loads(await self._api.request("GET", "/api/v1/pods"))["items"]
        return any(pod["spec"].get("nodeName") in nodes for pod in pods)

    async def _patch(self, path: str, spec: Mapping[str, Any]) -> None:
        await self._api.request("PATCH", path, body={"spec": spec}, content_type=MERGE_PATCH)


def _is_true(subject: Mapping[str, Any], condition: str) -> bool:
    conditions = subject.get("status", _UNDECIDED).get("conditions") or ()
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def _object(api_version: str, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _instance_types() -> list[dict[str, Any]]:
    def offering(cpus: int, capacity_class: str, zone: str) -> dict[str, Any]:
        wanted = {CAPACITY_TYPE: capacity_class, "topology.kubernetes.io/zone": zone}
        return {
            "Price": _PRICE[capacity_class] * cpus,
            "Available": True,
            "Requirements": [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()],
        }

    return [
        {
            "name": f"m-{cpus}x-amd64-linux",
            "offerings": [offering(cpus, name, zone) for name in _PRICE for zone in _ZONES],
            "architecture": "amd64",
            "operatingSystems": ["linux"],
            "resources": {"cpu": str(cpus), "memory": f"{4 * cpus}Gi", "ephemeral-storage": "20Gi", "pods": "110"},
        }
        for cpus in _CPUS
    ]


@contextlib.asynccontextmanager
async def running_karpenter(
    plane: ControlPlane, api: ApiClient, *, env: Mapping[str, str] = _UNDECIDED
) -> AsyncIterator[Karpenter]:
    """Run Karpenter on a control plane.

    Args:
        plane: the control plane.
        api: a client with all rights.
        env: further environment variables.
    """
    program = await asyncio.to_thread(karpenter)
    await _define(program, api)
    folder = plane.directory
    types, refused = folder / "instance-types.json", folder / "refused"
    types.write_text(json.dumps(_instance_types()))
    refused.write_text("")
    health = free_port()
    process = Component(
        "karpenter",
        [program],
        directory=folder,
        probe=http_probe(f"http://127.0.0.1:{health}/readyz"),
        env={
            **os.environ,
            "KUBECONFIG": str(plane.write_kubeconfig("karpenter", (ADMIN_GROUP,))),
            "DISABLE_LEADER_ELECTION": "true",
            "SYSTEM_NAMESPACE": "kube-system",
            "METRICS_PORT": str(free_port()),
            "HEALTH_PROBE_PORT": str(health),
            "INSTANCE_TYPES_FILE_PATH": str(types),
            "KARPENTER_SERVICE": "",
            "KARPENTER_REFUSED_FILE": str(refused),
            "BATCH_IDLE_DURATION": "500ms",
            **env,
        },
    )
    try:
        await process.start()
        yield Karpenter(api, refused, process)
        process.check()
    except BaseException:
        print(process.log_tail())
        raise
    finally:
        await process.stop()


async def _define(program: Path, api: ApiClient) -> None:
    """Have the API server serve its kinds."""
    listing = await asyncio.create_subprocess_exec(program, "crds", stdout=asyncio.subprocess.PIPE)
    output, _ = await listing.communicate()
    definitions = [json.loads(line) for line in output.splitlines()]
    for definition in definitions:
        definition.pop("status", None)
        try:
            await api.request("POST", _DEFINITIONS, body=definition)
        except ApiError as error:
            if error.status != _THERE:
                raise

    async def established() -> list[bool]:
        items = json.loads(await api.request("GET", _DEFINITIONS))["items"]
        return [
            any(c["type"] == "Established" and c["status"] == "True" for c in item["status"].get("conditions") or ())
            for item in items
        ]

    await eventually(established, lambda seen: len(seen) >= len(definitions) and all(seen), "the kinds are served")
