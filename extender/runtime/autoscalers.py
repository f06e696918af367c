"""Looks whether an autoscaler serves the cluster, and says how classes are enforced for that."""

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Struct

from extender.core.model.autoscalers import KARPENTER_KIND, STATUS_CONFIG_MAP
from extender.core.model.errors import ApiError
from extender.core.model.objects import OwnerRef
from extender.core.placement.enforcement import enforced_in_all
from extender.core.state.events import Event, Sighted, Unavailable
from extender.core.state.state import ClusterState
from extender.kube.paths import GROUPS_PATH, api_path
from extender.kube.seams import KubeApi, Report, Timing
from extender.telemetry.logs import logger

LOOK = 30.0
"""Seconds between two looks."""

PATIENCE = 5.0
"""Seconds that one look may take: a start waits for the first."""

NODE_POOL = OwnerRef("", "karpenter.sh/v1", "NodePool", "")
_CONFIG_MAP = api_path("", "v1", "configmaps", namespace="kube-system", name="cluster-autoscaler-status")
_MISSING = 404


class _Kind(Struct, frozen=True):
    kind: str = ""


class _Kinds(Struct, frozen=True):
    resources: list[_Kind] | None = None


class AutoscalerSearch:
    """Asks the API server for what autoscalers leave there beside nodes.

    Args:
        api: the API client.
        state: the cluster.
        sink: takes what is seen.
        ensure: sees to it that objects of a kind are followed.
        report: told of what is refused, once while that lasts.
        timing: where time comes from.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        api: KubeApi,
        state: ClusterState,
        sink: Callable[[Event], None],
        ensure: Callable[[OwnerRef], None],
        report: Report,
        timing: Timing | None = None,
    ) -> None:
        self._api = api
        self._state = state
        self._sink = sink
        self._ensure = ensure
        self._report = report
        self._timing = timing or Timing()
        self._refused: dict[str, str] = {}
        self._said: list[str] = []
        self._log = logger()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._timing.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        """Look once. Where nobody can say, what was seen before holds."""
        for sign, path, tell in (
            (KARPENTER_KIND, f"{GROUPS_PATH}/{NODE_POOL.api_version}", _serves_node_pools),
            (STATUS_CONFIG_MAP, _CONFIG_MAP, lambda _: True),
        ):
            there = await self._is_there(path, tell)
            if there is None:
                continue
            if there and sign == KARPENTER_KIND:
                # Nobody's pods are made by one: whoever names it as an owner is left to what is known without it.
                self._sink(Unavailable(NODE_POOL.group, NODE_POOL.kind))
                self._ensure(NODE_POOL)
            self._sink(Sighted(sign, there))
        self.tell()

    def tell(self) -> None:
        """Log how classes are enforced where that has changed."""
        said = [each.text for each in enforced_in_all(self._state)]
        for text in said:
            if text not in self._said:
                self._log.info("enforcement", mode=text)
        self._said = said

    async def _is_there(self, path: str, tell: Callable[[bytes], bool]) -> bool | None:
        try:
            async with asyncio.timeout(PATIENCE):
                found = tell(await self._api.request("GET", path))
        except ApiError as error:
            if error.status == _MISSING:
                found = False
            else:
                self._doubt(path, str(error))
                return None
        except (TimeoutError, msgspec.DecodeError) as error:
            self._doubt(path, f"GET {path}: {error!r}")
            return None
        self._refused.pop(path, None)
        return found

    def _doubt(self, path: str, text: str) -> None:
        if path not in self._refused:
            self._report("autoscalers", f"it cannot be told whether an autoscaler is there: {text}")
        self._refused[path] = text


def _serves_node_pools(body: bytes) -> bool:
    kinds = msgspec.json.decode(body, type=_Kinds).resources or ()
    return any(each.kind == NODE_POOL.kind for each in kinds)
