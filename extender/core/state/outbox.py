"""What others have to do about changes of the state. It is kept here until they take it."""

from msgspec import Struct

from extender.core.model.reasons import Reason
from extender.core.policy.managed import Managed, PolicyChanged
from extender.core.state.records import Revision
from extender.core.state.waiting import Waiting


class Wake(Struct, frozen=True, gc=False):
    """Something changed that the scheduler cannot see: this waiting pod should be tried again."""

    pod: str
    namespace: str
    name: str


class Met(Struct, frozen=True, gc=False):
    """The watch delivered a pod that had been asked about before, and rejected."""

    waiting: Waiting


class Placed(Struct, frozen=True, gc=False):
    """A pod that was seen without a node has one now, which Spotmix had a say in.

    `capacity_class` is that of the node, empty where the node is not known; `reason` is why it waited last, or what
    was decided where it never had to. `created` is in seconds since the epoch, to the second.
    """

    capacity_class: str
    reason: Reason
    created: float


class GoesOnDemand(Struct, frozen=True, gc=False):
    """A Job has lost so many pods to interruptions that the others go to on-demand."""

    managed: Managed


Effect = Wake | PolicyChanged | Met | Placed | GoesOnDemand


class Outbox:
    """What is to be done, for those who do it. Each part has one reader, which takes all that there is.

    Attributes:
        effects: pods to wake and policies that changed, in the order in which it happened.
        touched: revisions that may be off their split, or come back to it: their pods, readiness, size, rollout or
            policy changed.
        recount: likewise, for those who count replicas; one that is gone stays, as it counts no more.
        reseat: revisions whose pods may have to be given other deletion costs.
    """

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.touched: set[Revision] = set()
        self.recount: set[Revision] = set()
        self.reseat: set[Revision] = set()

    def touch(self, *revisions: Revision) -> None:
        """Revisions may be off their split, or come back to it."""
        self.touched.update(revisions)
        self.recount.update(revisions)

    def take_effects(self) -> list[Effect]:
        """The effects since the last call."""
        taken, self.effects = self.effects, []
        return taken

    def take_touched(self) -> set[Revision]:
        """The revisions touched since the last call."""
        taken, self.touched = self.touched, set()
        return taken

    def take_reseat(self) -> set[Revision]:
        """The revisions to reseat since the last call."""
        taken, self.reseat = self.reseat, set()
        return taken

    def forget(self, revision: Revision) -> None:
        """A revision is gone: nothing is to be done about it."""
        self.touched.discard(revision)
        self.reseat.discard(revision)

    def clear(self) -> None:
        """Nobody has to do anything about what happened so far."""
        self.effects.clear()
        self.touched.clear()
        self.recount.clear()
        self.reseat.clear()
