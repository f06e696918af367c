"""What the drift controller says is due and when, asked as a driver asks it; `now` is a number of the test's."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from support.doubles import make_budget, make_node, make_pod, selector
from support.drifting import DriftWorld

from extender.core.drift.actions import Action, Cycle, Evict, Freshness, Judged, OpenStore, SaveStore, Swept
from extender.core.drift.backoff import BASE
from extender.core.drift.controller import GLANCE, REOPEN, TICK, DriftController
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.history import Remembered
from extender.core.drift.rules import DriftOptions, DriftRules
from extender.core.drift.turns import SLICE
from extender.core.drift.under_way import AT_ONCE, DRY_MEMORY
from extender.core.model.control import NEVER
from extender.core.model.reasons import Reason
from extender.core.state.records import replacing

INTERVAL = 30.0
EVICTED = Outcome(Answer.EVICTED, 201)
BLOCKED = Outcome(Answer.BUDGET, 429, "no")
RULES = DriftRules(min_age=0.0, dwell=0.0)


class Driven:
    """A controller on two nodes of each class, and what it wants done. Cycles and the store are answered at once.

    Attributes:
        fresh: how well the cluster is followed.
    """

    def __init__(self, rules: DriftRules = RULES, *, opened: bool = True, **options: bool) -> None:
        self.world = DriftWorld(rules)
        self.world.nodes(spot=2, on_demand=2)
        self.memory = Remembered(opened=opened)
        self.fresh = Freshness()
        given = DriftOptions(rules, INTERVAL, **{"polled": False, **options})
        self.controller = DriftController(
            self.world.state, self.memory, given, lambda low, _high: low, lambda: self.fresh
        )

    @property
    def now(self) -> float:
        return self.world.now

    def due(self) -> list[Action]:
        """What is due now, and what that makes due, cycles being planned and the store being kept."""
        found: list[Action] = []
        while actions := self.controller.due(self.now):
            found += actions
            for action in actions:
                if isinstance(action, Cycle):
                    for workloads in action.slices():
                        self.controller.plan(action, workloads, self.now)
                    self.controller.done(action, None, self.now)
                elif isinstance(action, SaveStore):
                    self.memory.history.changed.clear()
                    self.world.state.interruptions.changed = False
                    self.controller.done(action, None, self.now)
        return found

    def evictions(self, seconds: float = 0.0) -> list[Evict]:
        """The evictions that are due some seconds later."""
        self.world.now += seconds
        return [action for action in self.due() if isinstance(action, Evict)]

    def confirm(self, evict: Evict) -> str:
        record = self.world.state.pods[evict.move.pod.uid]
        assert record.revision is not None
        pod = make_pod(evict.move.pod.name, record.revision.owner, evict.move.node, created=record.created)
        return self.controller.confirm(evict, pod, 7.0, self.now)

    def done(self, evict: Evict, outcome: Outcome) -> None:
        self.controller.done(evict, outcome, self.now)


def test_with_nothing_to_do_it_is_asked_again_at_the_next_look_at_everything() -> None:
    driven = Driven()
    first = driven.due()
    assert [type(action) for action in first] == [Swept, Cycle, SaveStore]
    assert first[-1] == SaveStore(review=True)
    assert driven.controller.next_at == driven.now + INTERVAL
    driven.world.now += INTERVAL - 1
    assert driven.due() == []
    driven.world.now += 1
    assert [type(action) for action in driven.due()] == [Swept, Cycle, SaveStore]


def test_a_controller_that_nobody_tells_what_was_touched_is_asked_every_tick() -> None:
    driven = Driven(polled=True)
    driven.due()
    for _ in range(3):
        assert driven.controller.next_at == driven.now + TICK
        driven.world.now += TICK
        assert driven.due() == []


def test_interruptions_are_stored_at_the_next_look() -> None:
    driven = Driven(polled=True)
    driven.due()
    driven.world.nodes(spot=1)
    driven.world.gone("nodes", "uid-spot-0")
    driven.world.now += TICK
    assert driven.due() == [SaveStore()]
    driven.world.now += TICK
    assert driven.due() == []


def test_a_look_at_everything_plans_for_those_at_their_split_where_a_change_may_have_been_missed() -> None:
    def planned(driven: Driven) -> list[int]:
        driven.world.deployment("web", 1, spot_percentage=100)
        sweeps = []
        for _ in range(2):
            sweeps += [len(action.workloads) for action in driven.due() if isinstance(action, Cycle)]
            driven.world.now += INTERVAL
        return sweeps

    assert planned(Driven(polled=True)) == [1, 1]
    assert planned(Driven(polled=False)) == [1, 0]


def test_what_was_touched_is_looked_at_a_tick_after_the_last_look() -> None:
    driven = Driven()
    driven.due()
    driven.world.drifted()
    assert driven.controller.next_at == driven.now + TICK
    assert driven.due() == []
    assert len(driven.evictions(TICK)) == 1


def test_a_move_is_remembered_and_has_a_seat_held_before_it_is_made() -> None:
    driven = Driven()
    owner = driven.world.drifted()
    (evict,) = driven.evictions()
    assert (evict.dry, evict.recorded) == (False, True)
    assert driven.confirm(evict) == ""
    (entry,) = driven.memory.history.in_flight()
    assert (entry.move, entry.grace) == (evict.move, 7.0)
    assert driven.world.state.revisions[owner.uid].replacing == (replacing(evict.move.pod.uid),)


def test_statement_12_a_refused_move_is_taken_back_and_tried_when_its_wait_is_over() -> None:
    driven = Driven()
    driven.world.drifted()
    (evict,) = driven.evictions()
    driven.confirm(evict)
    driven.done(evict, BLOCKED)
    assert list(driven.memory.history.in_flight()) == []
    assert driven.world.state.reserved == 0
    # What it held is free for others at the next tick; then nothing comes before its own wait is over.
    driven.due()
    assert driven.controller.next_at == driven.now + TICK
    assert driven.evictions(TICK) == []
    assert driven.controller.next_at == driven.now - TICK + BASE["blocked"]
    assert driven.evictions(BASE["blocked"] - 2 * TICK) == []
    assert len(driven.evictions(TICK)) == 1


def test_a_move_that_nobody_answered_is_judged_by_what_is_seen() -> None:
    driven = Driven()
    driven.world.drifted()
    (evict,) = driven.evictions()
    driven.confirm(evict)
    driven.done(evict, Outcome(Answer.UNANSWERED))
    assert len(list(driven.memory.history.in_flight())) == 1
    driven.world.now += 61
    found = driven.due()
    assert [each.verdict.outcome for each in found if isinstance(each, Judged)] == [Reason.REFUSED]
    # It holds nothing any more: another may be made.
    assert [each.move for each in found if isinstance(each, Evict)] == [
        entry.move for entry in driven.memory.history.in_flight()
    ]


def test_of_a_replica_that_decides_no_more_nothing_is_stored() -> None:
    driven = Driven()
    driven.world.drifted()
    (evict,) = driven.evictions()
    driven.done(evict, Outcome(Answer.DROPPED, sent=False))
    assert driven.due() == []
    assert list(driven.memory.history.in_flight()) == []


def test_so_many_evictions_are_asked_for_at_once_and_others_wait_their_turn() -> None:
    count = AT_ONCE + 5
    driven = Driven(DriftRules(min_age=0.0, dwell=0.0, max_in_flight=100))
    for number in range(count):
        driven.world.drifted(f"web-{number}")
    evictions = driven.evictions()
    assert len(evictions) == AT_ONCE
    assert len(list(driven.controller.queue)) == 5
    assert driven.evictions() == []
    driven.done(evictions[0], EVICTED)
    assert driven.controller.next_at < driven.now
    assert len(driven.evictions()) == 1
    for evict in evictions[1:]:
        driven.done(evict, EVICTED)
    assert len(driven.evictions()) == 4


def test_a_cycle_is_planned_in_slices_and_none_begins_before_it_is_over() -> None:
    driven = Driven()
    for number in range(SLICE + 1):
        driven.world.deployment(f"web-{number}", 1, spot_percentage=100)
    _, cycle, _ = driven.controller.due(driven.now)
    assert isinstance(cycle, Cycle)
    assert [len(part) for part in cycle.slices()] == [SLICE, 1]
    assert driven.controller.due(driven.now + 2 * INTERVAL) == []
    driven.controller.done(cycle, None, driven.now)
    assert any(isinstance(action, Cycle) for action in driven.controller.due(driven.now + 2 * INTERVAL))


def test_statement_28_a_dry_run_holds_for_a_while() -> None:
    driven = Driven(read_only=True)
    driven.world.drifted()
    (evict,) = driven.evictions()
    assert (evict.dry, evict.recorded) == (True, False)
    driven.done(evict, BLOCKED)
    assert driven.evictions(DRY_MEMORY - 1) == []
    assert len(driven.evictions(INTERVAL)) == 1
    assert list(driven.memory.history.in_flight()) == []


def test_a_pod_that_leaves_an_interrupted_node_is_no_business_of_the_history() -> None:
    driven = Driven()
    driven.world.drifted(on_demand=5, spot=5)
    driven.world.up(make_node("spot-0", going_away="notice", interrupted=True))
    evictions = driven.evictions()
    assert {evict.move.reason for evict in evictions} == {Reason.INTERRUPTED}
    assert not any(evict.recorded for evict in evictions)
    assert list(driven.memory.history.in_flight()) == []
    # What these pods wait for touches no workload: it is looked at again soon.
    assert driven.controller.next_at == driven.now + TICK


def test_without_its_memory_nothing_is_due_but_to_open_it() -> None:
    driven = Driven(opened=False)
    driven.world.drifted()
    assert driven.controller.due(driven.now) == [OpenStore()]
    assert driven.controller.due(driven.now) == []
    assert driven.controller.next_at == NEVER
    driven.controller.done(OpenStore(), "403", driven.now)
    assert driven.controller.view.paused is Reason.MEMORY
    assert driven.controller.next_at == driven.now + REOPEN
    driven.world.now += REOPEN
    assert driven.controller.due(driven.now) == [OpenStore()]
    driven.memory.opened = True
    driven.controller.done(OpenStore(), "", driven.now)
    assert len(driven.evictions()) == 1
    assert driven.controller.view.paused is None


def test_the_store_is_written_by_one_at_a_time() -> None:
    driven = Driven()
    driven.world.drifted()
    actions = driven.controller.due(driven.now)
    (save,) = (action for action in actions if isinstance(action, SaveStore))
    driven.world.now += INTERVAL
    (cycle,) = (action for action in actions if isinstance(action, Cycle))
    driven.controller.done(cycle, None, driven.now)
    assert not any(isinstance(action, SaveStore) for action in driven.controller.due(driven.now))
    driven.controller.done(save, None, driven.now)
    assert driven.controller.next_at < driven.now
    assert SaveStore(review=True) in driven.controller.due(driven.now)


def test_statement_26_what_is_not_followed_well_is_said_and_nothing_is_moved() -> None:
    driven = Driven()
    driven.world.drifted()
    driven.fresh = Freshness({"pods": "not listed yet"}, current=False)
    cycles = [action for action in driven.due() if isinstance(action, Cycle)]
    assert [(cycle.current, dict(cycle.stale)) for cycle in cycles] == [(False, {"pods": "not listed yet"})]
    assert driven.evictions() == []
    assert driven.controller.view.paused is Reason.STALE
    driven.fresh = Freshness()
    assert len(driven.evictions(INTERVAL)) == 1


@pytest.mark.parametrize("back", [lambda now: now - 3600.0, lambda _: 0.0])
def test_a_clock_that_was_set_back_stops_nothing(back: Callable[[float], float]) -> None:
    driven = Driven()
    driven.due()
    driven.world.now = back(driven.now)
    assert any(isinstance(action, Cycle) for action in driven.due())
    assert driven.controller.next_at == driven.now + INTERVAL


def moving(driven: Driven) -> None:
    """One of two surplus pods is evicted, and gone."""
    driven.world.drifted(on_demand=7, spot=3)
    (evict,) = driven.evictions()
    assert driven.confirm(evict) == ""
    driven.done(evict, EVICTED)
    driven.world.gone("pods", evict.move.pod.uid)


def replaced(driven: Driven) -> None:
    """Its replacement is Ready on spot."""
    owner = driven.world.workload_owner("web")
    driven.world.up(make_pod("new", owner, "spot-0", created=driven.now, labels={"app": "web-1"}, ready=True))


def test_one_move_follows_the_other_at_a_glance() -> None:
    driven = Driven(replace(RULES, workload_in_flight=1))
    moving(driven)
    assert driven.evictions(TICK) == []
    replaced(driven)
    assert driven.controller.next_at == driven.now + GLANCE
    assert driven.evictions(GLANCE / 2) == []
    assert len(driven.evictions(GLANCE)) == 1


def test_a_budget_that_allows_the_next_move_a_moment_later_is_not_waited_for() -> None:
    driven = Driven()
    budget = make_budget("web", selector(app="web-1"), allowed=1)
    driven.world.up(budget)
    moving(driven)
    driven.world.up(replace(budget, allowed=0))
    replaced(driven)
    assert driven.evictions(GLANCE) == []
    driven.world.up(replace(budget, allowed=1))
    assert len(driven.evictions(GLANCE)) == 1


def test_a_glance_at_a_cluster_that_is_not_followed_sees_nothing() -> None:
    driven = Driven()
    moving(driven)
    driven.evictions(TICK)
    replaced(driven)
    driven.fresh = Freshness(current=False)
    assert driven.evictions(GLANCE) == []
    driven.fresh = Freshness()
    assert len(driven.evictions(GLANCE)) == 1


def test_what_no_move_is_made_for_is_not_glanced_at() -> None:
    driven = Driven(polled=True)
    driven.due()
    driven.world.drifted()
    assert driven.evictions(TICK / 2) == []
    assert len(driven.evictions(TICK / 2)) == 1


def test_of_a_workload_that_is_gone_nothing_is_said_any_more() -> None:
    driven = Driven(replace(RULES, max_in_flight=0))
    owner = driven.world.deployment("web", 4, spot_percentage=50)
    driven.world.pods(owner, 4, "on-demand-0")
    driven.due()
    view = driven.controller.view
    assert (len(view.off_target), view.stays.total()) == (1, 2)
    for pod in list(driven.world.state.pods):
        driven.world.gone("pods", pod)
    for each in list(driven.world.state.workloads.owners):
        driven.world.gone("deployments", each)
    assert driven.world.state.workloads.by_uid == {}
    driven.world.now += INTERVAL
    driven.due()
    assert (view.off_target, view.stays.total()) == (set(), 0)
