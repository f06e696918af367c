"""What the drift loop is connected with."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from extender.core.model.objects import Object
from extender.kube.recorder import EventRecorder
from extender.kube.reflector import Health
from extender.kube.seams import KubeApi, Report, Timing
from extender.runtime.workloadfaults import WorkloadFaults
from extender.telemetry.drift import DriftMetrics
from extender.telemetry.traces import NO_TRACES, Tracer


@dataclass(frozen=True, slots=True)
class Context:
    """The cluster's API, this process, and time.

    `client` is connected; `read_pod` makes a pod of an answer's body and raises `WireError`; `health` gives how well
    each resource is followed; `decides` whether this replica decides now; `report` is told of whatever goes wrong;
    `now` gives seconds since the epoch.
    """

    client: KubeApi
    read_pod: Callable[[bytes], Object]
    health: Callable[[], Mapping[str, Health]]
    decides: Callable[[], bool]
    report: Report
    now: Callable[[], float] = time.time
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class Channels:
    """Where is told what the loop does: Events, metrics, faults that one workload met, spans."""

    recorder: EventRecorder
    metrics: DriftMetrics
    tracer: Tracer = NO_TRACES
    faults: WorkloadFaults | None = None
