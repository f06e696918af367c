"""What /metrics reads off the drift loop at each scrape; nothing but zeros where another replica leads."""

from collections.abc import Iterable

from extender.core.model.reasons import OF_PAUSES, OF_STAYS
from extender.core.state.state import ClusterState
from extender.runtime.drift.loop import DriftLoop
from extender.telemetry import catalogue as families
from extender.telemetry.readings import Reading


def drift_readings(loop: DriftLoop, state: ClusterState, now: float) -> Iterable[Reading]:
    """Gauges of the loop.

    Args:
        loop: the loop, running or not.
        state: the cluster.
        now: seconds since the epoch.
    """
    view, history = loop.view, loop.memory.history
    stays = view.stays
    yield Reading(families.DRIFT_STAYING, {(str(reason),): stays[reason] for reason in OF_STAYS})
    in_flight = list(history.in_flight())
    yield Reading(families.DRIFT_IN_FLIGHT, {(): len(in_flight)})
    running, count = loop.placeholders.running, loop.placeholders.count
    yield Reading(families.PLACEHOLDERS, {("running",): running, ("asked",): count - running})
    yield Reading(families.DRIFT_STUCK, {(): sum(entry.stuck for entry in in_flight)})
    workloads = state.workloads.by_uid
    circuits = sum(
        each.is_open(workloads[uid].policy, loop.rules, now)
        for uid, each in history.workloads.items()
        if uid in workloads
    )
    yield Reading(families.DRIFT_CIRCUITS_OPEN, {(): circuits})
    yield Reading(families.DRIFT_UNREADABLE, {(): len(loop.memory.unreadable)})
    yield Reading(families.DRIFT_PAUSED, {(str(reason),): view.paused is reason for reason in OF_PAUSES})
