"""Writes the statuses of policy objects, by server-side apply: what others write there stays theirs."""

import asyncio
import time
from collections.abc import Callable

from extender.core.model.errors import ApiError
from extender.core.model.policies import GROUP, VERSION
from extender.core.policystatus.controller import PolicyStatusController, WriteStatus
from extender.kube.client import APPLY_PATCH
from extender.kube.patches import FIELD_MANAGER, is_gone
from extender.kube.paths import api_path
from extender.kube.seams import KubeApi, Report
from extender.wire.placementpolicy_v1 import status_patch

WORKERS = 4
"""Statuses that are sent at once: what the controller spaces out is not to pile up behind one slow answer."""


class PolicyStatusWriter:
    """Sends statuses and tells their controller what became of them.

    Args:
        api: the API client.
        controller: says what is to be written.
        decides: whether this replica decides now; else nothing is sent.
        answered: called after the controller has heard of one.
        report: told of refusals.
        now: seconds since the epoch, the controller's clock.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        api: KubeApi,
        controller: PolicyStatusController,
        decides: Callable[[], bool],
        answered: Callable[[], None],
        report: Report,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._controller = controller
        self._decides = decides
        self._answered = answered
        self._report = report
        self._now = now
        self._waiting: asyncio.Queue[WriteStatus] = asyncio.Queue()

    def perform(self, action: WriteStatus) -> None:
        """Have a status written soon."""
        self._waiting.put_nowait(action)

    async def run(self) -> None:
        """Send until cancelled; what waited then is dropped."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(WORKERS):
                    group.create_task(self._work(), name=f"policy status {number}")
        finally:
            self._waiting = asyncio.Queue()

    async def _work(self) -> None:
        while True:
            action = await self._waiting.get()
            written = False
            try:
                written = self._decides() and await self._write(action)
            except Exception as error:  # noqa: BLE001 - a bug in one status must not end the others
                self._report("policy status", f"{action.policy.title} met a fault: {error!r}")
            self._controller.done(action, written=written, now=self._now())
            self._answered()

    async def _write(self, action: WriteStatus) -> bool:
        policy, body = action.policy, status_patch(action.policy, action.status)
        path = api_path(
            GROUP,
            VERSION,
            policy.resource.partition(".")[0],
            namespace=policy.namespace or None,
            name=policy.name,
            subresource="status",
        )
        try:
            await self._api.request(
                "PATCH",
                path,
                params={"fieldManager": FIELD_MANAGER, "force": "true"},
                body=body,
                content_type=APPLY_PATCH,
            )
        except ApiError as error:
            if error.status == 409 and "resourceVersion" in body["metadata"]:
                # It has changed since it was looked at: it is made anew of what it is now.
                return False
            if is_gone(error):
                return True
            self._report("policy status", f"the status of {policy.title} cannot be written: {error}")
            return False
        return True
