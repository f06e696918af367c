"""Seats that are reserved for pods which will replace others."""

import pytest
from support.doubles import ON_DEMAND, SPOT, World, make_pod

from extender.core.model.objects import OwnerRef
from extender.core.state.records import Reservation, is_replacing, replacing
from extender.core.state.state import Released


class ReplacingScene:
    """Ten replicas of which seven are wanted on spot; five are on each class."""

    def __init__(self) -> None:
        self.world = World()
        self.offered = self.world.nodes(spot=1, on_demand=1)
        self.owner = self.world.deployment("web", 10, spot_percentage=70)
        for number in range(10):
            node = "spot-0" if number < 5 else "on-demand-0"
            self.world.up(make_pod(f"p{number}", self.owner, node))

    def reserve(self, pod: str, capacity_class: str = SPOT) -> None:
        state, now = self.world.state, self.world.now
        state.apply(Reservation(replacing(pod), "shop", self.owner, capacity_class, now), now)

    def place(self, uid: str) -> str:
        """Place a new pod; the class of its node."""
        pod, _ = self.world.place(self.owner, self.offered, uid=uid)
        self.world.up(pod)
        return pod.node.rpartition("-")[0]

    @property
    def placeholders(self) -> list[str]:
        revision = self.world.state.revisions[self.owner.uid]
        held = [uid for uid in revision.reservations if is_replacing(uid)]
        assert list(revision.replacing) == held
        return held


def test_the_first_new_pod_takes_over_what_was_reserved_for_it() -> None:
    scene = ReplacingScene()
    scene.reserve("p8")
    scene.reserve("p9")
    assert scene.world.split(scene.owner) == {SPOT: 7, ON_DEMAND: 5}
    for gone in ("p8", "p9"):
        scene.world.gone("pods", gone)
    assert scene.place("a") == SPOT
    assert scene.placeholders == [replacing("p9")]
    assert scene.place("b") == SPOT
    assert scene.placeholders == []
    assert scene.world.split(scene.owner) == {SPOT: 7, ON_DEMAND: 3}


def test_a_pod_that_is_tried_again_takes_over_no_second_one() -> None:
    scene = ReplacingScene()
    scene.world.place(scene.owner, [], uid="waits")
    scene.reserve("p9")
    scene.world.place(scene.owner, [], uid="waits")
    assert scene.placeholders == [replacing("p9")]


@pytest.mark.parametrize("percentage", [50, 0])
def test_what_was_reserved_does_not_stand_against_a_new_policy(percentage: int) -> None:
    scene = ReplacingScene()
    scene.reserve("p9")
    scene.world.gone("pods", "p9")
    scene.world.annotate("web", 10, spot_percentage=percentage)
    assert scene.place("a") == ON_DEMAND
    assert scene.placeholders == []


def test_it_is_given_back_when_nothing_is_moved_after_all() -> None:
    scene = ReplacingScene()
    scene.reserve("p9")
    scene.world.state.apply(Released(replacing("p9")), scene.world.now)
    assert scene.world.split(scene.owner) == {SPOT: 5, ON_DEMAND: 5}
    assert scene.placeholders == []


def test_one_that_nobody_takes_over_runs_out() -> None:
    scene = ReplacingScene()
    scene.reserve("p9")
    scene.world.state.expire(scene.world.now + 901)
    assert scene.placeholders == []


def test_the_last_reservation_of_a_revision_without_pods() -> None:
    world = World()
    owner: OwnerRef = world.deployment("web", 1, spot_percentage=100)
    offered = world.nodes(spot=1)
    world.state.apply(Reservation(replacing("gone"), "shop", owner, SPOT, world.now), world.now)
    # Nobody waits for it at a handover: its pod may be long in coming.
    assert world.state.reserved_since(0.0) == []
    pod, decision = world.place(owner, offered, uid="a")
    assert (pod.node, decision.capacity_class) == ("spot-0", SPOT)
    assert world.state.reserved_since(0.0) == ["a"]
    assert world.state.reserved == 1
