"""Writes seats on pods as deletion costs, once their revision has come to rest.

While a burst is being placed every pod would be patched in the middle of it, at the API server's and the scheduler's
expense, and for nothing: the costs are needed when the revision is scaled in. A workload that is managed no more gets
its pods' costs taken back.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from extender.core.model.objects import PodId
from extender.core.policy.workloads import Missing
from extender.core.scalein.costs import costs_to_write, is_foreign
from extender.core.state.records import PodRecord, Revision
from extender.core.state.state import ClusterState
from extender.kube.foreigncosts import ForeignCosts

# A revision that never rests is written all the same after this many times the settling time.
PATIENCE = 10
# Revisions looked at between two looks at the event loop.
BATCH = 50


class CostQueue(Protocol):
    """Takes costs to be written; `PatchQueue` is one."""

    def set_deletion_cost(self, pod: PodId, cost: int | None) -> bool:
        """Set the deletion cost, or take ours back (None); False when there is no room."""
        ...


class SeatWriter:
    """See the module.

    Args:
        state: the cluster; its outbox names the revisions that changed.
        queue: sends the patches.
        foreign: knows the costs that are not ours.
        settle: seconds a revision must be unchanged.
        clock: monotonic seconds.
        sleep: waits seconds.
    """

    def __init__(
        self,
        state: ClusterState,
        queue: CostQueue,
        foreign: ForeignCosts,
        settle: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._state = state
        self._queue = queue
        self._foreign = foreign
        self._settle = settle
        self._clock = clock
        self._sleep = sleep
        self._changed: dict[Revision, tuple[float, float]] = {}

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._sleep(max(0.05, self._settle / 4))
            await self.write_settled()

    async def write_settled(self) -> None:
        """Write the revisions that have come to rest; what the queue has no room for waits for the next time."""
        now = self._clock()
        for revision in self._state.outbox.take_reseat():
            if revision.owner.kind == "ReplicaSet":
                first, _ = self._changed.get(revision, (now, now))
                self._changed[revision] = (first, now)
        settled = [
            revision
            for revision, (first, last) in self._changed.items()
            if now - last >= self._settle or now - first >= PATIENCE * self._settle
        ]
        for count, revision in enumerate(settled, start=1):
            if not self._write(revision):
                return
            del self._changed[revision]
            if count % BATCH == 0:
                await self._sleep(0)

    def _write(self, revision: Revision) -> bool:
        managed = self._state.workloads.resolve(revision.namespace, revision.owner)
        if isinstance(managed, Missing):
            return True
        kept = self._foreign.kept
        costs: Iterable[tuple[PodRecord, int | None]]
        if managed is None:
            costs = [(pod, None) for pod in revision.pods if pod.cost is not None and not is_foreign(pod, kept)]
        elif managed.workload.policy.mode == "enforce":
            costs = costs_to_write(revision, managed.workload.policy.seats, kept)
            self._foreign.look_at(revision, managed.workload)
        else:
            return True
        return all(self._queue.set_deletion_cost(PodId(pod.namespace, pod.name, pod.uid), cost) for pod, cost in costs)
