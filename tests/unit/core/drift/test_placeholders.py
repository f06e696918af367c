"""Placeholders: which are asked for, what proves room, what is given up, and that none is left."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import announce, make_claim, make_node, make_pod, make_volume
from support.drifting import NIGHTLY, DriftWorld

from extender.core.drift.actions import Cycle, Evict, SaveStore
from extender.core.drift.controller import DriftController
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.history import Remembered
from extender.core.drift.moves import Wish, WorkloadRef
from extender.core.drift.placeholder import Action, Ask, Clear, Drop, Ended, Ending, Made, NotMade, ask_for
from extender.core.drift.placeholder_backoff import FIRST
from extender.core.drift.placeholders import AGAIN, POLL, Placeholders
from extender.core.drift.rules import DriftOptions, DriftRules
from extender.core.model.constraints import Constraints
from extender.core.model.control import NEVER
from extender.core.model.objects import Node, OwnerRef, Requests
from extender.core.model.reasons import Reason
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Taint
from extender.core.placement.tolerations import SPOT_TOLERATIONS
from extender.core.policy.rules import PolicyRules
from extender.core.state.schedulers import DEFAULT_SCHEDULER

RULES = DriftRules(min_age=0.0, dwell=300.0, max_unavailable=100, workload_in_flight=100)
EVICTED = Outcome(Answer.EVICTED, 201)
SMALL = Requests(cpu=1900)
ON_DEMAND_ALONE = Constraints(node_terms=((Requirement("karpenter.sh/capacity-type", "NotIn", ("spot",)),),))


def labelled(name: str, capacity_class: str = "spot", **fields: Any) -> Node:
    """A node as a real one shows its class."""
    mark = ("karpenter.sh/capacity-type", capacity_class)
    return make_node(name, capacity_class, labels=dict([mark]), marks=(mark,), **fields)


class PlaceholderScene:
    """A drift controller with placeholders; what they ask for is answered as the test says."""

    def __init__(self, rules: DriftRules = RULES, **options: bool) -> None:
        self.world = DriftWorld(rules)
        self.world.up(labelled("on-demand-0", "on-demand"))
        self.placeholders = Placeholders(self.world.state, rules)
        self.placeholders.take_over(self.world.now)
        self.memory = Remembered(opened=True)
        given = DriftOptions(rules, **{"polled": True, **options})
        self.drift = DriftController(
            self.world.state, self.memory, given, lambda low, _high: low, placeholders=self.placeholders
        )
        for action in self.due():
            assert action == Clear()
            self.placeholders.done(action, True, self.now)

    @property
    def now(self) -> float:
        return self.world.now

    def standing_in(self, name: str = "web", count: int = 7, of: int = 10, **policy: Any) -> OwnerRef:
        """A Deployment that wants `count` on spot, all of whose pods are on an on-demand node by what is written."""
        given = {"spot_percentage": 100 * count // of, "enforcement": "affinity", "max_moves_per_hour": 100, **policy}
        owner = self.world.deployment(name, of, **given)
        self.world.pods(
            owner,
            of,
            "on-demand-0",
            requests=Requests(cpu=500),
            written="on-demand",
            constraints=ON_DEMAND_ALONE,
        )
        return owner

    def due(self) -> Sequence[Action]:
        return self.placeholders.due(self.now)

    def cycle(self, seconds: float = 30.0) -> list[Evict]:
        """The evictions that are due some seconds later."""
        self.world.now += seconds
        found: list[Evict] = []
        while actions := self.drift.due(self.now):
            for action in actions:
                if isinstance(action, Cycle):
                    for workloads in action.slices():
                        self.drift.plan(action, workloads, self.now)
                    self.drift.done(action, None, self.now)
                elif isinstance(action, Evict):
                    found.append(action)
                elif isinstance(action, SaveStore):
                    self.drift.done(action, None, self.now)
        return found

    def spot(self, since: float = 0.0) -> None:
        """A spot node with much room that has been there since then."""
        self.world.up(labelled("spot-0"))
        self.world.state.nodes["spot-0"].steady_since = since

    def asks(self) -> list[Ask]:
        return [action for action in self.due() if isinstance(action, Ask)]

    def drops(self) -> list[str]:
        return [action.name for action in self.due() if isinstance(action, Drop)]

    def make(self, *asks: Ask) -> None:
        """The API server makes them; nobody has placed them yet."""
        for ask in asks:
            self.placeholders.done(ask, Made(f"uid-{ask.name}"), self.now)
            self.world.up(self.pod(ask))

    def pod(self, ask: Ask, node: str = "", **fields: Any) -> Any:
        given = {"namespace": "spotmix", "name": ask.name, "requests": ask.requests, "pending": not node, **fields}
        return make_pod(f"uid-{ask.name}", None, node, **given)

    def run(self, *asks: Ask, node: str = "new", cpu: int = 0) -> None:
        """The autoscaler brings a node for them, just large enough, and they run there."""
        room = Requests(cpu=cpu or sum(ask.requests.cpu for ask in asks), memory=1 << 40)
        self.world.up(labelled(node, asks[0].wish.capacity_class, allocatable=room))
        self.world.state.nodes[node].steady_since = self.now
        self.world.up(*(self.pod(ask, node) for ask in asks))

    def end(self, *names: str) -> list[Ended]:
        """The API server deletes these."""
        for name in names:
            self.world.gone("pods", f"uid-{name}")
            self.placeholders.done(Drop(name, f"uid-{name}"), True, self.now)
        return [action for action in self.due() if isinstance(action, Ended)]

    def reasons(self) -> list[Reason]:
        made = self.world.plan()
        return list(dict.fromkeys(stay.reason for stay in made.stays))


@pytest.fixture
def scene() -> PlaceholderScene:
    return PlaceholderScene()


def test_surplus_asks_for_room_that_is_not_there(scene: PlaceholderScene) -> None:
    scene.standing_in()
    assert scene.cycle() == []
    asks = scene.asks()
    assert len(asks) == RULES.placeholders
    assert len({ask.wish.pod.uid for ask in asks}) == RULES.placeholders
    for ask in asks:
        assert ask.requests == Requests(cpu=500)
        # What was written on the pod that stands in is not asked for, the class that is wanted is.
        assert ask.selector == ()
        assert {each.operator for term in ask.terms for each in term} == {"In"}
        assert (ask.wish.capacity_class, ask.wish.workload.name) == ("spot", "web")
        assert ask.tolerations == SPOT_TOLERATIONS
    assert scene.asks() == []


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"placeholders": 0}, 0),
        ({"placeholders": 5}, 5),
        ({"placeholders": 50}, 7),
        ({"placeholders": 50, "max_in_flight": 2}, 2),
    ],
)
def test_as_many_as_the_setting_the_surplus_and_moves_in_flight_allow(given: dict[str, Any], count: int) -> None:
    scene = PlaceholderScene(replace(RULES, **given))
    scene.standing_in()
    scene.cycle()
    assert len(scene.asks()) == count


def test_of_several_workloads_each_has_its_turn() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=4))
    scene.standing_in("a")
    scene.standing_in("b")
    scene.cycle()
    assert sorted(ask.wish.workload.name for ask in scene.asks()) == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    "policy",
    [{"enforcement": "extender"}, {"mode": "audit"}, {"max_moves_per_hour": 0}, NIGHTLY],
)
def test_none_is_asked_for_what_could_not_be_moved_then(scene: PlaceholderScene, policy: dict[str, Any]) -> None:
    scene.standing_in(**policy)
    scene.cycle()
    assert scene.asks() == []


def test_a_dry_run_asks_for_none() -> None:
    scene = PlaceholderScene(read_only=True)
    scene.standing_in()
    scene.cycle()
    assert scene.asks() == []


def test_room_that_is_there_needs_no_placeholder(scene: PlaceholderScene) -> None:
    scene.spot()
    scene.standing_in()
    assert len(scene.cycle()) == 7
    assert scene.asks() == []


def test_a_node_that_has_not_been_back_for_long_is_asked_for_by_a_placeholder(scene: PlaceholderScene) -> None:
    scene.spot(since=scene.now)
    scene.standing_in()
    assert scene.cycle(1.0) == []
    asks = scene.asks()
    scene.make(*asks)
    scene.world.up(*(scene.pod(ask, "spot-0") for ask in asks))
    scene.due()
    assert len(scene.cycle(1.0)) == 7


def test_one_that_runs_on_a_ready_node_of_the_class_is_proof(scene: PlaceholderScene) -> None:
    scene.standing_in(count=5)
    scene.cycle()
    asks = scene.asks()
    scene.make(*asks)
    assert scene.cycle(1.0) == []
    assert scene.cycle(1.0) == []
    scene.run(*asks)
    scene.due()
    evictions = scene.cycle(1.0)
    assert len(evictions) == len(asks)
    assert {evict.move.target for evict in evictions} == {"new"}
    # Their room is promised: no further pod leaves for it.
    assert scene.cycle(1.0) == []


@pytest.mark.parametrize(
    "facts",
    [{"ready": False}, {"unschedulable": True}, {"going_away": "taint"}, {"capacity_class": "on-demand"}],
)
def test_one_on_any_other_node_proves_nothing(scene: PlaceholderScene, facts: dict[str, Any]) -> None:
    scene.standing_in()
    scene.cycle()
    asks = scene.asks()
    scene.make(*asks)
    scene.world.up(labelled("new", **{"capacity_class": "spot", "allocatable": SMALL, **facts}))
    scene.world.up(*(scene.pod(ask, "new") for ask in asks))
    scene.due()
    assert scene.cycle(1.0) == []


def test_one_that_is_bound_and_does_not_run_proves_nothing(scene: PlaceholderScene) -> None:
    scene.standing_in()
    scene.cycle()
    asks = scene.asks()
    scene.make(*asks)
    scene.run(*asks)
    scene.world.up(*(scene.pod(ask, "new", pending=True) for ask in asks))
    scene.due()
    assert scene.cycle(1.0) == []
    scene.world.now += RULES.node_startup
    assert sorted(scene.drops()) == sorted(ask.name for ask in asks)
    ended = scene.end(*(ask.name for ask in asks))
    assert {each.ending for each in ended} == {Ending.TIMED_OUT}
    assert all("new" in each.detail for each in ended)


def moved(scene: PlaceholderScene, owner: OwnerRef) -> tuple[Ask, Evict]:
    """One placeholder proves room, and one pod is evicted for it."""
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.run(ask)
    scene.due()
    (evict,) = scene.cycle(1.0)
    record = scene.world.state.pods[evict.move.pod.uid]
    pod = make_pod(record.uid, owner, "on-demand-0", created=record.created)
    assert scene.drift.confirm(evict, pod, 0.0, scene.now) == ""
    scene.drift.done(evict, EVICTED, scene.now)
    scene.world.gone("pods", evict.move.pod.uid)
    return ask, evict


def test_it_stays_until_its_pod_is_evicted() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1))
    scene.standing_in(count=2)
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.run(ask)
    scene.due()
    (evict,) = scene.cycle(1.0)
    assert scene.drops() == []
    woken: list[bool] = []
    scene.placeholders.on_wish = lambda: woken.append(True)
    scene.drift.done(evict, EVICTED, scene.now)
    # The replacement is about to be made: whoever drives it asks at once.
    assert woken
    assert scene.drops() == [ask.name]
    assert [each.ending for each in scene.end(ask.name)] == [Ending.USED]


def test_that_of_a_stateful_set_stays_until_its_pod_has_ended() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1))
    owner = scene.world.stateful("db", ["on-demand"] * 2, spot_percentage=50, enforcement="affinity")
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.run(ask)
    scene.due()
    (evict,) = scene.cycle(1.0)
    scene.drift.done(evict, EVICTED, scene.now)
    uid = evict.move.pod.uid
    scene.world.up(make_pod(uid, owner, "on-demand-0", terminating=True, created=scene.now - 600.0))
    assert scene.drops() == []
    scene.world.gone("pods", uid)
    assert scene.drops() == [ask.name]


def test_one_that_gave_way_was_used() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1))
    owner = scene.standing_in(count=2)
    ask, _ = moved(scene, owner)
    assert [each.ending for each in scene.end(ask.name)] == [Ending.USED]
    # The next one asks in its turn.
    assert scene.placeholders.count == 1


def test_an_eviction_that_is_refused_leaves_the_room_for_another_pod(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.run(ask)
    scene.due()
    (evict,) = scene.cycle(1.0)
    assert scene.drops() == []
    scene.drift.done(evict, Outcome(Answer.FORBIDDEN, 403, "no"), scene.now)
    scene.world.now += 60.0
    assert len(scene.cycle(1.0)) == 1


def test_what_does_not_come_in_time_is_given_up_and_asked_again_later_each_time(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    for wait in (60.0, 120.0, 240.0):
        (ask,) = scene.asks()
        scene.make(ask)
        scene.world.now += RULES.node_startup + 1
        assert scene.drops() == [ask.name]
        (ended,) = scene.end(ask.name)
        assert (ended.ending, ended.until) == (Ending.TIMED_OUT, scene.now + wait)
        scene.cycle(wait - 1.0)
        assert scene.asks() == []
        scene.world.now += 1.0
    assert len(scene.asks()) == 1


def test_those_that_were_asked_together_fail_once(scene: PlaceholderScene) -> None:
    scene.standing_in()
    scene.cycle()
    asks = scene.asks()
    scene.make(*asks)
    scene.world.now += RULES.node_startup + 1
    scene.due()
    ended = scene.end(*(ask.name for ask in asks))
    assert {each.until for each in ended} == {scene.now + RULES.back_off}


def test_a_node_of_the_class_that_joins_ends_the_back_off(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.make(ask)
    scene.world.now += RULES.node_startup + 1
    scene.due()
    scene.end(ask.name)
    scene.cycle(1.0)
    assert scene.asks() == []
    scene.world.up(labelled("full", allocatable=Requests(cpu=10)))
    scene.world.state.nodes["full"].steady_since = scene.now
    assert len(scene.asks()) == 1


def test_one_that_the_autoscaler_refuses_is_given_up_at_once(scene: PlaceholderScene) -> None:
    scene.standing_in(count=2)
    scene.cycle()
    first, second = scene.asks()
    scene.make(first, second)
    scene.world.up(announce(scene.pod(first)), announce(scene.pod(second), coming=True, at=scene.now))
    assert scene.drops() == [first.name]
    (ended,) = scene.end(first.name)
    assert (ended.ending, ended.detail, ended.until) == (Ending.REFUSED, "no capacity", scene.now + FIRST)
    assert scene.placeholders.is_coming(second.wish.place, scene.now)
    # What was bound in time has its node, whatever was said before.
    scene.world.up(announce(scene.pod(second), at=scene.now))
    scene.run(second)
    assert scene.drops() == []


def refused(scene: PlaceholderScene) -> None:
    """A placeholder is asked for, and refused by the autoscaler; then it is the time to ask again."""
    (ask,) = scene.asks()
    scene.make(ask)
    scene.world.up(announce(scene.pod(ask)))
    assert scene.drops() == [ask.name]
    (ended,) = scene.end(ask.name)
    scene.world.now = ended.until - 0.5
    assert scene.asks() == []
    scene.world.now = ended.until


def test_what_was_refused_for_a_while_is_found_to_be_back_within_a_quarter_of_it(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    began = scene.now
    waits = []
    for _ in range(20):
        asked = scene.now
        refused(scene)
        waits.append(scene.now - asked)
        assert waits[-1] <= FIRST + (asked - began) / 4 + 0.001
    assert waits == sorted(waits)


def test_what_is_refused_for_ever_is_asked_for_at_the_longest_wait() -> None:
    scene = PlaceholderScene(replace(RULES, placeholders=1, max_back_off=20.0))
    scene.standing_in(count=1)
    scene.cycle()
    for _ in range(9):
        asked = scene.now
        refused(scene)
    assert scene.now - asked == 20.0


def test_it_goes_when_its_workload_changes(scene: PlaceholderScene) -> None:
    scene.standing_in()
    scene.cycle()
    asks = scene.asks()
    scene.make(*asks)
    scene.world.annotate("web", 10, spot_percentage=10, enforcement="affinity", max_moves_per_hour=100)
    scene.cycle(1.0)
    assert len(scene.drops()) == 2
    scene.world.gone("deployments.apps", "uid-Deployment-web")
    assert len(scene.drops()) == 1
    assert {each.ending for each in scene.end(*(ask.name for ask in asks))} == {Ending.UNNEEDED}
    assert scene.placeholders.next_at == NEVER


def test_one_that_is_not_answered_may_be_there(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.placeholders.done(ask, NotMade("unanswered", "timeout"), scene.now)
    (drop,) = scene.due()
    assert isinstance(drop, Drop)
    assert drop == Drop(ask.name, "")
    scene.placeholders.done(drop, False, scene.now)
    assert scene.due() == []
    scene.world.now += AGAIN
    (drop,) = scene.due()
    assert isinstance(drop, Drop)
    scene.placeholders.done(drop, True, scene.now)
    assert scene.asks() == [ask]


def test_what_the_api_server_denies_is_told_and_backs_off(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.placeholders.done(ask, NotMade("denied", "exceeded quota"), scene.now)
    (ended,) = scene.due()
    assert isinstance(ended, Ended)
    assert (ended.ending, ended.detail, ended.until) == (Ending.DENIED, "exceeded quota", scene.now + RULES.back_off)
    proofs = scene.placeholders.proofs(scene.now)
    (refusal,) = proofs.refused.values()
    assert (refusal.reason, refusal.detail) == (Reason.PLACEHOLDER_DENIED, "exceeded quota")
    # Room that is there still serves.
    scene.spot()
    assert len(scene.cycle()) == 1


def test_one_that_is_made_after_the_end_of_a_term_goes(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    scene.placeholders.stop()
    scene.placeholders.done(ask, Made("late"), scene.now)
    assert scene.due() == [Drop(ask.name, "late")]
    scene.cycle()
    assert scene.due() == []


def test_strays_go_before_any_is_asked_for() -> None:
    scene = PlaceholderScene()
    scene.placeholders.take_over(scene.now)
    scene.standing_in()
    scene.cycle()
    (clear,) = scene.due()
    assert isinstance(clear, Clear)
    scene.placeholders.done(clear, False, scene.now)
    assert scene.due() == []
    scene.world.now += AGAIN
    (clear,) = scene.due()
    assert isinstance(clear, Clear)
    scene.placeholders.done(clear, True, scene.now)
    assert len(scene.asks()) == RULES.placeholders
    assert scene.placeholders.next_at == scene.now + POLL


def test_a_plan_says_what_is_done_about_it(scene: PlaceholderScene) -> None:
    scene.standing_in(count=1)
    scene.cycle()
    (ask,) = scene.asks()
    stays = scene.drift.view.stays
    assert stays == {Reason.NO_NODE: 1}
    scene.make(ask)
    scene.cycle()
    assert scene.drift.view.stays == {Reason.AWAITS_NODE: 1}
    scene.world.now += RULES.node_startup + 1
    scene.due()
    scene.end(ask.name)
    scene.cycle()
    assert scene.drift.view.stays == {Reason.PLACEHOLDER_REFUSED: 1}


@pytest.mark.parametrize(("gates", "seen", "asks"), [(True, True, True), (True, False, False), (None, True, False)])
def test_with_enforcement_auto_it_asks_where_classes_are_written(
    scene: PlaceholderScene, gates: bool | None, seen: bool, asks: bool
) -> None:
    """Where an autoscaler is seen, that is; nobody knows it who does not serve the webhook."""
    asking = frozenset({DEFAULT_SCHEDULER})
    scene.world.state.workloads.go_by(PolicyRules(gates=gates, asking=asking))
    if seen:
        scene.world.up(labelled("on-demand-1", "on-demand", autoscaler="Karpenter", allocatable=Requests()))
    scene.standing_in(enforcement="auto")
    scene.cycle()
    assert bool(scene.asks()) is asks


def test_a_pod_that_lacks_a_toleration_returns_since_its_replacement_has_it(scene: PlaceholderScene) -> None:
    """It was created before anybody knew the taint, or while the webhook was away."""
    scene.standing_in()
    taint = Taint("karpenter.sh/capacity-type", "spot", "NoSchedule")
    scene.world.up(labelled("spot-0", taints=(taint,)))
    scene.world.state.nodes["spot-0"].steady_since = 0.0
    assert scene.cycle()
    assert scene.reasons() == []


@pytest.mark.parametrize("unlabelled", [False, True])
def test_surplus_spot_asks_for_on_demand(scene: PlaceholderScene, unlabelled: bool) -> None:
    owner = scene.world.deployment("web", 2, spot_percentage=0, enforcement="affinity")
    scene.world.up(labelled("on-demand-0", "on-demand", allocatable=Requests(cpu=10)))
    scene.spot()
    if unlabelled:
        scene.world.up(make_node("unlabelled", "on-demand", unschedulable=True))
    spot = Constraints(node_selector=(("disk", "ssd"), ("karpenter.sh/capacity-type", "spot")))
    scene.world.pods(owner, 2, "spot-0", written="spot", constraints=spot)
    scene.cycle()
    asks = scene.asks()
    assert {ask.wish.capacity_class for ask in asks} == {"on-demand"}
    own, karpenters = ("disk", "ssd"), ("karpenter.sh/capacity-type", "on-demand")
    assert {ask.selector for ask in asks} == {(own,) if unlabelled else (own, karpenters)}
    asked = {each.operator for ask in asks for term in ask.terms for each in term}
    assert asked == ({"NotIn"} if unlabelled else set())


def test_a_placeholder_is_where_the_volumes_are(scene: PlaceholderScene) -> None:
    zone = Requirement("topology.kubernetes.io/zone", "In", ("b",))
    own = Requirement("disk", "In", ("ssd",))
    owner = scene.world.deployment("web", 1, spot_percentage=100, enforcement="affinity")
    scene.world.up(make_claim("data", "v"), make_volume("v", zone))
    demands = Constraints(claims=("data",), node_terms=((own, *ON_DEMAND_ALONE.node_terms[0]),))  # type: ignore[index]
    scene.world.up(make_pod("a", owner, "on-demand-0", written="on-demand", constraints=demands))
    record = scene.world.state.pods["a"]
    ask = ask_for(scene.world.state, Wish(record.id, WorkloadRef("", "", "", "", ""), "spot"), record)
    assert ask is not None
    assert ask.terms == ((own, zone),)
    assert ask.selector == (("karpenter.sh/capacity-type", "spot"),)
