"""Which workloads an answer tells of: those of a namespace, or with certain labels."""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.model.objects import EMPTY
from extender.core.model.selectors import LabelSelector
from extender.core.state.state import ClusterState


class Scope(Struct, frozen=True):
    """Workloads of a namespace, or (empty) of all, that a selector selects; None takes any."""

    namespace: str = ""
    selector: LabelSelector | None = None

    def has(self, state: ClusterState, namespace: str, uid: str) -> bool:
        """Whether a workload is among them, by its namespace and UID."""
        return self.namespace in ("", namespace) and (
            self.selector is None or self.selector.matches(_labels_of(state, uid))
        )


EVERYWHERE = Scope()


def _labels_of(state: ClusterState, uid: str) -> Mapping[str, str]:
    """All labels of a workload, as far as they are known; the Jobs of a CronJob go by those of that."""
    owners = state.workloads.owners
    owner = owners.get(uid)
    above = owner.owner if owner is not None and owner.kind == "Job" else None
    if above is not None and above.kind == "CronJob":
        owner = owners.get(above.uid, owner)
    return owner.all_labels if owner is not None else EMPTY
