"""The drift loop moves no pod to where a limit of its namespace forbids it."""

from msgspec.structs import replace
from support.doubles import make_namespace, make_node, make_pod
from support.drifting import DriftWorld
from support.limits import limit_policy, used

from extender.core.drift.last_look import last_look
from extender.core.drift.rules import DriftRules
from extender.core.model.reasons import Reason
from extender.core.state.records import Reservation, replacing

BOLD = DriftRules(max_unavailable=100, max_in_flight=100, workload_in_flight=100)


def limited(*limits: str) -> DriftWorld:
    world = DriftWorld(BOLD)
    world.up(make_namespace(), limit_policy("team", *limits))
    world.nodes(spot=2, on_demand=2)
    return world


def test_it_moves_as_many_as_the_limit_has_left() -> None:
    world = limited("spot cpu 700m")
    world.drifted(on_demand=9, spot=1)
    # Four are too many, and each moves one for the other: what leaves holds its own class until it is gone.
    moved = world.moved()
    assert len(moved) == 4
    world.up(replace(limit_policy("team", "spot cpu 200m"), generation=2))
    assert world.moved() == moved[:1]
    assert (Reason.STAY_LIMIT_REACHED, "ClusterPlacementPolicy team") in world.why()
    world.up(replace(limit_policy("team", "spot cpu 100m"), generation=3))
    assert world.moved() == []


def test_a_move_that_the_limit_forbids_by_now_is_not_made() -> None:
    world = limited("spot cpu 700m")
    owner = world.drifted(on_demand=9, spot=1)
    move = world.plan().moves[0]
    created = world.state.pods[move.pod.uid].created
    pod = make_pod(move.pod.name, owner, move.node, created=created)
    assert last_look(world.state, move, pod, world.now, dry=False) == ""
    world.up(replace(limit_policy("team", "spot pods 1"), generation=2))
    fault = last_look(world.state, move, pod, world.now, dry=False)
    assert fault == "is of a namespace that holds as much spot as a limit allows"


def test_what_is_held_for_a_replacement_counts_and_is_taken_over() -> None:
    world = limited("spot cpu 200m")
    owner = world.drifted(on_demand=9, spot=1)
    world.state.apply(Reservation(replacing("web-1-0"), "shop", owner, "spot", world.now), world.now)
    assert used(world.state) == {"spot cpu": 200}
    assert world.moved() == []
    world.gone("pods", "web-1-0")
    assert used(world.state) == {"spot cpu": 200}
    _, decision = world.place(owner, ["spot-0", "on-demand-0"], uid="web-1-again")
    assert decision.capacity_class == "spot"
    assert used(world.state) == {"spot cpu": 200}


def test_a_pod_stays_on_an_interrupted_node_where_no_class_may_take_it() -> None:
    world = limited("spot pods 2")
    world.drifted(on_demand=2, spot=2)
    world.up(make_node("spot-0", interrupted=True, going_away="taint"))
    assert world.moved()
    assert {move.target for move in world.plan().moves} <= {"on-demand-0", "on-demand-1"}
    world.up(limit_policy("strict", "on-demand pods 2"))
    assert world.moved() == []
    assert Reason.STAY_LIMIT_REACHED in world.reasons()
