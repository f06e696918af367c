"""Which workloads are to be looked at: those that change, are about to lose a node, or move pods."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from extender.core.drift.drain import threatened
from extender.core.drift.turns import SLICE, in_turn
from extender.core.policy.managed import Managed
from extender.core.state.fleets import Fleet
from extender.core.state.state import ClusterState

HASTENED = 2 * SLICE
"""Workloads with pods on interrupted nodes that are looked at in one cycle, or of a fleet that is off its split."""


class Attention:
    """What has the loop's attention.

    Args:
        state: the cluster; its outbox names the revisions that changed.

    Attributes:
        threatened: UIDs of the workloads that have pods on interrupted nodes.
    """

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._followed: dict[str, float] = {}
        self._hastened = ""
        self._turns: dict[str, str] = {}
        self.threatened: frozenset[str] = frozenset()

    @property
    def follows(self) -> bool:
        """Whether any workload is followed."""
        return bool(self._followed)

    def follow(self, workload: str, until: float) -> None:
        """A move of a workload (UID) is over; the next one is not to wait."""
        self._followed[workload] = until

    def followed(self, now: float) -> Iterable[str]:
        """The workloads that are followed still."""
        self._followed = {uid: until for uid, until in self._followed.items() if now < until}
        return self._followed

    def due(self, waited: Iterable[str], off_target: Iterable[str], *, drain: bool) -> Sequence[str]:
        """UIDs of the workloads to look at, those first that something happens to.

        Args:
            waited: have waited for long enough.
            off_target: are off their split, and may be helped now.
            drain: whether pods leave interrupted nodes.
        """
        workloads = self._state.workloads
        changed: list[str] = []
        for revision in sorted(self._state.outbox.take_touched(), key=lambda each: each.owner.uid):
            managed = workloads.resolve(revision.namespace, revision.owner)
            if isinstance(managed, Managed):
                changed.append(managed.workload.uid)
        for fleet in self._state.fleets.take_changed():
            changed += self._others(fleet)
        return in_turn(self._hasten(drain=drain), (*changed, *sorted(waited)), off_target)

    def _others(self, fleet: Fleet) -> Iterable[str]:
        """Workloads of a fleet that is off its split, and in which something happened: any of them may put it right.

        Some after others when there are many; all of them have their turn when everything is looked at.
        """
        if not (fleet.surplus or fleet.owed):
            return ()
        chosen = _after(self._turns.get(fleet.title, ""), sorted(fleet.parts))
        self._turns[fleet.title] = chosen[-1]
        return chosen

    def _hasten(self, *, drain: bool) -> Iterable[str]:
        """Workloads with pods on interrupted nodes, some after others when there are many.

        What these pods wait for, a budget's status or a node that joins, touches no workload, and time is short.
        """
        found = threatened(self._state) if drain else ()
        self.threatened = frozenset(each.managed.workload.uid for each in found)
        chosen = _after(self._hastened, sorted(self.threatened))
        self._hastened = chosen[-1] if chosen else ""
        return chosen


def _after(last: str, uids: list[str]) -> list[str]:
    """The next of these, in turn."""
    next_one = bisect_right(uids, last)
    return (uids[next_one:] + uids[:next_one])[:HASTENED]
