"""What pods that are about to come take of the room that is left for others."""

from support.doubles import ON_DEMAND, SPOT, make_node, make_pod
from support.drifting import DriftWorld

from extender.core.capacity.room import Room
from extender.core.drift.arrivals import Arrivals
from extender.core.drift.history import History
from extender.core.model.constraints import Constraints
from extender.core.model.objects import Requests
from extender.core.model.selectors import Requirement


def spare(world: DriftWorld) -> dict[str, float]:
    """The CPU that is left on each node, less what is about to come."""
    room = Room(world.state, frozenset(), world.now)
    Arrivals(world.state, History(), room).deduct()
    return {name: room.stock.spare_cpu(node) for name, node in world.state.nodes.items()}


def test_a_pod_for_one_node_takes_room_there_or_nowhere() -> None:
    world = DriftWorld()
    world.up(
        make_node("small", SPOT, allocatable=Requests(cpu=800, memory=1 << 30)),
        make_node("large", ON_DEMAND, allocatable=Requests(cpu=4000, memory=1 << 30)),
    )
    before = spare(world)
    for number, taken in ((1, 500), (2, 500)):
        there = Constraints(node_terms=((Requirement("metadata.name", "In", ("small",), field=True),),))
        world.up(make_pod(f"daemon-{number}", None, requests=Requests(cpu=500), constraints=there))
        assert {name: before[name] - left for name, left in spare(world).items()} == {"small": taken, "large": 0}
    world.up(make_pod("other", None, requests=Requests(cpu=500)))
    assert spare(world)["large"] == before["large"] - 500
