"""What becomes of a decision beside its answer."""

import structlog
from support.doubles import World, make_view
from support.doubles_kube import KubeClient, StoredObjects

from extender.core.answers.decisions import DecisionLog
from extender.core.model.reasons import Reason
from extender.kube.recorder import EventRecorder
from extender.runtime.decisions import Decisions
from extender.runtime.placement import PlacementReports
from extender.telemetry.logs import tidy
from extender.telemetry.metrics import Metrics


def observer_of(world: World, kept: DecisionLog, *, logged: bool) -> Decisions:
    placement = PlacementReports(world.state, EventRecorder(KubeClient(StoredObjects()), lambda *_: None))
    return Decisions(Metrics(), kept, placement, lambda: None, lambda: 1234.5, logged=logged)


async def test_decisions_on_managed_pods_are_kept() -> None:
    world, kept = World(), DecisionLog()
    offered = world.nodes(spot=1)
    web, plain = world.deployment("web", 1, spot_percentage=100), world.deployment("plain", 1, labels={})
    observer = observer_of(world, kept, logged=False)
    for uid, owner in (("bare", None), ("plain", plain), ("web", web)):
        view = make_view(uid, owner)
        observer.decided(view, world.decide(view, offered))
    (entry,) = kept.latest(9)
    assert (entry.pod, entry.workload, entry.reason, entry.given) == ("web", "web", Reason.SEAT, "spot")
    assert (entry.at, entry.verb, entry.offered, entry.passed) == (1234.5, "filter", 1, 1)


async def test_a_line_says_where_a_decision_is_found_again() -> None:
    world, kept = World(), DecisionLog()
    offered = world.nodes(spot=1, on_demand=2)
    web = world.deployment("web", 2, spot_percentage=50)
    with structlog.testing.capture_logs() as lines:
        observer = observer_of(world, kept, logged=True)
        for uid in ("web-a", "web-b"):
            _, decision = world.place(web, offered, uid=uid)
            observer.decided(make_view(uid, web), decision)
    first, second = (tidy(None, "", dict(line)) for line in lines)
    assert (first["event"], first["log_level"], first["decision"]) == ("decision", "debug", 1)
    entry = kept.numbered(second["decision"])
    assert entry is not None
    assert entry.pod == second["pod"] == "web-b"
    assert (second["workload"], second["namespace"], second["reason"]) == ("Deployment/web", "shop", "seat")
    assert {line["class"] for line in (first, second)} == {"spot", "on-demand"}
    assert {"offered", "passed", "wanted"} <= second.keys()


async def test_no_line_is_made_that_nobody_sees() -> None:
    world = World()
    web = world.deployment("web", 1)
    with structlog.testing.capture_logs() as lines:
        _, decision = world.place(web, world.nodes(on_demand=1), uid="a")
        observer_of(world, DecisionLog(), logged=False).decided(make_view("a", web), decision)
    assert lines == []
