"""The score of a node: pools and nodes with fewer siblings first, then those with more room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import World, make_node, make_pod

from extender.core.placement.score import Parts, best_nodes, relative_scores, score_nodes, spread_over
from extender.core.state.records import Revision


@pytest.fixture
def world() -> World:
    return World()


def revision(world: World, *pods: tuple[str, str]) -> Revision:
    owner = world.deployment("web", 5)
    world.up(*(make_pod(uid, owner, node) for uid, node in pods))
    return world.state.revisions.get(owner.uid) or Revision(owner, "shop", set(), {}, {}, {})


def test_the_parts_of_a_score(world: World) -> None:
    for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c")):
        world.up(make_node(name, zone=zone))
    world.up(make_node("od", "on-demand", zone="d"), make_node("leaving", zone="b", going_away="taint", reclaimed=True))
    # A pod may be seen before its node is.
    siblings = revision(world, ("p1", "a1"), ("p2", "a1"), ("p3", "b1"), ("p4", "unseen"))
    names = ["a1", "a2", "b1", "c1", "od", "leaving", "unseen", "unknown"]
    parts = score_nodes(world.state, siblings, "spot", names, world.now)
    assert parts == {
        "a1": Parts(4, 0, 0, 1),
        "a2": Parts(4, 0, 2, 1),
        "b1": Parts(4, 1, 1, 0),
        "c1": Parts(4, 3, 2, 1),
        "od": Parts(0, 3, 2, 1),
        "leaving": Parts(),
        "unseen": Parts(),
        "unknown": Parts(),
    }


def test_the_first_pod_is_free_to_go_anywhere_of_its_class(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    parts = score_nodes(world.state, None, "on-demand", ["spot-0", "on-demand-0"], world.now)
    assert relative_scores(parts) == [("on-demand-0", 4)]


def test_terminating_siblings_do_not_count(world: World) -> None:
    world.nodes(spot=1)
    owner = world.deployment("web", 2)
    world.up(make_pod("p1", owner, "spot-0", terminating=True))
    state = world.state
    assert score_nodes(state, state.revisions[owner.uid], "spot", ["spot-0"], 0.0)["spot-0"].total == 10


SCORES = st.builds(Parts, st.sampled_from([0, 4]), st.integers(0, 3), st.integers(0, 2), st.integers(0, 1))


@given(st.dictionaries(st.text(max_size=3), SCORES))
def test_differences_stay_and_the_least_is_left_out(parts: dict[str, Parts]) -> None:
    scores = dict(relative_scores(parts))
    assert all(0 < score <= 10 for score in scores.values())
    for a, first in parts.items():
        for b, second in parts.items():
            assert scores.get(a, 0) - scores.get(b, 0) == first.total - second.total


def test_spreading_prefers_emptier_pools_healthy_pools_and_nodes_without_siblings(world: World) -> None:
    names = ["a1", "a2", "b1", "b2", "c1", "c2"]
    world.up(*(make_node(name, zone=name[0]) for name in names))
    siblings = revision(world, ("p1", "a1"), ("p2", "b1"), ("p3", "b2"))
    found = [world.state.nodes[name] for name in names]
    assert spread_over(world.state, siblings, found, 4, world.now) == ["c1", "a2", "b1", "c2"]
    assert len(spread_over(world.state, siblings, found, 100, world.now)) == 6
    world.up(make_node("b3", zone="b", going_away="taint", reclaimed=True))
    assert spread_over(world.state, None, found, 3, world.now) == ["a1", "c1", "b1"]


def test_the_best_are_those_that_score_highest_and_no_more_than_asked_for(world: World) -> None:
    names = ["a1", "a2", "b1", "b2", "c1", "c2", "c3"]
    world.up(*(make_node(name, zone=name[0]) for name in names))
    found = [world.state.nodes[name] for name in names]
    assert best_nodes(world.state, None, found, 0, world.now) == ["a1", "b1", "c1", "a2", "b2", "c2", "c3"]
    assert best_nodes(world.state, None, found, 3, world.now) == ["a1", "b1", "c1"]
    siblings = revision(world, ("p1", "a1"), ("p2", "b1"), ("p3", "b2"), ("p4", "c3"))
    assert best_nodes(world.state, siblings, found, 0, world.now) == ["a2", "c1", "c2"]
    assert best_nodes(world.state, siblings, found, 2, world.now) == ["a2", "c1"]
    assert best_nodes(world.state, siblings, found[:1], 0, world.now) == ["a1"]
    assert best_nodes(world.state, siblings, [], 0, world.now) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=8), st.integers(0, 4))
def test_what_filter_leaves_is_what_prioritize_would_put_first(placed: list[tuple[str, int]], limit: int) -> None:
    world = World()
    names = [f"{zone}{number}" for zone in "abc" for number in range(4)]
    world.up(*(make_node(name, zone=name[0]) for name in names))
    siblings = revision(world, *((f"p{at}", f"{zone}{number}") for at, (zone, number) in enumerate(placed)))
    parts = score_nodes(world.state, siblings, "spot", names, world.now)
    first = {name for name in names if parts[name].total == max(part.total for part in parts.values())}
    left = best_nodes(world.state, siblings, [world.state.nodes[name] for name in names], limit, world.now)
    assert set(left) <= first
    assert len(left) == len(set(left)) == min(limit or len(first), len(first))
