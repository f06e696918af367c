"""Deletes a pod that never had a node: exactly that pod, as it was seen.

A pod that runs is never deleted, it is evicted (`kube.eviction`); one without a node has nothing to end.
"""

from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.kube.resources import PODS
from extender.kube.salvage import object_version
from extender.kube.seams import KubeApi


class Deleter:
    """Reads and deletes pods.

    Args:
        api: the API client.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    async def read(self, pod: PodId) -> bytes:
        """The pod of this name as it is now; raises `ApiError`."""
        return await self._api.request("GET", PODS.path_in(pod.namespace, pod.name))

    async def delete(self, pod: PodId, seen: bytes) -> None:
        """Delete a pod as it was `seen`; raises `ApiError`, of status 409 when it has changed since."""
        version = object_version(seen)
        if not version:
            raise ApiError(f"pod {pod.namespace}/{pod.name} has no resourceVersion", status=409)
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": pod.uid, "resourceVersion": version},
        }
        await self._api.request("DELETE", PODS.path_in(pod.namespace, pod.name), body=options)
