"""What Spotmix writes on pods: annotations, the nominated node and the deletion cost.

Every patch carries the pod's uid, so that it can never hit a namesake made since.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from extender.core.errors import ApiError
from extender.kube.client import MERGE_PATCH
from extender.kube.ports import Api
from extender.wire.kube_v1 import DELETION_COST

FIELD_MANAGER = "spotmix"
# Its own manager, so that managedFields tell our cost from one that a user wrote.
SEAT_FIELD_MANAGER = "spotmix-seat"


class PodKey(Struct, frozen=True, gc=False):
    """One pod, and no namesake of it."""

    namespace: str
    name: str
    uid: str


class PodPatches:
    """The patches, one request each. False means that the pod is gone, or was made anew under its name.

    Every method raises `ApiError` when the server refuses for another reason or is not reached.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def annotate(self, pod: PodKey, values: Mapping[str, str | None]) -> bool:
        """Set annotations; None removes one."""
        return await self._patch(pod, {"metadata": {"annotations": dict(values)}})

    async def nominate(self, pod: PodKey, node: str) -> bool:
        """Set `status.nominatedNodeName`: the scheduler tries this node first, outside its sample."""
        return await self._patch(pod, {"status": {"nominatedNodeName": node}}, subresource="/status")

    async def set_deletion_cost(self, pod: PodKey, cost: int | None) -> bool:
        """Set what orders the pod in a scale-in (int32; lower leaves first); None removes it."""
        value = None if cost is None else str(cost)
        return await self._patch(pod, {"metadata": {"annotations": {DELETION_COST: value}}}, manager=SEAT_FIELD_MANAGER)

    async def _patch(
        self, pod: PodKey, patch: dict[str, Any], *, subresource: str = "", manager: str = FIELD_MANAGER
    ) -> bool:
        patch.setdefault("metadata", {})["uid"] = pod.uid
        try:
            await self._api.request(
                "PATCH",
                f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}{subresource}",
                params={"fieldManager": manager},
                body=patch,
                content_type=MERGE_PATCH,
            )
        except ApiError as error:
            if is_gone(error):
                return False
            raise
        return True


def is_gone(error: ApiError) -> bool:
    """Whether a refused patch says that the pod with this uid is no more."""
    return error.status in {404, 409} or (error.status == 422 and "metadata.uid" in str(error))
