"""Lets go of every pod that waits for Spotmix, for when it is to be removed or does not run any more."""

import asyncio

import msgspec
from msgspec import Struct

from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.core.placement.gates import Release
from extender.kube.limits import is_transient
from extender.kube.patches import PodPatches
from extender.kube.paths import api_path
from extender.kube.seams import KubeApi, Timing

QUIET = 5.0
"""Seconds without a change after which no pod is expected to be gated any more: longer than the API server takes to
learn that a webhook is gone, together with what a webhook that it has called already may take to answer."""

_PAUSE = 0.5
_PAGE = 500
_AT_ONCE = 16
_GONE, _EXPIRED = 404, 410
# Nobody decides any more about a pod that has a node.
_UNBOUND = "spec.nodeName="


class _Gate(Struct, frozen=True):
    name: str = ""


class _Metadata(Struct, frozen=True):
    name: str
    namespace: str
    uid: str
    annotations: dict[str, str] = {}


class _Spec(Struct, frozen=True, rename="camel"):
    scheduling_gates: tuple[_Gate, ...] = ()


class _Pod(Struct, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()

    @property
    def id(self) -> PodId:
        return PodId(self.metadata.namespace, self.metadata.name, self.metadata.uid)


class _ListMetadata(Struct, frozen=True, rename={"more": "continue"}):
    more: str = ""


class _Pods(Struct, frozen=True):
    items: tuple[_Pod, ...] = ()
    metadata: _ListMetadata = _ListMetadata()


_pods = msgspec.json.Decoder(_Pods)


class PodsWithoutNode(Struct, frozen=True):
    """Pods without a node.

    Attributes:
        gated: those that have our gate, by namespace and name.
        decided: how many have a class written on them and no gate of ours: they wait for a node of that class.
    """

    gated: tuple[PodId, ...] = ()
    decided: int = 0


class UngatingResult(Struct, frozen=True):
    """What became of the pods.

    Attributes:
        released: those whose gate was taken away, in that order.
        left: why not, of each that still has it.
        settled: whether none came any more; else the time was over before that.
        decided: see `PodsWithoutNode`.
    """

    released: tuple[PodId, ...]
    left: dict[PodId, str]
    settled: bool
    decided: int


class Ungating:
    """Takes our gate off pods, without a class.

    Args:
        api: the API client; it has to be allowed to list and patch pods.
        gate: the name of our gate.
        class_key: the annotation that says which class was written on a pod.
        timing: where time comes from.
    """

    def __init__(self, api: KubeApi, gate: str, class_key: str, timing: Timing | None = None) -> None:
        self._api = api
        self._gate = gate
        self._class_key = class_key
        self._timing = timing or Timing()
        self._patches = PodPatches(api)

    async def unhook(self, webhook: str) -> bool:
        """Delete a MutatingWebhookConfiguration, so that new pods are gated no more; whether there was one.

        Raises:
            ApiError: it may still be there.
        """
        path = api_path("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", name=webhook)
        try:
            await self._api.request("DELETE", path)
        except ApiError as error:
            if error.status != _GONE:
                raise
            return False
        return True

    async def look(self) -> PodsWithoutNode:
        """The pods that have no node.

        Raises:
            ApiError: they could not be listed.
        """
        gated, decided, params = list[PodId](), 0, {"fieldSelector": _UNBOUND, "limit": str(_PAGE)}
        while True:
            page = _pods.decode(await self._api.request("GET", api_path("", "v1", "pods"), params=params))
            for pod in page.items:
                if any(gate.name == self._gate for gate in pod.spec.scheduling_gates):
                    gated.append(pod.id)
                elif self._class_key in pod.metadata.annotations:
                    decided += 1
            if not page.metadata.more:
                return PodsWithoutNode(tuple(sorted(gated, key=lambda pod: (pod.namespace, pod.name))), decided)
            params = {**params, "continue": page.metadata.more}

    async def release(self, seconds: float) -> UngatingResult:
        """Take the gate away wherever it is, until none comes any more, for at most so many seconds.

        Raises:
            ApiError: pods cannot be listed, and trying again would not help.
        """
        clock = self._timing.clock
        began = changed = clock()
        released: dict[PodId, None] = {}
        while True:
            waiting, left, later = PodsWithoutNode(), dict[PodId, str](), False
            try:
                waiting = await self.look()
                left, later = await self._take_away(waiting.gated)
            except ApiError as error:
                later = is_transient(error.status) or error.status == _EXPIRED
                if not later:
                    raise
            done = [pod for pod in waiting.gated if pod not in left]
            released.update(dict.fromkeys(done))
            if done or later:
                changed = clock()
            settled = clock() - changed >= QUIET
            if settled or clock() - began >= seconds:
                return UngatingResult(tuple(released), left, settled, waiting.decided)
            await self._timing.sleep(_PAUSE)

    async def _take_away(self, pods: tuple[PodId, ...]) -> tuple[dict[PodId, str], bool]:
        """The pods that keep the gate, with the reason, and whether trying again may help one of them."""
        turns, failed, later = asyncio.Semaphore(_AT_ONCE), dict[PodId, str](), False

        async def release(pod: PodId) -> None:
            nonlocal later
            async with turns:
                try:
                    if not await self._patches.release(Release(pod, self._gate, {})):
                        failed[pod] = "it is gone, or the API server takes no change of it"
                except ApiError as error:
                    failed[pod] = str(error)
                    later = later or is_transient(error.status)

        await asyncio.gather(*(release(pod) for pod in pods))
        return failed, later
