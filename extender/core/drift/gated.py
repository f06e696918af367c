"""Room for gated pods: when they are let go to it, and proof of it where they cannot be replaced later (those of Jobs).

A Job counts a pod that is deleted or evicted as failed, running or not. So such a pod is let go with a class that
another may stand in for only once there is room: on a node that is there, or where a placeholder runs. Until then it
stays gated, and where the class cannot be had it is let go with the one that stands in.

No pod is let go while a placeholder is deleted for it: a scheduler might choose that as its victim. kube-scheduler 1.37
leaves a pod alone for five minutes whose last victim another deletes in the moment between its choice and its own
request (`executor.go` in `pkg/scheduler/framework/preemption`).
"""

from msgspec import Struct
from msgspec.structs import replace

from extender.core.capacity.room import Room
from extender.core.drift.arrivals import Arrivals
from extender.core.drift.history import History
from extender.core.drift.moves import Wish
from extender.core.drift.open_placeholder import takes_pods
from extender.core.drift.placeholders import Placeholders
from extender.core.drift.replacement import Replacements
from extender.core.drift.surplus import subject_of
from extender.core.policy.managed import Managed
from extender.core.state.records import NodeRecord, PodRecord
from extender.core.state.state import ClusterState

STALE = 1.0
"""Seconds after which a pod is let go all the same while placeholders are deleted: these may never be gone."""


class _Look(Struct, eq=False):
    """What is there at one moment, less what pods of the same moment have been given."""

    at: float
    room: Room
    replacements: Replacements


class _Given(Struct, frozen=True):
    """A gated pod has room on a node of a class: found at `at`, and there once a `placeholder` (UID) is gone."""

    node: NodeRecord
    capacity_class: str
    at: float
    placeholder: str = ""


class RoomForGated:
    """Proves room for gated pods, by what is there and by placeholders; `Prover` says what is asked.

    Args:
        state: the cluster.
        placeholders: ask for nodes.
    """

    def __init__(self, state: ClusterState, placeholders: Placeholders) -> None:
        self._state, self._placeholders = state, placeholders
        self._since: dict[str, float] = {}
        self._given: dict[str, _Given] = {}
        self._held: dict[str, float] = {}
        self._look: _Look | None = None

    def prove(self, pod: PodRecord, managed: Managed, capacity_class: str, now: float) -> bool | None:
        """See `Prover`."""
        revision = pod.revision
        if revision is None:
            return False
        wish = Wish(pod.id, subject_of(managed, revision), capacity_class)
        proven = self._is_proven(pod, wish, now)
        if proven is None and pod.uid not in self._given:
            if self._waits(pod, wish, managed.workload.policy.written_after, now):
                self._placeholders.want(pod.uid, (wish,))
                return None
            proven = False
        self._placeholders.want(pod.uid, ())
        if proven is not None:
            self._since.pop(pod.uid, None)
        return proven

    def is_clear(self, pod: PodRecord, capacity_class: str, now: float) -> bool:
        """See `Prover`."""
        revision = pod.revision
        if revision is None or not self._placeholders.make_way_at((revision.owner.uid, capacity_class)):
            self._held.pop(pod.uid, None)
            return True
        if pod.uid not in self._held:
            self._held = {uid: at for uid, at in self._held.items() if uid in self._state.gated}
        return now - self._held.setdefault(pod.uid, now) >= STALE

    def _is_proven(self, pod: PodRecord, wish: Wish, now: float) -> bool | None:
        proofs = self._placeholders.proofs(now)
        look = self._looked(now)
        given = self._given.get(pod.uid)
        if given is not None and given.capacity_class == wish.capacity_class:
            return True if not given.placeholder or now - given.at >= STALE else None
        # It may have been for a class that the pod's owner has changed since.
        self._given.pop(pod.uid, None)
        like = look.replacements.of(pod, wish.capacity_class)
        found = look.room.find(like, wish.capacity_class, dwell=False)
        if isinstance(found, NodeRecord):
            look.room.occupy(like, found)
            self._given[pod.uid] = _Given(found, wish.capacity_class, now)
            return True
        for placeholder in proofs.held.get(wish.place, ()):
            if placeholder.node is not None and placeholder.requests == pod.requests:
                self._given[pod.uid] = _Given(placeholder.node, wish.capacity_class, now, placeholder.uid)
                self._placeholders.make_way(placeholder.uid)
                return None
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
            room = Room(state, frozenset(), now)
            # Placeholders too: where one is about to be, it is what proves room, and whoever came before would meet it.
            Arrivals(state, History(), room, coming=self._placeholders.proofs(now).uids).deduct()
            self._look = _Look(now, room, Replacements(state))
            self._hold(self._look)
        return self._look

    def _hold(self, look: _Look) -> None:
        """Hold the room of pods that were let go and are not seen so yet, and of those whose placeholder is gone."""
        state, held = self._state, {}
        for uid, each in self._given.items():
            pod = state.gated.get(uid)
            if pod is None:
                continue
            if each.placeholder in state.pods:
                held[uid] = each
                continue
            like = look.replacements.of(pod, each.capacity_class)
            if takes_pods(each.node, each.capacity_class) and look.room.fits(like, each.node):
                look.room.occupy(like, each.node)
                held[uid] = replace(each, placeholder="")
        self._given = held
