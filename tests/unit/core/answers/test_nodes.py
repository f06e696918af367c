"""How the nodes of each class stand to a pod, where an explanation has nothing to add."""

from support.doubles import ON_DEMAND, SPOT, World, make_pod, make_view

from extender.core.answers.nodes import UNUSED, verdicts


def test_no_class_is_wanted_for_a_pod_that_nobody_manages() -> None:
    world = World()
    names = world.nodes(spot=1, on_demand=1)
    world.up(make_pod("p"))
    found = verdicts(world.state, world.state.pods["p"], make_view("p", None), None, world.now)
    assert {(each.capacity_class, each.role, each.given) for each in found.classes} == {
        (SPOT, UNUSED, True),
        (ON_DEMAND, UNUSED, True),
    }
    assert sorted(found.passing) == sorted(names)
