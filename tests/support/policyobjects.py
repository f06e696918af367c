"""Policy objects: the chart's definitions of them, and objects in a line each."""

import asyncio
import json
from functools import partial
from typing import Any

from generate.chart import template

from extender.core.model.errors import ApiError
from extender.sandbox.spotmix import SpotmixServe
from support.objects import Objects
from support.patience import eventually
from support.stage import metric_lines

VERSION = "spotmix.io/v1alpha1"


def definitions() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions that the chart installs."""
    return [each for each in template() if each["kind"] == "CustomResourceDefinition"]


async def define(objects: Objects) -> None:
    """Install them, and wait until policies can be watched: the API server refuses the first watches for a moment."""
    made = definitions()
    await objects.apply_all(made)

    async def watched() -> bool:
        try:
            for each in made:
                path = f"/apis/{VERSION}/{each['spec']['names']['plural']}"
                await objects.api.request("GET", path, params={"watch": "true", "timeoutSeconds": "1"})
        except ApiError as error:
            if error.status in (404, 429):
                return False
            raise
        return True

    await eventually(watched, bool, "policies can be watched")


def placement_policy(name: str, namespace: str, spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": VERSION, "kind": "PlacementPolicy", "metadata": metadata, "spec": spec}


def cluster_policy(name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": VERSION, "kind": "ClusterPlacementPolicy", "metadata": {"name": name}, "spec": spec}


def shares(spot: int, base: int = 0, **of_spot: Any) -> list[dict[str, Any]]:
    """`spec.classes`: so many percent spot, above a floor of on-demand replicas."""
    on_demand = {"name": "on-demand", "weight": 100 - spot, **({"base": base} if base else {})}
    return [on_demand, {"name": "spot", "weight": spot, **of_spot}]


async def served(objects: Objects) -> None:
    """Wait until the API server knows both kinds."""

    async def known() -> set[str]:
        try:
            found = json.loads(await objects.api.request("GET", f"/apis/{VERSION}"))
        except ApiError as error:
            return {str(error)}
        return {each["kind"] for each in found["resources"] if "/" not in each["name"]}

    await eventually(known, lambda kinds: len(kinds) == 2, "policy objects are served")


def _followed(serve: SpotmixServe) -> int:
    lines = [line for line in metric_lines(serve) if line.startswith("spotmix_cache_synced")]
    return sum(line.endswith(" 1.0") and "placementpolicies.spotmix.io" in line for line in lines)


async def follows(serve: SpotmixServe) -> None:
    """Wait until a replica follows both kinds: it looks for them twice a minute."""
    await eventually(
        partial(asyncio.to_thread, _followed, serve), lambda count: count == 2, "policy objects are followed", 90
    )
