"""Real Karpenter on a sandbox: its nodes are objects alone, and what it launches can be refused."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from programs import karpenter

from extender.core.model.errors import ApiError
from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane
from extender.sandbox.controlplane import ADMIN_GROUP
from extender.sandbox.ports import free_port
from extender.sandbox.probes import http_probe
from extender.sandbox.process import Component
from support.patience import eventually

CAPACITY_TYPE = "karpenter.sh/capacity-type"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NODE_CLASSES = "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses"
_POOLS, _CLAIMS = "/apis/karpenter.sh/v1/nodepools", "/apis/karpenter.sh/v1/nodeclaims"
_CPUS = (2, 4, 8)
_ZONES = ("a", "b", "c")
_PRICE = {"spot": 0.01, "on-demand": 0.03}
_UNDECIDED: Mapping[str, Any] = {}
_THERE = 409


class Karpenter:
    """One that runs.

    Args:
        api: a client with all rights.
        refused: the file with the capacity types that cannot be launched.
        process: the program.
    """

    def __init__(self, api: ApiClient, refused: Path, process: Component) -> None:
        self._api, self._refused, self.process = api, refused, process

    def refuse(self, *classes: str) -> None:
        """Have no capacity of these classes from now on."""
        # In one step: a launch must not read half of it.
        new = self._refused.with_suffix(".new")
        new.write_text("\n".join(classes))
        new.rename(self._refused)

    async def pool(
        self,
        name: str,
        *classes: str,
        taints: Sequence[Mapping[str, str]] = (),
        labels: Mapping[str, str] = _UNDECIDED,
        consolidate: str = "Never",
    ) -> None:
        """A NodePool of nodes of these classes; `consolidate` is how long it waits before it removes nodes."""
        spec = {
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
                    "expireAfter": "Never",
                    "requirements": [{"key": CAPACITY_TYPE, "operator": "In", "values": list(classes)}],
                    "taints": list(taints),
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
            conditions = pool.get("status", _UNDECIDED).get("conditions", ())
            return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

        await eventually(ready, bool, f"NodePool {name} is ready")

    async def claims(self) -> list[dict[str, Any]]:
        """The NodeClaims there are."""
        found: list[dict[str, Any]] = json.loads(await self._api.request("GET", _CLAIMS))["items"]
        return found

    async def lose(self, capacity_class: str) -> int:
        """Delete all NodeClaims of a class at once; how many there were."""
        names = [
            claim["metadata"]["name"]
            for claim in await self.claims()
            if claim["metadata"].get("labels", {}).get(CAPACITY_TYPE) == capacity_class
        ]
        await asyncio.gather(*(self._api.request("DELETE", f"{_CLAIMS}/{name}") for name in names))
        return len(names)


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
    plane: ControlPlane, api: ApiClient, *, registration: str = "0s", env: Mapping[str, str] = _UNDECIDED
) -> AsyncIterator[Karpenter]:
    """Run Karpenter on a control plane.

    Args:
        plane: the control plane.
        api: a client with all rights.
        registration: how long a launched node takes to appear.
        env: further environment variables.
    """
    program = await asyncio.to_thread(karpenter)
    await _define(program, api)
    node_class = _object(
        "karpenter.kwok.sh/v1alpha1", "KWOKNodeClass", "default", {"nodeRegistrationDelay": registration}
    )
    await api.request("POST", _NODE_CLASSES, body=node_class)
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
