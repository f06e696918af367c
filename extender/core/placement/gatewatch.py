"""Watches our scheduling gates: for how long pods have them, what became of each, and which wait for gates of others.

It goes by what the watch shows, whoever took a gate away: the replica that leads, another, or `spotmix release-gates`.
"""

from msgspec import Struct

from extender.core.model.control import NEVER
from extender.core.model.objects import Pod, PodId
from extender.core.model.reasons import Reason
from extender.core.placement.gates import gate_name
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.provenance import why_unmanaged
from extender.core.policy.workload import Workload
from extender.core.state.events import Event, Gone, Upsert
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState

OTHERS_WAIT = 60.0
"""Seconds for which a pod may wait for gates of others before that is told."""


class Ungated(Struct, frozen=True, gc=False):
    """Our gate is off a pod. `seconds` is for how long it waited for us alone, as far as this process has seen.

    `capacity_class` is what was written on it; where that is empty, `why` says why nothing was.
    """

    pod: PodId
    workload: Workload | None
    seconds: float
    capacity_class: str = ""
    why: Reason | None = None


class HeldByOthers(Struct, frozen=True, gc=False):
    """A pod waits for others to take `gates` away before its class can be written."""

    pod: PodId
    workload: Workload | None
    gates: tuple[str, ...]


class GateWatch:
    """Says what is to be told of gated pods. A `Controller` whose actions need no answer.

    Args:
        state: the cluster.

    Attributes:
        next_at: see `Controller`.
    """

    def __init__(self, state: ClusterState) -> None:
        self.next_at = NEVER
        self._state = state
        self._gate = gate_name(state.workloads.rules.prefixes)
        self._since: dict[str, float] = {}
        self._held: dict[str, float] = {}
        self._ended: list[Ungated] = []

    def observe(self, event: Event, now: float) -> None:
        """Something was taken into the state."""
        if not self._state.gated and not self._since and not self._held:
            return
        if isinstance(event, Gone):
            self._since.pop(event.uid, None)
            self._held.pop(event.uid, None)
        elif isinstance(event, Upsert) and isinstance(event.object, Pod):
            self._look_at(event.object, now)

    def _look_at(self, pod: Pod, now: float) -> None:
        if self._gate not in pod.gates or pod.terminating:
            self._held.pop(pod.uid, None)
            since = self._since.pop(pod.uid, None)
            if since is not None and not (pod.terminating or pod.ended):
                self._end(pod, now - since, now)
        elif len(pod.gates) == 1:
            self._held.pop(pod.uid, None)
            self._since.setdefault(pod.uid, now)
        elif pod.uid not in self._held:
            self._held[pod.uid] = now + OTHERS_WAIT
            self.next_at = min(self.next_at, now + OTHERS_WAIT)

    def _end(self, pod: Pod, seconds: float, now: float) -> None:
        record = self._state.pods.get(pod.uid)
        if record is None:
            return
        workload, why = self._standing(record)
        self._ended.append(Ungated(record.id, workload, seconds, pod.written, None if pod.written else why))
        self.next_at = now

    def _standing(self, record: PodRecord) -> tuple[Workload | None, Reason]:
        """Whose a pod is, and why no class is written on it if none is."""
        owner = record.revision.owner if record.revision is not None else None
        managed = self._state.workloads.resolve(record.namespace, owner)
        if isinstance(managed, Missing):
            return None, Reason.OWNER_UNKNOWN
        if managed is None:
            return None, why_unmanaged(self._state.workloads, record.namespace, owner).reason
        workload = managed.workload if isinstance(managed, Managed) else None
        if workload is not None and workload.policy.mode == "audit":
            return workload, Reason.AUDIT
        terms = record.constraints.node_terms
        return workload, Reason.NO_CLASS_LABEL if terms is None or any(terms) else Reason.NOT_ADMITTED

    def waited(self, pod: str, now: float) -> float | None:
        """For how long a pod (UID) has waited for us alone (seconds); None where it does not."""
        since = self._since.get(pod)
        return None if since is None else max(0.0, now - since)

    def longest(self, now: float) -> float:
        """For how long the pod has waited for us alone that has waited longest (seconds); 0 where none waits.

        Pods of Jobs that are let go only once there is room for them do not count, nor does who waits for a limit.
        """
        gated = self._state.gated
        waiting = [at for uid, at in self._since.items() if uid in gated and not self._is_patient(gated[uid])]
        return max(0.0, now - min(waiting)) if waiting else 0.0

    def _is_patient(self, record: PodRecord) -> bool:
        waiting = self._state.waiting.get(record.uid)
        if waiting is not None and waiting.reason is Reason.LIMIT_REACHED:
            return True
        if record.revision is None or record.revision.owner.kind != "Job":
            return False
        managed = self._state.workloads.resolve(record.namespace, record.revision.owner)
        return isinstance(managed, Managed) and managed.workload.policy.when_unsatisfiable != "wait"

    def due(self, now: float) -> list[Ungated | HeldByOthers]:
        """What is to be told now (seconds since the epoch)."""
        found: list[Ungated | HeldByOthers] = list(self._ended)
        self._ended.clear()
        self.next_at = NEVER
        for uid, at in self._held.items():
            if at <= now:
                record = self._state.gated.get(uid)
                if record is not None:
                    others = tuple(gate for gate in record.gates if gate != self._gate)
                    found.append(HeldByOthers(record.id, self._standing(record)[0], others))
                self._held[uid] = NEVER
            else:
                self.next_at = min(self.next_at, at)
        return found
