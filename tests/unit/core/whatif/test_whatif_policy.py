"""What it would come to if a workload had another policy."""

import pytest
from support.doubles import ENABLED, ON_DEMAND, SPOT, World, keys, make_namespace, make_owner, make_pod
from support.whatif import WEB, ask, fill, nodes, one, some

from extender.core.answers.plan import WorkloadName
from extender.core.drift.rules import DriftRules
from extender.core.model.errors import ChangeError
from extender.core.model.objects import OwnerRef, Protection
from extender.core.model.reasons import Reason
from extender.core.whatif.outlook import Change, MoveForecast
from extender.core.whatif.what_if import what_if


@pytest.fixture
def world() -> World:
    return World()


def test_another_policy_makes_moves_where_there_is_room(world: World) -> None:
    names = nodes(world, SPOT, 4) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 10), 10, names)
    seen = ask(world, Change(WEB, policy={"spot": "60", "max-moves-per-hour": "2"}))
    before, after = one(seen)
    assert (before.moves, before.surplus) == (MoveForecast(), 0)
    assert (some(after.wanted), some(after.actual), after.surplus) == ({SPOT: 6, ON_DEMAND: 4}, {ON_DEMAND: 10}, 6)
    assert after.moves == MoveForecast(6, 4, {Reason.NO_ROOM: 2}, 2.0)
    assert (some(after.eventual), after.nodes) == ({SPOT: 4, ON_DEMAND: 6}, {SPOT: 1.0, ON_DEMAND: 0.06})
    assert (seen.workloads[0].made, seen.workloads[0].removed, seen.problems) == (0, 0, ())


def test_what_would_last_for_ever_blocks_moves(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 4), 3, names)
    owner = next(iter(world.state.revisions.values())).owner
    world.up(make_pod("kept", owner, names[1], created=9.0, protection=Protection("do-not", "true")))
    _, after = one(ask(world, Change(WEB, policy={"spot": "100"})))
    assert after.moves == MoveForecast(4, 3, {Reason.PROTECTED: 1}, 0.5)
    _, after = one(ask(world, Change(WEB, policy={"spot": "100", "mode": "audit"})))
    assert (after.moves, after.surplus) == (MoveForecast(4, 0, {Reason.AUDIT: 4}), 4)
    _, after = one(ask(world, Change(WEB, policy={"spot": "100", "max-moves-per-hour": "0"})))
    assert after.moves == MoveForecast(4, 0, {Reason.HOURLY_BUDGET: 4})
    _, after = one(ask(world, Change(WEB, 1, {"spot": "100"})))
    assert after.moves == MoveForecast(1, 0, {Reason.SINGLETON: 1})
    singletons = DriftRules(singletons=True)
    assert what_if(world.state, Change(WEB, 1, {"spot": "100"}), world.now, singletons).after.moves.possible == 1


def test_a_policy_that_is_wrong_does_what_it_would_do(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 4, spot_percentage=50), 4, names)
    world.deployment("bad", 2, spot_percentage="most")
    seen = ask(world, Change(WEB, policy={"spot": "lots"}))
    assert [problem.key for problem in seen.problems] == ["spotmix.io/spot-percentage"]
    assert seen.workloads[0].policy == "last-valid"
    assert some(one(seen)[1].wanted) == {SPOT: 2, ON_DEMAND: 2}
    seen = ask(world, Change(WorkloadName("shop", "deploy", "bad"), policy={"max-spot": "1"}))
    assert (seen.workloads[0].policy, some(one(seen)[1].wanted)) == ("held-on-demand", {ON_DEMAND: 2})
    seen = ask(world, Change(WorkloadName("shop", "deploy", "bad"), policy={"spot-percentage": "50%"}))
    assert (seen.workloads[0].policy, seen.problems) == ("valid", ())


def test_an_empty_value_takes_a_key_away_under_every_prefix(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    annotations = {"spotalis.io/spot-percentage": "50", "spotmix.io/max-spot": "1"}
    world.up(
        make_owner("Deployment", "web", 4, labels=ENABLED, annotations=annotations),
        make_owner("ReplicaSet", "web-1", 4, owner=make_owner("Deployment", "web").ref),
        make_namespace(annotations=keys(spot_percentage=100)),
    )
    fill(world, OwnerRef("uid-ReplicaSet-web-1", "apps/v1", "ReplicaSet", "web-1"), 4, names)
    before, after = one(ask(world, Change(WEB, policy={"max-spot": ""})))
    assert (some(before.wanted), some(after.wanted)) == ({SPOT: 1, ON_DEMAND: 3}, {SPOT: 2, ON_DEMAND: 2})
    _, after = one(ask(world, Change(WEB, policy={"spot-percentage": " ", "spotmix.io/max-spot": ""})))
    assert some(after.wanted) == {SPOT: 4}


def test_a_policy_can_be_tried_before_opting_in(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    owner = world.deployment("web", 6, labels={})
    for number in range(6):
        world.up(make_pod(f"w{number}", owner, names[1]))
    with pytest.raises(ChangeError, match=r"not managed.*spot-percentage=70"):
        ask(world, Change(WEB, replicas=9))
    seen = ask(world, Change(WEB, policy={"spot": "50"}))
    before, after = one(seen)
    assert (seen.workloads[0].managed, seen.workloads[0].mode) == (False, "enforce")
    assert (some(before.wanted), some(before.actual), before.moves) == ({}, {ON_DEMAND: 6}, MoveForecast())
    assert (some(after.wanted), after.moves.possible) == ({SPOT: 3, ON_DEMAND: 3}, 3)
    _, after = one(ask(world, Change(WEB, 8, {"enabled": "true"})))
    assert (some(after.wanted), some(after.actual)) == ({ON_DEMAND: 8}, {ON_DEMAND: 8})


def test_opting_out_ends_the_steering(world: World) -> None:
    names = nodes(world, SPOT, 100) + nodes(world, ON_DEMAND, 100)
    fill(world, world.deployment("web", 4, spot_percentage=50), 4, names)
    seen = ask(world, Change(WEB, 6, {"enabled": "false"}))
    _, after = one(seen)
    assert (seen.workloads[0].mode, some(after.wanted), sum(after.actual.values())) == ("", {}, 6)
