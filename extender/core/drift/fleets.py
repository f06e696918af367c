"""How far a fleet is off its split, and which pods of one of its workloads may leave for that.

Any pod of a class with too many may leave, whichever workload it is of, as long as that keeps its own floor. What the
fleet has too many of, and where it wants pods, is shared by all drifts of a plan, so that they never take more.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from msgspec import Struct

from extender.core.drift.excess import Excess, wanting_of
from extender.core.model.classes import ON_DEMAND
from extender.core.state.counting import Count, seated
from extender.core.state.fleets import Fleet
from extender.core.state.records import PodRecord, Revision
from extender.core.state.state import ClusterState


class Shared(Struct, eq=False):
    """What is left to move of a fleet: pods too many, and seats that want one, by class. Moves are taken off both."""

    spare: dict[str, int]
    wanting: dict[str, int]


def shared_of(state: ClusterState, count: Count, revision: Revision, leaving: AbstractSet[str]) -> Shared:
    """What is to be moved of the fleet that a revision is counted in."""
    target, fleet = count.target, count.fleet
    if fleet is None:
        return Shared({}, {})
    held = seated(state, count, revision, leaving)
    spare = {name: pods - target.get(name, 0) for name, pods in held.items() if pods > target.get(name, 0)}
    wanting = wanting_of(count.seats, target, held, count.reserved, fleet.replicas)
    # Who lacks on-demand pods to a floor of its own moves some of those that it has.
    for counts in (spare, wanting):
        left = fleet.owed
        for name in sorted(counts):
            if (name == ON_DEMAND) is (counts is wanting):
                less = min(left, counts[name])
                counts[name] -= less
                left -= less
    return Shared(spare, wanting)


def excess_in(
    fleet: Fleet, workload: str, revision: Revision, leaving: AbstractSet[str], shared: Shared
) -> Iterator[Excess]:
    """The pods of a revision of a workload (UID) that may leave."""
    part = fleet.parts[workload]
    by_class: dict[str, list[PodRecord]] = {}
    gone = 0
    for pod in revision.pods:
        if pod.counted and pod.uid not in leaving:
            by_class.setdefault(pod.counted, []).append(pod)
        else:
            gone += bool(pod.counted) and pod.counted != ON_DEMAND
    # Those that leave are to come back on-demand.
    owed = max(0, part.owed - gone)
    for name in sorted(by_class):
        bound = tuple(pod for pod in by_class[name] if pod.node is not None)
        if name != ON_DEMAND and owed and bound:
            count = min(owed, len(bound))
            owed -= count
            yield Excess(name, bound, count, ON_DEMAND)
            continue
        most = len(by_class[name]) - part.floor if name == ON_DEMAND else len(bound)
        count = min(shared.spare.get(name, 0), len(bound), most)
        if count > 0:
            yield Excess(name, bound, count)
