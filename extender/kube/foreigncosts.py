"""Deletion costs that somebody else set: they stay, and their workload's owner is told once.

Ownership is recorded by the API server (`metadata.managedFields`); we learn of it when it refuses a cost of ours. The
pod is then left alone until the value on it changes, so that a refusal is never met with the same request again.
"""

from collections.abc import Callable

from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.core.policy.workload import Workload
from extender.core.policy.workloads import Managed
from extender.core.scalein.costs import is_foreign
from extender.core.state.records import PodRecord, Revision
from extender.core.state.state import ClusterState
from extender.kube.patches import CostOutcome
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.wire.kube_v1 import DELETION_COST

# What is remembered of objects that are gone is dropped when this many entries have come since the last time.
KEPT_MORE = 1000


class ForeignCosts:
    """See the module.

    Args:
        state: the cluster.
        recorder: posts the Events.
        counted: is told what became of each cost.

    Attributes:
        kept: values that look like ours and are not, by the UID of their pod.
    """

    def __init__(self, state: ClusterState, recorder: EventRecorder, counted: Callable[[CostOutcome], None]) -> None:
        self._state = state
        self._recorder = recorder
        self._counted = counted
        self._announced: set[str] = set()
        self._limit = KEPT_MORE
        self.kept: dict[str, str] = {}

    def told(self, pod: PodId, outcome: CostOutcome, whose: str) -> None:
        """See `PodPatches`."""
        self._counted(outcome)
        record = self._state.pods.get(pod.uid)
        # While the watch is behind its value is not known; when that comes, we are refused once more at most.
        if outcome != "foreign" or record is None or record.cost is None:
            return
        self.kept[pod.uid] = record.cost
        self._forget_gone()
        revision = record.revision
        managed = self._state.workloads.resolve(revision.namespace, revision.owner) if revision is not None else None
        if isinstance(managed, Managed):
            self._announce(managed.workload, record, whose)

    def look_at(self, revision: Revision, workload: Workload) -> None:
        """Tell the owner of a workload if a pod of this revision has a cost of somebody else's."""
        if workload.uid not in self._announced:
            pod = next((pod for pod in revision.pods if not pod.terminating and is_foreign(pod, self.kept)), None)
            if pod is not None:
                self._announce(workload, pod, "")

    def _announce(self, workload: Workload, pod: PodRecord, whose: str) -> None:
        if workload.uid in self._announced:
            return
        self._announced.add(workload.uid)
        self._forget_gone()
        self._recorder.emit(
            Regarding.of(workload),
            EventReason.FOREIGN_COST,
            "LeaveCost",
            f"the {DELETION_COST} of pod {pod.name} was set by somebody else{whose and f' (field manager {whose})'}. "
            "It is left alone, and a scale-in goes by it; remove the annotation to let the pod leave in the order of "
            "its seat. Other pods of this workload may have such a cost too",
        )

    def _forget_gone(self) -> None:
        if len(self.kept) + len(self._announced) > self._limit:
            self.kept = {uid: cost for uid, cost in self.kept.items() if uid in self._state.pods}
            self._announced &= self._state.workloads.by_uid.keys()
            self._limit = len(self.kept) + len(self._announced) + KEPT_MORE
