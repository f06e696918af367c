"""The drift loop in virtual time: when `runtime.drift` would look, what its plans say, and what becomes of the moves.

Plans, judgement, history and patience are those of `core.drift`.
"""

from collections import Counter
from collections.abc import Iterable
from random import Random

from extender.core.drift.backoff import LONGEST_WHEN_DRAINED, WorkloadBackoff
from extender.core.drift.controller import TICK
from extender.core.drift.drain import threatened
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.history import History, Judgement
from extender.core.drift.judge import judge
from extender.core.drift.last_plans import LastPlans
from extender.core.drift.moves import Move
from extender.core.drift.plan import plan
from extender.core.drift.rules import DriftOptions
from extender.core.drift.under_way import DRAIN_MEMORY
from extender.core.model.reasons import Reason
from extender.core.policy.workloads import Managed
from extender.core.state.records import Reservation, replacing
from extender.core.state.state import Released
from extender.simulate.api import VirtualApi
from extender.simulate.budgets import DisruptionController
from extender.simulate.clock import Timer
from extender.simulate.spotmix import VirtualSpotmix

POST = 0.05
"""Seconds from planning a move to the eviction."""


class DriftLoop:
    """See the module.

    Args:
        api: the cluster.
        service: the cluster as Spotmix sees it.
        budgets: the eviction API.
        options: see `DriftOptions`.
        rng: for jitter.

    Attributes:
        options: as given.
        history: what it remembers of moves.
        view: what the last plans said.
        cycles: how often it planned.
        evictions: pods evicted, by the reason of the move.
        refused: evictions that were refused, by HTTP status.
        outcomes: of moves, by reason.
        circuits: how often a workload was given up.
    """

    def __init__(
        self,
        api: VirtualApi,
        service: VirtualSpotmix,
        budgets: DisruptionController,
        options: DriftOptions,
        rng: Random,
    ) -> None:
        self._api = api
        self._clock = api.clock
        self._service = service
        self._budgets = budgets
        self.options = options
        self._patience = WorkloadBackoff(rng.uniform)
        self._haste = WorkloadBackoff(rng.uniform, LONGEST_WHEN_DRAINED)
        self._threatened: frozenset[str] = frozenset()
        self._seen_since = 0.0
        self._soon = Timer(None)
        self._freed = self._swept = False
        self._moving: set[str] = set()
        self._drained: dict[str, float] = {}
        self.history = History()
        self.view = LastPlans()
        self.cycles = 0
        self.evictions: Counter[Reason] = Counter()
        self.refused: Counter[int] = Counter()
        self.outcomes: Counter[Reason] = Counter()
        self.circuits = 0

    def start(self) -> None:
        """Look at everything, again and again, and at what has changed."""
        self._service.on_touched = self._look_soon
        self._seen_since = self._clock.now
        self._sweep()

    def _look_soon(self) -> None:
        if not self._soon.pending:
            self._soon = self._clock.after(TICK, lambda: self._look(sweep=False))

    def _sweep(self) -> None:
        self._clock.after(self.options.interval, self._sweep)
        rules = self.options.rules
        self.history.prune(
            self._service.state, self._clock.now, max(rules.circuit_window, rules.circuit_reset, rules.max_back_off)
        )
        self.view.keep(self._service.state.workloads.by_uid)
        self._look(sweep=True)

    def _look(self, *, sweep: bool) -> None:
        """One cycle: judge moves, then plan for what is due."""
        state, now, rules = self._service.state, self._clock.now, self.options.rules
        for verdict in judge(state, self.history, rules, now, self._seen_since):
            if verdict.in_flight.move.pod.uid not in self._moving:
                self._settle(verdict)
        due = [uid for uid in self._due(sweep=sweep) if uid in self._threatened or not self._patience.waits(uid, now)]
        if not due:
            return
        if self._threatened:
            # What their pods wait for touches no workload, and time is short.
            self._look_soon()
        self.cycles += 1
        made = plan(state, self.history, rules, now, only=due)
        self.view.put(due, made)
        for move in made.moves:
            self._start(move)

    def _due(self, *, sweep: bool) -> Iterable[str]:
        """UIDs of the workloads to look at."""
        state = self._service.state
        self._threatened = frozenset(
            each.managed.workload.uid for each in (threatened(state) if self.options.rules.drain else ())
        )
        due: dict[str, None] = dict.fromkeys(sorted(self._threatened))
        for revision in sorted(state.outbox.take_touched(), key=lambda each: each.owner.uid):
            managed = state.workloads.resolve(revision.namespace, revision.owner)
            if isinstance(managed, Managed):
                due[managed.workload.uid] = None
        due.update(dict.fromkeys(sorted(self._patience.over(self._clock.now) | self._haste.over(self._clock.now))))
        if sweep or self._freed:
            due.update(dict.fromkeys(sorted(self.view.off_target)))
        self._freed = False
        if sweep and (due or not self._swept):
            # Workloads at their split that nothing has happened to are there still: without any other, none is due.
            self._swept = True
            due.update(dict.fromkeys(state.workloads.by_uid))
        return due

    def _settle(self, verdict: Judgement) -> None:
        move = verdict.in_flight.move
        workload = self._service.state.workloads.by_uid.get(move.workload.uid)
        policy = workload.policy if workload is not None else None
        self.outcomes[verdict.outcome] += 1
        self.circuits += self.history.settle(verdict, self.options.rules, policy, self._clock.now)
        if verdict.outcome is not Reason.STUCK:
            self._release(move)

    # Moves

    def _start(self, move: Move) -> None:
        """Note a move, and send its eviction a moment later."""
        uid, now = move.pod.uid, self._clock.now
        if move.dry or uid in self._moving or now < self._drained.get(uid, 0.0):
            return
        if self._waits(move).waits(move.workload.uid, now):
            return
        if move.reason is Reason.INTERRUPTED:
            self._drained[uid] = now + DRAIN_MEMORY
        else:
            self.history.started(move, self._service.state, now)
        self._moving.add(uid)
        self._clock.after(POST, lambda: self._make(move))

    def _waits(self, move: Move) -> WorkloadBackoff:
        return self._haste if move.reason is Reason.INTERRUPTED else self._patience

    def _make(self, move: Move) -> None:
        self._moving.discard(move.pod.uid)
        pod = self._api.pods.get(move.pod.uid)
        recorded = move.reason is not Reason.INTERRUPTED
        if pod is None or pod.terminating or not pod.running or pod.node != move.node:
            self._refused(move, Outcome(Answer.CHANGED, sent=False), recorded=recorded)
            return
        if recorded:
            self.history.graced(move, pod.template.grace)
            self._reserve(move)
        outcome = self._budgets.evict(move.pod.namespace, move.pod.name, move.pod.uid)
        if outcome.answer is Answer.EVICTED:
            self.evictions[move.reason] += 1
            self._waits(move).accepted(move.workload.uid)
            return
        self.refused[outcome.status] += 1
        self._refused(move, outcome, recorded=recorded)

    def _refused(self, move: Move, outcome: Outcome, *, recorded: bool) -> None:
        self._drained.pop(move.pod.uid, None)
        if recorded:
            self.history.refused(move)
            self._release(move)
        delay = self._waits(move).refused(move.workload.uid, outcome.result(), outcome.retry_after, self._clock.now)
        self._clock.after(delay, self._look_soon)

    def _reserve(self, move: Move) -> None:
        """Hold the seat for the pod that will come."""
        state, now = self._service.state, self._clock.now
        revision = state.revisions.get(move.workload.revision)
        if revision is not None:
            pod = replacing(move.pod.uid)
            state.apply(Reservation(pod, revision.namespace, revision.owner, move.destination, now), now)

    def _release(self, move: Move) -> None:
        self._service.state.apply(Released(replacing(move.pod.uid)), self._clock.now)
        self._freed = True
        self._look_soon()
