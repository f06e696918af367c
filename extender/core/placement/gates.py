"""Gated pods: decides the class of each, by seats, and has it written on the pod together with the end of its gate.

A pod of a workload with `enforcement: affinity` is created with our scheduling gate. No scheduler and no autoscaler
looks at it before its class is on it as a requirement that all of them understand. All that was decided is on the pods
then, so that a restart, or another leader, loses nothing. The seat is reserved until the watch shows what was written.
"""

from collections.abc import Callable, Sequence
from sys import maxsize
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from extender.core.capacity.fit import Needs
from extender.core.model.control import NEVER
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import OwnerRef, Pod, PodId
from extender.core.placement.decide import PodView, wanted_class
from extender.core.placement.gatelimits import Kept, StandIn, keep, within_limits
from extender.core.placement.limits import limit_on
from extender.core.placement.written import ClassWriter, Requires
from extender.core.policy.keys import CLASS, GATE
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.ordinals import seat_of_ordinal
from extender.core.policy.stand_ins import stand_ins
from extender.core.policy.workload import Workload
from extender.core.state.events import Event, Upsert
from extender.core.state.outbox import Effect, Wake
from extender.core.state.records import PodRecord, Reservation
from extender.core.state.state import ClusterState

HELD = 0.25
"""How often is looked whether room was proven for a pod of a Job (seconds)."""

CLEARED = 0.05
"""How often is looked whether a pod's placeholder is gone (seconds)."""

AGAIN = 5.0
"""Seconds after which a pod whose gate was to be taken away, and still is there, is decided anew."""

REFUSALS = 3
"""How often the API server may refuse to write a class on a pod before it is let go without one."""

READ_AGAIN = 1.0
"""Seconds after a refusal within which the watch shows what the pod has become meanwhile."""

BACKLOG = 0.02
"""Seconds after which is looked again whether there is room for more of the pods that wait to be decided."""

OWNER_WAIT = 10.0
"""Seconds that a pod stays gated whose owner is not known; then it goes the way of pods without a policy."""


def gate_name(prefixes: Sequence[str]) -> str:
    """Our scheduling gate; `prefixes` as of `PolicyRules`."""
    return f"{prefixes[0]}/{GATE}"


class Release(Struct, frozen=True, gc=False):
    """Take our gate off a pod, and write its class on it; without a class the pod goes where it may.

    `requires` is how the class is written. Where the class
    stands in for the one that is `wanted`, `why` says what closed that. `doubts` are what the owner of its `workload`
    has to know about it. `fault` is one of ours that the decision met: the pod runs all the same.
    """

    pod: PodId
    gate: str
    annotations: dict[str, str]
    capacity_class: str = ""
    requires: Requires = Requires()
    wanted: str = ""
    why: str = ""
    workload: Workload | None = None
    doubts: tuple[EventReason, ...] = ()
    fault: str = ""


class Prover(Protocol):
    """Proves room of a class for gated pods (our gate is the last one); `core.drift.gated` has one.

    Times are in seconds since the epoch.
    """

    def prove(self, pod: PodRecord, managed: Managed, capacity_class: str, now: float) -> bool | None:
        """Whether there is room of a class for a pod; False when it cannot be had, None while that is not known."""
        ...

    def is_clear(self, pod: PodRecord, capacity_class: str, now: float) -> bool:
        """Whether a pod may be let go to a class: no placeholder is about to be deleted for it, or for one like it."""
        ...


class GateController:
    """Says which gates are to be taken away and which class is written.

    A `Controller` whose actions need no answer: the watch shows what was written, and what it does not show in time is
    decided anew. Pods are decided in the order of their ordinals, else of their creation.

    Args:
        state: the cluster; decisions are reserved in it.
        room: asked how many more releases may wait to be sent: those of pods that are decided later take no memory.

    Attributes:
        next_at: see `Controller`.
        prover: proves room for pods that cannot be replaced where their class is not to be had.
        kept: is told of pods that begin to wait for a limit.
    """

    def __init__(self, state: ClusterState, room: Callable[[], int] = lambda: maxsize) -> None:
        self.prover: Prover | None = None
        self.kept: Callable[[Kept], None] = lambda _kept: None
        prefixes = state.workloads.rules.prefixes
        self.gate = gate_name(prefixes)
        self.next_at = NEVER
        self._class_key = f"{prefixes[0]}/{CLASS}"
        self._state, self._room = state, room
        self._writer = ClassWriter(state)
        self._sent: dict[str, float] = {}
        self._refused: dict[str, int] = {}
        self._line: list[PodRecord] = []

    def observe(self, event: Event | Effect, now: float) -> None:
        """Something was taken into the state, or follows from it."""
        if not self._state.gated:
            return
        if isinstance(event, Wake):
            if event.pod in self._state.gated:
                self._sent.pop(event.pod, None)
                self.next_at = now
            return
        if not isinstance(event, Upsert) or not isinstance(event.object, Pod) or self.gate in event.object.gates:
            # An owner, a Namespace or a node may be what a gated pod waits for.
            self.next_at = now

    def take_over(self, now: float) -> None:
        """This replica leads from now on: what another sent is not waited for."""
        self._sent.clear()
        self._refused.clear()
        self._line.clear()
        self.next_at = now

    def refused(self, pod: str, now: float) -> None:
        """The API server did not let a class be written on a pod (UID): it has changed, or somebody forbids it."""
        if pod in self._state.gated:
            self._refused[pod] = self._refused.get(pod, 0) + 1
            self._sent[pod] = now + READ_AGAIN
            self.next_at = min(self.next_at, now + READ_AGAIN)

    def due(self, now: float) -> list[Release]:
        """The gates to take away now (seconds since the epoch)."""
        gated = self._state.gated
        self._sent = {uid: at for uid, at in self._sent.items() if uid in gated}
        if self._refused:
            self._refused = {uid: count for uid, count in self._refused.items() if uid in gated}
        self.next_at = min((at for at in self._sent.values() if at > now), default=NEVER)
        line, room = self._in_line(now), self._room()
        self._line = line[room:]
        if self._line:
            self.next_at = min(self.next_at, now + BACKLOG)
        found, again = [], now + AGAIN
        for record in line[:room]:
            try:
                release = self._decide(record, now)
            except Exception as error:  # noqa: BLE001 - a bug that one workload meets is its own alone
                release = Release(record.id, self.gate, {}, fault=repr(error))
            if isinstance(release, float):
                self._sent[record.uid] = release
                self.next_at = min(self.next_at, release)
                continue
            if release is None:
                self.next_at = min(self.next_at, record.created + OWNER_WAIT)
                continue
            self._sent[record.uid] = again
            self.next_at = min(self.next_at, again)
            found.append(release)
        return found

    def _in_line(self, now: float) -> list[PodRecord]:
        """The pods that are to be decided, in order; those of a long line before any that came since it was made."""
        gated = self._state.gated
        left = [record for record in self._line if gated.get(record.uid) is record and self._is_due(record, now)]
        # In a burst most of them have been decided a moment ago: they are left out before anything is put in order.
        return left or sorted((record for record in gated.values() if self._is_due(record, now)), key=self._order)

    def _is_due(self, record: PodRecord, now: float) -> bool:
        return now >= self._sent.get(record.uid, 0.0) and self._is_ours(record)

    def _is_ours(self, record: PodRecord) -> bool:
        """Whether our gate is the last one: others may yet change what the pod needs, or when it is to come."""
        return record.gates == (self.gate,)

    def _order(self, record: PodRecord) -> tuple[float, int, str]:
        owner = record.revision.owner if record.revision is not None else None
        managed = self._state.workloads.resolve(record.namespace, owner)
        seat = seat_of_ordinal(managed.revision, record.name) if isinstance(managed, Managed) else None
        return (0.0 if seat is not None else record.created, seat or 0, record.name)

    def _decide(self, record: PodRecord, now: float) -> Release | float | None:
        """What becomes of a pod, or when it is looked at again; None while its owner is not known."""
        owner = record.revision.owner if record.revision is not None else None
        managed = self._state.workloads.resolve(record.namespace, owner)
        if isinstance(managed, Missing) and now < record.created + OWNER_WAIT:
            return None
        if not isinstance(managed, Managed) or owner is None or managed.workload.policy.mode == "audit":
            return Release(record.id, self.gate, {})
        view = PodView(record.uid, record.namespace, record.name, owner, "", None, Needs)
        policy = managed.workload.policy
        wanted, _ = wanted_class(self._state, managed, view)
        if limit_on(self._state, record.namespace, record.uid, wanted) is not None:
            return self._limited(record, managed, owner, wanted, now)
        others = within_limits(self._state, record, stand_ins(policy, wanted))
        standing_in = self._stand_in(record, managed, wanted, now)
        if standing_in is not None:
            release = self._release(record, managed.workload, owner, standing_in[0], now, stand_in=True)
            return replace(release, wanted=wanted, why=standing_in[1])
        if managed.revision.kind == "Job" and others and self.prover is not None:
            # Once it is let go nothing can be changed: its Job would count it as failed.
            proven = self.prover.prove(record, managed, wanted, now)
            if proven is None:
                return self._hold(record, owner, wanted, now, HELD)
            return self._release(
                record, managed.workload, owner, wanted if proven else others[0], now, stand_in=not proven
            )
        if self.prover is not None and not self.prover.is_clear(record, wanted, now):
            return self._hold(record, owner, wanted, now, CLEARED)
        said = self._state.autoscaling
        if others and len(said.closures):
            said.closures.let_try(wanted, said.demand(record), managed.workload.uid, record.uid)
        return self._release(record, managed.workload, owner, wanted, now)

    def _hold(self, record: PodRecord, owner: OwnerRef, wanted: str, now: float, seconds: float) -> float:
        """Keep the seat of a pod that stays gated, until it is looked at again."""
        proven = self._is_proven(record, wanted)
        self._state.apply(Reservation(record.uid, record.namespace, owner, wanted, now, proven=proven), now)
        return now + seconds

    def _limited(
        self, record: PodRecord, managed: Managed, owner: OwnerRef, wanted: str, now: float
    ) -> Release | float:
        """What becomes of a pod that a limit keeps from its class: another stands in, else it keeps its gate."""
        found = keep(self._state, record, managed, wanted, now)
        if isinstance(found, StandIn):
            release = self._release(record, managed.workload, owner, found.capacity_class, now, stand_in=True)
            return replace(release, wanted=wanted, why=found.why)
        self._state.apply(Reservation(record.uid, record.namespace, owner, wanted, now, waits=True), now)
        if self._state.waiting.get(record.uid) is None:
            self.kept(Kept(record.id, managed.workload, wanted, found.why))
        self._state.apply(found.waiting, now)
        # The state wakes it when there is enough for it.
        return found.waiting.wake_at or (now + AGAIN if found.closed else NEVER)

    def _stand_in(self, record: PodRecord, managed: Managed, wanted: str, now: float) -> tuple[str, str] | None:
        """The class that takes a pod while its own is closed for what it asks for, and why that is; None where the pod
        is to go to its own.
        """
        said, scope = self._state.autoscaling, managed.workload.uid
        if not len(said.closures):
            return None
        demand = said.demand(record)
        closed = said.closures.closed(wanted, demand, now, scope, record.uid)
        if closed is None:
            return None
        if self._is_proven(record, wanted):
            said.closures.let_through(record.uid)
            return None
        for other in within_limits(self._state, record, stand_ins(managed.workload.policy, wanted)):
            if said.closures.closed(other, demand, now, scope, record.uid) is None:
                return other, closed.reason
        return None

    def _is_proven(self, record: PodRecord, wanted: str) -> bool:
        """Whether a pod replaces one that was moved to this class: there was room when it left."""
        held = record.revision.reservation(record.uid) if record.revision is not None else None
        return held is not None and held.proven and held.capacity_class == wanted

    def _release(
        self, record: PodRecord, workload: Workload, owner: OwnerRef, wanted: str, now: float, *, stand_in: bool = False
    ) -> Release:
        requires = self._writer.requires(wanted, record.constraints)
        if requires is None or self._refused.get(record.uid, 0) >= REFUSALS:
            # No label tells the class, the pod can run nowhere, or somebody forbids it: nothing can be added.
            return Release(record.id, self.gate, {})
        proven = self._is_proven(record, wanted)
        held = Reservation(
            record.uid, record.namespace, owner, wanted, now, stand_in=stand_in, written=True, proven=proven
        )
        self._state.apply(held, now)
        doubts = [EventReason.CLASS_LABEL_UNKNOWN] if requires.guessed else []
        if workload.policy.pool_cap(wanted) is not None:
            # No requirement keeps pods of a burst out of one pool: where each will be is not known when it is decided.
            doubts.append(EventReason.POOL_CAP_NOT_KEPT)
        return Release(
            record.id,
            self.gate,
            {self._class_key: wanted},
            wanted,
            requires,
            workload=workload,
            doubts=tuple(doubts),
        )
