"""The drift loop in virtual time: carries out what the drift controller says is due, as `runtime.drift` does."""

from collections import Counter
from random import Random

from msgspec.structs import replace

from extender.core.drift.actions import Action, Cycle, Evict, Judged, OpenStore, SaveStore, Swept
from extender.core.drift.controller import TICK, DriftController
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.gated import RoomForGated
from extender.core.drift.history import Remembered
from extender.core.drift.last_plans import LastPlans
from extender.core.drift.moves import PlanFault
from extender.core.drift.rules import DriftOptions
from extender.core.model.reasons import Reason
from extender.simulate.api import VirtualApi
from extender.simulate.budgets import DisruptionController
from extender.simulate.clock import Timer
from extender.simulate.drive import VirtualDrive
from extender.simulate.placeholders import VirtualPlaceholders
from extender.simulate.spotmix import VirtualSpotmix

POST = 0.05
"""Seconds from planning a move to the eviction: the pod is read and the move stored meanwhile."""


class VirtualDrift:
    """The drift loop of a virtual cluster.

    Args:
        api: the cluster.
        spotmix: the cluster as Spotmix sees it.
        budgets: the eviction API.
        options: how careful to be, and how often to look. It is not polled: the virtual watch tells.
        rng: for jitter.
        startup: seconds that a node may take to come, if there is who brings nodes: they are asked for by placeholders.

    Attributes:
        options: as it runs.
        memory: what it remembers of moves.
        cycles: how often it planned.
        evictions: pods evicted, by the reason of the move.
        refused: evictions that were refused, by HTTP status; dry runs are not counted.
        outcomes: of moves, by reason.
        circuits: how often a workload was given up.
        placeholders: have nodes brought; None where nobody does.
    """

    def __init__(  # noqa: PLR0917 - each of a type of its own
        self,
        api: VirtualApi,
        spotmix: VirtualSpotmix,
        budgets: DisruptionController,
        options: DriftOptions,
        rng: Random,
        startup: float | None = None,
    ) -> None:
        self._api = api
        self._clock = api.clock
        self._spotmix = spotmix
        self._budgets = budgets
        self.memory = Remembered(opened=True)
        self.options = replace(options, polled=False)
        self._interruptions = spotmix.state.interruptions
        self.placeholders: VirtualPlaceholders | None = None
        if startup is not None:
            rules = replace(options.rules, node_startup=startup)
            self.placeholders = VirtualPlaceholders(api, spotmix.state, rules, self._touched)
        self._controller = DriftController(
            spotmix.state,
            self.memory,
            self.options,
            rng.uniform,
            placeholders=self.placeholders.controller if self.placeholders is not None else None,
        )
        self._drive: VirtualDrive[Action] = VirtualDrive(self._clock, self._controller, self._perform)
        self._soon = Timer(None)
        self.cycles = 0
        self.evictions: Counter[Reason] = Counter()
        self.refused: Counter[int] = Counter()
        self.outcomes: Counter[Reason] = Counter()
        self.circuits = 0

    @property
    def view(self) -> LastPlans:
        """What the last plans said."""
        return self._controller.view

    def start(self) -> None:
        """Look at everything, again and again, and at what has changed."""
        self._spotmix.on_touched = self._touched
        if self.placeholders is not None:
            self._spotmix.prove_by(RoomForGated(self._spotmix.state, self.placeholders.controller))
            self.placeholders.start()
        self._drive.wake()

    def _touched(self) -> None:
        """The service asks every tick; here only where something has happened, as nothing is due otherwise."""
        if not self._soon.pending:
            self._soon = self._clock.after(TICK, self._drive.wake)

    def _perform(self, action: Action) -> None:
        match action:
            case Evict():
                self._clock.after(POST, lambda: self._evict(action))
            case Cycle():
                self._cycle(action)
            case Judged(verdict, _, opened):
                self.outcomes[verdict.outcome] += 1
                self.circuits += opened
            case OpenStore():
                self._controller.done(action, "", self._clock.now)
            case SaveStore():
                self.memory.history.changed.clear()
                self._interruptions.changed = False
                self._controller.done(action, None, self._clock.now)
            case Swept() | PlanFault():
                pass

    def _cycle(self, action: Cycle) -> None:
        self.cycles += bool(action.workloads)
        for workloads in action.slices():
            self._controller.plan(action, workloads, self._clock.now)
        self._controller.done(action, None, self._clock.now)

    def _evict(self, action: Evict) -> None:
        outcome = self._attempt(action)
        if not action.dry and outcome.answer is Answer.EVICTED:
            self.evictions[action.move.reason] += 1
        elif not action.dry and outcome.sent:
            self.refused[outcome.status] += 1
        self._controller.done(action, outcome, self._clock.now)
        self._drive.wake()

    def _attempt(self, action: Evict) -> Outcome:
        wanted = action.move.pod
        pod = self._api.pod_named(wanted.namespace, wanted.name)
        found, grace = (pod.fact(), pod.template.grace) if pod is not None else (None, 0.0)
        fault = self._controller.confirm(action, found, grace, self._clock.now)
        if fault:
            return Outcome(Answer.CHANGED, text=fault, sent=False)
        return self._budgets.evict(wanted.namespace, wanted.name, wanted.uid, dry_run=action.dry)
