"""Scale-in that keeps the split: pod-deletion-cost by seat.

A ReplicaSet deletes ready pods of lower cost first (`pkg/controller/controller_utils.go`, `ActivePodsWithRanks`), so
with cost falling by seat the highest seats leave first, and T -> T' lands on `target(T')`. All our costs lie in a band
of their own: a pod without one counts as 0 and leaves before the seated ones, and a value outside of the band is
somebody else's and stays.
"""

from collections.abc import Iterator

from extender.core.records import PodRecord, Revision
from extender.core.seats import Seats

BASE = 1_000_000
BAND = 100_000


def seat_in(cost: str | None) -> int | None:
    """The seat that a cost of ours says, else None."""
    if cost is None or not (cost.isascii() and cost.isdigit()) or len(cost) > 7:
        return None
    seat = BASE - int(cost)
    return seat if 0 < seat < BAND else None


def cost_of(seat: int) -> int:
    """The cost that says a seat."""
    return BASE - min(seat, BAND - 1)


def costs_to_write(revision: Revision, seats: Seats) -> Iterator[tuple[PodRecord, int]]:
    """The pods whose cost has to change, with the cost.

    The pods of a class sit on its seats in the order they took them; one that leaves moves those behind it up.
    """
    by_class: dict[str, list[tuple[int, float, str, PodRecord]]] = {}
    total = len(revision.pods)
    for pod in revision.pods:
        if pod.counted:
            held = seat_in(pod.cost)
            by_class.setdefault(pod.counted, []).append((held or BAND, pod.created, pod.uid, pod))
    for capacity_class, sitting in by_class.items():
        sitting.sort(key=lambda entry: entry[:3])
        for rank, (held, _, _, pod) in enumerate(sitting, start=1):
            if pod.cost is not None and held == BAND:
                continue
            # A class with fewer seats for ever (0 %, a cap): those without one leave before all others.
            seat = seats.seat_of(capacity_class, rank) or total + rank
            if seat != held:
                yield pod, cost_of(seat)
