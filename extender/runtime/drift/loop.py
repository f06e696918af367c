"""When to plan, and what for.

Every second the workloads are looked at that changed since or have pods on interrupted nodes, and every interval all of
them, in slices between which the event loop gets its turn: the scheduler's requests come first.
"""

import asyncio
import math
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping

from extender.core.drift.drain import threatened
from extender.core.drift.last_plans import LastPlans
from extender.core.drift.moves import DriftPlan, WorkloadRef
from extender.core.drift.plan import plan
from extender.core.drift.rules import DriftRules
from extender.core.model.errors import ApiError, WireError
from extender.core.model.reasons import Reason
from extender.core.policy.workloads import Managed
from extender.core.state.state import ClusterState
from extender.kube.reflector import Health
from extender.kube.seams import Report, Timing
from extender.runtime.drift.freshness import faults, holds_up_all
from extender.runtime.drift.memory import SOURCE, Memory
from extender.runtime.drift.moves import Moves
from extender.runtime.drift.reports import DriftReports
from extender.telemetry.drift import DriftMetrics
from extender.telemetry.traces import NO_TRACES, Tracer
from extender.telemetry.vocabulary import MOVES, REASON, STAYS, WORKLOADS

# How often is looked whether anything changed: a burst of changes is looked at once (seconds).
TICK = 1.0
# Workloads planned for between two looks at the event loop.
SLICE = 100
# How soon the store is tried again that could not be read (seconds).
REOPEN = 5.0


class DriftLoop:
    """See the module.

    Args:
        state: the cluster; its outbox names the revisions that changed.
        health: how well each resource is followed.
        memory: of moves.
        moves: makes and judges them.
        rules: of plans.
        interval: seconds between two looks at everything.
        reports: tells of what plans say.
        metrics: take how long it took.
        report: told of whatever goes wrong.
        now: seconds since the epoch.
        ports: time and chance.
        tracer: makes spans.

    Attributes:
        view: what the last plans said.
    """

    def __init__(
        self,
        *,
        state: ClusterState,
        health: Callable[[], Mapping[str, Health]],
        memory: Memory,
        moves: Moves,
        rules: DriftRules,
        interval: float,
        reports: DriftReports,
        metrics: DriftMetrics,
        report: Report,
        now: Callable[[], float] = time.time,
        ports: Timing | None = None,
        tracer: Tracer = NO_TRACES,
    ) -> None:
        self._tracer = tracer
        self.memory = memory
        self.rules = rules
        self.view = LastPlans()
        self.moves = moves
        self._interval = interval
        self._state = state
        self._health = health
        self._reports = reports
        self._metrics = metrics
        self._report = report
        self._now = now
        self._ports = ports or Timing()
        self._reopen_at = -math.inf
        self._seen_since: float | None = None
        self._threatened: frozenset[str] = frozenset()
        self._hastened = ""

    async def run(self) -> None:
        """Move pods until cancelled; then nothing more is sent."""
        self._reopen_at = -math.inf
        self._seen_since = None
        try:
            async with asyncio.TaskGroup() as group:
                self.moves.begin(group)
                await self._keep_looking()
        finally:
            # Another may lead from now on.
            self.moves.end()
            self.memory.close()
            self.view = LastPlans()

    async def _keep_looking(self) -> None:
        swept = -math.inf
        while True:
            started = self._ports.clock()
            sweep = started - swept >= self._interval
            try:
                if await self._opened():
                    swept = started if sweep else swept
                    await self._look(sweep=sweep)
            except Exception as error:  # noqa: BLE001 - a bug here must not end the leader's other work
                self._fault("the drift loop", error)
            await self._ports.sleep(TICK)

    async def _opened(self) -> bool:
        """Whether it is known what was done before; look if that is due."""
        if self.memory.opened or self._ports.clock() < self._reopen_at:
            return self.memory.opened
        self._reopen_at = self._ports.clock() + REOPEN
        try:
            await self.memory.open()
        except (ApiError, WireError) as error:
            self.view.paused = Reason.MEMORY
            self._report(SOURCE, f"{error}; nothing is moved before that can be read")
            return False
        self._tell_unreadable()
        return True

    async def _look(self, *, sweep: bool) -> None:
        """One cycle: judge moves, then plan for what is due."""
        started = self._ports.clock()
        stale = faults(self._health(), started)
        current = not holds_up_all(stale)
        if not current:
            self._seen_since = None
        else:
            if self._seen_since is None:
                self._seen_since = self._now()
            self.moves.settle(self._seen_since)
        if sweep:
            self.view.paused = None
            self._prune()
        due = self._due(sweep=sweep)
        if not due and not sweep:
            return
        # A kind of somebody else's that is not followed well holds up its own workloads alone.
        kinds = stale if current else {}
        uids = [uid for uid in due if self._may_look_at(uid, kinds)]
        with self._tracer.span("drift cycle", {WORKLOADS: len(uids)}):
            for part in _slices(uids):
                self._plan_for(part, current=current)
                await asyncio.sleep(0)
        if not current:
            self.view.paused = Reason.STALE
            self._report("drift", "nothing is moved: " + "; ".join(f"{key}: {why}" for key, why in stale.items()))
        self._metrics.cycled(self._ports.clock() - started)

    def _due(self, *, sweep: bool) -> Iterable[str]:
        """UIDs of the workloads to look at, those first that something happens to."""
        due = dict.fromkeys(self._hasten())
        for revision in self._state.outbox.take_touched():
            managed = self._state.workloads.resolve(revision.namespace, revision.owner)
            if isinstance(managed, Managed):
                due[managed.workload.uid] = None
        due.update(dict.fromkeys(sorted(self.moves.patience.over() | self.moves.haste.over())))
        if sweep or self.moves.freed:
            # What a move held is free: others may have waited for it.
            due.update(dict.fromkeys(sorted(self.view.off_target)))
        self.moves.freed = False
        if sweep:
            due.update(dict.fromkeys(self._state.workloads.by_uid))
        return due

    def _hasten(self) -> Iterable[str]:
        """Workloads with pods on interrupted nodes, some after others when there are many.

        What these pods wait for, a budget's status or a node that joins, touches no workload, and time is short.
        """
        found = threatened(self._state) if self.rules.drain else ()
        self._threatened = frozenset(each.managed.workload.uid for each in found)
        uids = sorted(self._threatened)
        next_one = bisect_right(uids, self._hastened)
        chosen = (uids[next_one:] + uids[:next_one])[: 2 * SLICE]
        self._hastened = chosen[-1] if chosen else ""
        return chosen

    def _may_look_at(self, workload: str, stale: Mapping[str, str]) -> bool:
        if workload in self.memory.unreadable:
            return False
        if self.moves.patience.waits(workload) and workload not in self._threatened:
            return False
        owner = self._state.workloads.owners.get(workload)
        return owner is None or owner.resource not in stale

    def _plan_for(self, workloads: list[str], *, current: bool) -> None:
        with self._tracer.span("drift plan", {WORKLOADS: len(workloads)}) as span:
            made = self._plan(workloads, current=current)
            if made is None:
                span.fail("a bug; see the log")
                return
            span.note({MOVES: len(made.moves), STAYS: len(made.stays), REASON: str(made.paused) if made.paused else ""})
            for move in made.moves:
                self.moves.start(move)
            for stay in made.stays:
                self.moves.ask(stay)

    def _plan(self, workloads: list[str], *, current: bool) -> DriftPlan | None:
        started = self._ports.clock()
        try:
            made = plan(self._state, self.memory.history, self.rules, self._now(), only=workloads, current=current)
        except Exception as error:  # noqa: BLE001 - a bug that one workload meets must not hold up all others
            self._fault(f"a plan for {len(workloads)} workloads", error)
            return None
        self._metrics.planned(self._ports.clock() - started)
        self.view.put(workloads, made)
        self.view.paused = made.paused
        self._reports.planned(workloads, made, self._now())
        return made

    def _prune(self) -> None:
        """Forget what matters no more, and make up for what could not be stored or read."""
        rules = self.rules
        self.moves.forget()
        self.view.keep(self._state.workloads.by_uid)
        self._reports.keep(self._state.workloads.by_uid)
        memory = max(rules.circuit_window, rules.circuit_reset, rules.max_back_off)
        self.memory.history.prune(self._state, self._now(), memory)
        self.moves.keep_store()
        self._tell_unreadable()

    def _tell_unreadable(self) -> None:
        for uid, fault in self.memory.unreadable.items():
            workload = self._state.workloads.by_uid.get(uid)
            if workload is not None:
                self._reports.unreadable(WorkloadRef(uid, workload.kind, workload.namespace, workload.name, ""), fault)

    def _fault(self, what: str, error: Exception) -> None:
        self._metrics.failed()
        self._report("drift", f"{what} met a fault: {error!r}")


def _slices(workloads: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(workloads), SLICE):
        yield workloads[start : start + SLICE]
