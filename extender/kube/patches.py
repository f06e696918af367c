"""What Spotmix writes on pods: annotations, the nominated node and the deletion cost.

Every patch carries the pod's uid, so that it can never hit a namesake made since, nor make a pod.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.core.placement.gates import Release
from extender.kube.client import APPLY_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from extender.kube.paths import api_path
from extender.kube.seams import KubeApi
from extender.wire.kube_v1 import DELETION_COST
from extender.wire.podspec_v1 import node_selector_term, raw_toleration

FIELD_MANAGER = "spotmix"
# Its own manager: what it applies is the cost and nothing else, so that to apply nothing takes just that back.
SEAT_FIELD_MANAGER = "spotmix-seat"
_FORBIDDEN, _INVALID = 403, 422
_CONFLICT = "FieldManagerConflict"
# Who owns the field is told in words only: `conflict with "kubectl-annotate" using v1: ..`.
_OWNERS = re.compile(r'conflicts? with ("[^"]*")')

CostOutcome = Literal["written", "removed", "foreign", "gone"]


CostTold = Callable[[PodId, CostOutcome, str], None]
"""Takes what became of a cost, and for `foreign` whose it is, as far as the server says."""


class _Annotated(Struct, frozen=True):
    annotations: dict[str, str] | None = None


class _Patched(Struct, frozen=True):
    metadata: _Annotated = _Annotated()


class _Tolerating(Struct, frozen=True):
    tolerations: list[dict[str, Any]] | None = None


class _Pod(Struct, frozen=True):
    spec: _Tolerating = _Tolerating()


_patched, _tolerating = msgspec.json.Decoder(_Patched), msgspec.json.Decoder(_Pod)


class PodPatches:
    """The patches, one request each. False means that nothing was written: the pod is gone, or was made anew under its
    name, or (of a cost) somebody else's is there.

    Every method raises `ApiError` when the server refuses for another reason or is not reached.

    Args:
        api: the API client.
        told: told what became of each cost.
        refused: told of pods on which the server does not let a class be written, or lets no more.
        releasing: told of pods right before their gate is asked to go.
    """

    def __init__(
        self,
        api: KubeApi,
        told: CostTold = lambda _pod, _outcome, _whose: None,
        refused: Callable[[PodId], None] = lambda _pod: None,
        releasing: Callable[[PodId], None] = lambda _pod: None,
    ) -> None:
        self._api = api
        self._told = told
        self._refused = refused
        self._releasing = releasing

    async def annotate(self, pod: PodId, values: Mapping[str, str | None]) -> bool:
        """Set annotations; None removes one."""
        return await self._patch(pod, {"metadata": {"annotations": dict(values)}})

    async def nominate(self, pod: PodId, node: str) -> bool:
        """Set `status.nominatedNodeName`: the scheduler tries this node first, outside its sample."""
        return await self._patch(pod, {"status": {"nominatedNodeName": node}}, subresource="status")

    async def release(self, release: Release) -> bool:
        """Take our gate off a pod and write its class on it, in one. Also False when another has done it otherwise:
        once the gate is gone the server lets nobody change what a pod requires.

        Tolerations have no key to merge by: where some are added the pod is read for those that it has, word for word,
        and the server refuses the patch if it has others by then.
        """
        patch: dict[str, Any] = {
            "metadata": {"annotations": release.annotations},
            "spec": {"schedulingGates": [{"$patch": "delete", "name": release.gate}]},
        }
        if release.requires.selector:
            patch["spec"]["nodeSelector"] = dict(release.requires.selector)
        if release.requires.terms:
            required = {"nodeSelectorTerms": [node_selector_term(term) for term in release.requires.terms]}
            affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
            patch["spec"]["affinity"] = affinity
        self._releasing(release.pod)
        try:
            present = await self._tolerations(release.pod) if release.requires.tolerations else None
            if present is not None:
                patch["spec"]["tolerations"] = [*present, *map(raw_toleration, release.requires.tolerations)]
            return await self._patch(release.pod, patch, kind=STRATEGIC_PATCH)
        except ApiError as error:
            if is_gone(error):
                return False
            if error.status != _INVALID:
                raise
            self._refused(release.pod)
            return False

    async def _tolerations(self, pod: PodId) -> list[dict[str, Any]] | None:
        """What a pod tolerates, as it says it; None where we may not read it."""
        try:
            answer = await self._api.request("GET", api_path("", "v1", "pods", namespace=pod.namespace, name=pod.name))
        except ApiError as error:
            if error.status != _FORBIDDEN:
                raise
            return None
        return _tolerating.decode(answer).spec.tolerations or []

    async def set_deletion_cost(self, pod: PodId, cost: int | None) -> bool:
        """Set what orders the pod in a scale-in (int32; lower leaves first); None takes ours back.

        By server-side apply without force: the server itself refuses to write over a value that another field manager
        owns, whenever that was set, and removes only what we own.
        https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
        """
        metadata: dict[str, Any] = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}
        if cost is not None:
            metadata["annotations"] = {DELETION_COST: str(cost)}
        try:
            answer = await self._api.request(
                "PATCH",
                api_path("", "v1", "pods", namespace=pod.namespace, name=pod.name),
                params={"fieldManager": SEAT_FIELD_MANAGER, "force": "false"},
                body={"apiVersion": "v1", "kind": "Pod", "metadata": metadata},
                content_type=APPLY_PATCH,
            )
        except ApiError as error:
            if _CONFLICT in error.causes:
                self._told(pod, "foreign", ", ".join(dict.fromkeys(_OWNERS.findall(str(error)))))
            elif is_gone(error):
                self._told(pod, "gone", "")
            else:
                raise
            return False
        if cost is not None:
            self._told(pod, "written", "")
            return True
        left = DELETION_COST in (_patched.decode(answer).metadata.annotations or ())
        self._told(pod, "foreign" if left else "removed", "")
        return not left

    async def _patch(
        self, pod: PodId, patch: dict[str, Any], *, subresource: str | None = None, kind: str = MERGE_PATCH
    ) -> bool:
        patch.setdefault("metadata", {})["uid"] = pod.uid
        try:
            await self._api.request(
                "PATCH",
                api_path("", "v1", "pods", namespace=pod.namespace, name=pod.name, subresource=subresource),
                params={"fieldManager": FIELD_MANAGER},
                body=patch,
                content_type=kind,
            )
        except ApiError as error:
            if is_gone(error):
                return False
            raise
        return True


def is_gone(error: ApiError) -> bool:
    """Whether a refused patch says that the pod with this uid is no more."""
    return error.status in {404, 409} or (error.status == 422 and "metadata.uid" in str(error))
