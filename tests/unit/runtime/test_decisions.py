"""What becomes of a decision beside its answer."""

from support.doubles import World, make_view
from support.doubles_kube import Client, Objects

from extender.core.decisionlog import DecisionLog
from extender.core.reasons import Reason
from extender.kube.patches import PodPatches
from extender.kube.queue import PatchQueue
from extender.kube.recorder import EventRecorder
from extender.kube.waker import Waker
from extender.runtime.decisions import Decisions
from extender.runtime.placement import PlacementReports
from extender.telemetry.metrics import Metrics


async def test_decisions_on_managed_pods_are_kept() -> None:
    world, kept = World(), DecisionLog()
    offered = world.nodes(spot=1)
    web, plain = world.deployment("web", 1, spot_percentage=100), world.deployment("plain", 1, labels={})
    waker = Waker(PatchQueue(PodPatches(Client(Objects())), lambda *_: None), "wake", lambda _: None, lambda: 0.0)
    recorder = EventRecorder(Client(Objects()), lambda *_: None)
    observer = Decisions(Metrics(), waker, kept, PlacementReports(recorder), lambda: 1234.5, logged=False)
    for uid, owner in (("bare", None), ("plain", plain), ("web", web)):
        view = make_view(uid, owner)
        observer.decided(view, world.decide(view, offered))
    (entry,) = kept.latest(9)
    assert (entry.pod, entry.workload, entry.reason, entry.given) == ("web", "web", Reason.SEAT, "spot")
    assert (entry.at, entry.verb, entry.offered, entry.passed) == (1234.5, "filter", 1, 1)
