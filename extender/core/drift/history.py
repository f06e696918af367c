"""What the drift loop has to remember of each workload: moves in flight, moves made, moves in vain.

All times are seconds since the epoch, so that a history outlives the process that wrote it.
"""

from collections.abc import Iterator

from msgspec import Struct, field
from msgspec.structs import replace

from extender.core.drift.moves import Move
from extender.core.drift.rules import DriftRules
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.policy.policy import Policy
from extender.core.state.state import ClusterState

HOUR = 3600.0
DAY = 24 * HOUR
DEFAULT_GRACE = 30.0
"""A pod's terminationGracePeriodSeconds where it says none."""
MAX_SIBLINGS = 32
"""More pods made within one second are not told apart by their UIDs: a history has to stay small."""


def direction(source: str, destination: str) -> str:
    """The key of a direction in a history."""
    return f"{source}>{destination}"


def seats_text(policy: Policy) -> str:
    """What a policy says of seats, as a text that outlives the process."""
    return f"{policy.seats} {policy.when_unsatisfiable} {policy.fallback_to}"


class InFlight(Struct, frozen=True, gc=False):
    """A move whose eviction was sent, at `at`.

    Its replacement is a pod of the revision created at `newest` or later, and not among `siblings`. `newest` is when
    the youngest pod was created that the revision had then, in the API server's time as all such times are;
    `siblings` are the UIDs of the pods created in that same second, and of those that are the replacement of another
    move. `grace` is how long the pod may take to end (seconds). `stuck` once it has been told that it takes longer.
    `dry` moves never are in flight.
    """

    move: Move
    at: float
    newest: float
    siblings: tuple[str, ...] = ()
    grace: float = DEFAULT_GRACE
    stuck: bool = False


class Judgement(Struct, frozen=True):
    """What became of a move.

    `outcome` is MOVED, LANDED_WRONG, NO_REPLACEMENT, NOT_REPLACED, STUCK (it is still in flight), or REFUSED: the
    eviction never took place. `landed` is the class of the node that the replacement is on.
    """

    in_flight: InFlight
    outcome: Reason
    replacement: PodId | None = None
    node: str = ""
    landed: str = ""


class DirectionBackoff(Struct, frozen=True, gc=False):
    """`failures` moves in a row were in vain; no other before `until`."""

    failures: int
    until: float


class WorkloadHistory(Struct):
    """What is remembered of one workload.

    `moved` are the times of voluntary moves of the last hour. `back_off` is by direction, see `direction`. `vain` are
    the times of moves in vain within the circuit's window. `opened` is when the circuit was opened, 0 while it is
    closed, and `judged_by` the policy that it was opened under: another one closes it. (The size does not: an
    autoscaler changes it all day long.)
    """

    in_flight: list[InFlight] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    back_off: dict[str, DirectionBackoff] = field(default_factory=dict)
    vain: list[float] = field(default_factory=list)
    opened: float = 0.0
    judged_by: str = ""

    def moves_in_hour(self, now: float) -> int:
        """Voluntary moves within the last hour."""
        return sum(1 for at in self.moved if now - at < HOUR)

    def backs_off(self, source: str, destination: str, now: float) -> bool:
        """Whether moves in this direction wait."""
        back_off = self.back_off.get(direction(source, destination))
        return back_off is not None and now < back_off.until

    def is_open(self, policy: Policy, rules: DriftRules, now: float) -> bool:
        """Whether the circuit is open, so that nothing is moved."""
        return bool(self.opened) and self.judged_by == seats_text(policy) and now - self.opened < rules.circuit_reset

    @property
    def last(self) -> float:
        """When something of it happened last, or will."""
        times = (*self.moved, *self.vain, *(b.until for b in self.back_off.values()), self.opened)
        return max((*times, *(each.at for each in self.in_flight)), default=0.0)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to remember."""
        return not (self.in_flight or self.moved or self.back_off or self.vain or self.opened)

    def forget(self, now: float, memory: float) -> None:
        """Drop what is older than `memory` seconds and can matter no more."""
        self.moved = [at for at in self.moved if now - at < HOUR]
        self.vain = [at for at in self.vain if now - at < memory]
        self.back_off = {key: each for key, each in self.back_off.items() if now - each.until < memory}
        if self.opened and now - self.opened >= memory:
            self.opened, self.judged_by = 0.0, ""

    def was_in_vain(self, move: Move, policy: Policy, rules: DriftRules, now: float) -> bool:
        """Back off after a move in vain; say whether that opened the circuit."""
        key = direction(move.source, move.destination)
        before = self.back_off.get(key)
        failures = before.failures + 1 if before is not None else 1
        self.back_off[key] = DirectionBackoff(failures, now + rules.wait_after(failures))
        self.vain = [at for at in self.vain if now - at < rules.circuit_window] + [now]
        if len(self.vain) < rules.circuit_moves:
            return False
        # What led to it is spent: once the circuit is closed again, it takes as many to open it.
        self.opened, self.judged_by, self.vain = now, seats_text(policy), []
        return True


class History:
    """The histories of all workloads, by workload UID. `changed` names those that differ from what was stored."""

    def __init__(self) -> None:
        self.workloads: dict[str, WorkloadHistory] = {}
        self.changed: set[str] = set()

    def fork(self) -> "History":
        """A history that knows what this one knows, and whose further moves are its own."""
        other = History()
        for uid, each in self.workloads.items():
            other.workloads[uid] = replace(each, in_flight=list(each.in_flight), moved=list(each.moved))
        return other

    def get(self, workload: str) -> WorkloadHistory | None:
        """The history of a workload, if it has one."""
        return self.workloads.get(workload)

    @property
    def busy(self) -> bool:
        """Whether any move is in flight."""
        return next(self.in_flight(), None) is not None

    def in_flight(self) -> Iterator[InFlight]:
        """Every move in flight."""
        for history in self.workloads.values():
            yield from history.in_flight

    def started(self, move: Move, state: ClusterState, now: float, grace: float = DEFAULT_GRACE) -> None:
        """Take in that the eviction of a move is about to be sent: from now on it counts.

        Args:
            move: as planned; one that is INTERRUPTED or dry is not for the history.
            state: the cluster as it was planned with.
            now: seconds since the epoch.
            grace: the pod's grace period, in seconds.
        """
        revision = state.revisions.get(move.workload.revision)
        pods = revision.pods if revision is not None else set()
        newest = max((pod.created for pod in pods), default=0.0)
        siblings = tuple(sorted(pod.uid for pod in pods if pod.created == newest))
        if len(siblings) > MAX_SIBLINGS:
            newest, siblings = newest + 1.0, ()
        history = self.workloads.setdefault(move.workload.uid, WorkloadHistory())
        history.in_flight.append(InFlight(move, now, newest, siblings, grace))
        history.moved.append(now)
        self.changed.add(move.workload.uid)

    def graced(self, move: Move, grace: float) -> None:
        """Take in the grace period (seconds) of a pod whose move has started."""
        history = self.workloads.get(move.workload.uid)
        for number, entry in enumerate(history.in_flight if history is not None else ()):
            if history is not None and entry.move.pod.uid == move.pod.uid and entry.grace != grace:
                history.in_flight[number] = replace(entry, grace=grace)
                self.changed.add(move.workload.uid)

    def refused(self, move: Move) -> None:
        """Take back what `started` took in: the eviction was refused, or not sent after all."""
        history = self.workloads.get(move.workload.uid)
        for entry in history.in_flight if history is not None else ():
            if entry.move.pod.uid == move.pod.uid:
                self._drop(entry, made=False)
                return

    def settle(self, verdict: Judgement, rules: DriftRules, policy: Policy | None, now: float) -> bool:
        """Take in what became of a move; say whether that opened the workload's circuit.

        Args:
            verdict: as `judge` gave it.
            rules: how long to back off, and when to give up.
            policy: the workload's, None when there is no such workload any more.
            now: seconds since the epoch.
        """
        move, outcome = verdict.in_flight.move, verdict.outcome
        workload = move.workload.uid
        history = self.workloads.get(workload)
        # By its pod: the verdict before may have changed what is noted of it.
        entry = next((e for e in history.in_flight if e.move.pod.uid == move.pod.uid), None) if history else None
        if history is None or entry is None:
            return False
        if outcome is Reason.STUCK:
            # It stays in flight, and holds its budget.
            history.in_flight[history.in_flight.index(entry)] = replace(entry, stuck=True)
            self.changed.add(workload)
            return False
        if verdict.replacement is not None:
            self._claim(history, entry, verdict.replacement.uid)
        self._drop(entry, made=outcome is not Reason.REFUSED)
        if outcome is Reason.MOVED:
            history.back_off.pop(direction(entry.move.source, entry.move.destination), None)
        in_vain = outcome in (Reason.LANDED_WRONG, Reason.NO_REPLACEMENT)
        return in_vain and policy is not None and history.was_in_vain(entry.move, policy, rules, now)

    def prune(self, state: ClusterState, now: float, memory: float = DAY) -> None:
        """Forget what matters no more, so that a history stays small.

        Args:
            state: the cluster; of a workload that is not there any more, an hour is remembered.
            now: seconds since the epoch.
            memory: seconds that moves in vain, back-off and circuits are remembered; no less than rules ask for.
        """
        for uid, history in list(self.workloads.items()):
            history.forget(now, memory)
            lost = uid not in state.workloads.by_uid and not history.in_flight and now - history.last >= HOUR
            if history.empty or lost:
                del self.workloads[uid]
                self.changed.add(uid)

    def _claim(self, history: WorkloadHistory, entry: InFlight, replacement: str) -> None:
        """The replacement of one move is none of another."""
        history.in_flight = [
            replace(other, siblings=(*other.siblings, replacement))
            if other is not entry and other.move.workload.revision == entry.move.workload.revision
            else other
            for other in history.in_flight
        ]

    def _drop(self, entry: InFlight, *, made: bool) -> None:
        workload = entry.move.workload.uid
        history = self.workloads[workload]
        history.in_flight.remove(entry)
        if not made and entry.at in history.moved:
            history.moved.remove(entry.at)
        self.changed.add(workload)


class Remembered:
    """What is known of moves made before.

    Attributes:
        history: of all workloads.
        opened: whether it is what the store held, and what has happened since.
        unreadable: why what is stored of a workload does not decode, by its UID: it is left alone.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self.history = History()
        self.opened = opened
        self.unreadable: dict[str, str] = {}
