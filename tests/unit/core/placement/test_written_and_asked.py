"""The extender beside written classes: it follows them, also before the watch shows what is being written."""

from support.doubles import World, make_pod, make_view

from extender.core.model.reasons import Reason
from extender.core.placement.controller import PlacementController
from extender.core.placement.gates import GateController


def test_a_class_that_is_being_written_is_followed_before_the_watch_shows_it() -> None:
    world = World()
    # Nodes of the other class alone are known: by itself the extender would have another class stand in.
    world.nodes(on_demand=101)
    owner = world.deployment("web", 1, spot_percentage=100)
    world.up(make_pod("a", owner, gates=("spotmix.io/placement",)))
    (release,) = GateController(world.state).due(world.now)
    assert release.capacity_class == "spot"
    placement = PlacementController(world.state, 100)
    view = make_view("a", owner)
    for echo in (False, True):
        if echo:
            world.up(make_pod("a", owner, written="spot"))
        decision = placement.filter(view, placement.owner(view), ["new-spot-node"], world.now)
        assert (decision.reason, decision.nodes, decision.capacity_class) == (Reason.WRITTEN, None, "spot")
        assert decision.capacity_class == decision.wanted, "nothing to tell of"
        assert world.split(owner) == {"spot": 1}
        assert placement.preference(view).capacity_class == "spot"
        assert placement.due(world.now + 100) == [], "it is neither woken nor nominated"
