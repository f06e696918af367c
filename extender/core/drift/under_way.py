"""Moves under way: which evictions wait for their turn, which are asked for, and whose workloads wait.

What is started is in the history before the next plan is made, so that budgets hold over several plans. Pods that leave
a node which is about to be taken away, and dry runs, are no business of the history: they are remembered for a while.
"""

from collections import deque
from collections.abc import Callable, Iterable

from extender.core.drift.actions import Evict, Judged
from extender.core.drift.backoff import LONGEST_WHEN_DRAINED, WorkloadBackoff
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.history import Judgement, Remembered, direction
from extender.core.drift.judge import judge
from extender.core.drift.last_look import last_look
from extender.core.drift.moves import Move, PlanFault, Stay
from extender.core.drift.rules import DriftOptions
from extender.core.model.objects import Pod
from extender.core.model.reasons import Reason
from extender.core.placement.limits import limit_on
from extender.core.state.records import Reservation, replacing
from extender.core.state.state import ClusterState, Released

AT_ONCE = 20
"""Evictions asked for at once; further ones wait their turn."""
DRY_MEMORY = 300.0
"""How long a dry run's verdict on a pod holds (seconds)."""
DRAIN_MEMORY = 60.0
"""How long a drained pod's termination is waited for (seconds)."""

_BUDGETS = (Reason.BUDGET, Reason.BUDGETS, Reason.BUDGET_STALE)


class UnderWay:
    """The moves of one leader's term.

    Args:
        state: the cluster.
        memory: has the history.
        options: how moves are judged, and whether only dry runs are made.
        uniform: draws from [a, b].

    Attributes:
        patience: which workloads wait with moves.
        haste: which wait with pods that leave interrupted nodes; that has nothing to do with their moves.
        freed: whether anything that moves held was given back since this was set to false.
    """

    def __init__(
        self, state: ClusterState, memory: Remembered, options: DriftOptions, uniform: Callable[[float, float], float]
    ) -> None:
        self._state = state
        self._memory = memory
        self._options = options
        self._queue: deque[Evict] = deque()
        self._asked = 0
        self._moving: set[str] = set()
        self._recent: dict[str, float] = {}
        self.patience = WorkloadBackoff(uniform)
        self.haste = WorkloadBackoff(uniform, LONGEST_WHEN_DRAINED)
        self.freed = False

    def go_by(self, options: DriftOptions) -> None:
        """Go by other options from now on; as of the class. What was found by dry runs holds for these alone."""
        if options.read_only != self._options.read_only:
            self._recent.clear()
        self._options = options

    @property
    def queue(self) -> Iterable[Evict]:
        """Evictions that wait for their turn."""
        return self._queue

    @property
    def ready(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self._queue) and self._asked < AT_ONCE

    def take(self) -> list[Evict]:
        """The evictions whose turn it is; each is answered by `answered`."""
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), AT_ONCE - self._asked))]
        self._asked += len(taken)
        return taken

    def start(self, move: Move, now: float) -> bool:
        """Have a move made, unless that is being done, was done a moment ago, or its workload waits; say whether."""
        pod = move.pod.uid
        if pod in self._moving or now < self._recent.get(pod, 0.0) or self._waits(move).waits(move.workload.uid, now):
            return False
        evict = Evict(move, dry=move.dry or self._options.read_only)
        if evict.recorded:
            self._memory.history.started(move, self._state, now)
        else:
            self._recent[pod] = now + (DRY_MEMORY if evict.dry else DRAIN_MEMORY)
        self._moving.add(pod)
        self._queue.append(evict)
        return True

    def ask(self, stay: Stay, now: float) -> None:
        """Where nothing is to be changed, have the API server say that a budget keeps a pod, once in a while.

        It is asked for one pod of a workload: its budgets are those of the others.
        """
        if stay.reason not in _BUDGETS:
            return
        workload = self._state.workloads.by_uid.get(stay.workload.uid)
        audited = workload is not None and workload.policy.mode == "audit"
        if not (self._options.read_only or audited) or now < self._recent.get(stay.workload.uid, 0.0):
            return
        self._recent[stay.workload.uid] = now + DRY_MEMORY
        given = (stay.pod, stay.node, stay.workload, stay.source, stay.destination)
        self.start(Move(*given, target="", reason=Reason.SURPLUS, dry=True), now)

    def confirm(self, evict: Evict, pod: Pod | None, grace: float, now: float) -> str:
        """See `DriftController.confirm`."""
        move = evict.move
        fault = last_look(self._state, move, pod, now, dry=evict.dry)
        if not fault and evict.recorded:
            self._memory.history.graced(move, grace)
            revision = self._state.revisions.get(move.workload.revision)
            if revision is not None:
                # Hold a seat for the replacement.
                key, namespace = replacing(move.pod.uid), move.pod.namespace
                limited = limit_on(self._state, namespace, move.pod.uid, move.destination) is not None
                held = Reservation(key, namespace, revision.owner, move.destination, now, waits=limited, proven=True)
                self._state.apply(held, now)
        return fault

    def answered(self, evict: Evict, outcome: Outcome, now: float) -> bool:
        """Take in what became of an eviction; say whether the store has to hear of it."""
        move, result = evict.move, outcome.result()
        self._asked -= 1
        self._moving.discard(move.pod.uid)
        if outcome.answer is Answer.EVICTED:
            self._waits(move).accepted(move.workload.uid)
            return False
        if evict.dry and result == "blocked":
            # That is the verdict, and it holds for a while.
            return False
        self._recent.pop(move.pod.uid, None)
        if evict.recorded and outcome.answer is not Answer.UNANSWERED:
            # Of one that nobody answered it is not known whether it was made: that is judged by what is seen.
            self._memory.history.refused(move)
            self._release(move, now)
        if outcome.answer is Answer.DROPPED:
            # Another may lead: the store is theirs.
            return False
        self._waits(move).refused(move.workload.uid, result, outcome.retry_after, now)
        return True

    def settle(self, seen_since: float, now: float) -> list[Judged | PlanFault]:
        """Judge the moves in flight; `seen_since` is as `judge` takes it."""
        history, rules = self._memory.history, self._options.rules
        faults: list[PlanFault] = []
        found: list[Judged | PlanFault] = []
        for verdict in judge(self._state, history, rules, now, seen_since, faults):
            move = verdict.in_flight.move
            if move.pod.uid in self._moving:
                continue
            workload = self._state.workloads.by_uid.get(move.workload.uid)
            opened = history.settle(verdict, rules, workload.policy if workload is not None else None, now)
            if verdict.outcome is not Reason.STUCK:
                self._release(move, now)
            found.append(Judged(verdict, self._waits_until(verdict), opened))
        return [*found, *faults]

    def forget(self, now: float) -> None:
        """Drop what is remembered of pods for a while, when that is over."""
        self._recent = {pod: until for pod, until in self._recent.items() if until > now}

    def _waits(self, move: Move) -> WorkloadBackoff:
        return self.haste if move.reason is Reason.INTERRUPTED else self.patience

    def _waits_until(self, verdict: Judgement) -> float:
        move = verdict.in_flight.move
        history = self._memory.history.get(move.workload.uid)
        back_off = history.back_off.get(direction(move.source, move.destination)) if history is not None else None
        return back_off.until if back_off is not None else 0.0

    def _release(self, move: Move, now: float) -> None:
        """Nothing is held for a replacement any more."""
        self._state.apply(Released(replacing(move.pod.uid)), now)
        self.freed = True
