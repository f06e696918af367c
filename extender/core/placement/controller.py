"""Placement: answers filter and prioritize, and has the scheduler try rejected pods again.

The scheduler does not see what changes inside an extender. Three things bring a pod back to it: it may fall back from a
moment on (`wake_at`), something about its workload changed (`Wake`), or a node was chosen for it that the scheduler's
sample missed (`node`). The last is written to `status.nominatedNodeName` after the scheduler has written
PodScheduled=False, since that write clears the field.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.objects import Pod, PodId
from extender.core.model.reasons import Reason
from extender.core.placement.decide import (
    Decision,
    PodView,
    apply_decision,
    decide,
    may_nominate,
    wanted_class,
    written_class,
)
from extender.core.placement.score import relative_scores, score_nodes
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.workload import Workload
from extender.core.state.counting import claims_for
from extender.core.state.events import Event, Gone, Upsert
from extender.core.state.outbox import Effect, Met, Wake
from extender.core.state.records import Revision
from extender.core.state.state import ClusterState
from extender.core.state.waiting import Waiting

UNWRITTEN, UNCHANGED = 1.0, 0.25
"""How long PodScheduled=False is waited for: the scheduler leaves the write out when nothing changed (seconds)."""

MARGIN = 0.02
"""Timers fire early by a rounding error at times; a wake before its time would be in vain (seconds)."""

HOUSEKEEPING = 5.0
"""How often reservations are looked at whose pod never came (seconds)."""

BINDING = 10.0
"""How long a pod that passed may take to be bound before a nomination that was planned gives way to a plain new try
(seconds)."""

_STALE = 1000
"""Times that count no more are dropped when there are this many of them, and more than of those that count."""


class Annotate(Struct, frozen=True, gc=False):
    """Change an annotation of a pod: the scheduler tries it again."""

    pod: PodId


class Nominate(Struct, frozen=True, gc=False):
    """Write the nominated node of a pod: the scheduler tries the pod again, on that node first."""

    pod: PodId
    node: str


Action = Annotate | Nominate


class Preference(Struct, frozen=True, gc=False):
    """The class that a pod is to go to, and why; it is empty where no node is preferred."""

    reason: Reason
    workload: Workload | None = None
    capacity_class: str = ""
    revision: Revision | None = None


class PlacementController:
    """Answers filter and prioritize, and says when rejected pods are to be tried again.

    A `Controller` whose actions need no answer: patches that fail are sent again by who sends them.

    Args:
        state: the cluster.
        limit: most nodes that pass filter for a managed pod; 0 passes all of the class.
        best: of these, those alone pass that score highest.

    Attributes:
        unscheduled: the pods that the scheduler has given up for now, by UID.
        next_at: see `Controller`.
    """

    def __init__(self, state: ClusterState, limit: int, *, best: bool = False) -> None:
        self.state = state
        self.unscheduled: dict[str, PodId] = {}
        self._limit, self._best = limit, best
        self._planned: dict[str, tuple[float, int, Action]] = {}
        # In the order of time, then of planning; entries that `_planned` does not hold any more are passed over.
        self._times: list[tuple[float, int, str]] = []
        self._count = 0
        self._expire_at = self.next_at = 0.0

    def go_by(self, limit: int, *, best: bool) -> None:
        """Let these nodes pass from now on; as of the class."""
        self._limit, self._best = limit, best

    # Filter and prioritize

    def checked(self, pod: PodView) -> PodView | None:
        """A pod as the watch knows it, whatever the request says of its owner; None where it is another pod's UID.

        A pod that the watch does not know is as the request has it.
        """
        record = self.state.pods.get(pod.uid)
        if record is None:
            return pod
        if record.name != pod.name or record.namespace != pod.namespace:
            return None
        self.state.asked(pod.uid)
        revision, asked = record.revision, pod.owner
        if revision is None:
            return pod if asked is None else replace(pod, owner=None)
        known = revision.owner
        # One of a cluster-scoped kind has a UID for each namespace here (`OwnerRef.within`).
        uid = known.uid.partition("/")[0]
        if (
            asked is not None
            and asked.uid == uid
            and (asked.kind, asked.api_version) == (known.kind, known.api_version)
        ):
            return pod
        return replace(pod, owner=replace(known, uid=uid))

    def is_early(self, pod: PodView) -> bool:
        """Whether it is worth a moment's wait for the watch to deliver a pod.

        So it is where others that are not known either hold seats among which is its own: they may be made up. And
        where its owner is not known: one that is a pod, or whose kind cannot be read, is known by its pods alone. And
        where limits hold: what a pod requests counts only once it is known.
        """
        state = self.state
        if pod.owner is None or pod.uid in state.pods or state.is_gone(pod.uid):
            return False
        if pod.namespace in state.holdings.accounts:
            return True
        owner = self.owner(pod)
        if not isinstance(owner, Managed) or not state.provisional:
            return isinstance(owner, Missing)
        return any(uid != pod.uid for uid in claims_for(state, owner, pod.owner.uid))

    def owner(self, pod: PodView) -> Managed | Missing | None:
        """Whose a pod is, as far as it is managed."""
        return self.state.workloads.resolve(pod.namespace, pod.owner)

    def filter(self, pod: PodView, owner: Managed | Missing | None, offered: Sequence[str], now: float) -> Decision:
        """Choose the nodes a pod may go to, and have the state know; arguments as of `decide`.

        What is planned, for a new try, is so only for pods that the watch knows and that wait for a node: of others
        nobody can say that there are such pods.
        """
        decision = decide(self.state, pod, owner, offered, now, self._limit, best=self._best)
        apply_decision(self.state, decision, now)
        if decision.waiting is not None:
            if self.state.awaits_node(pod.uid):
                self._rejected(decision.waiting, now, written=pod.unscheduled_since is not None)
        elif self._planned:
            self._passed(pod.uid, now)
        return decision

    def preference(self, pod: PodView) -> Preference:
        """The class that prioritize prefers for a pod."""
        owner = self.owner(pod)
        if not isinstance(owner, Managed):
            return Preference(Reason.UNMANAGED if owner is None else Reason.OWNER_UNKNOWN)
        workload = owner.workload
        if workload.policy.mode == "audit":
            return Preference(Reason.AUDIT, workload)
        revision = self.state.revisions.get(owner.revision.uid)
        written = written_class(self.state, pod.uid)
        if written:
            return Preference(Reason.WRITTEN, workload, written, revision)
        reservation = revision.reservations.get(pod.uid) if revision is not None else None
        if reservation is None and pod.uid not in self.state.pods:
            reservation = self.state.provisional.of(pod.owner.uid if pod.owner else "").get(pod.uid)
        if reservation is not None:
            reason = Reason.FALLBACK if reservation.stand_in else Reason.SEAT
            return Preference(reason, workload, reservation.capacity_class, revision)
        wanted, reason = wanted_class(self.state, owner, pod)
        return Preference(reason, workload, wanted, revision)

    def scores(self, preference: Preference, offered: Sequence[str], now: float) -> list[tuple[str, int]]:
        """Points of the nodes that are preferred over others, as (node, points)."""
        if not preference.capacity_class:
            return []
        parts = score_nodes(self.state, preference.revision, preference.capacity_class, offered, now)
        return relative_scores(parts)

    # What happens

    def observe(self, event: Event | Effect, now: float) -> None:
        """Something was taken into the state, or follows from it."""
        if isinstance(event, Upsert):
            if isinstance(event.object, Pod):
                self._seen(event.object, now)
        elif isinstance(event, Gone):
            if event.resource == "pods":
                self.unscheduled.pop(event.uid, None)
                self._planned.pop(event.uid, None)
        elif isinstance(event, Wake):
            # No scheduler has a pod with gates.
            if event.pod not in self.state.gated:
                self._plan(PodId(event.namespace, event.name, event.pod), now)
        elif isinstance(event, Met) and self.state.awaits_node(event.waiting.pod):
            self._rejected(event.waiting, now, written=False)

    def take_over(self, now: float) -> None:
        """Have the pods tried again that were rejected before: what they wait for died with whoever rejected them.

        From now on this replica is the one that is asked.
        """
        self.state.schedulers.listen(self.state.unbound)
        for pod in list(self.unscheduled.values()):
            record = self.state.pods.get(pod.uid)
            owner = record.revision.owner if record is not None and record.revision is not None else None
            if isinstance(self.state.workloads.resolve(pod.namespace, owner), Managed):
                self._plan(pod, now)

    def stop(self) -> None:
        """Another decides: nothing is to come from here."""
        self.state.schedulers.stop()
        self._planned.clear()
        self._times.clear()

    def _rejected(self, waiting: Waiting, now: float, *, written: bool) -> None:
        """A pod was rejected; `written` says that PodScheduled=False is on it already."""
        pod = PodId(waiting.namespace, waiting.name, waiting.pod)
        if waiting.node and not may_nominate(self.state):
            # Tried again, it is offered other nodes.
            self._plan(pod, now + UNWRITTEN)
        elif waiting.node:
            at = now + (UNCHANGED if written else UNWRITTEN)
            planned = self._planned.get(pod.uid)
            # Asked about again and again, it is nominated all the same.
            if planned is None or planned[0] > at or planned[2] != Nominate(pod, waiting.node):
                self._plan(pod, at, waiting.node)
        elif waiting.wake_at:
            self._plan(pod, waiting.wake_at + MARGIN)
        else:
            self._planned.pop(pod.uid, None)

    def _passed(self, uid: str, now: float) -> None:
        """A pod may go to nodes: nothing is planned for it once it is bound, a nomination not until then either."""
        planned = self._planned.get(uid)
        if planned is not None and isinstance(planned[2], Nominate):
            self._plan(planned[2].pod, now + BINDING)

    def _seen(self, pod: Pod, now: float) -> None:
        """The watch delivered a pod."""
        uid = pod.uid
        waits = not (pod.node or pod.terminating or pod.ended)
        if waits and pod.unscheduled:
            self.unscheduled[uid] = PodId(pod.namespace, pod.name, uid)
        else:
            self.unscheduled.pop(uid, None)
        planned = self._planned.get(uid)
        if planned is None:
            return
        if not waits:
            del self._planned[uid]
        elif pod.unscheduled and isinstance(planned[2], Nominate):
            self._plan(planned[2].pod, now, planned[2].node)

    # What is to be done

    def due(self, now: float) -> list[Action]:
        """The pods to have tried again now (seconds since the epoch); drops what was reserved in vain."""
        if now >= self._expire_at:
            self._expire_at = now + HOUSEKEEPING
            self.state.expire(now)
        found: list[Action] = []
        times = self._times
        while times:
            at, _, uid = entry = times[0]
            if self._is_planned(entry):
                if at > now:
                    break
                found.append(self._planned.pop(uid)[2])
            heappop(times)
        self.next_at = min(times[0][0], self._expire_at) if times else self._expire_at
        return found

    def _plan(self, pod: PodId, at: float, node: str = "") -> None:
        """Have a pod tried again from a time on, and not as it was planned before."""
        self._count += 1
        self._planned[pod.uid] = (at, self._count, Nominate(pod, node) if node else Annotate(pod))
        heappush(self._times, (at, self._count, pod.uid))
        self.next_at = min(self.next_at, at)
        if len(self._times) > 2 * len(self._planned) + _STALE:
            self._times = [entry for entry in self._times if self._is_planned(entry)]
            heapify(self._times)

    def _is_planned(self, entry: tuple[float, int, str]) -> bool:
        planned = self._planned.get(entry[2])
        return planned is not None and planned[1] == entry[1]
