"""Placeholders: which are asked for, and what proves room."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import make_claim, make_node, make_pod, make_volume
from support.drifting import NIGHTLY
from support.placeholderscene import ON_DEMAND_ALONE, RULES, SMALL, PlaceholderScene, labelled

from extender.core.drift.moves import Wish, WorkloadRef
from extender.core.drift.placeholder import Ending, ask_for
from extender.core.model.constraints import Constraints
from extender.core.model.objects import Requests
from extender.core.model.reasons import Reason
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Taint
from extender.core.placement.tolerations import SPOT_TOLERATIONS
from extender.core.policy.rules import PolicyRules
from extender.core.state.schedulers import DEFAULT_SCHEDULER


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
@pytest.mark.parametrize("scheduler_asks", [True, False])
def test_with_enforcement_auto_it_asks_where_an_autoscaler_is_seen(
    scene: PlaceholderScene, gates: bool | None, seen: bool, asks: bool, scheduler_asks: bool
) -> None:
    """Nobody knows it who does not serve the webhook; without an autoscaler no placeholder would ever run."""
    asking = frozenset({DEFAULT_SCHEDULER}) if scheduler_asks else frozenset[str]()
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
