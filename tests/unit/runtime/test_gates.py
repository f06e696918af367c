"""Events and metrics of gated pods."""

from support.doubles import World
from support.doubles_kube import KubeClient, StoredObjects

from extender.core.answers.decisions import DecisionLog
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.placement.gatewatch import HeldByOthers, Ungated
from extender.kube.recorder import EventRecorder
from extender.runtime.gates import GateReports
from extender.telemetry.metrics import Metrics

POD = PodId("shop", "web-0", "uid-0")
SECONDS = "spotmix_gate_duration_seconds_count"


async def test_what_departs_is_told_on_pod_and_workload() -> None:
    world = World()
    workload = world.workload(world.deployment("web", 2, spot_percentage=50))
    objects, metrics = StoredObjects(), Metrics()
    recorder = EventRecorder(KubeClient(objects), lambda *_: None)
    recorder.start()
    log = DecisionLog()
    reports = GateReports(recorder, metrics, lambda: True, log, lambda: 7.0)
    reports.perform(Ungated(POD, workload, 0.02, "spot"))
    reports.perform(Ungated(POD, workload, 0.02, "", Reason.NO_CLASS_LABEL))
    reports.perform(Ungated(PodId("shop", "alone", "uid-1"), None, 10.0, "", Reason.OWNER_UNKNOWN))
    reports.perform(HeldByOthers(POD, workload, ("kueue.x-k8s.io/admission",)))
    await recorder.drain(5.0)
    events = [body for path, body in objects.stored.items() if "/events/" in path]
    told = {(event["regarding"]["name"], event["reason"]): event["note"] for event in events}
    assert set(told) == {
        ("web", "ClassNotWritten"),
        ("web-0", "ClassNotWritten"),
        ("alone", "ClassNotWritten"),
        ("web", "GatedByOthers"),
        ("web-0", "GatedByOthers"),
    }
    assert told["web-0", "ClassNotWritten"] == (
        "It was let go without a class, so that it may go to any: no label tells nodes of its class from others; "
        "label nodes spotmix.io/capacity-class, or add a rule to classes.extraRules"
    )
    assert "kueue.x-k8s.io/admission" in told["web", "GatedByOthers"]
    counts = {name: metrics.registry.get_sample_value(SECONDS, {"capacity_class": name}) for name in ("spot", "none")}
    assert counts == {"spot": 1, "none": 2}
    kept = [(entry.verb, entry.pod, entry.workload, entry.given, entry.reason) for entry in log.latest(9)]
    assert kept == [
        ("gate", "alone", "", "", Reason.OWNER_UNKNOWN),
        ("gate", "web-0", "web", "", Reason.NO_CLASS_LABEL),
        ("gate", "web-0", "web", "spot", Reason.WRITTEN),
    ]


async def test_a_replica_that_does_not_decide_counts_nothing() -> None:
    metrics = Metrics()
    recorder = EventRecorder(KubeClient(StoredObjects()), lambda *_: None)
    log = DecisionLog()
    GateReports(recorder, metrics, lambda: False, log, lambda: 7.0).perform(Ungated(POD, None, 1.0, "spot"))
    assert not log
    assert metrics.registry.get_sample_value(SECONDS, {"capacity_class": "spot"}) == 0
