"""Scale-in that keeps the split: pod-deletion-cost by seat.

A ReplicaSet deletes ready pods of lower cost first (`pkg/controller/controller_utils.go`, `ActivePodsWithRanks`), so
with cost falling by seat the highest seats leave first, and T -> T' lands on `target(T')`. All our costs lie in a band
of their own: a pod without one counts as 0 and leaves before the seated ones, and a value outside of the band is
somebody else's and stays. So does one within it that the API server says is not ours.
"""

from collections.abc import Iterator, Mapping

from extender.core.policy.seats import Seats
from extender.core.state.records import PodRecord, Revision

BASE = 1_000_000
BAND = 100_000
BEYOND = BAND // 2
"""Where the seats begin of pods whose class has no further seat for ever."""
_NONE: Mapping[str, str] = {}


def seat_in(cost: str | None) -> int | None:
    """The seat that a cost of ours says, else None."""
    if cost is None or not (cost.isascii() and cost.isdigit()) or len(cost) > 7:
        return None
    seat = BASE - int(cost)
    return seat if 0 < seat < BAND else None


def cost_of(seat: int) -> int:
    """The cost that says a seat."""
    return BASE - min(seat, BAND - 1)


def is_foreign(pod: PodRecord, kept: Mapping[str, str]) -> bool:
    """Whether the pod has a cost that somebody else set.

    Args:
        pod: the pod.
        kept: costs that look like ours and are not, by the UID of their pod.
    """
    return pod.cost is not None and (seat_in(pod.cost) is None or kept.get(pod.uid) == pod.cost)


def costs_to_write(
    revision: Revision, seats: Seats, kept: Mapping[str, str] = _NONE
) -> Iterator[tuple[PodRecord, int]]:
    """The pods whose cost has to change, with the cost.

    The k pods of a class sit on its first k seats. A pod that sits on one of them stays there, so one that leaves
    moves at most one other; the rest take the free seats, older pods first. A pod with a cost of somebody else's gets
    none, but sits where that cost puts it: on the first seats when it leaves after all of ours, on the last ones when
    it leaves before them. The others then sit such that the split is right whenever those are gone or left over.

    Args:
        revision: the pods.
        seats: their seat sequence.
        kept: see `is_foreign`.
    """
    by_class: dict[str, list[PodRecord]] = {}
    for pod in revision.pods:
        if pod.counted:
            by_class.setdefault(pod.counted, []).append(pod)
    for capacity_class, pods in by_class.items():
        # A class with fewer seats for ever (0 %, a cap): those without one leave before all others.
        free = {
            min(seats.seat_of(capacity_class, rank) or BEYOND + rank, BAND - 1): None
            for rank in range(1, len(pods) + 1)
        }
        pods.sort(key=lambda p: (p.created, p.uid))
        foreign = [pod for pod in pods if pod.cost is not None and seat_in(pod.cost) is None]
        for pod in foreign:
            del free[next(iter(free) if _outlasts(pod.cost) else reversed(free))]
        standing: list[PodRecord] = []
        for pod in pods:
            held = seat_in(pod.cost)
            if held is None and pod.cost is not None:
                continue
            if held in free:
                del free[held]
            else:
                standing.append(pod)
        for pod, seat in zip(standing, free, strict=False):
            if not is_foreign(pod, kept):
                yield pod, cost_of(seat)


def _outlasts(cost: str | None) -> bool:
    """Whether a cost out of our band is above it."""
    try:
        return int(cost or 0) >= BASE
    except ValueError:
        # As the controller reads it.
        return False
