"""On which nodes a pod's volumes can be used."""

from typing import Any

import pytest
from support.doubles import ON_DEMAND, SPOT, make_claim, make_node, make_pod, make_volume
from support.drifting import DRIFT_RULES, DriftWorld

from extender.core.capacity.room import Room
from extender.core.model.constraints import Constraints
from extender.core.model.objects import AttachLimits
from extender.core.model.reasons import Reason, Refusal
from extender.core.state.events import Listed
from extender.core.state.state import CSI_NODES

ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
BETA_ZONE = "failure-domain.beta.kubernetes.io/zone"
DATA = Constraints(claims=("data",))


@pytest.fixture
def world() -> DriftWorld:
    """Spot nodes in zones a and b and in none, and an on-demand node that the pod `web` is on."""
    made = DriftWorld()
    made.up(make_node("old", ON_DEMAND))
    made.up(make_node("a", labels={ZONE: "a"}), make_node("b", labels={ZONE: "b"}), make_node("nowhere"))
    made.up(make_pod("web", node="old", constraints=DATA), make_claim("data", "disk"))
    return made


def reached(world: DriftWorld, *leaving: str) -> set[str]:
    """The spot nodes that the pod `web` may go to."""
    room = Room(world.state, {"web", *leaving}, world.now, dwell=DRIFT_RULES.dwell)
    pod = world.state.pods["web"]
    return {name for name, node in world.state.placeable[SPOT].items() if room.fits(pod, node)}


@pytest.mark.parametrize(
    ("zones", "nodes"),
    [
        ({}, {"a", "b", "nowhere"}),
        ({ZONE: "a"}, {"a", "nowhere"}),
        ({ZONE: "ab"}, {"a", "b", "nowhere"}),
        ({BETA_ZONE: "b"}, {"b", "nowhere"}),
        ({ZONE: "a", BETA_ZONE: "b"}, {"nowhere"}),
        ({REGION: "r"}, {"nowhere"}),
    ],
)
def test_labels_of_a_volume_say_where_it_is(world: DriftWorld, zones: dict[str, str], nodes: set[str]) -> None:
    world.up(make_volume("disk", zones=tuple((label, frozenset(where)) for label, where in zones.items())))
    assert reached(world) == nodes


def test_a_claim_for_one_pod_is_for_no_other(world: DriftWorld) -> None:
    world.up(make_volume("disk"), make_claim("data", "disk", one_pod=True))
    assert reached(world) == {"a", "b", "nowhere"}
    world.up(make_pod("rival", node="b", constraints=DATA))
    assert reached(world) == set()
    assert reached(world, "rival") == {"a", "b", "nowhere"}


@pytest.mark.parametrize(("volume", "nodes"), [({}, {"a", "b", "nowhere"}), ({"driver": "d", "one_node": True}, {"b"})])
def test_a_disk_of_one_node_is_used_where_others_use_it(
    world: DriftWorld, volume: dict[str, Any], nodes: set[str]
) -> None:
    world.state.apply(Listed(CSI_NODES, frozenset()), world.now)
    world.up(make_volume("disk", handle="h", **volume), make_pod("other", node="b", constraints=DATA))
    assert reached(world) == nodes


def test_a_node_attaches_only_so_many(world: DriftWorld) -> None:
    world.up(AttachLimits("u-a", "a", {"d": 1}), AttachLimits("u-b", "b", {"d": 2, "e": 0}))
    world.up(make_volume("disk", driver="d", handle="1"), make_claim("more", "other"))
    world.up(make_volume("other", driver="d", handle="2"))
    assert reached(world) == {"a", "b", "nowhere"}
    for node in ("a", "b"):
        world.up(make_pod(f"on-{node}", node=node, constraints=Constraints(claims=("more",))))
    assert reached(world) == {"b", "nowhere"}
    # The same disk is attached once.
    world.up(make_claim("more", "disk"))
    assert reached(world) == {"a", "b", "nowhere"}


def test_moves_of_the_plan_are_attached_too(world: DriftWorld) -> None:
    world.up(AttachLimits("u-a", "a", {"d": 1}), make_volume("disk", driver="d", handle="1"))
    world.up(make_claim("more", "other"), make_volume("other", driver="d", handle="2"))
    world.up(make_pod("next", node="old", constraints=Constraints(claims=("more",))))
    room, pods, node = Room(world.state, {"web", "next"}, world.now), world.state.pods, world.state.nodes["a"]
    room.occupy(pods["web"], node)
    assert not room.fits(pods["next"], node)


def test_where_a_disk_can_be_is_not_known(world: DriftWorld) -> None:
    for volume in (make_volume("disk", unmodelled=True), make_volume("disk", driver="d", handle="h")):
        world.up(volume)
        assert Room(world.state, {"web"}, world.now).find(world.state.pods["web"], SPOT) == Refusal(
            Reason.VOLUME, "data"
        )
    # Without the right to list CSINodes nobody knows how many a node attaches.
    world.state.apply(Listed(CSI_NODES, frozenset()), world.now)
    assert reached(world) == {"a", "b", "nowhere"}
