"""Placeholders on the API: made, deleted, and found by their label."""

from typing import Any

import msgspec
from msgspec import Struct

from extender.core.drift.placeholder import PREFIX, Made, NotMade, placeholder_label
from extender.core.model.errors import ApiError, WireError
from extender.core.model.objects import OwnerRef
from extender.kube.patches import FIELD_MANAGER
from extender.kube.paths import api_path
from extender.kube.resources import PODS
from extender.kube.seams import KubeApi

_NOW: dict[str, Any] = {"gracePeriodSeconds": 0}
_LATER = frozenset({409, 429})
_NO_ANSWER = frozenset({0, 408, 502, 503, 504})
_THERE_IS_NONE = frozenset({404, 409})


class _Metadata(Struct, frozen=True):
    name: str = ""
    uid: str = ""


class _Pod(Struct, frozen=True):
    metadata: _Metadata = _Metadata()


class _Pods(Struct, frozen=True):
    items: list[_Pod] = []


_pod, _pods = msgspec.json.Decoder(_Pod), msgspec.json.Decoder(_Pods)


class PlaceholderPods:
    """The placeholders of a namespace.

    Args:
        api: the API client.
        namespace: of placeholders.
        prefix: of our keys.
    """

    def __init__(self, api: KubeApi, namespace: str, prefix: str) -> None:
        self._api, self._namespace, self._label = api, namespace, placeholder_label(prefix)

    async def make(self, body: dict[str, Any]) -> Made | NotMade:
        """Make one; never raises `ApiError`."""
        try:
            path = PODS.path_in(self._namespace)
            answer = await self._api.request("POST", path, params={"fieldManager": FIELD_MANAGER}, body=body)
            return Made(_pod.decode(answer).metadata.uid)
        except ApiError as error:
            if error.status in _LATER:
                return NotMade("later", str(error))
            return NotMade("unanswered" if error.status in _NO_ANSWER else "denied", str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return NotMade("unanswered", str(error))

    async def delete(self, name: str, uid: str = "") -> None:
        """Delete one at once, and no namesake of it where `uid` is given; nothing when there is none.

        Raises:
            ApiError: it may still be there.
        """
        body = {**_NOW, "preconditions": {"uid": uid}} if uid else _NOW
        try:
            await self._api.request("DELETE", PODS.path_in(self._namespace, name), body=body)
        except ApiError as error:
            if error.status not in _THERE_IS_NONE:
                raise

    async def clear(self) -> int:
        """Delete all that there are; how many that was.

        Raises:
            ApiError, WireError: some may still be there.
        """
        answer = await self._api.request("GET", PODS.path_in(self._namespace), params={"labelSelector": self._label})
        try:
            found = _pods.decode(answer).items
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WireError(f"a list of pods does not decode: {error}") from error
        # Anybody can put our label on a pod.
        ours = [pod.metadata for pod in found if pod.metadata.name.startswith(PREFIX)]
        for pod in ours:
            await self.delete(pod.name, pod.uid)
        return len(ours)

    async def owner(self, group: str, version: str, kind: str, plural: str, name: str) -> OwnerRef | None:
        """An object of the namespace as the owner of placeholders; None where it is not to be had."""
        try:
            path = api_path(group, version, plural, namespace=self._namespace, name=name)
            found = _pod.decode(await self._api.request("GET", path)).metadata
        except (ApiError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return OwnerRef(found.uid, f"{group}/{version}", kind, name) if found.uid else None
