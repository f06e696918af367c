"""Puts the drift loop together."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from extender.core.drift.drain import is_interrupted
from extender.core.model.objects import Object
from extender.core.policy.policy import parse_duration
from extender.core.state.state import ClusterState
from extender.kube.driftstore import DriftStore
from extender.kube.eviction import Evictor
from extender.kube.recorder import EventRecorder
from extender.kube.reflector import Health
from extender.kube.seams import KubeApi, Report, Timing
from extender.runtime.drift.loop import DriftLoop
from extender.runtime.drift.memory import Memory
from extender.runtime.drift.mover import Mover
from extender.runtime.drift.moves import Moves
from extender.runtime.drift.reports import DriftReports
from extender.runtime.whoami import identity, own_namespace
from extender.settings.rules import drift_rules
from extender.settings.sections import DriftSettings
from extender.telemetry.drift import DriftMetrics
from extender.telemetry.traces import NO_TRACES, Tracer
from extender.wire.lease_v1 import micro_time

DEFAULT_NAMESPACE = "default"


def store_namespace(settings: DriftSettings) -> str:
    """Where the loop's ConfigMap is."""
    return next(filter(None, (settings.namespace, *own_namespace(), DEFAULT_NAMESPACE)))


def assemble(
    settings: DriftSettings,
    *,
    client: KubeApi,
    state: ClusterState,
    health: Callable[[], Mapping[str, Health]],
    read_pod: Callable[[bytes], Object],
    recorder: EventRecorder,
    metrics: DriftMetrics,
    report: Report,
    decides: Callable[[], bool],
    now: Callable[[], float] = time.time,
    ports: Timing | None = None,
    tracer: Tracer = NO_TRACES,
) -> DriftLoop:
    """The loop under these settings.

    Args:
        settings: how careful to be.
        client: a connected API client.
        state: the cluster.
        health: how well each resource is followed.
        read_pod: makes a pod of an answer's body; raises `WireError`.
        recorder: posts Events.
        metrics: counts.
        report: told of whatever goes wrong.
        decides: whether this replica decides now.
        now: seconds since the epoch.
        ports: time and chance.
        tracer: makes spans.
    """
    rules = drift_rules(settings)
    store = DriftStore(client, store_namespace(settings), settings.store)
    memory = Memory(store, lambda: f"{identity()} {micro_time(datetime.now(UTC))}", report)
    reports = DriftReports(state, recorder, metrics, rules)
    moves = Moves(
        state=state,
        memory=memory,
        mover=Mover(
            api=client,
            evictor=Evictor(client),
            read_pod=read_pod,
            workloads=state.workloads.by_uid,
            interrupted=partial(is_interrupted, state),
            decides=decides,
            clock=now,
        ),
        reports=reports,
        report=report,
        rules=rules,
        read_only=settings.read_only,
        now=now,
        ports=ports,
        tracer=tracer,
    )
    return DriftLoop(
        state=state,
        health=health,
        memory=memory,
        moves=moves,
        rules=rules,
        interval=parse_duration(settings.interval),
        reports=reports,
        metrics=metrics,
        report=report,
        now=now,
        ports=ports,
        tracer=tracer,
    )
