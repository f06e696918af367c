"""Deletion costs that somebody else set: they stay, and their workload's owner is told once."""

from collections.abc import Callable

from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.core.policy.managed import Managed
from extender.core.policy.workload import Workload
from extender.core.scalein.controller import KEPT_MORE, SeatController
from extender.core.state.state import ClusterState
from extender.kube.patches import CostOutcome
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.wire.kube_v1 import DELETION_COST


class ForeignCosts:
    """The deletion costs of others, and whom they were told to.

    Args:
        state: the cluster.
        seats: leaves the costs alone.
        recorder: posts the Events.
        counted: is told what became of each cost.
    """

    def __init__(
        self,
        state: ClusterState,
        seats: SeatController,
        recorder: EventRecorder,
        counted: Callable[[CostOutcome], None],
    ) -> None:
        self._state = state
        self._seats = seats
        self._recorder = recorder
        self._counted = counted
        self._announced: set[str] = set()
        self._limit = KEPT_MORE

    def told(self, pod: PodId, outcome: CostOutcome, whose: str) -> None:
        """See `PodPatches`."""
        self._counted(outcome)
        record = self._seats.refused(pod.uid) if outcome == "foreign" else None
        revision = record.revision if record is not None else None
        managed = self._state.workloads.resolve(revision.namespace, revision.owner) if revision is not None else None
        if isinstance(managed, Managed):
            self.seen(managed.workload, pod.name, whose)

    def seen(self, workload: Workload, pod: str, whose: str = "") -> None:
        """Tell the owner of a workload that a pod (its name) has a cost of somebody else's (`whose`, where known)."""
        if workload.uid in self._announced:
            return
        self._announced.add(workload.uid)
        if len(self._announced) > self._limit:
            self._announced &= self._state.workloads.by_uid.keys()
            self._limit = len(self._announced) + KEPT_MORE
        self._recorder.emit(
            Regarding.of(workload),
            EventReason.FOREIGN_COST,
            "LeaveCost",
            f"the {DELETION_COST} of pod {pod} was set by somebody else{whose and f' (field manager {whose})'}. "
            "It is left alone, and a scale-in goes by it; remove the annotation to let the pod leave in the order of "
            "its seat. Other pods of this workload may have such a cost too",
        )
