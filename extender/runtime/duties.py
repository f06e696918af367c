"""What only the replica does that decides: it writes on pods, wakes and moves them, and posts Events."""

import asyncio

from extender.core.policy.workloads import Managed
from extender.core.state.state import ClusterState
from extender.kube.seatwriter import SeatWriter
from extender.kube.waker import Waker
from extender.runtime.drift import DriftLoop
from extender.runtime.policies import PolicyReports
from extender.runtime.reach import ReachReports


class Duties:
    """See the module.

    Args:
        state: the cluster.
        waker: makes the scheduler try pods again.
        policies: tells of policies that are wrong.
        reach: tells of policies that cannot be had at a workload's size.
        seats: writes deletion costs; None when they are not to be written.
        drift: moves pods; None when none is to be moved.
    """

    def __init__(
        self,
        state: ClusterState,
        waker: Waker,
        policies: PolicyReports,
        reach: ReachReports,
        *,
        seats: SeatWriter | None,
        drift: DriftLoop | None,
    ) -> None:
        self._state = state
        self._waker = waker
        self._policies = policies
        self._reach = reach
        self._seats = seats
        self._drift = drift

    async def perform(self) -> None:
        """Perform them until cancelled."""
        self._wake_unscheduled()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._policies.run(), name="policies")
                group.create_task(self._reach.run(), name="reach")
                if self._seats is not None:
                    group.create_task(self._seats.run(), name="seats")
                if self._drift is not None:
                    group.create_task(self._drift.run(), name="drift")
                await asyncio.Event().wait()
        finally:
            self._waker.stop()

    def _wake_unscheduled(self) -> None:
        """Have the pods tried again that were rejected before: what they wait for died with whoever rejected them."""
        for pod in list(self._waker.unscheduled.values()):
            record = self._state.pods.get(pod.uid)
            owner = record.revision.owner if record is not None and record.revision is not None else None
            if isinstance(self._state.workloads.resolve(pod.namespace, owner), Managed):
                self._waker.wake(pod)
