"""How every workload stands: the replicas it wants of each class, and those it has.

Counted revision by revision, as placement counts: of a rollout each ReplicaSet has seats of its own. Made for readers
(metrics, pages, commands); decisions read the state itself.
"""

from collections.abc import Collection, Iterator

from msgspec import Struct, field

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.policy.floored import floored
from extender.core.policy.managed import Managed
from extender.core.policy.seats import filled_up
from extender.core.policy.workload import Workload
from extender.core.state.controllers import controllers_of, is_divided
from extender.core.state.counting import Count, count_of
from extender.core.state.fleets import ByClass, Fleet, Part
from extender.core.state.records import Revision
from extender.core.state.state import ClusterState

CLASSES = (SPOT, ON_DEMAND)
"""What is shown of every workload, even where it has none; others are shown of those that have seats of them."""


def no_replicas() -> dict[str, int]:
    """None of `CLASSES`."""
    return dict.fromkeys(CLASSES, 0)


def unnamed_classes(state: ClusterState) -> Collection[str]:
    """Classes of nodes that are not going away, and that no policy names: no managed replica is ever placed there.

    Class rules can make any class; most policies name spot and on-demand alone.
    """
    found = {name for name, nodes in state.placeable.items() if nodes}.difference(CLASSES)
    for workload in state.workloads.by_uid.values() if found else ():
        found.difference_update(workload.policy.seats.classes, workload.policy.fallback_to)
    return found


class Name(Struct, frozen=True, order=True, gc=False):
    """What people call a workload: a CronJob's Jobs go by its name. Sorts by age, the oldest first.

    `created` is in seconds since the epoch.
    """

    created: float
    namespace: str
    kind: str
    name: str


class Replicas(Struct, eq=False):
    """Replicas of one workload or of many.

    Attributes:
        wanted: seats by class.
        actual: pods that hold a seat, by class of their node.
        surplus: pods beyond the seats of their class; a StatefulSet's pod on the wrong class for its ordinal.
        missing: replicas wanted that hold no seat: not created, not bound, or on a node that is going away.
        below_floor: replicas missing to what a class is to have at least: of on-demand what `min-on-demand` or
            `on-demand-base` asks for.
    """

    wanted: dict[str, int] = field(default_factory=no_replicas)
    actual: dict[str, int] = field(default_factory=no_replicas)
    surplus: int = 0
    missing: int = 0
    below_floor: int = 0

    def add(self, other: "Replicas") -> None:
        """Count others in."""
        for mine, theirs in ((self.wanted, other.wanted), (self.actual, other.actual)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.surplus += other.surplus
        self.missing += other.missing
        self.below_floor += other.below_floor

    def count(self, count: Count, revision: Revision | None) -> None:
        """Count a revision in; `count` is what its pods are counted over."""
        seats, bound, target = count.seats, count.bound, count.target
        replicas = count.replicas if count.replicas is not None else sum(count.filled.values())
        for name in seats.classes:
            self.actual.setdefault(name, 0)
        for mine, theirs in ((self.wanted, target), (self.actual, bound)):
            for name, pods in theirs.items():
                mine[name] = mine.get(name, 0) + pods
        self.missing += max(0, replicas - sum(bound.values()))
        for name, wanted in target.items() if not count.settled else ():
            self.below_floor += max(0, min(wanted, seats.least(name)) - bound.get(name, 0))
        if revision is None:
            return
        if count.by_ordinal:
            self.surplus += _misplaced(count, revision, replicas)
        else:
            self.surplus += sum(max(0, pods - target.get(name, 0)) for name, pods in bound.items())


class Standing(Struct, eq=False):
    """One workload's replicas. `workload` holds its policy; of a CronJob it is one of its Jobs.

    Where it is of a `fleet`, its own replicas have no split: those that are there are wanted, where they are, and those
    that are missing on the seats that are free. `faulty` where counting them met a fault of our own.
    """

    workload: Workload
    name: Name
    replicas: Replicas = field(default_factory=Replicas)
    faulty: bool = False
    fleet: Fleet | None = None

    @property
    def is_off(self) -> bool:
        """Whether it has pods of a class with too many: in a fleet, some that could leave for that."""
        return self.replicas.surplus > 0 or (self.fleet is not None and any(self._could_leave(self.fleet)))

    def _could_leave(self, fleet: Fleet) -> Iterator[bool]:
        target, part = fleet.target, fleet.parts.get(self.workload.uid)
        for name, count in fleet.bound.items() if part is not None else ():
            floor = part.floor if part is not None and name == ON_DEMAND else 0
            yield count > target.get(name, 0) and self.replicas.actual.get(name, 0) > floor


def name_of(state: ClusterState, workload: Workload) -> Name:
    """See `Name`."""
    owners = state.workloads.owners
    top = owners.get(workload.uid)
    above = top.owner if top is not None else None
    if workload.kind == "Job" and above is not None and above.kind == "CronJob":
        cron = owners.get(above.uid)
        return Name(cron.created if cron is not None else 0.0, workload.namespace, above.kind, above.name)
    return Name(top.created if top is not None else 0.0, workload.namespace, workload.kind, workload.name)


def standing_of(state: ClusterState, workload: Workload) -> Standing | None:
    """How a workload stands; None for one that has no replicas and does not say how many it wants.

    Such are a Job that is done, and a custom object that controls workloads instead of pods.
    """
    top = state.workloads.owners.get(workload.uid)
    if top is None:
        return None
    standing = Standing(workload, name_of(state, workload))
    fleet = state.fleets.of(Managed(workload, top))
    if fleet is not None:
        return Standing(workload, standing.name, _in_fleet(fleet, fleet.parts[workload.uid]), fleet=fleet)
    found = False
    for owner, revision in controllers_of(state, top):
        standing.replicas.count(count_of(state, Managed(workload, owner), revision), revision)
        found = True
    if not found:
        below = state.workloads.children.get(workload.uid, ())
        if top.replicas is None or workload.kind == "Job" or (below and not is_divided(state, top)):
            return None
        if not below:
            # Nothing has been made of it yet.
            standing.replicas.count(count_of(state, Managed(workload, top), None), None)
    return standing


def _in_fleet(fleet: Fleet, part: Part) -> Replicas:
    """The replicas of a workload that is counted with others."""
    seats = floored(fleet.seats, fleet.floor)
    taken = ByClass(fleet.filled)
    taken.add(fleet.reserved)
    missing = part.replicas - sum(part.filled.values())
    coming = ByClass(filled_up(seats, taken, fleet.replicas, missing - sum(part.reserved.values())))
    coming.add(taken, -1)
    replicas = Replicas(missing=max(0, part.replicas - sum(part.bound.values())))
    for counts in (part.filled, part.reserved, coming):
        for name, count in counts.items():
            replicas.wanted[name] = replicas.wanted.get(name, 0) + count
    for name in (*seats.classes, *part.bound):
        replicas.actual[name] = part.bound.get(name, 0)
    replicas.below_floor = max(0, part.floor - part.bound.get(ON_DEMAND, 0))
    return replicas


def _misplaced(count: Count, revision: Revision, replicas: int) -> int:
    """Pods of a StatefulSet on another class than their ordinal's; those beyond T are the controller's to remove."""
    wrong = 0
    for pod in revision.pods:
        seat = count.own_seat(pod.name) if pod.counted else None
        if seat is not None and seat <= replicas:
            wrong += count.seats.class_at(seat) != pod.counted
    return wrong
