"""When the scheduler is made to try a rejected pod again, and how."""

from collections.abc import Sequence
from typing import Any

import pytest
from support.doubles import ENABLED, World, keys, make_node, make_owner, make_pod, make_view

from extender.core.model.objects import OwnerRef, PodId
from extender.core.model.reasons import Reason
from extender.core.placement.controller import (
    HOUSEKEEPING,
    MARGIN,
    UNCHANGED,
    UNWRITTEN,
    Action,
    Annotate,
    Nominate,
    PlacementController,
)
from extender.core.placement.decide import MIN_SAMPLE, Decision
from extender.core.state.events import Event, Gone, Upsert
from extender.core.state.intake import Intake
from extender.core.state.records import Reservation

FALLBACK = 60.0


class Scene:
    """A workload that is all spot where the scheduler offers no spot node, and the controller on a clock of its own."""

    def __init__(self, *, spot: int, **policy: Any) -> None:
        self.world = World()
        self.offered = self.world.nodes(on_demand=MIN_SAMPLE)
        self.world.nodes(spot=spot)
        self.owner = self.world.deployment("web", 5, spot_percentage=100, **policy)
        self.placement = PlacementController(self.world.state, 0)
        self.intake = Intake(self.world.state, [self.placement.observe], [self.placement.observe])
        self.start = self.world.now
        self.due()

    def take(self, event: Event) -> None:
        self.intake.take(event, self.world.now)

    def see(self, uid: str = "p", owner: OwnerRef | None = None, node: str = "", **fields: Any) -> None:
        self.take(Upsert(make_pod(uid, owner or self.owner, node, **fields)))

    def filter(self, uid: str = "p", offered: list[str] | None = None, *, met: bool = True, **fields: Any) -> Decision:
        view = make_view(uid, self.owner, **fields)
        if met:
            self.world.meet(view)
        given = self.offered if offered is None else offered
        return self.placement.filter(view, self.placement.owner(view), given, self.world.now)

    def at(self, seconds: float) -> list[Action]:
        """What is due so many seconds after the start."""
        self.world.now = self.start + seconds
        return self.due()

    def due(self) -> list[Action]:
        return self.placement.due(self.world.now)


POD = PodId("shop", "p", "p")


def test_of_a_class_those_pass_that_score_highest_or_all_that_scores_are_asked_of() -> None:
    world = World()
    names = [f"{zone}{number}" for zone in "ab" for number in range(3)]
    world.up(*(make_node(name, zone=name[0]) for name in names))
    owner = world.deployment("web", 5, spot_percentage=100)
    world.up(make_pod("p1", owner, "a0"))
    placement = PlacementController(world.state, 0, best=True)

    def left(uid: str) -> Sequence[str] | None:
        view = make_view(uid, owner)
        world.meet(view)
        return placement.filter(view, placement.owner(view), names, world.now).nodes

    assert left("p2") == ["b0", "b1", "b2"]
    placement.go_by(2, best=True)
    assert left("p3") in (["b0", "b1"], ["b1", "b2"], ["b2", "b0"])
    placement.go_by(0, best=False)
    assert left("p4") == names


def test_of_the_pool_that_a_cap_leaves_those_nodes_pass_that_hold_no_sibling() -> None:
    world = World()
    names = ["a0", "a1", "a2"]
    world.up(*(make_node(name, zone="a") for name in names))
    owner = world.deployment("web", 5, spot_percentage=100, max_per_pool="4")
    world.up(make_pod("p1", owner, "a0"))
    placement = PlacementController(world.state, 0, best=True)
    view = make_view("p2", owner)
    world.meet(view)
    assert placement.filter(view, placement.owner(view), names, world.now).nodes == ["a1", "a2"]


def waits_for_sample() -> Scene:
    """A pod was rejected, for a node outside of the sample."""
    scene = Scene(spot=1)
    scene.see()
    assert scene.filter().reason is Reason.WAIT_SAMPLE
    return scene


def waits_for_fallback() -> Scene:
    scene = Scene(spot=0, fallback_after=f"{FALLBACK:g}s")
    scene.see()
    assert scene.filter().reason is Reason.WAIT_FALLBACK
    return scene


def test_a_node_is_nominated_once_the_scheduler_has_written_that_the_pod_waits() -> None:
    scene = waits_for_sample()
    assert scene.at(UNWRITTEN / 2) == []
    scene.see()
    assert scene.due() == []
    scene.see(unscheduled=True)
    assert scene.placement.next_at == scene.world.now
    assert scene.due() == [Nominate(POD, "spot-0")]
    assert scene.at(UNWRITTEN) == []


@pytest.mark.parametrize(("since", "patience"), [(None, UNWRITTEN), (990.0, UNCHANGED)])
def test_a_node_is_nominated_after_a_while_when_nothing_is_written(since: float | None, patience: float) -> None:
    scene = Scene(spot=1)
    scene.filter(unscheduled_since=since)
    assert scene.placement.next_at == scene.start + patience
    assert scene.at(patience - 0.001) == []
    assert scene.at(patience) == [Nominate(POD, "spot-0")]
    assert scene.at(10 * patience) == []


def test_a_pod_is_tried_again_when_another_class_may_stand_in_and_not_before() -> None:
    scene = waits_for_fallback()
    scene.see(unscheduled=True)
    assert scene.at(FALLBACK) == []
    assert scene.at(FALLBACK + MARGIN) == [Annotate(POD)]
    assert scene.filter().reason is Reason.FALLBACK
    assert scene.at(2 * FALLBACK) == []


@pytest.mark.parametrize("late", [{"node": "spot-0"}, {"terminating": True}, {"ended": True}])
def test_a_pod_that_needs_no_node_any_more_is_not_tried_again(late: dict[str, Any]) -> None:
    scene = waits_for_sample()
    scene.see(**late)
    assert scene.at(UNWRITTEN) == []


def test_a_pod_that_is_gone_is_not_tried_again() -> None:
    scene = waits_for_sample()
    scene.take(Gone("nodes", "p"))
    scene.take(Gone("pods", "p"))
    assert scene.at(UNWRITTEN) == []


def test_a_pod_that_passed_meanwhile_is_not_tried_again() -> None:
    scene = waits_for_sample()
    assert scene.filter(offered=["spot-0"]).nodes
    assert scene.at(UNWRITTEN) == []


def test_the_last_rejection_counts() -> None:
    scene = waits_for_fallback()
    scene.world.nodes(spot=1)
    scene.filter()
    assert scene.at(UNWRITTEN) == [Nominate(POD, "spot-0")]
    assert scene.at(FALLBACK + 1) == []


def test_pods_are_tried_again_in_the_order_of_their_time() -> None:
    scene = Scene(spot=0, fallback_after="60s")
    for number in range(4):
        scene.world.now = scene.start + number
        scene.filter(f"p{number}")
    assert scene.placement.next_at <= scene.start + FALLBACK + MARGIN
    assert scene.at(FALLBACK + 1.5) == [Annotate(PodId("shop", f"p{n}", f"p{n}")) for n in (0, 1)]
    assert scene.at(FALLBACK + 5) == [Annotate(PodId("shop", f"p{n}", f"p{n}")) for n in (2, 3)]


def test_a_pod_is_tried_again_at_once_when_its_workload_changed() -> None:
    scene = waits_for_fallback()
    scene.world.now += 1
    scene.take(Upsert(scene.world.state.workloads.owners[scene.owner.uid]))
    assert scene.due() == []
    annotations = keys(spot_percentage=0)
    scene.take(Upsert(make_owner("Deployment", "web", 5, labels=ENABLED, annotations=annotations)))
    assert scene.placement.next_at == scene.world.now
    assert scene.due() == [Annotate(POD)]


def test_whoever_takes_over_has_managed_pods_tried_again_that_wait() -> None:
    scene = Scene(spot=0)
    plain = scene.world.deployment("plain", 1, labels={})
    for uid, owner in (("waits", scene.owner), ("unmanaged", plain), ("placed", scene.owner), ("gone", scene.owner)):
        scene.see(uid, owner, unscheduled=True)
    scene.see("queued")
    scene.see("placed", node="on-demand-0")
    scene.take(Gone("pods", "gone"))
    scene.placement.take_over(scene.world.now)
    assert scene.due() == [Annotate(PodId("shop", "waits", "waits"))]


def test_nothing_comes_from_who_decides_no_more() -> None:
    scene = waits_for_sample()
    scene.placement.stop()
    assert scene.at(UNWRITTEN) == []


def test_what_was_reserved_for_a_pod_that_never_came_is_given_back() -> None:
    scene = Scene(spot=0)
    scene.world.state.apply(Reservation("never", "shop", scene.owner, "spot", scene.start), scene.start)
    scene.at(900.0 + HOUSEKEEPING)
    assert scene.world.split(scene.owner) == {}
    assert scene.placement.next_at == scene.world.now + HOUSEKEEPING


def test_many_rejections_of_one_pod_are_one() -> None:
    scene = waits_for_fallback()
    for moment in range(5000):
        scene.world.now = scene.start + moment / 100
        scene.filter()
    assert scene.at(FALLBACK + MARGIN) == [Annotate(POD)]


def test_audit_prefers_no_class_and_scores_nothing() -> None:
    scene = Scene(spot=1, mode="audit")
    preference = scene.placement.preference(make_view("p", scene.owner))
    assert (preference.reason, preference.capacity_class) == (Reason.AUDIT, "")
    assert scene.placement.scores(preference, ["spot-0"], scene.world.now) == []
