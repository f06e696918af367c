"""When to plan, what for, and what becomes of it: the drift loop without I/O, clock and tasks.

Every `TICK` the workloads are looked at that changed since or have pods on interrupted nodes, and every interval all of
them; those that move pods are followed more closely, so that one move follows the other. A cycle is planned in slices,
between which whoever drives the controller does what else there is to do.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import overload

from extender.core.drift.actions import Action, Cycle, Evict, Freshness, Judged, OpenStore, SaveStore, Swept
from extender.core.drift.attention import Attention
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.history import Remembered
from extender.core.drift.last_plans import LastPlans
from extender.core.drift.moves import DriftPlan, by_workload
from extender.core.drift.placeholders import Placeholders
from extender.core.drift.plan import plan
from extender.core.drift.rules import DriftOptions
from extender.core.drift.turns import in_turn
from extender.core.drift.under_way import UnderWay
from extender.core.model.control import NEVER
from extender.core.model.objects import Pod
from extender.core.model.reasons import Reason
from extender.core.state.state import ClusterState

TICK = 1.0
"""How often is looked whether anything changed: a burst of changes is looked at once (seconds)."""
GLANCE = 0.2
"""How often is looked what became of moves and placeholders, where something may have (seconds)."""
REOPEN = 5.0
"""How soon the store is tried again that could not be read (seconds)."""

_AT_ONCE = -math.inf


class DriftController:
    """Says when to plan and for whom, which evictions are due, and takes in what became of them.

    It lives for one leader's term: whatever was under way in another is not known to it.

    It looks into the state's outbox by itself. Where that is not `polled`, whoever drives it asks it `TICK` after
    something was touched.

    Args:
        state: the cluster; its outbox names the revisions that changed. Reservations for replacements are made in it.
        memory: the history; this is read by the driver on `OpenStore`.
        options: how careful to be, and how often to look.
        uniform: draws from [a, b].
        freshness: gives how well the cluster is followed now.
        placeholders: has room made where there is none; without it what there is has to do.

    Attributes:
        view: what the last plans said.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        state: ClusterState,
        memory: Remembered,
        options: DriftOptions,
        uniform: Callable[[float, float], float],
        freshness: Callable[[], Freshness] = Freshness,
        placeholders: Placeholders | None = None,
    ) -> None:
        self._state = state
        self._memory = memory
        self._options = options
        self._freshness = freshness
        self._placeholders = placeholders or Placeholders(state, options.rules)
        self._moves = UnderWay(state, memory, options, uniform)
        self._looked = self._glanced = self._swept = self._tried = _AT_ONCE
        self._attention = Attention(state)
        self._first = True
        self._seen_since: float | None = None
        self._opening = self._cycling = self._saving = False
        self._unsaved = self._unreviewed = False
        self.view = LastPlans()

    def go_by(self, options: DriftOptions) -> None:
        """Go by other options from now on: everything is looked at soon."""
        self._options = options
        self._moves.go_by(options)
        self._swept = _AT_ONCE

    # What is due

    def due(self, now: float) -> Sequence[Action]:
        """See `Controller`. Evictions come first."""
        actions: list[Action] = [*self._moves.take()]
        if not self._memory.opened:
            if not self._opening and _passed(self._tried, REOPEN, now):
                self._opening, self._tried = True, now
                actions.append(OpenStore())
            return actions
        if not self._cycling:
            sweep = _passed(self._swept, self._options.interval, now)
            if sweep or _passed(self._looked, TICK, now):
                actions += self._look(now, sweep=sweep)
            elif self._follows and _passed(self._glanced, GLANCE, now):
                actions += self._glance(now)
        if self._must_save:
            actions.append(SaveStore(review=self._unreviewed))
            self._saving, self._unsaved, self._unreviewed = True, False, False
        return actions

    @property
    def next_at(self) -> float:
        """See `Controller`; here -inf is at once."""
        if self._moves.ready:
            return _AT_ONCE
        if not self._memory.opened:
            return NEVER if self._opening else self._tried + REOPEN
        if self._must_save:
            return _AT_ONCE
        if self._cycling:
            return NEVER
        if self._follows:
            return self._glanced + GLANCE
        look = self._looked + TICK
        news = self._moves.freed or self._placeholders.news
        if not (self._options.polled or self._attention.threatened or news or self._state.outbox.touched):
            look = max(look, min(self._moves.patience.next_over, self._moves.haste.next_over))
        return min(look, self._swept + self._options.interval)

    @property
    def queue(self) -> Iterable[Evict]:
        """Evictions that wait for their turn."""
        return self._moves.queue

    @property
    def _must_save(self) -> bool:
        return (self._unsaved or self._unreviewed) and not self._saving

    # What became of it

    def plan(self, cycle: Cycle, workloads: Sequence[str], now: float) -> DriftPlan:
        """Plan for one slice of a cycle; evictions are due then. Returns what the plan says, for those who tell of it.

        Args:
            cycle: as it was due.
            workloads: one of its slices.
            now: seconds since the epoch.
        """
        history, rules = self._memory.history, self._options.rules
        proofs = self._placeholders.proofs(now)
        made = plan(self._state, history, rules, now, only=workloads, current=cycle.current, proofs=proofs)
        self.view.put(workloads, made)
        started = {move.pod.uid for move in made.moves if self._moves.start(move, now)}
        for spent in made.spent:
            if spent.pod in started:
                self._placeholders.spend(spent)
        wishes = by_workload(made.wishes) if not self._options.read_only else {}
        for uid in workloads:
            self._placeholders.want(uid, wishes.get(uid, ()))
        for stay in made.stays:
            self._moves.ask(stay, now)
        return made

    def confirm(self, evict: Evict, pod: Pod | None, grace: float, now: float) -> str:
        """Have a last look at a pod before its eviction is asked for, and hold a seat for its replacement.

        Where an eviction is `recorded`, the history has to be stored then, before the eviction is sent.

        Args:
            evict: as it was due.
            pod: as the API server has it now; None when it has none of that name.
            grace: how long it may take to end (seconds).
            now: seconds since the epoch.

        Returns:
            Why it is not to be evicted after all, in words that follow its name; empty when it is to be.
        """
        return self._moves.confirm(evict, pod, grace, now)

    @overload
    def done(self, action: Evict, result: Outcome, now: float) -> None: ...
    @overload
    def done(self, action: OpenStore, result: str, now: float) -> None: ...
    @overload
    def done(self, action: SaveStore | Cycle, result: None, now: float) -> None: ...
    def done(self, action: Evict | OpenStore | SaveStore | Cycle, result: Outcome | str | None, now: float) -> None:
        """Take in what became of an action.

        Args:
            action: as it was due.
            result: of an eviction its outcome; of `OpenStore` why the store could not be read, empty when it could.
            now: seconds since the epoch.
        """
        if isinstance(action, Evict) and isinstance(result, Outcome):
            self._unsaved |= self._moves.answered(action, result, now)
            if result.answer is Answer.EVICTED:
                self._placeholders.evicted(action.move.pod.uid)
            elif result.answer is not Answer.UNANSWERED:
                self._placeholders.unspend(action.move.pod.uid)
        elif isinstance(action, OpenStore):
            self._opening = False
            if result:
                self.view.paused = Reason.MEMORY
            else:
                self._looked = _AT_ONCE
        elif isinstance(action, SaveStore):
            self._saving = False
        elif isinstance(action, Cycle):
            self._cycling = False
            if not action.current:
                self.view.paused = Reason.STALE

    # Cycles

    @property
    def _follows(self) -> bool:
        """Whether something may have become of a move or a placeholder, or it has a moment ago."""
        moved = (self._options.polled or bool(self._state.outbox.touched)) and self._memory.history.busy
        return moved or self._attention.follows or bool(self._placeholders.news)

    def _glance(self, now: float) -> list[Action]:
        """Judge moves, then plan for their workloads again, and for those whose placeholders have come to run.

        What a workload waits for after a move may come a moment later: the status of its disruption budget.
        """
        self._glanced = now
        fresh = self._freshness()
        if not fresh.current:
            return []
        found = self._settle(fresh, now)
        due = in_turn(self._attention.followed(now), self._placeholders.take_news())
        looked_at = tuple(uid for uid in due if self._may_look_at(uid, fresh.stale, now))
        if looked_at:
            self._cycling = True
            found.append(Cycle(looked_at, fresh.current, fresh.stale))
        return found

    def _settle(self, fresh: Freshness, now: float) -> list[Action]:
        """Judge moves, where the cluster is followed well enough."""
        found: list[Action] = []
        if not fresh.current:
            self._seen_since = None
        else:
            self._seen_since = now if self._seen_since is None else self._seen_since
            for judged in self._moves.settle(self._seen_since, now):
                found.append(judged)
                if isinstance(judged, Judged):
                    self._settled(judged)
                    self._attention.follow(judged.verdict.in_flight.move.workload.uid, now + TICK)
            self._unsaved |= bool(self._memory.history.changed)
        return found

    def _look(self, now: float, *, sweep: bool) -> list[Action]:
        """Judge moves, then say what to plan for."""
        self._looked = self._glanced = now
        self._swept = now if sweep else self._swept
        fresh = self._freshness()
        found = self._settle(fresh, now)
        self._unsaved |= self._state.interruptions.changed
        if sweep:
            self._prune(now)
            found.append(Swept())
        due = self._due_workloads(now, sweep=sweep)
        if due or sweep:
            # A kind of somebody else's that is not followed well holds up its own workloads alone.
            kinds = fresh.stale if fresh.current else {}
            looked_at = tuple(uid for uid in due if self._may_look_at(uid, kinds, now))
            self._cycling = True
            found.append(Cycle(looked_at, fresh.current, fresh.stale))
        return found

    def _settled(self, judged: Judged) -> None:
        pod, outcome = judged.verdict.in_flight.move.pod.uid, judged.verdict.outcome
        if outcome is Reason.REFUSED:
            self._placeholders.unspend(pod)
        elif outcome is not Reason.STUCK:
            self._placeholders.settled(pod)

    def _prune(self, now: float) -> None:
        """Forget what matters no more, and make up for what could not be stored."""
        rules = self._options.rules
        self.view.paused = None
        self._moves.forget(now)
        memory = max(rules.circuit_window, rules.circuit_reset, rules.max_back_off)
        self._memory.history.prune(self._state, now, memory)
        self._unreviewed = True

    def _due_workloads(self, now: float, *, sweep: bool) -> Sequence[str]:
        """UIDs of the workloads to look at, those first that something happens to."""
        waited = self._moves.patience.over(now) | self._moves.haste.over(now)
        # What a move held is free: others may have waited for it.
        news = bool(self._placeholders.take_news()) or self._moves.freed
        self._moves.freed = False
        drain = self._options.rules.drain
        due = self._attention.due(waited, self.view.off_target if sweep or news else (), drain=drain)
        if sweep and (due or self._first or self._options.polled):
            self._first = False
            return in_turn(due, others=self._state.workloads.by_uid)
        return due

    def _may_look_at(self, workload: str, stale: Mapping[str, str], now: float) -> bool:
        if workload in self._memory.unreadable:
            return False
        if self._moves.patience.waits(workload, now) and workload not in self._attention.threatened:
            return False
        owner = self._state.workloads.owners.get(workload)
        return owner is None or owner.resource not in stale


def _passed(since: float, seconds: float, now: float) -> bool:
    """Whether so much time has passed, as it has too when the clock was set back."""
    return not 0.0 <= now - since < seconds
