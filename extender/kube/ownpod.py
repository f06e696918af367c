"""What a replica writes on its own pod: whether it leads, so that a Service can select the leader."""

import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from extender.core.model.errors import ApiError
from extender.kube.client import MERGE_PATCH
from extender.kube.limits import Backoff
from extender.kube.patches import FIELD_MANAGER
from extender.kube.paths import api_path
from extender.kube.seams import KubeApi, Report, Timing

LEADER_LABEL = "spotmix.io/leader"
TERM_ANNOTATION = "spotmix.io/leader-since"
# A label that somebody took away is put back after this time (seconds).
REPEAT = 30.0


class _Metadata(Struct, frozen=True, rename="camel"):
    resource_version: str


class _Pod(Struct, frozen=True):
    metadata: _Metadata


_decoder = msgspec.json.Decoder(_Pod)


class OwnPod:
    """Keeps the label of the own pod as it shall be, in the background: best effort, retried.

    Args:
        api: the API client.
        namespace: of the pod.
        name: of the pod.
        report: told of refusals, under the name `own pod`.
        timing: where clock, sleep and jitter come from.
    """

    def __init__(
        self, api: KubeApi, namespace: str, name: str, report: Report, *, timing: Timing | None = None
    ) -> None:
        self.namespace = namespace
        self.name = name
        self._api = api
        self._report = report
        self._timing = timing or Timing()
        self._leads = False
        self._changed = asyncio.Event()
        self._changed.set()
        self._written = asyncio.Event()

    def leads(self, *, leads: bool) -> None:
        """Say what the label shall be; it is written soon."""
        self._leads = leads
        self._written.clear()
        self._changed.set()

    async def run(self) -> None:
        """Write the label until cancelled."""
        backoff = Backoff(self._timing.uniform, cap=REPEAT)
        while True:
            self._changed.clear()
            try:
                await self._label(self.name, leads=self._leads)
            except ApiError as error:
                self._report("own pod", str(error))
                # A pod that is not there may yet come: stand-ins are made by hand.
                await self._timing.sleep(backoff.next(error.retry_after))
                continue
            backoff.reset()
            if self._changed.is_set():
                continue
            self._written.set()
            await self._wait(REPEAT)

    async def written(self, seconds: float) -> None:
        """Return when the label is written as it shall be, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._written.wait()
        except TimeoutError:
            return

    async def begin_term(self, since: str) -> str:
        """Note on the own pod that a term begins, at `since`; the resourceVersion of the store after that.

        Raises:
            ApiError: the server refused, or was not reached.
        """
        body = await self._patch(self.name, {"annotations": {TERM_ANNOTATION: since}})
        return _decoder.decode(body).metadata.resource_version

    async def depose(self, name: str) -> None:
        """Take the label off the pod of the leader before us, which may be dead.

        Raises:
            ApiError: the server refused, or was not reached. No such pod is no error.
        """
        try:
            await self._label(name, leads=False)
        except ApiError as error:
            if error.status != 404:
                raise

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _label(self, name: str, *, leads: bool) -> None:
        await self._patch(name, {"labels": {LEADER_LABEL: "true" if leads else "false"}})

    async def _patch(self, name: str, metadata: dict[str, Any]) -> bytes:
        return await self._api.request(
            "PATCH",
            api_path("", "v1", "pods", namespace=self.namespace, name=name),
            params={"fieldManager": FIELD_MANAGER},
            body={"metadata": metadata},
            content_type=MERGE_PATCH,
        )
