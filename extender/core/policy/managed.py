"""What a pod belongs to."""

from msgspec import Struct

from extender.core.model.objects import Owner, OwnerRef
from extender.core.policy.owners import KEEPERS
from extender.core.policy.workload import Workload


class Managed(Struct, frozen=True, gc=False):
    """A pod's workload and the object that controls it directly (its revision)."""

    workload: Workload
    revision: Owner

    @property
    def runs(self) -> str:
        """The UID of the policy object in whose runs its pods count; empty where they do in none.

        Pods that are kept are no runs: what is asked for is that so many of them are there.
        """
        owner = self.revision
        counted = owner.kind == "Job" or (owner.replicas is None and owner.kind not in KEEPERS)
        return self.workload.runs if counted else ""

    @property
    def settled(self) -> bool:
        """Whether its pods are where they are to be, wherever they are: what was decided of others went into that."""
        return bool(self.runs) or (self.revision.kind == "Job" and self.workload.on_demand_after is not None)


class Missing(Struct, frozen=True, gc=False):
    """The owner that must be known before it can be said whether a pod is managed."""

    ref: OwnerRef


class PolicyChanged(Struct, frozen=True, gc=False):
    """An effect: a workload's policy or its problems changed, or it is gone (`gone`)."""

    workload: Workload
    gone: bool = False
