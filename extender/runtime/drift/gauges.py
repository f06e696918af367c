"""What /metrics reads off the drift loop at each scrape; nothing but zeros where another replica leads."""

from collections.abc import Iterable

from extender.core.reasons import OF_PAUSES, OF_STAYS
from extender.core.state import ClusterState
from extender.runtime.drift.loop import DriftLoop
from extender.telemetry.metrics import Reading


def drift_readings(loop: DriftLoop, state: ClusterState, now: float) -> Iterable[Reading]:
    """Gauges of the loop.

    Args:
        loop: the loop, running or not.
        state: the cluster.
        now: seconds since the epoch.
    """
    view, history = loop.view, loop.memory.history
    yield "spotmix_drift_surplus_replicas", "Pods too many in their class", (), {(): float(view.surplus)}
    stays = view.stays
    yield (
        "spotmix_drift_staying_replicas",
        "Surplus pods that are not moved now, by why",
        ("reason",),
        {(str(reason),): float(stays[reason]) for reason in OF_STAYS},
    )
    yield (
        "spotmix_drift_workloads_off_target",
        "Workloads that are not at the split they ask for",
        (),
        {(): float(len(view.off_target))},
    )
    in_flight = list(history.in_flight())
    yield (
        "spotmix_drift_in_flight",
        "Moves whose pod has not ended, or whose replacement is not Ready",
        (),
        {(): float(len(in_flight))},
    )
    yield (
        "spotmix_drift_stuck",
        "Moves whose pod should have ended a minute ago",
        (),
        {(): float(sum(entry.stuck for entry in in_flight))},
    )
    workloads = state.workloads.by_uid
    circuits = sum(
        each.is_open(workloads[uid].policy, loop.rules, now)
        for uid, each in history.workloads.items()
        if uid in workloads
    )
    yield (
        "spotmix_drift_circuits_open",
        "Workloads given up on after moves in vain",
        (),
        {(): float(circuits)},
    )
    yield (
        "spotmix_drift_unreadable_histories",
        "Workloads left alone because what is stored of them does not decode",
        (),
        {(): float(len(loop.memory.unreadable))},
    )
    yield (
        "spotmix_drift_paused",
        "1 while nothing is moved at all, by why",
        ("reason",),
        {(str(reason),): float(view.paused is reason) for reason in OF_PAUSES},
    )
