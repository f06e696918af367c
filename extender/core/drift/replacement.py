"""What the replacement of a pod will demand of its node: what the pod demands, but the class that is written on it.

A class that was written on a pod keeps it off the nodes of all others; its replacement has another written on it.
"""

from msgspec.structs import replace

from extender.core.model.constraints import Constraints
from extender.core.placement.requirement import own_terms, written_terms
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState


class Replacements:
    """Replacements, as a search for room knows pods. Those of pods that demand the same share what they demand.

    Args:
        state: the cluster.
    """

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._demands: dict[tuple[Constraints, str], Constraints] = {}

    def of(self, pod: PodRecord, capacity_class: str) -> PodRecord:
        """The replacement of a pod that is to go to a class: the pod itself where no class is written on it."""
        if not pod.written:
            return pod
        key = (pod.constraints, capacity_class)
        demands = self._demands.get(key)
        if demands is None:
            classes = self._state.workloads.rules.classes
            own = own_terms(classes, pod.constraints.node_terms)
            terms = written_terms(self._state.census, classes, capacity_class, own)
            demands = self._demands[key] = replace(pod.constraints, node_terms=terms or own)
        return replace(pod, constraints=demands)
