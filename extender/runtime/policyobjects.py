"""Policy objects while `spotmix serve` runs: owners are judged anew after a change, and the leader writes statuses."""

import asyncio
import time
from collections.abc import Callable

from extender.core.policystatus.controller import PolicyStatusController
from extender.core.state.events import Continued, Event
from extender.core.state.outbox import Effect
from extender.core.state.state import ClusterState
from extender.kube.policystatuses import PolicyStatusWriter
from extender.kube.seams import KubeApi, Report
from extender.runtime.drive import Drive

BREATH = 0.001
"""Between two steps in which owners are judged anew (seconds): requests come first."""


class GoingOn:
    """Has the state go on while it is behind. All of it happens on the event loop.

    Args:
        state: the cluster.
        sink: takes events into it.
    """

    def __init__(self, state: ClusterState, sink: Callable[[Event], None]) -> None:
        self._state = state
        self._sink = sink
        self._coming = False

    def observe(self, _event: Event, _now: float) -> None:
        """Something was taken into the state."""
        if self._state.workloads.is_behind and not self._coming:
            self._coming = True
            asyncio.get_running_loop().call_later(BREATH, self._go_on)

    def _go_on(self) -> None:
        self._coming = False
        self._sink(Continued())


class PolicyStatuses:
    """Statuses of policy objects.

    Args:
        state: the cluster.
        api: sends them.
        decides: whether this replica decides, and so writes.
        report: told of whatever goes wrong.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        state: ClusterState,
        api: KubeApi,
        decides: Callable[[], bool],
        report: Report,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._decides = decides
        self._now = now
        self._controller = PolicyStatusController(state)
        self._writer = PolicyStatusWriter(api, self._controller, decides, self._hasten, report, now)
        self._drive = Drive("policy status", self._controller, self._writer.perform, report, now=now)

    def observe(self, _event: Event | Effect, now: float) -> None:
        """Something was taken into the state, with the time (seconds since the epoch)."""
        if self._decides():
            self._controller.observe(now)
            self._hasten()

    def _hasten(self) -> None:
        self._drive.hasten()

    async def run(self) -> None:
        """Write, from a synced state, until cancelled."""
        self._controller.take_over(self._now())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writer.run(), name="policy status writer")
            group.create_task(self._drive.run(), name="policy status")
