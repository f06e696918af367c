"""Seats as people are shown them: of a class in a revision, and of each pod; and the objects that have them."""

from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from extender.core.policy.managed import Managed
from extender.core.policy.ordinals import seat_of_ordinal
from extender.core.policy.workload import Workload
from extender.core.scalein.costs import costs_to_write, seat_in
from extender.core.state.counting import Count
from extender.core.state.records import Revision
from extender.core.state.state import ClusterState


class Subject(Struct, frozen=True, gc=False, rename="camel"):
    """An object, for people."""

    kind: str
    namespace: str
    name: str
    uid: str


class SeatsOf(Struct, frozen=True, gc=False, rename="camel"):
    """The seats of a class in a revision: how many the policy gives it at T, and how many are taken.

    `filled` by pods on nodes, `reserved` by decisions whose pods are not seen bound yet, written on them or not.
    """

    capacity_class: str
    target: int
    filled: int
    reserved: int


class RunsOf(Struct, frozen=True, gc=False, rename="camel"):
    """The runs over which the ratio of a policy object (`policy`, for people) is.

    `seats` are those of the sequence so far: filled by runs, and reserved for pods that will be some.
    """

    policy: str
    seats: tuple[SeatsOf, ...]


def runs_of(state: ClusterState, managed: Managed) -> RunsOf | None:
    """The runs in which the pods of an owner count; None where they do in none."""
    thing = state.workloads.objects.by_uid.get(managed.runs)
    if thing is None:
        return None
    seats, counts = managed.workload.policy.seats, state.runs.counts(managed.runs)
    taken = state.runs.taken(managed.runs, "")
    target = seats.target(sum(taken.values()))
    return RunsOf(
        thing.policy.title,
        tuple(
            SeatsOf(name, target.get(name, 0), counts.get(name, 0), taken.get(name, 0) - counts.get(name, 0))
            for name in dict.fromkeys((*seats.classes, *taken))
        ),
    )


def subject_of(workload: Workload) -> Subject:
    """A workload, for people."""
    return Subject(workload.kind, workload.namespace, workload.name, workload.uid)


def seats_of(count: Count) -> tuple[SeatsOf, ...]:
    """The seats of each class; without a size, those that are taken are all there are."""
    filled = +Counter(count.bound)
    reserved = Counter(count.reserved) + (Counter(count.filled) - filled)
    target = count.target
    names = dict.fromkeys((*count.seats.classes, *sorted(filled), *sorted(reserved)))
    return tuple(SeatsOf(name, target.get(name, 0), filled.get(name, 0), reserved.get(name, 0)) for name in names)


def seats_held(count: Count) -> tuple[SeatsOf, ...]:
    """The seats of a revision that has none of its own: those that its pods are on."""
    return tuple(replace(each, target=each.filled) for each in seats_of(count))


def seat_numbers(revision: Revision, managed: Managed) -> dict[str, int]:
    """The seat of each pod that holds one, by UID: of its ordinal, else as deletion costs say or are about to.

    None has one of its own where it is counted with those of other workloads, or where pods are settled: which of all
    seats each of them sits on is nowhere kept, as nobody has to move.
    """
    owner = managed.revision
    if managed.workload.policy.fleet is not None or managed.settled:
        return {}
    if owner.kind == "StatefulSet":
        by_ordinal = ((pod, seat_of_ordinal(owner, pod.name)) for pod in revision.pods if pod.counted)
        return {pod.uid: seat for pod, seat in by_ordinal if seat is not None}
    numbers = {pod.uid: seat for pod in revision.pods if pod.counted and (seat := seat_in(pod.cost)) is not None}
    for pod, cost in costs_to_write(revision, managed.workload.policy.seats):
        seat = seat_in(str(cost))
        if seat is not None:
            numbers[pod.uid] = seat
    return numbers
