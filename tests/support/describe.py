"""What `kubectl describe` shows of an object's Events: by kubectl where there is one, and as it asks for them."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from typing import Any

from extender.kube.client import ApiClient

KUBECTL = shutil.which("kubectl")
OURS = "spotmix.io/extender"


async def events_of(api: ApiClient, thing: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """All Events on an object, in the order in which the API server lists them.

    kubectl selects them so (`searchEvents` in k8s.io/kubectl/pkg/describe): Events of `core/v1`, by all that
    `involvedObject` says.
    """
    metadata = thing["metadata"]
    fields = {"name": metadata["name"], "namespace": metadata["namespace"], "kind": kind, "uid": metadata["uid"]}
    selector = ",".join(f"involvedObject.{name}={value}" for name, value in fields.items())
    path = f"/api/v1/namespaces/{metadata['namespace']}/events"
    items: list[dict[str, Any]] = json.loads(await api.request("GET", path, params={"fieldSelector": selector}))[
        "items"
    ]
    return items


async def ours_of(api: ApiClient, thing: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Those of them that Spotmix posted."""
    return [event for event in await events_of(api, thing, kind) if event["reportingComponent"] == OURS]


async def describe(kubeconfig: str, kind: str, namespace: str, name: str) -> list[str]:
    """The lines of `kubectl describe` below `Events:`, the table's head left out; none where there is no kubectl."""
    if KUBECTL is None:
        return []
    command = (KUBECTL, "--kubeconfig", kubeconfig, "describe", kind, name, "--namespace", namespace)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    text = (await process.communicate())[0].decode()
    assert process.returncode == 0
    return text.partition("\nEvents:")[2].splitlines()[3:]
