"""What becomes of gated pods is seen, whoever took their gate away."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ENABLED, World, keys, make_owner, make_pod

from extender.core.model.constraints import NO_CONSTRAINTS
from extender.core.model.control import NEVER
from extender.core.model.objects import OwnerRef, Pod
from extender.core.model.reasons import Reason
from extender.core.placement.gatewatch import OTHERS_WAIT, GateWatch, HeldByOthers, Ungated
from extender.core.state.events import Gone, Upsert

GATE, OTHER = "spotmix.io/placement", "kueue.x-k8s.io/admission"


class Watched:
    def __init__(self) -> None:
        self.world = World()
        self.owner = self.world.deployment("web", 2, spot_percentage=50)
        self.watch = GateWatch(self.world.state)
        self.now = self.world.now

    def see(self, pod: Pod, after: float = 0.0) -> None:
        self.now += after
        self.world.up(pod)
        self.watch.observe(Upsert(pod), self.now)

    def told(self) -> list[Ungated | HeldByOthers]:
        return self.watch.due(self.now) if self.watch.next_at <= self.now else []


@pytest.fixture
def seen() -> Watched:
    return Watched()


def test_a_class_was_written(seen: Watched) -> None:
    seen.see(make_pod("a", seen.owner, gates=(GATE,)))
    assert seen.told() == []
    assert seen.watch.longest(seen.now + 7.0) == 7.0
    assert (seen.watch.waited("a", seen.now + 7.0), seen.watch.waited("b", seen.now)) == (7.0, None)
    seen.see(make_pod("a", seen.owner, written="spot"), after=0.25)
    (told,) = seen.told()
    assert isinstance(told, Ungated)
    assert (told.capacity_class, told.seconds, told.why) == ("spot", 0.25, None)
    assert told.workload is seen.world.workload(seen.owner)
    assert (seen.told(), seen.watch.longest(seen.now), seen.watch.next_at) == ([], 0.0, NEVER)


@pytest.mark.parametrize(
    ("why", "owner", "change"),
    [
        (Reason.NO_CLASS_LABEL, "own", {}),
        (Reason.NOT_ADMITTED, "own", {"constraints": replace(NO_CONSTRAINTS, node_terms=())}),
        (Reason.OWNER_UNKNOWN, "unknown", {}),
        (Reason.NO_CONTROLLER, "none", {}),
        (Reason.AUDIT, "audited", {}),
        (Reason.OPTED_OUT, "opted out", {}),
    ],
)
def test_no_class_was_written(seen: Watched, why: Reason, owner: str, change: dict[str, Any]) -> None:
    owners = {
        "own": seen.owner,
        "unknown": OwnerRef("rs", "apps/v1", "ReplicaSet", "x"),
        "none": None,
        "audited": seen.world.deployment("audited", 2, spot_percentage=50, mode="audit"),
        "opted out": seen.world.deployment("out", 2, {"spotmix.io/enabled": "false"}),
    }
    seen.see(make_pod("a", owners[owner], gates=(GATE,), **change))
    seen.see(make_pod("a", owners[owner], **change))
    (told,) = seen.told()
    assert isinstance(told, Ungated)
    assert (told.capacity_class, told.why) == ("", why)


def test_others_come_first_and_are_told_of_once(seen: Watched) -> None:
    both = make_pod("a", seen.owner, gates=(OTHER, GATE))
    seen.see(both)
    assert seen.watch.next_at == seen.now + OTHERS_WAIT
    assert seen.watch.longest(seen.now + 100.0) == 0.0
    seen.see(both, after=OTHERS_WAIT)
    (told,) = seen.told()
    assert isinstance(told, HeldByOthers)
    assert (told.pod.name, told.gates) == ("a", (OTHER,))
    seen.see(both, after=OTHERS_WAIT)
    assert seen.told() == []
    # What counts is how long it then waits for us.
    seen.see(make_pod("a", seen.owner, gates=(GATE,)))
    seen.see(make_pod("a", seen.owner, written="on-demand"), after=1.0)
    (ended,) = seen.told()
    assert isinstance(ended, Ungated)
    assert ended.seconds == 1.0


@pytest.mark.parametrize(("unsatisfiable", "longest"), [("fallback", 0.0), ("wait", 90.0)])
def test_pods_of_jobs_may_wait_for_room(seen: Watched, unsatisfiable: str, longest: float) -> None:
    policy = keys(spot_percentage=100, when_unsatisfiable=unsatisfiable, enforcement="affinity")
    job = make_owner("Job", "import", 2, labels=ENABLED, annotations=policy)
    seen.world.up(job)
    seen.see(make_pod("a", job.ref, gates=(GATE,)))
    assert seen.watch.longest(seen.now + 90.0) == longest


def test_pods_that_go_are_forgotten(seen: Watched) -> None:
    seen.see(make_pod("a", seen.owner, gates=(GATE,)))
    seen.see(make_pod("b", seen.owner, gates=(OTHER, GATE)))
    seen.see(make_pod("c", seen.owner, gates=(GATE,)))
    seen.see(make_pod("c", seen.owner, gates=(GATE,), terminating=True))
    for uid in ("a", "b"):
        seen.world.gone("pods", uid)
        seen.watch.observe(Gone("pods", uid), seen.now)
    seen.now += 2 * OTHERS_WAIT
    assert (seen.told(), seen.watch.longest(seen.now)) == ([], 0.0)
