"""Workloads that are counted with others under a supposed change: their pods take seats of the sum."""

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from extender.core.model.classes import ON_DEMAND
from extender.core.policy.floored import floored
from extender.core.policy.policy import Membership
from extender.core.policy.seats import Seats
from extender.core.state.counting import OpenSeats
from extender.core.state.fleets import ByClass, Fleet, FleetKey, counted_over, key_of
from extender.core.state.state import ClusterState
from extender.core.whatif.pods import FutureRevision


class SupposedFleet(Struct, eq=False):
    """A fleet as it comes to stand.

    Attributes:
        title: of its policy, for people.
        seats: of all its replicas.
        replicas: how many these are.
        held: the seats that pods sit on, those without a node too, by class; who places pods counts on here.
        members: those of its revisions that were looked at.
    """

    title: str
    seats: Seats
    replicas: int
    held: dict[str, int]
    members: Sequence[FutureRevision]

    @property
    def text(self) -> str:
        """As `Fleet.text`, of what it comes to."""
        actual = ByClass(self.held)
        for each in self.members:
            for (_, capacity_class), count in each.pending.items():
                actual.add({capacity_class: count}, -1)
        return counted_over(self.title, self.seats.target(self.replicas), actual, self.replicas)


def count_together(state: ClusterState, futures: Iterable[FutureRevision]) -> list[SupposedFleet]:
    """Have futures of one fleet share its seats: those that others of it hold are taken, as they are now.

    The fleets of these futures, also of policy objects that are only supposed.
    """
    members: dict[FleetKey, list[FutureRevision]] = {}
    for future in futures:
        key = key_of(future.policy) if future.policy is not None else None
        if key is not None:
            members.setdefault(key, []).append(future)
    return [_fleet(state.fleets.all().get(key), found) for key, found in members.items()]


def _fleet(there: Fleet | None, members: Sequence[FutureRevision]) -> SupposedFleet:
    """The fleet of some futures, and of all others that it has now, if it is there."""
    held, sizes, floors = ByClass(), Counter[str](), dict[str, int]()
    for each in members:
        uid = each.controller.subject
        sizes[uid] += each.size
        floors[uid] = _membership(each).floor
        held.add(each.held)
        each.held = held
    replicas, floor = sizes.total(), sum(min(size, floors[uid]) for uid, size in sizes.items())
    if there is not None:
        others = [part for uid, part in there.parts.items() if uid not in sizes]
        replicas += sum(part.replicas for part in others)
        floor += sum(part.floor for part in others)
        for part in others:
            held.add(part.filled)
            held.add(part.reserved)
    policy = members[0].policy
    assert policy is not None  # noqa: S101 - those without one are of no fleet
    seats = floored(policy.seats, floor)
    for each in members:
        each.counted = OpenSeats(seats, held, replicas)
    return SupposedFleet(_membership(members[0]).title, seats, replicas, held, members)


def _membership(future: FutureRevision) -> Membership:
    fleet = future.policy.fleet if future.policy is not None else None
    assert fleet is not None  # noqa: S101 - others are not looked at
    return fleet


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
