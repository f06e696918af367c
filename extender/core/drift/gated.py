"""Room for gated pods that cannot be replaced once they are let go: those of Jobs.

A Job counts a pod that is deleted or evicted as failed, running or not. So such a pod is let go with a class that
another may stand in for only once there is room: on a node that is there, or where a placeholder runs. Until then it
stays gated, and where the class cannot be had it is let go with the one that stands in.
"""

from msgspec import Struct

from extender.core.capacity.room import Room
from extender.core.drift.arrivals import Arrivals
from extender.core.drift.history import History
from extender.core.drift.moves import Spent, Wish
from extender.core.drift.placeholders import Placeholders
from extender.core.drift.replacement import Replacements
from extender.core.drift.surplus import subject_of
from extender.core.policy.managed import Managed
from extender.core.state.records import NodeRecord, PodRecord
from extender.core.state.state import ClusterState


class _Look(Struct, eq=False):
    """What is there at one moment, less what pods of the same moment have been given."""

    at: float
    room: Room
    replacements: Replacements


class RoomForGated:
    """Proves room for gated pods, by what is there and by placeholders.

    Args:
        state: the cluster.
        placeholders: ask for nodes.
    """

    def __init__(self, state: ClusterState, placeholders: Placeholders) -> None:
        self._state, self._placeholders = state, placeholders
        self._since: dict[str, float] = {}
        self._given: dict[str, NodeRecord] = {}
        self._look: _Look | None = None

    def prove(self, pod: PodRecord, managed: Managed, capacity_class: str, now: float) -> bool | None:
        """Whether there is room of a class for a pod; False when it cannot be had, None while that is not known.

        Args:
            pod: it is gated, and our gate is the last one.
            managed: whose it is.
            capacity_class: the class.
            now: seconds since the epoch.
        """
        revision = pod.revision
        if revision is None:
            return False
        wish = Wish(pod.id, subject_of(managed, revision), capacity_class)
        proven = self._is_proven(pod, wish, now)
        if proven is None and self._waits(pod, wish, managed.workload.policy.written_after, now):
            self._placeholders.want(pod.uid, (wish,))
            return None
        self._placeholders.want(pod.uid, ())
        self._since.pop(pod.uid, None)
        return bool(proven)

    def _is_proven(self, pod: PodRecord, wish: Wish, now: float) -> bool | None:
        proofs = self._placeholders.proofs(now)
        look = self._looked(now)
        like = look.replacements.of(pod, wish.capacity_class)
        found = look.room.find(like, wish.capacity_class, dwell=False)
        if isinstance(found, NodeRecord):
            look.room.occupy(like, found)
            self._given[pod.uid] = found
            return True
        for placeholder in proofs.held.get(wish.place, ()):
            if placeholder.requests == pod.requests:
                self._placeholders.spend(Spent(placeholder.uid, pod.uid, gated=True))
                return True
        return False if (wish.capacity_class, self._state.autoscaling.demand(pod)) in proofs.refused else None

    def _waits(self, pod: PodRecord, wish: Wish, patience: float, now: float) -> bool:
        """Whether a pod waits on. While nodes are on their way, or are brought for others like it, its turn comes."""
        since = self._since.setdefault(pod.uid, now)
        last = self._placeholders.progress.get((wish.capacity_class, self._state.autoscaling.demand(pod)), 0.0)
        return now - max(since, last) < patience or self._placeholders.is_coming(wish.place, now)

    def _looked(self, now: float) -> _Look:
        """The room that there is now: looked at once for all pods of one moment."""
        if self._look is None or self._look.at != now:
            state = self._state
            self._since = {uid: at for uid, at in self._since.items() if uid in state.gated}
            self._given = {uid: node for uid, node in self._given.items() if uid in state.gated}
            room = Room(state, frozenset(), now)
            # Placeholders too: where one is about to be, it is what proves room, and whoever came before would meet it.
            Arrivals(state, History(), room).deduct()
            self._look = _Look(now, room, Replacements(state))
            for uid, node in self._given.items():
                # What was let go a moment ago, and is not seen so yet.
                room.occupy(state.pods[uid], node)
        return self._look
