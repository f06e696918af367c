"""Seats above a floor of on-demand: what many workloads share when some of them insist on on-demand replicas.

`on_demand(T) = max(inner.on_demand(T), min(floor, T))`; the other classes have the seats that `inner` gives them first.
Each count rises by 0 or 1 with T if those of `inner` do, so that these seats are house-monotone, too.
"""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.model.classes import ON_DEMAND
from extender.core.policy.policy import Policy
from extender.core.policy.seats import Seats


class FlooredSeats(Struct, frozen=True, gc=False):
    """`Seats` of which the first `floor` are on-demand ones; all on-demand seats of `inner` count towards it."""

    inner: Seats
    floor: int

    @property
    def classes(self) -> tuple[str, ...]:
        """See `Seats.classes`."""
        known = self.inner.classes
        return known if ON_DEMAND in known else (*known, ON_DEMAND)

    def target(self, replicas: int) -> dict[str, int]:
        """See `Seats.target`."""
        target = self.inner.target(replicas)
        floor = min(self.floor, replicas)
        if target.get(ON_DEMAND, 0) >= floor:
            return target
        # The first seats that are not on-demand, as many as the floor leaves.
        rest, low, high = replicas - floor, 0, replicas
        while low < high:
            middle = (low + high) // 2
            if middle - self.inner.target(middle).get(ON_DEMAND, 0) >= rest:
                high = middle
            else:
                low = middle + 1
        return {**self.inner.target(low), ON_DEMAND: floor}

    def class_at(self, seat: int) -> str:
        """See `Seats.class_at`."""
        before, after = self.target(seat - 1), self.target(seat)
        return next(name for name, count in after.items() if count > before.get(name, 0))

    def seat_of(self, capacity_class: str, rank: int) -> int | None:
        """See `Seats.seat_of`."""
        if capacity_class == ON_DEMAND and rank <= self.floor:
            return rank
        seat = self.inner.seat_of(capacity_class, rank)
        if seat is None or capacity_class == ON_DEMAND:
            return seat
        return max(seat, self.floor + seat - self.inner.target(seat).get(ON_DEMAND, 0))

    def least(self, capacity_class: str) -> int:
        """See `Seats.least`."""
        least = self.inner.least(capacity_class)
        return max(least, self.floor) if capacity_class == ON_DEMAND else least


def floored(seats: Seats, floor: int) -> Seats:
    """Seats above a floor of on-demand; as they are where there is none."""
    return FlooredSeats(seats, floor) if floor > 0 else seats


def own_seats(policy: Policy) -> Seats:
    """The seats of a workload's own pods. One that is counted with others has none of its own: of its pods there are to
    be as many as of all of them, above a floor that is its own; so they leave, and old ones stand back for new ones.
    """
    return floored(policy.seats, policy.fleet.floor) if policy.fleet is not None else policy.seats


def lowest(seats: Seats, held: Mapping[str, int], most: int) -> dict[str, int]:
    """Of the pods of each class, those on the lowest seats, `most` in all; who has no seat for ever comes last.

    The k pods of a class sit on its first k seats.
    """
    if most <= 0:
        return {}
    if sum(held.values()) <= most:
        return dict(held)
    ends = [seats.seat_of(name, count) for name, count in held.items() if count]
    low, high = 0, max((end for end in ends if end is not None), default=0)

    def sitting(seat: int) -> dict[str, int]:
        target = seats.target(seat)
        return {name: min(count, target.get(name, 0)) for name, count in held.items()}

    while low < high:
        middle = (low + high + 1) // 2
        if sum(sitting(middle).values()) <= most:
            low = middle
        else:
            high = middle - 1
    found = sitting(low)
    left = most - sum(found.values())
    for name, count in held.items():
        more = min(left, count - found[name])
        found[name] += more
        left -= more
    return found
