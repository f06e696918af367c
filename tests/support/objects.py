"""Any object of Kubernetes on an API server: where it belongs, applied, tried without effect, read, removed."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import yaml
from programs import ROOT

from extender.core.model.errors import ApiError
from extender.kube.client import MERGE_PATCH, ApiClient
from support.patience import eventually

APPLY = "application/apply-patch+yaml"
CRDS = ROOT / "tests" / "support" / "crds.yaml"
Object = Mapping[str, Any]


class Objects:
    """Objects by what they say of themselves. What a group serves is asked again only where a kind is not there."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self._served: dict[str, list[dict[str, Any]]] = {}

    async def path(self, thing: Object) -> str:
        """The object's own address."""
        version = thing["apiVersion"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        found = self._known(base, thing["kind"])
        if found is None:
            self._served[base] = json.loads(await self.api.request("GET", base))["resources"]
            found = self._known(base, thing["kind"])
        assert found is not None, f"{version} has no {thing['kind']} yet"
        namespace = f"/namespaces/{thing['metadata']['namespace']}" if found["namespaced"] else ""
        return f"{base}{namespace}/{found['name']}/{thing['metadata']['name']}"

    def _known(self, base: str, kind: str) -> dict[str, Any] | None:
        there = self._served.get(base, ())
        return next((each for each in there if each["kind"] == kind and "/" not in each["name"]), None)

    async def apply(self, thing: Object, *, dry_run: bool = False) -> dict[str, Any]:
        """Apply on the server's side; an unknown field is an error."""
        params = {"fieldManager": "test", "force": "true", "fieldValidation": "Strict"}
        if dry_run:
            params["dryRun"] = "All"
        body = json.dumps(thing).encode()
        answer = await self.api.request("PATCH", await self.path(thing), params=params, body=body, content_type=APPLY)
        applied: dict[str, Any] = json.loads(answer)
        return applied

    async def apply_all(self, things: Sequence[Object]) -> None:
        for thing in things:
            await self.apply(thing)

    async def get(self, thing: Object) -> dict[str, Any] | None:
        """The object as it is; None when it is not there."""
        try:
            found: dict[str, Any] = json.loads(await self.api.request("GET", await self.path(thing)))
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return found

    async def patch(self, thing: Object, change: Any, content_type: str = MERGE_PATCH) -> None:
        body = json.dumps(change).encode()
        await self.api.request("PATCH", await self.path(thing), body=body, content_type=content_type)

    async def delete(self, thing: Object) -> None:
        await self.api.request("DELETE", await self.path(thing))

    async def delete_if_there(self, thing: Object) -> None:
        if await self.get(thing) is not None:
            await self.delete(thing)

    async def gone(self, thing: Object) -> None:
        """Wait until the object is not there; the failure's text is what holds it."""
        # While a definition's storage starts ("storage is (re)initializing") the API server cannot empty it, and it
        # waits twice as long after each try: half a minute of that makes more than a minute.
        seconds = 180.0 if thing["kind"] == "CustomResourceDefinition" else 60.0

        async def held() -> dict[str, Any]:
            found = await self.get(thing)
            if found is None:
                return {}
            says = ("deletionTimestamp", "finalizers", "generation", "ownerReferences")
            held_by = {field: found["metadata"].get(field) for field in says}
            return {**held_by, "conditions": (found.get("status") or {}).get("conditions")}

        name = f"{thing['kind']} {thing['metadata']['name']}"
        await eventually(held, lambda by: not by, f"{name} goes", seconds)


async def install_crds(objects: Objects) -> None:
    """Make the API server know the kinds of cert-manager and the Prometheus operator that the chart renders."""
    definitions = list(yaml.safe_load_all(CRDS.read_text()))
    await objects.apply_all(definitions)

    async def established(definition: Object) -> bool:
        found = await objects.get(definition) or {}
        conditions = (found.get("status") or {}).get("conditions") or ()
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    for definition in definitions:
        await eventually(partial(established, definition), bool, definition["metadata"]["name"])


def namespace(name: str, labels: Mapping[str, str] | None = None) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}}
