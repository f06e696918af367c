"""Moves under way: each is made by a task of its own, so that one that is slow, throttled or refused holds up no other.

What is started is in the history before the next plan is made, so that budgets hold over several plans. Pods that leave
a node which is about to be taken away, and dry runs, are no business of the history: they are remembered for a while.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from extender.core.drift.backoff import LONGEST_WHEN_DRAINED, WorkloadBackoff
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.history import Judgement, direction
from extender.core.drift.judge import judge
from extender.core.drift.moves import Move, Stay
from extender.core.drift.rules import DriftRules
from extender.core.model.errors import ApiError, WireError
from extender.core.model.reasons import Reason
from extender.core.state.records import Reservation, replacing
from extender.core.state.state import ClusterState, Released
from extender.kube.seams import Report, Timing
from extender.runtime.drift.memory import SOURCE, Memory
from extender.runtime.drift.mover import Mover
from extender.runtime.drift.reports import DriftReports
from extender.runtime.drift.spans import MoveSpans
from extender.telemetry.traces import NO_TRACES, Tracer
from extender.telemetry.vocabulary import OUTCOME

# Requests of moves in flight at once; further ones wait their turn.
AT_ONCE = 20
# How long a dry run's verdict on a pod holds, and how long a drained pod's termination is waited for (seconds).
DRY_MEMORY = 300.0
DRAIN_MEMORY = 60.0

_BUDGETS = (Reason.BUDGET, Reason.BUDGETS, Reason.BUDGET_STALE)


class Moves:
    """See the module. Used between `begin` and the end of the group that it was given.

    Args:
        state: the cluster.
        memory: keeps the history.
        mover: makes one move.
        reports: tells of them.
        report: told of whatever goes wrong.
        rules: how moves are judged.
        read_only: make dry runs only.
        tracer: makes spans.
        now: seconds since the epoch.
        ports: time and chance.

    Attributes:
        patience: which workloads wait with moves.
        haste: which wait with pods that leave interrupted nodes; that has nothing to do with their moves.
        freed: whether anything that moves held was given back since this was set to false.
    """

    def __init__(
        self,
        *,
        state: ClusterState,
        memory: Memory,
        mover: Mover,
        reports: DriftReports,
        report: Report,
        rules: DriftRules,
        read_only: bool,
        now: Callable[[], float] = time.time,
        ports: Timing | None = None,
        tracer: Tracer = NO_TRACES,
    ) -> None:
        self._state = state
        self._spans = MoveSpans(tracer)
        self._memory = memory
        self._mover = mover
        self._reports = reports
        self._report = report
        self._rules = rules
        self._read_only = read_only
        self._now = now
        self._ports = ports or Timing()
        self.begin(asyncio.TaskGroup())

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Know nothing of what was before; `group` holds the tasks."""
        self._group = group
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._moving: set[str] = set()
        self._recent: dict[str, float] = {}
        self.patience = WorkloadBackoff(self._ports.clock, self._ports.uniform)
        self.haste = WorkloadBackoff(self._ports.clock, self._ports.uniform, LONGEST_WHEN_DRAINED)
        self.freed = False
        self._keeping: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Another may lead from now on."""
        self._spans.leave()

    def start(self, move: Move) -> None:
        """Have a move made, unless that is being done, was done a moment ago, or its workload waits."""
        pod, now = move.pod.uid, self._now()
        if pod in self._moving or now < self._recent.get(pod, 0.0) or self._waits(move).waits(move.workload.uid):
            return
        dry = move.dry or self._read_only
        recorded = not dry and move.reason is not Reason.INTERRUPTED
        if recorded:
            self._memory.history.started(move, self._state, now)
        else:
            self._recent[pod] = now + (DRY_MEMORY if dry else DRAIN_MEMORY)
        self._moving.add(pod)
        self._spans.begin(move, dry=dry)
        self._group.create_task(self._make(move, dry=dry, recorded=recorded), name=f"move {move.pod.name}")

    def ask(self, stay: Stay) -> None:
        """Where nothing is to be changed, have the API server say that a budget keeps a pod, once in a while.

        It is asked for one pod of a workload: its budgets are those of the others.
        """
        workload = self._state.workloads.by_uid.get(stay.workload.uid)
        audited = workload is not None and workload.policy.mode == "audit"
        now = self._now()
        if (
            stay.reason not in _BUDGETS
            or not (self._read_only or audited)
            or now < self._recent.get(stay.workload.uid, 0)
        ):
            return
        self._recent[stay.workload.uid] = now + DRY_MEMORY
        given = (stay.pod, stay.node, stay.workload, stay.source, stay.destination)
        self.start(Move(*given, target="", reason=Reason.SURPLUS, dry=True))

    def _waits(self, move: Move) -> WorkloadBackoff:
        return self.haste if move.reason is Reason.INTERRUPTED else self.patience

    async def _make(self, move: Move, *, dry: bool, recorded: bool) -> None:
        with self._spans.under(move):
            try:
                with self._spans.evicting(move) as span:
                    async with self._slots:
                        commit = partial(self._commit, move) if recorded else None
                        outcome = await self._mover.attempt(move, commit, dry=dry)
                    span.note({OUTCOME: outcome.result(dry=dry)})
            except Exception as error:  # noqa: BLE001 - a bug in one move must not end the others
                self._report("drift", f"the move of {move.pod.namespace}/{move.pod.name} met a fault: {error!r}")
                outcome = Outcome(Answer.UNANSWERED, text=repr(error), sent=False)
            finally:
                self._moving.discard(move.pod.uid)
            self._reports.attempted(move, outcome, self._now(), dry=dry)
            self._spans.attempted(move, outcome.result(dry=dry), outcome.text, judged=recorded)
            if outcome.answer is Answer.EVICTED:
                self._waits(move).accepted(move.workload.uid)
            elif not dry or outcome.result() != "blocked":
                await self._refused(move, outcome, recorded=recorded)

    async def _commit(self, move: Move, grace: float) -> None:
        """The eviction is about to be sent: hold a seat for the replacement, and store the move."""
        self._memory.history.graced(move, grace)
        revision = self._state.revisions.get(move.workload.revision)
        if revision is not None:
            key, namespace = replacing(move.pod.uid), move.pod.namespace
            now = self._now()
            self._state.apply(Reservation(key, namespace, revision.owner, move.destination, now), now)
        await self._memory.save()

    async def _refused(self, move: Move, outcome: Outcome, *, recorded: bool) -> None:
        """Take a move back, but for one of which nobody knows whether it was made: that is judged by what is seen."""
        self._recent.pop(move.pod.uid, None)
        if recorded and outcome.answer is not Answer.UNANSWERED:
            self._memory.history.refused(move)
            self._release(move)
        if outcome.answer is Answer.DROPPED:
            # Another may lead: the store is theirs.
            return
        self._waits(move).refused(move.workload.uid, outcome.result(), outcome.retry_after)
        await self.save()

    def settle(self, seen_since: float) -> None:
        """Judge the moves in flight; `seen_since` is as `judge` takes it."""
        now, history = self._now(), self._memory.history
        for verdict in judge(self._state, history, self._rules, now, seen_since):
            move = verdict.in_flight.move
            if move.pod.uid in self._moving:
                continue
            workload = self._state.workloads.by_uid.get(move.workload.uid)
            opened = history.settle(verdict, self._rules, workload.policy if workload is not None else None, now)
            if verdict.outcome is not Reason.STUCK:
                self._release(move)
            with self._spans.judged(verdict):
                self._reports.judged(verdict, self._waits_until(verdict), now, opened=opened)
        self.save_soon()

    def _waits_until(self, verdict: Judgement) -> float:
        move = verdict.in_flight.move
        history = self._memory.history.get(move.workload.uid)
        back_off = history.back_off.get(direction(move.source, move.destination)) if history is not None else None
        return back_off.until if back_off is not None else 0.0

    def _release(self, move: Move) -> None:
        """Nothing is held for a replacement any more."""
        self._state.apply(Released(replacing(move.pod.uid)), self._now())
        self.freed = True

    def forget(self) -> None:
        """Drop what is remembered of pods for a while, when that is over."""
        now = self._now()
        self._recent = {pod: until for pod, until in self._recent.items() if until > now}

    def save_soon(self) -> None:
        """Store what has changed, if anything has."""
        if self._memory.history.changed:
            self._group.create_task(self.save(), name="save moves")

    def keep_store(self) -> None:
        """Store what has changed, and heed what a person did to the store; in the background, once at a time."""
        if self._keeping is None or self._keeping.done():
            self._keeping = self._group.create_task(self._keep_store(), name="keep the store")

    async def _keep_store(self) -> None:
        await self.save()
        try:
            await self._memory.review()
        except (ApiError, WireError) as error:
            self._report(SOURCE, str(error))

    async def save(self) -> None:
        """Store what has changed; what cannot be stored now is stored before the next move, or at the next sweep."""
        try:
            await self._memory.save()
        except (ApiError, WireError) as error:
            self._report(SOURCE, str(error))
