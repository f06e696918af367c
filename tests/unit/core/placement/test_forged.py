"""Requests that no scheduler sent: for pods that there are not, for pods that need no node, under another's name."""

from typing import Any

import pytest
from support.doubles import ON_DEMAND, SPOT, World, make_node, make_pod, make_view

from extender.core.model.objects import OwnerRef, PodId
from extender.core.model.reasons import Reason
from extender.core.placement.controller import BINDING, MARGIN, UNWRITTEN, Annotate, Nominate, PlacementController
from extender.core.placement.decide import MIN_SAMPLE, Decision
from extender.core.state.events import Upsert
from extender.core.state.intake import Intake
from extender.core.state.provisional import IN_ALL, LIFE, PER_REVISION
from extender.core.state.records import Reservation, replacing


class ForgedScene:
    """A workload of ten, with seven seats on spot; `ask` is a request, `meet` what the watch says."""

    def __init__(self, replicas: int = 10, **policy: Any) -> None:
        self.world = World()
        self.state = self.world.state
        self.offered = self.world.nodes(spot=2, on_demand=2)
        self.owner = self.world.deployment("web", replicas, **{"spot_percentage": 70, "min_on_demand": 3, **policy})
        self.placement = PlacementController(self.state, 0)
        self.intake = Intake(self.state, [self.placement.observe], [self.placement.observe])

    def ask(self, uid: str, offered: list[str] | None = None, **fields: Any) -> Decision:
        """What is decided on a request."""
        view = self.placement.checked(make_view(uid, fields.pop("owner", self.owner), **fields))
        assert view is not None
        given = self.offered if offered is None else offered
        return self.placement.filter(view, self.placement.owner(view), given, self.world.now)

    def see(self, uid: str, node: str = "", **fields: Any) -> None:
        pod = make_pod(uid, fields.pop("owner", self.owner), node, **fields)
        self.intake.take(Upsert(pod), self.world.now)

    def place(self, uid: str) -> str:
        """Have a real pod created, placed and bound; the class that it was given."""
        self.see(uid)
        decision = self.ask(uid)
        assert decision.nodes
        self.see(uid, decision.nodes[0])
        return decision.capacity_class


def test_pods_that_there_are_not_take_no_seat_from_those_that_there_are() -> None:
    scene = ForgedScene()
    for number in range(10):
        for forged in range(3):
            scene.ask(f"forged-{number}-{forged}")
        scene.place(f"p{number}")
    assert scene.world.split(scene.owner) == {SPOT: 7, ON_DEMAND: 3}


def test_they_fill_no_pool() -> None:
    scene = ForgedScene(4, spot_percentage=100, min_on_demand=0, max_per_pool=2, when_unsatisfiable="wait")
    scene.world.up(*(make_node(f"spot-{n}", SPOT, zone=f"z{n}") for n in range(2)))
    for number in range(4):
        for forged in range(4):
            scene.ask(f"forged-{number}-{forged}")
        assert scene.place(f"p{number}") == SPOT


def test_among_themselves_they_are_split_as_asked_for() -> None:
    scene = ForgedScene()
    decisions = [scene.ask(f"early-{number}") for number in range(10)]
    given = [decision.capacity_class for decision in decisions]
    assert (given.count(SPOT), given.count(ON_DEMAND)) == (7, 3)
    # A pod that is tried again keeps its class.
    assert scene.ask("early-9").capacity_class == given[9]
    # The watch was late: each takes what was decided.
    for number, capacity_class in enumerate(given):
        scene.see(f"early-{number}")
        assert scene.placement.preference(make_view(f"early-{number}", scene.owner)).capacity_class == capacity_class
    assert scene.world.split(scene.owner) == {SPOT: 7, ON_DEMAND: 3}
    assert len(scene.state.provisional) == 0


@pytest.mark.parametrize("said", [{"owner": OwnerRef("else", "apps/v1", "ReplicaSet", "x")}, {"namespace": "other"}])
def test_what_was_said_of_a_pod_before_it_came_holds_only_where_it_is_so(said: dict[str, Any]) -> None:
    scene = ForgedScene()
    scene.world.up()
    reservation = Reservation("p", said.get("namespace", "shop"), said.get("owner", scene.owner), SPOT, 1000.0)
    scene.state.apply(reservation, 1000.0)
    scene.see("p")
    assert scene.world.split(scene.owner) == {}
    assert len(scene.state.provisional) == 0


def test_their_seats_live_for_seconds_and_are_bounded() -> None:
    scene = ForgedScene()
    for number in range(PER_REVISION + 50):
        scene.ask(f"forged-{number}")
    assert len(scene.state.provisional) == PER_REVISION
    for number in range(IN_ALL + 50):
        owner = OwnerRef(f"made-up-{number}", "apps/v1", "ReplicaSet", "x")
        scene.ask(f"other-{number}", owner=owner)
    assert len(scene.state.provisional) == IN_ALL
    assert (len(scene.state.revisions), len(scene.state.waiting)) == (0, 0)
    scene.world.now += LIFE + 1
    scene.placement.due(scene.world.now)
    assert len(scene.state.provisional) == 0


def test_they_do_not_take_over_what_is_held_for_a_replacement() -> None:
    scene = ForgedScene()
    for number in range(10):
        scene.see(f"p{number}", "spot-0" if number < 6 else "on-demand-0")
    scene.state.apply(Reservation(replacing("p9"), "shop", scene.owner, SPOT, scene.world.now), scene.world.now)
    scene.world.gone("pods", "p9")
    scene.ask("forged")
    assert scene.state.revisions[scene.owner.uid].replacing == (replacing("p9"),)
    assert scene.place("p10") == SPOT
    assert scene.state.revisions[scene.owner.uid].replacing == ()


def test_nobody_is_woken_or_nominated_for_them() -> None:
    scene = ForgedScene(spot_percentage=100, min_on_demand=0, when_unsatisfiable="wait")
    scene.offered = [f"on-demand-{number}" for number in range(MIN_SAMPLE)]
    assert scene.ask("forged").reason is Reason.WAIT_SAMPLE
    assert scene.placement.due(scene.world.now + 60) == []
    assert len(scene.state.waiting) == 0
    # A pod that the watch brings a moment later is nominated in time.
    scene.ask("late")
    scene.see("late")
    assert scene.placement.due(scene.world.now + UNWRITTEN) == [Nominate(PodId("shop", "late", "late"), "spot-0")]


@pytest.mark.parametrize("pod", [{"node": "spot-0"}, {"node": "unseen"}, {"terminating": True}, {"ended": True}])
def test_a_pod_that_needs_no_node_is_neither_counted_anew_nor_tried_again(pod: dict[str, Any]) -> None:
    scene = ForgedScene(spot_percentage=100, min_on_demand=0, fallback_after="1m")
    scene.see("p", **pod)
    before = scene.world.split(scene.owner)
    assert scene.ask("p", ["on-demand-0"]).reason is Reason.WAIT_FALLBACK
    assert (len(scene.state.waiting), len(scene.state.provisional)) == (0, 0)
    assert scene.placement.due(scene.world.now + 600) == []
    if pod.get("node") != "unseen":
        assert scene.world.split(scene.owner) == before


@pytest.mark.parametrize("said", [{"name": "other"}, {"namespace": "other"}])
def test_a_uid_under_another_name_is_refused(said: dict[str, Any]) -> None:
    scene = ForgedScene()
    scene.see("p")
    assert scene.placement.checked(make_view("p", scene.owner, **said)) is None


@pytest.mark.parametrize("said", [None, OwnerRef("else", "apps/v1", "ReplicaSet", "x")])
def test_whose_a_pod_is_says_the_watch(said: OwnerRef | None) -> None:
    scene = ForgedScene()
    scene.see("p")
    decision = scene.ask("p", owner=said)
    assert (decision.workload, scene.world.split(scene.owner)) == (scene.world.workload(scene.owner), {ON_DEMAND: 1})
    scene.see("q", owner=None)
    assert scene.ask("q").reason is Reason.UNMANAGED


def test_a_request_in_between_neither_drops_nor_puts_off_a_new_try() -> None:
    scene = ForgedScene(spot_percentage=100, min_on_demand=0, fallback_after="1m")
    scene.see("p")
    scene.ask("p", ["on-demand-0"])
    scene.ask("p", ["spot-0"])
    pod = PodId("shop", "p", "p")
    assert scene.placement.due(scene.world.now + 60 + MARGIN) == [Annotate(pod)]

    crowd = [f"on-demand-{number}" for number in range(MIN_SAMPLE)]
    scene.see("q")
    for _ in range(5):
        scene.ask("q", crowd)
        scene.world.now += UNWRITTEN / 4
    assert scene.placement.due(scene.world.now) == [Nominate(PodId("shop", "q", "q"), "spot-0")]
    scene.ask("q", crowd)
    scene.ask("q", ["spot-0"])
    assert scene.placement.due(scene.world.now + BINDING / 2) == []
    assert scene.placement.due(scene.world.now + BINDING) == [Annotate(PodId("shop", "q", "q"))]


def test_pods_that_one_owner_has_in_several_namespaces_keep_it() -> None:
    scene = ForgedScene()
    for uid, namespace in (("p", "shop"), ("q", "other")):
        scene.see(uid, namespace=namespace)
        view = make_view(uid, scene.owner, namespace=namespace)
        assert scene.placement.checked(view) is view
        lied = scene.placement.checked(make_view(uid, None, namespace=namespace))
        assert lied is not None
        assert lied.owner == scene.owner
