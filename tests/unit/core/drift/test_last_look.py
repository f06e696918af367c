"""What keeps a pod at the last look before its eviction."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import make_node, make_owner, make_pod
from support.drifting import DriftWorld

from extender.core.drift.last_look import last_look
from extender.core.drift.moves import Move
from extender.core.model.constraints import Constraints
from extender.core.model.objects import OptOut, Pod, Protection
from extender.core.model.reasons import Reason

OPT_OUT = OptOut("spotmix.io/do-not-disrupt", "true")


def planned(world: DriftWorld) -> tuple[Move, Pod]:
    """A move of a workload off its split, and its pod as it is now."""
    world.nodes(spot=2, on_demand=2)
    owner = world.drifted()
    (move,) = world.plan().moves
    created = world.state.pods[move.pod.uid].created
    return move, make_pod(move.pod.name, owner, move.node, created=created)


def test_a_pod_that_is_as_it_was_planned_with_is_evicted() -> None:
    world = DriftWorld()
    move, pod = planned(world)
    assert last_look(world.state, move, pod, world.now, dry=False) == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"uid": "another"}, "was made anew"),
        ({"terminating": True}, "ends already"),
        ({"ended": True}, "ends already"),
        ({"node": "spot-1"}, "is on node 'spot-1', not 'on-demand-0'"),
        ({"pending": True}, "is not running yet"),
        (
            {"constraints": Constraints(unmodelled=("spec.orbit",))},
            "has spec.orbit: where its replacement could run depends on more than is counted",
        ),
        ({"protection": Protection("k", "true", None)}, "may not be moved: k=true"),
    ],
)
def test_a_pod_that_is_another_than_planned_stays(change: dict[str, Any], fault: str) -> None:
    world = DriftWorld()
    move, pod = planned(world)
    assert last_look(world.state, move, replace(pod, **change), world.now, dry=False) == fault


def test_a_pod_that_is_gone_is_not_evicted() -> None:
    world = DriftWorld()
    move, _ = planned(world)
    assert last_look(world.state, move, None, world.now, dry=False) == "is not there any more"


def test_a_protection_that_is_over_holds_no_more() -> None:
    world = DriftWorld()
    move, pod = planned(world)
    pod = replace(pod, protection=Protection("k", "5m", world.now))
    assert last_look(world.state, move, pod, world.now, dry=False) == ""
    assert last_look(world.state, move, pod, world.now - 1.0, dry=False) == "may not be moved: k=5m"


def test_what_the_workload_says_holds_for_its_pods() -> None:
    world = DriftWorld()
    move, pod = planned(world)
    world.state.workloads.by_uid[move.workload.uid].opt_out = OPT_OUT
    fault = "may not be moved: its workload has spotmix.io/do-not-disrupt=true"
    assert last_look(world.state, move, pod, world.now, dry=False) == fault


def test_audit_mode_allows_dry_runs_alone() -> None:
    world = DriftWorld()
    move, pod = planned(world)
    world.annotate("web", 10, spot_percentage=50, mode="audit")
    assert last_look(world.state, move, pod, world.now, dry=False) == "is of a workload in audit mode"
    assert last_look(world.state, move, pod, world.now, dry=True) == ""


def test_a_workload_that_is_managed_no_more_keeps_its_pods() -> None:
    world = DriftWorld()
    move, pod = planned(world)
    world.up(make_owner("Deployment", "web", 10))
    assert last_look(world.state, move, pod, world.now, dry=False) == "is not managed any more"


def test_a_notice_that_was_withdrawn_keeps_the_pod() -> None:
    world = DriftWorld()
    world.nodes(spot=2, on_demand=2)
    owner = world.drifted(on_demand=5, spot=5)
    world.up(make_node("spot-0", going_away="notice", interrupted=True))
    move = world.plan().moves[0]
    assert move.reason is Reason.INTERRUPTED
    pod = make_pod(move.pod.name, owner, move.node)
    assert last_look(world.state, move, pod, world.now, dry=False) == ""
    world.up(make_node("spot-0"))
    assert "is not about to be taken away any more" in last_look(world.state, move, pod, world.now, dry=False)
