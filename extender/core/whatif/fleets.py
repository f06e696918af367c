"""Workloads that are counted with others under a supposed change: their pods take seats of the sum."""

from collections.abc import Iterable

from extender.core.model.classes import ON_DEMAND
from extender.core.policy.floored import floored
from extender.core.policy.workloads import Managed
from extender.core.state.counting import OpenSeats
from extender.core.state.fleets import ByClass, Fleet
from extender.core.state.state import ClusterState
from extender.core.whatif.pods import FutureRevision


def count_together(state: ClusterState, futures: Iterable[FutureRevision]) -> None:
    """Have futures of one fleet share its seats: those that others of it hold are taken, as they are now.

    Floors of single workloads are not looked at: what is told is the split of all of them.
    """
    found: dict[int, tuple[Fleet, list[FutureRevision]]] = {}
    for future in futures:
        workload = future.controller.workload
        if workload is not None and future.policy is not None and future.policy.fleet is not None:
            fleet = state.fleets.of(Managed(workload, future.controller.owner))
            if fleet is not None:
                found.setdefault(id(fleet), (fleet, []))[1].append(future)
    for fleet, members in found.values():
        held, replicas = ByClass(fleet.filled), fleet.replicas
        held.add(fleet.reserved)
        for uid in {each.controller.workload.uid for each in members if each.controller.workload is not None}:
            part = fleet.parts[uid]
            replicas -= part.replicas
            held.add(part.filled, -1)
            held.add(part.reserved, -1)
        for each in members:
            replicas += each.size
            held.add(each.held)
            each.held = held
        for each in members:
            each.counted = OpenSeats(floored(fleet.seats, fleet.floor), held, replicas)


def least_of(future: FutureRevision) -> int:
    """The on-demand replicas that a workload of a fleet is to have at least."""
    fleet = future.policy.fleet if future.policy is not None else None
    return min(future.size, fleet.floor) if fleet is not None else 0


def wanted_of(future: FutureRevision) -> dict[str, int]:
    """The replicas of a workload of a fleet, on the classes that its pods are on, or wait for."""
    wanted = ByClass(future.actual)
    for (_, capacity_class), count in future.pending.items():
        wanted.add({capacity_class or ON_DEMAND: count})
    return wanted
