"""Carries out what the drift controller says is due: asks the API, keeps the store, and tells of it.

What takes time has a task of its own, so that one that is slow, throttled or refused holds up no other.
"""

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from extender.core.drift.actions import Action, Cycle, Evict, Judged, OpenStore, SaveStore, Swept
from extender.core.drift.controller import DriftController
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.last_plans import LastPlans
from extender.core.drift.moves import PlanFault, WorkloadRef
from extender.core.drift.placeholders import Placeholders
from extender.core.drift.rules import DriftOptions, DriftRules
from extender.core.model.errors import ApiError, WireError
from extender.core.model.objects import Pod
from extender.core.state.state import ClusterState
from extender.runtime.drift.context import Channels, Context
from extender.runtime.drift.freshness import freshness
from extender.runtime.drift.memory import SOURCE, Memory
from extender.runtime.drift.mover import Mover
from extender.runtime.drift.reports import DriftReports
from extender.runtime.drift.spans import MoveSpans
from extender.runtime.drive import Drive
from extender.telemetry.vocabulary import MOVES, OUTCOME, REASON, STAYS, WORKLOADS

NAME = "drift"


class DriftLoop:
    """The drift loop of a running replica.

    Args:
        state: the cluster.
        options: how careful to be, and how often to look.
        memory: of moves.
        context: what it is connected with.
        channels: where it tells of what it does.
        placeholders: has room made where there is none.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        state: ClusterState,
        options: DriftOptions,
        memory: Memory,
        context: Context,
        channels: Channels,
        placeholders: Placeholders | None = None,
    ) -> None:
        self.placeholders = placeholders or Placeholders(state, options.rules)
        self.memory = memory
        self._state = state
        self._options = options
        self._context = context
        self._metrics, self._tracer = channels.metrics, channels.tracer
        self._reports = DriftReports(state, channels, options.rules)
        self._spans = MoveSpans(channels.tracer)
        self._mover = Mover(context, self._confirm, memory.save)
        self.begin(asyncio.TaskGroup())

    @property
    def rules(self) -> DriftRules:
        """How careful it is."""
        return self._options.rules

    def go_by(self, options: DriftOptions, startup: float) -> None:
        """Go by other options from now on; `startup` as of `assemble`."""
        self._options = options
        self._controller.go_by(options)
        self.placeholders.go_by(replace(options.rules, node_startup=startup))
        self._reports.go_by(options.rules)
        self._drive.wake()

    @property
    def view(self) -> LastPlans:
        """What the last plans said."""
        return self._controller.view

    async def run(self) -> None:
        """Move pods until cancelled; then nothing more is sent."""
        try:
            async with asyncio.TaskGroup() as group:
                self.begin(group)
                await self._drive.run()
        finally:
            # Another may lead from now on.
            self._spans.leave()
            self.memory.close()
            self.begin(asyncio.TaskGroup())

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Know nothing of what was before; `group` holds the tasks."""
        context = self._context
        self._group = group
        self._controller = DriftController(
            self._state,
            self.memory,
            self._options,
            context.timing.uniform,
            lambda: freshness(context.health(), context.timing.clock()),
            self.placeholders,
        )
        self._drive: Drive[Action] = Drive(
            NAME,
            self._controller,
            self._perform,
            self._faulty,
            timing=context.timing,
            now=context.now,
        )

    def _perform(self, action: Action) -> None:
        match action:
            case Judged(verdict, until, opened):
                with self._spans.judged(verdict):
                    self._reports.judged(verdict, until, self._context.now(), opened=opened)
            case PlanFault():
                self._reports.broke(action)
            case Swept():
                self._reports.keep(self._state.workloads.by_uid)
                self._tell_unreadable()
            case Evict():
                self._group.create_task(self._evict(action), name=f"move {action.move.pod.name}")
            case Cycle():
                self._group.create_task(self._cycle(action), name="drift cycle")
            case OpenStore():
                self._group.create_task(self._open(action), name="open the store")
            case SaveStore():
                self._group.create_task(self._save(action), name="keep the store")

    # Evictions

    async def _evict(self, action: Evict) -> None:
        move = action.move
        with self._spans.under(move):
            try:
                with self._spans.evicting(move) as span:
                    outcome = await self._mover.attempt(action)
                    span.note({OUTCOME: outcome.result(dry=action.dry)})
            except Exception as error:  # noqa: BLE001 - a bug in one move must not end the others
                text = f"the move of {move.pod.namespace}/{move.pod.name} met a fault: {error!r}"
                self._context.report(NAME, text)
                outcome = Outcome(Answer.UNANSWERED, text=repr(error), sent=False)
            self._reports.attempted(move, outcome, self._context.now(), dry=action.dry)
            self._spans.attempted(move, outcome.result(dry=action.dry), outcome.text, judged=action.recorded)
        self._controller.done(action, outcome, self._context.now())
        self._drive.wake()

    def _confirm(self, action: Evict, pod: Pod, grace: float) -> str:
        return self._controller.confirm(action, pod, grace, self._context.now())

    # Cycles

    async def _cycle(self, action: Cycle) -> None:
        """Plan, slice by slice; in between the event loop gets its turn: the scheduler's requests come first."""
        clock = self._context.timing.clock
        started = clock()
        with self._tracer.span("drift cycle", {WORKLOADS: len(action.workloads)}):
            for workloads in action.slices():
                self._plan(action, workloads)
                self._drive.wake()
                await asyncio.sleep(0)
        if not action.current:
            why = "; ".join(f"{key}: {fault}" for key, fault in action.stale.items())
            self._context.report(NAME, f"nothing is moved: {why}")
        self._metrics.cycled(clock() - started)
        self._controller.done(action, None, self._context.now())
        self._drive.wake()

    def _plan(self, action: Cycle, workloads: Sequence[str]) -> None:
        clock = self._context.timing.clock
        with self._tracer.span("drift plan", {WORKLOADS: len(workloads)}) as span:
            started = clock()
            try:
                made = self._controller.plan(action, workloads, self._context.now())
                self._metrics.planned(clock() - started)
                self._reports.planned(workloads, made, self._context.now())
            except Exception as error:  # noqa: BLE001 - a bug that one workload meets must not hold up all others
                self._faulty(NAME, f"a plan for {len(workloads)} workloads met a fault: {error!r}")
                span.fail("a bug; see the log")
                return
            span.note({MOVES: len(made.moves), STAYS: len(made.stays), REASON: str(made.paused) if made.paused else ""})
            for evict in self._controller.queue:
                self._spans.begin(evict.move, dry=evict.dry)

    # The store

    async def _open(self, action: OpenStore) -> None:
        fault = ""
        try:
            await self.memory.open()
            self._tell_unreadable()
        except (ApiError, WireError) as error:
            fault = str(error)
            self._context.report(SOURCE, f"{error}; nothing is moved before that can be read")
        except Exception as error:  # noqa: BLE001 - a bug here must not end the leader's other work
            fault = repr(error)
            self._faulty(NAME, f"the store met a fault: {error!r}")
        self._controller.done(action, fault, self._context.now())
        self._drive.wake()

    async def _save(self, action: SaveStore) -> None:
        """Store what has changed; what cannot be stored now is stored before the next move, or after the next look."""
        for step in (self.memory.save, self.memory.review) if action.review else (self.memory.save,):
            try:
                await step()
            except (ApiError, WireError) as error:
                self._context.report(SOURCE, str(error))
            except Exception as error:  # noqa: BLE001 - a bug here must not end the leader's other work
                self._faulty(NAME, f"the store met a fault: {error!r}")
        self._controller.done(action, None, self._context.now())
        self._drive.wake()

    def _tell_unreadable(self) -> None:
        for uid, fault in self.memory.unreadable.items():
            workload = self._state.workloads.by_uid.get(uid)
            if workload is not None:
                self._reports.unreadable(WorkloadRef(uid, workload.kind, workload.namespace, workload.name, ""), fault)

    def _faulty(self, source: str, text: str) -> None:
        self._metrics.failed()
        self._context.report(source, text)
