"""Waiting for what the statuses of policy objects say."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from support.objects import Objects
from support.patience import eventually
from support.policyobjects import follows
from support.stage import Stage


async def until_followed(stage: Stage) -> None:
    """Wait until both kinds are followed: their definitions come while the service runs."""
    await follows(stage.spotmix)


async def status(objects: Objects, thing: Mapping[str, Any]) -> dict[str, Any]:
    found = await objects.get(thing) or {}
    current: dict[str, Any] = found.get("status", {})
    return current if current.get("observedGeneration") == found["metadata"]["generation"] else {}


def conditions(seen: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in seen.get("conditions", ())}


async def says(objects: Objects, thing: Mapping[str, Any], **wanted: Any) -> dict[str, Any]:
    """Wait until the status of a policy says this."""

    def right(seen: Mapping[str, Any]) -> bool:
        return {key: seen.get(key) for key in wanted} == wanted

    return await eventually(partial(status, objects, thing), right, f"{thing['metadata']['name']} says {wanted}")


async def has(objects: Objects, thing: Mapping[str, Any], kind: str, *condition: str) -> dict[str, Any]:
    """Wait until a policy has a condition with this status and reason."""

    def right(seen: Mapping[str, Any]) -> bool:
        return conditions(seen).get(kind) == condition

    return await eventually(partial(status, objects, thing), right, f"{kind} is {condition}")
