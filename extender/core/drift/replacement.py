"""What the replacement of a pod will demand of its node: what the pod demands, but the class that is written on it.

A class that was written on a pod keeps it off the nodes of all others; its replacement has another written on it.
"""

from msgspec.structs import replace

from extender.core.model.constraints import Constraints
from extender.core.placement.written import ClassWriter, own_demands
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState


class Replacements:
    """Replacements, as a search for room knows pods. Those of pods that demand the same share what they demand.

    Args:
        state: the cluster.
    """

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._writer = ClassWriter(state)
        self._demands: dict[tuple[Constraints, bool, str], Constraints] = {}

    def of(self, pod: PodRecord, capacity_class: str) -> PodRecord:
        """The replacement of a pod that is to go to a class, or the gated pod itself once that is written on it.

        It is the pod as it is where no class is written on it, nor will be.
        """
        if not (pod.written or pod.gates):
            return pod
        key = (pod.constraints, bool(pod.written), capacity_class)
        demands = self._demands.get(key)
        if demands is None:
            own = demands_of_its_own(self._state, pod)
            requires = self._writer.requires(capacity_class, own)
            demands = self._demands[key] = own if requires is None else requires.on(own)
        return replace(pod, constraints=demands)


def demands_of_its_own(state: ClusterState, pod: PodRecord) -> Constraints:
    """What a pod demands without the class that we wrote."""
    return own_demands(state.workloads.rules.classes, pod.constraints) if pod.written else pod.constraints
