"""What became of moves, and what the history makes of it, in virtual time."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ENABLED, ON_DEMAND, SPOT, World, keys, make_node, make_owner, make_pod

from extender.core.drift import judge as judging
from extender.core.drift.history import DAY, HOUR, MAX_SIBLINGS, History, InFlight, Judgement, direction
from extender.core.drift.judge import STUCK_AFTER, UNSENT, judge
from extender.core.drift.moves import Move, PlanFault, WorkloadRef
from extender.core.drift.rules import DriftRules
from extender.core.model.objects import OwnerRef, PodId
from extender.core.model.reasons import Reason
from extender.core.policy.policy import Policy

RULES = DriftRules()
DIRECTION = direction(ON_DEMAND, SPOT)


class JudgeScene:
    """A workload of four replicas, two on each class of node, whose owner wants three on spot."""

    def __init__(self, kind: str = "Deployment") -> None:
        self.world = World()
        self.world.nodes(spot=2, on_demand=2)
        self.history = History()
        if kind == "Deployment":
            self.owner = self.world.deployment("web", 4, spot_percentage=75)
        else:
            made = make_owner(kind, "web", 4, labels=ENABLED, annotations=keys(spot_percentage=75))
            self.world.up(made)
            self.owner = made.ref
        self.workload = self.world.workload(self.owner)
        for number in range(4):
            self.pod(f"web-{number}", "spot-0" if number < 2 else "on-demand-0")

    def pod(self, name: str, node: str = "", uid: str = "", **fields: Any) -> None:
        self.world.up(make_pod(uid or name, self.owner, node, name=name, **fields))

    def move(self, name: str, source: str = ON_DEMAND, destination: str = SPOT) -> Move:
        subject = WorkloadRef(self.workload.uid, "Deployment", "shop", "web", self.owner.uid)
        node, target = f"{source}-0", f"{destination}-1"
        return Move(PodId("shop", name, name), node, subject, source, destination, target, Reason.SURPLUS)

    def start(self, name: str, **of: str) -> Move:
        move = self.move(name, **of)
        self.history.started(move, self.world.state, self.world.now)
        return move

    def evicted(self, name: str, **of: str) -> Move:
        """Start a move, and let the pod be gone."""
        move = self.start(name, **of)
        self.world.gone("pods", name)
        return move

    def after(self, seconds: float, seen_since: float = 0.0) -> list[Judgement]:
        self.world.now += seconds
        return judge(self.world.state, self.history, RULES, self.world.now, seen_since)

    def settled(self, seconds: float) -> list[tuple[str, Reason]]:
        """Judge, and take the verdicts in; pods moved, with their outcomes."""
        verdicts = self.after(seconds)
        for verdict in verdicts:
            self.history.settle(verdict, RULES, self.workload.policy, self.world.now)
        return [(v.in_flight.move.pod.name, v.outcome) for v in verdicts]

    @property
    def moves(self) -> list[str]:
        return [entry.move.pod.name for entry in self.history.in_flight()]


def test_a_move_is_over_when_its_pod_is_gone_and_a_replacement_is_ready() -> None:
    scene = JudgeScene()
    scene.start("web-3")
    assert scene.after(1) == []
    scene.pod("web-3", "on-demand-0", terminating=True, due=scene.world.now + 30)
    scene.pod("new", created=scene.world.now)
    assert scene.after(1) == []
    scene.pod("new", "spot-1", created=scene.world.now)
    # The pod holds what it asked for until it is gone.
    assert scene.after(1) == []
    scene.world.gone("pods", "web-3")
    (verdict,) = scene.after(1)
    assert (verdict.outcome, verdict.replacement) == (Reason.MOVED, PodId("shop", "new", "new"))
    assert (verdict.node, verdict.landed) == ("spot-1", SPOT)
    assert not scene.history.settle(verdict, RULES, scene.workload.policy, scene.world.now)
    assert scene.moves == []
    assert scene.history.workloads[scene.workload.uid].moves_in_hour(scene.world.now) == 1
    assert scene.after(1) == []


def test_a_replacement_that_is_not_ready_is_waited_for() -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    scene.pod("new", "spot-1", ready=False, created=scene.world.now)
    assert scene.after(RULES.patience) == []
    (verdict,) = scene.after(31)
    assert (verdict.outcome, verdict.replacement) == (Reason.NO_REPLACEMENT, PodId("shop", "new", "new"))


def test_a_replacement_that_does_not_come_is_waited_for() -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    assert scene.settled(RULES.patience) == []
    assert scene.settled(31) == [("web-3", Reason.NO_REPLACEMENT)]
    assert scene.moves == []
    assert scene.history.workloads[scene.workload.uid].backs_off(ON_DEMAND, SPOT, scene.world.now)


def test_moves_that_end_together_are_each_judged_once() -> None:
    scene = JudgeScene()
    for name in ("web-2", "web-3"):
        scene.evicted(name)
    for name in ("new-1", "new-2"):
        scene.pod(name, "spot-1", created=scene.world.now)
    assert sorted(scene.settled(1)) == [("web-2", Reason.MOVED), ("web-3", Reason.MOVED)]
    assert scene.moves == []
    assert scene.settled(1) == []


def test_what_nobody_saw_does_not_count_as_waiting() -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    back = scene.world.now + 2 * RULES.patience
    assert scene.after(3 * RULES.patience, back) == []
    (verdict,) = scene.after(31, back)
    assert verdict.outcome is Reason.NO_REPLACEMENT


def test_pods_that_were_there_before_are_no_replacement() -> None:
    scene = JudgeScene()
    # All are of one second, and another was made in the same one.
    scene.world.now = 0.0
    scene.evicted("web-3")
    assert scene.after(0) == []
    scene.pod("new", "on-demand-1")
    assert [v.outcome for v in scene.after(0)] == [Reason.LANDED_WRONG]


def test_pods_of_one_second_that_are_too_many_are_told_by_time_alone() -> None:
    scene = JudgeScene()
    scene.world.annotate("web", MAX_SIBLINGS + 10, spot_percentage=100)
    scene.world.up(
        make_owner("ReplicaSet", "web-1", MAX_SIBLINGS + 10, owner=OwnerRef("uid-Deployment-web", "apps/v1", "", ""))
    )
    for number in range(4, MAX_SIBLINGS + 10):
        scene.pod(f"web-{number}", "spot-0", created=0.0)
    scene.evicted("web-3")
    (entry,) = scene.history.in_flight()
    assert (entry.newest, entry.siblings) == (1.0, ())
    assert scene.after(1) == []
    scene.pod("new", "spot-1", created=2.0)
    assert [v.outcome for v in scene.after(1)] == [Reason.MOVED]


def test_the_replacement_of_a_statefulset_has_the_pods_name() -> None:
    scene = JudgeScene("StatefulSet")
    scene.evicted("web-0")
    scene.pod("web-4", "spot-1", created=5.0)
    assert scene.after(1) == []
    # It was to go to spot, but the first seat is on-demand, whatever else there is.
    scene.pod("web-0", "on-demand-1", uid="again", created=6.0)
    (verdict,) = scene.after(1)
    assert verdict.replacement == PodId("shop", "web-0", "again")
    assert verdict.outcome is Reason.MOVED


def test_a_statefulset_pod_on_the_wrong_class_for_its_ordinal() -> None:
    scene = JudgeScene("StatefulSet")
    scene.evicted("web-3")
    scene.pod("web-3", "on-demand-1", uid="again", created=6.0)
    assert [v.outcome for v in scene.after(1)] == [Reason.LANDED_WRONG]


def test_each_new_pod_stands_for_one_move() -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    scene.world.now += 1
    scene.evicted("web-2")
    scene.pod("new-1", "spot-1", created=3.0)
    assert scene.settled(1) == [("web-3", Reason.MOVED)]
    # The other move does not take it over.
    assert scene.settled(1) == []
    assert scene.moves == ["web-2"]
    scene.pod("new-2", "spot-1", created=4.0)
    assert scene.settled(1) == [("web-2", Reason.MOVED)]


def test_two_replacements_at_once_are_shared_out() -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    scene.evicted("web-2")
    scene.pod("new-1", "spot-1", ready=False, created=3.0)
    scene.pod("new-2", "spot-1", created=4.0)
    # The Ready one counts for one of them, the other is waited for.
    assert scene.settled(1) == [("web-2", Reason.MOVED)]
    scene.pod("new-1", "spot-1", created=3.0)
    assert scene.settled(1) == [("web-3", Reason.MOVED)]


@pytest.mark.parametrize("gone", [False, True])
def test_a_workload_that_was_scaled_in_replaces_nothing(*, gone: bool) -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    if gone:
        for number in range(3):
            scene.world.gone("pods", f"web-{number}")
        scene.world.gone("replicasets.apps", scene.owner.uid)
    else:
        scene.world.up(make_owner("ReplicaSet", "web-1", 3, owner=make_owner("Deployment", "web").ref))
    assert scene.settled(1) == [("web-3", Reason.NOT_REPLACED)]
    history = scene.history.workloads[scene.workload.uid]
    assert (scene.moves, history.back_off, history.vain) == ([], {}, [])


def test_a_statefulset_that_was_scaled_in_replaces_nothing() -> None:
    scene = JudgeScene("StatefulSet")
    scene.evicted("web-3")
    scene.world.up(make_owner("StatefulSet", "web", 3))
    assert scene.settled(1) == [("web-3", Reason.NOT_REPLACED)]


def test_an_owner_that_is_not_known_yet_is_waited_for() -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    scene.world.gone("replicasets.apps", scene.owner.uid)
    assert scene.settled(10) == []


def test_a_pod_that_does_not_end_is_told_of_once_and_holds_its_budget() -> None:
    scene = JudgeScene()
    scene.start("web-3")
    due = scene.world.now + 30
    scene.pod("web-3", "on-demand-0", terminating=True, due=due)
    scene.pod("new", "spot-1", created=5.0)
    assert scene.settled(30 + STUCK_AFTER) == []
    assert scene.settled(1) == [("web-3", Reason.STUCK)]
    assert scene.settled(RULES.patience * 2) == []
    assert scene.moves == ["web-3"]
    scene.world.gone("pods", "web-3")
    assert scene.settled(1) == [("web-3", Reason.MOVED)]


def test_an_eviction_that_never_took_place_is_taken_back() -> None:
    scene = JudgeScene()
    scene.start("web-3")
    assert scene.settled(UNSENT) == []
    assert scene.settled(1) == [("web-3", Reason.REFUSED)]
    history = scene.history.workloads[scene.workload.uid]
    assert (scene.moves, history.moved, history.back_off) == ([], [], {})


def test_a_refusal_takes_back_the_entry_and_the_hourly_count() -> None:
    scene = JudgeScene()
    kept = scene.start("web-2")
    scene.world.now += 1
    refused = scene.start("web-3")
    scene.history.changed.clear()
    scene.history.refused(refused)
    scene.history.refused(refused)
    scene.history.refused(scene.move("never-started"))
    history = scene.history.workloads[scene.workload.uid]
    assert (scene.moves, history.moved) == ([kept.pod.name], [scene.world.now - 1])
    assert scene.history.changed == {scene.workload.uid}


Change = Callable[[JudgeScene], None]


def fewer_spot(scene: JudgeScene) -> None:
    scene.world.annotate("web", 4, spot_percentage=25)


def opted_out(scene: JudgeScene) -> None:
    scene.world.up(make_owner("Deployment", "web", 4))


@pytest.mark.parametrize("change", [fewer_spot, opted_out])
def test_where_a_replacement_landed_is_right_when_that_is_wanted_now(change: Change) -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    change(scene)
    scene.pod("new", "on-demand-1", created=5.0)
    assert [v.outcome for v in scene.after(1)] == [Reason.MOVED]


def landed_wrong(scene: JudgeScene, name: str, new: str) -> bool:
    """Move a pod in vain; say whether that opened the circuit."""
    scene.evicted(name)
    scene.pod(new, "on-demand-0", created=scene.world.now)
    (verdict,) = scene.after(1)
    assert verdict.outcome is Reason.LANDED_WRONG
    return scene.history.settle(verdict, RULES, scene.workload.policy, scene.world.now)


def test_moves_in_vain_are_repeated_ever_more_slowly_and_then_no_more() -> None:
    scene = JudgeScene()
    history = scene.history.workloads
    waits = []
    for turn, (name, new) in enumerate((("web-3", "a"), ("a", "b"), ("b", "c"))):
        opened = landed_wrong(scene, name, new)
        assert opened == (turn == 2)
        now, mine = scene.world.now, history[scene.workload.uid]
        waits.append(mine.back_off[DIRECTION].until - now)
        assert mine.backs_off(ON_DEMAND, SPOT, now)
        assert not mine.backs_off(SPOT, ON_DEMAND, now)
        assert mine.is_open(scene.workload.policy, RULES, now) == opened
        scene.world.now += waits[-1]
        assert not mine.backs_off(ON_DEMAND, SPOT, scene.world.now)
    assert waits == [60.0, 120.0, 240.0]
    mine = history[scene.workload.uid]
    # Another policy closes it, and so does time.
    assert not mine.is_open(Policy(), RULES, scene.world.now)
    assert not mine.is_open(scene.workload.policy, RULES, scene.world.now + RULES.circuit_reset)


def test_a_move_that_succeeds_ends_the_back_off_of_its_direction() -> None:
    scene = JudgeScene()
    landed_wrong(scene, "web-3", "a")
    scene.evicted("a")
    scene.pod("b", "spot-1", created=scene.world.now)
    assert scene.settled(1) == [("a", Reason.MOVED)]
    assert scene.history.workloads[scene.workload.uid].back_off == {}


def test_moves_in_vain_outside_of_the_window_open_no_circuit() -> None:
    scene = JudgeScene()
    for name, new in (("web-3", "a"), ("a", "b"), ("b", "c"), ("c", "d")):
        assert not landed_wrong(scene, name, new)
        scene.world.now += RULES.circuit_window / 2 + 1
    # The wait is bounded.
    assert [b.failures for b in scene.history.workloads[scene.workload.uid].back_off.values()] == [4]
    rules = DriftRules(circuit_moves=100)
    mine = scene.history.workloads[scene.workload.uid]
    for _ in range(40):
        mine.was_in_vain(scene.move("web-2"), scene.workload.policy, rules, scene.world.now)
    assert mine.back_off[DIRECTION].until == scene.world.now + rules.max_back_off


def test_a_workload_that_is_gone_is_not_backed_off_from() -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    scene.world.now += RULES.patience + 31
    (verdict,) = scene.after(0)
    assert not scene.history.settle(verdict, RULES, None, scene.world.now)
    assert scene.history.workloads[scene.workload.uid].back_off == {}
    # A verdict that comes twice changes nothing more.
    before = list(scene.history.workloads[scene.workload.uid].moved)
    assert not scene.history.settle(verdict, RULES, scene.workload.policy, scene.world.now)
    assert scene.history.workloads[scene.workload.uid].moved == before
    assert scene.history.workloads[scene.workload.uid].back_off == {}


def test_what_matters_no_more_is_forgotten() -> None:
    scene = JudgeScene()
    for name, new in (("web-3", "a"), ("a", "b"), ("b", "c")):
        landed_wrong(scene, name, new)
    world, history = scene.world, scene.history
    mine = history.workloads[scene.workload.uid]
    history.prune(world.state, world.now + HOUR)
    assert (mine.moved, mine.opened) == ([], world.now)
    history.changed.clear()
    history.prune(world.state, world.now + DAY)
    # The back-off ends later than the circuit was opened.
    assert (mine.opened, list(mine.back_off)) == (0.0, [DIRECTION])
    assert history.changed == set()
    history.prune(world.state, world.now + DAY + HOUR)
    assert (history.workloads, history.changed) == ({}, {scene.workload.uid})


def test_of_a_workload_that_is_gone_an_hour_is_remembered() -> None:
    scene = JudgeScene()
    landed_wrong(scene, "web-3", "a")
    scene.start("a")
    opted_out(scene)
    world, history = scene.world, scene.history
    history.prune(world.state, world.now + 2 * HOUR)
    # A move in flight is not over.
    assert scene.moves == ["a"]
    history.refused(scene.move("a"))
    until = history.workloads[scene.workload.uid].last
    history.prune(world.state, until + HOUR - 1)
    assert list(history.workloads) == [scene.workload.uid]
    history.prune(world.state, until + HOUR)
    assert history.workloads == {}


def test_a_pod_on_a_node_that_is_not_known_has_not_landed() -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    scene.pod("new", "later", created=5.0)
    assert scene.after(1) == []
    scene.world.up(make_node("later", ON_DEMAND))
    assert [v.outcome for v in scene.after(1)] == [Reason.LANDED_WRONG]


def test_what_is_tried_on_a_fork_is_not_in_the_history() -> None:
    scene = JudgeScene()
    scene.start("web-2")
    fork = scene.history.fork()
    assert [entry.move.pod.name for entry in fork.in_flight()] == ["web-2"]
    fork.started(scene.move("web-3"), scene.world.state, scene.world.now)
    uid = scene.workload.uid
    assert [len(list(each.in_flight())) for each in (scene.history, fork)] == [1, 2]
    assert [len(each.workloads[uid].moved) for each in (scene.history, fork)] == [1, 2]


def test_a_fault_in_the_moves_of_one_workload_leaves_those_of_others_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = JudgeScene()
    scene.evicted("web-3")
    other = scene.move("z-1")
    scene.history.started(
        replace(other, workload=replace(other.workload, uid="z", revision="z")), scene.world.state, scene.world.now
    )
    monkeypatch.setattr(judging, "_is_content", breaks_on("z", judging._is_content))
    scene.world.now += RULES.patience + 31
    faults: list[PlanFault] = []
    verdicts = judge(scene.world.state, scene.history, RULES, scene.world.now, 0.0, faults)
    assert [verdict.in_flight.move.pod.name for verdict in verdicts] == ["web-3"]
    assert [(fault.workload.uid, fault.text) for fault in faults] == [("z", "OverflowError('too far')")]


def breaks_on(revision: str, real: Callable[..., bool]) -> Callable[..., bool]:
    def call(state: Any, entry: InFlight, *more: Any) -> bool:
        if entry.move.workload.revision == revision:
            raise OverflowError("too far")
        return real(state, entry, *more)

    return call
