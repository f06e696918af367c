"""How far each revision is off its split: which pods are too many, and which seats want one.

A pod of a StatefulSet sits on the seat of its ordinal, so the wrong ones are known by name. Elsewhere any of the pods
of a class with too many may leave.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct

from extender.core.capacity.room import Group
from extender.core.drift.excess import Excess, wanting_of
from extender.core.drift.fleets import Shared, excess_in, shared_of
from extender.core.drift.moves import OffTarget, PlanFault, WorkloadRef
from extender.core.policy.managed import Managed
from extender.core.policy.owners import is_divided_kind
from extender.core.state.controllers import managed_controllers
from extender.core.state.counting import Count, count_of, seated
from extender.core.state.records import PodRecord, Revision
from extender.core.state.state import ClusterState


class Drift(Struct, eq=False):
    """A revision off its split.

    `replicas` is T; where nobody knows it, the pods that hold a seat (`sized` is false then, unless they are a
    Deployment's own: those are kept by whoever adds and removes them). `wanting` are the seats
    of each class that nobody sits on, is on the way to, or will come to on its own. Where the workload is of a fleet,
    `target`, `actual` and `wanting` are the fleet's, and `shared` is what is left to move of it.
    """

    managed: Managed
    revision: Revision
    replicas: int
    target: Mapping[str, int]
    actual: Mapping[str, int]
    excess: tuple[Excess, ...]
    wanting: dict[str, int]
    missing: int
    sized: bool = True
    shared: Shared | None = None

    @property
    def surplus(self) -> int:
        """Pods too many in all."""
        return sum(excess.count for excess in self.excess)

    @property
    def group(self) -> Group:
        """Its pods, for a search of room."""
        return Group(self.revision, self.managed.workload.policy.pool_limits(self.replicas))

    @property
    def subject(self) -> WorkloadRef:
        """The workload, for a move."""
        return subject_of(self.managed, self.revision)

    @property
    def report(self) -> OffTarget:
        """For the plan."""
        return OffTarget(self.subject, self.replicas, self.target, self.actual, self.surplus, self.missing)


def drifted(
    state: ClusterState, leaving: AbstractSet[str], only: Iterable[str] | None, faults: list[PlanFault] | None = None
) -> Iterator[Drift]:
    """The managed revisions that are off their split.

    Args:
        state: the cluster.
        leaving: UIDs of pods whose eviction was sent: they hold no seat any more.
        only: UIDs of the workloads to look at; None looks at all.
        faults: takes in which workloads could not be looked at; without it the fault is raised.
    """
    shared: dict[int, Shared] = {}
    for revision in state.revisions.values() if only is None else _revisions(state, only):
        managed = state.workloads.resolve(revision.namespace, revision.owner)
        if isinstance(managed, Managed):
            try:
                count = count_of(state, managed, revision)
                if count.fleet is None:
                    drift = drift_of(state, count, managed, revision, leaving)
                else:
                    known = shared.get(id(count.fleet))
                    if known is None:
                        known = shared[id(count.fleet)] = shared_of(state, count, revision, leaving)
                    drift = drift_in_fleet(count, managed, revision, leaving, known)
            except Exception as error:
                if faults is None:
                    raise
                faults.append(PlanFault(subject_of(managed, revision), repr(error)))
                continue
            if drift is not None:
                yield drift


def subject_of(managed: Managed, revision: Revision) -> WorkloadRef:
    """A workload, as moves and faults name it."""
    workload = managed.workload
    return WorkloadRef(workload.uid, workload.kind, workload.namespace, workload.name, revision.owner.uid)


def _revisions(state: ClusterState, only: Iterable[str]) -> Iterator[Revision]:
    for uid in only:
        workload = state.workloads.by_uid.get(uid)
        if workload is not None:
            yield from (revision for _, revision in managed_controllers(state, workload) if revision is not None)


def drift_of(
    state: ClusterState, count: Count, managed: Managed, revision: Revision, leaving: AbstractSet[str]
) -> Drift | None:
    """How far one revision is off its split; None when it is not. `count` is what its pods are counted over."""
    if count.fleet is not None:
        shared = shared_of(state, count, revision, leaving)
        return drift_in_fleet(count, managed, revision, leaving, shared)
    replicas, filled = count.replicas, count.filled
    sized = replicas is not None or is_divided_kind(managed.revision)
    if replicas is None:
        replicas = sum(filled.values())
    target = count.target
    if filled == target and not count.by_ordinal:
        return None
    excess: tuple[Excess, ...]
    if count.by_ordinal:
        excess = tuple(_misplaced(count, revision, leaving, replicas))
    elif all(count <= target.get(name, 0) for name, count in filled.items()):
        excess = ()
    else:
        excess = tuple(_surplus(revision, leaving, target))
    actual = {name: count for name, count in filled.items() if count}
    if not excess and actual == {name: count for name, count in target.items() if count}:
        return None
    held = seated(state, count, revision, leaving)
    wanting = wanting_of(count.seats, target, held, count.reserved, replicas)
    return Drift(
        managed,
        revision,
        replicas,
        target,
        actual,
        excess,
        wanting,
        max(0, replicas - sum(filled.values())),
        sized,
    )


def drift_in_fleet(
    count: Count, managed: Managed, revision: Revision, leaving: AbstractSet[str], shared: Shared
) -> Drift | None:
    """What a revision can do about it that its fleet is off its split; None where that is nothing."""
    fleet, workload = count.fleet, managed.workload.uid
    excess = tuple(excess_in(fleet, workload, revision, leaving, shared)) if fleet is not None else ()
    if not excess:
        return None
    own = managed.revision.replicas
    replicas = sum(revision.filled.values()) if own is None else own
    actual = {name: pods for name, pods in count.filled.items() if pods}
    sized = own is not None or is_divided_kind(managed.revision)
    return Drift(managed, revision, replicas, count.target, actual, excess, shared.wanting, 0, sized, shared)


def _surplus(revision: Revision, leaving: AbstractSet[str], target: Mapping[str, int]) -> Iterator[Excess]:
    by_class: dict[str, list[PodRecord]] = {}
    for pod in revision.pods:
        if pod.counted and pod.uid not in leaving:
            by_class.setdefault(pod.counted, []).append(pod)
    for name in sorted(by_class):
        pods, seats = by_class[name], target.get(name, 0)
        # What is not on a node yet holds its seat, and has nothing to be moved from.
        bound = tuple(pod for pod in pods if pod.node is not None)
        if bound and len(pods) > seats:
            yield Excess(name, bound, len(pods) - seats)


def _misplaced(count: Count, revision: Revision, leaving: AbstractSet[str], replicas: int) -> Iterator[Excess]:
    """Pods beyond the last ordinal are the controller's to remove."""
    wrong: list[tuple[int, PodRecord, str]] = []
    for pod in revision.pods:
        seat = count.own_seat(pod.name) if pod.counted and pod.node is not None else None
        if seat is None or seat > replicas:
            continue
        wanted = count.seats.class_at(seat)
        if wanted != pod.counted and pod.uid not in leaving:
            wrong.append((seat, pod, wanted))
    # The first are often the ones that the others follow.
    for _, pod, wanted in sorted(wrong, key=lambda each: (each[1].ready, -each[0])):
        yield Excess(pod.counted, (pod,), 1, wanted)
