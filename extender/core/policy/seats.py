"""Seats: a policy and a replica count T give the class of replica 1, 2, .. T.

A seat sequence is house-monotone: T -> T+1 adds exactly one seat and takes none away. Placement, scale-in order and
drift all follow from it. Seats are numbered from 1 and run on beyond T: a pod too many takes the next seat.

`TwoClassSeats`: `spot(T) = max(0, min(floor(max(0, T - base) * P / 100), T - floor, cap))`, all else on-demand. Each
term rises by 0 or 1 with T, so their minimum does, which is house-monotony. Any number of classes: `apportionment`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

from msgspec import Struct

from extender.core.model.classes import ON_DEMAND, SPOT


class Seats(Protocol):
    """A seat sequence."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that can have seats."""
        ...

    def target(self, replicas: int) -> dict[str, int]:
        """How many of the first `replicas` seats each class has."""
        ...

    def class_at(self, seat: int) -> str:
        """The class of seat `seat` (1 is the first)."""
        ...

    def seat_of(self, capacity_class: str, rank: int) -> int | None:
        """The number of the `rank`-th seat (1 is the first) of a class; None when it has fewer for ever."""
        ...

    def least(self, capacity_class: str) -> int:
        """How many seats a class has before others have any by their share."""
        ...


class TwoClassSeats(Struct, frozen=True, gc=False):
    """Spot and on-demand. `percentage` 0-100 of the replicas above `base`; `floor` and `cap` in replicas."""

    percentage: int = 0
    floor: int = 0
    cap: int | None = None
    base: int = 0

    @property
    def classes(self) -> tuple[str, ...]:
        """On-demand and spot."""
        return (ON_DEMAND, SPOT)

    def spot(self, replicas: int) -> int:
        """The number of spot seats among the first `replicas`."""
        share = max(0, replicas - self.base) * self.percentage // 100
        spot = min(share, replicas - self.floor)
        if self.cap is not None:
            spot = min(spot, self.cap)
        return max(0, spot)

    def target(self, replicas: int) -> dict[str, int]:
        """See `Seats.target`."""
        spot = self.spot(replicas)
        return {ON_DEMAND: replicas - spot, SPOT: spot}

    def class_at(self, seat: int) -> str:
        """See `Seats.class_at`."""
        return SPOT if self.spot(seat) > self.spot(seat - 1) else ON_DEMAND

    def seat_of(self, capacity_class: str, rank: int) -> int | None:
        """See `Seats.seat_of`; in closed form for spot, for on-demand by bisection, as its count is monotone in T."""
        if capacity_class == SPOT:
            if self.percentage == 0 or (self.cap is not None and rank > self.cap):
                return None
            # The least T at which the share reaches `rank`, and at which the floor leaves room for it.
            return max(self.base + -(-rank * 100 // self.percentage), rank + self.floor)
        if capacity_class != ON_DEMAND:
            return None
        # on_demand(T) = T - spot(T) >= T * (100 - P) / 100 grows without bound unless P is 100 without a cap.
        if self.percentage == 100 and self.cap is None:
            fixed = max(self.base, self.floor)
            return rank if rank <= fixed else None
        return _on_demand_seat(self, rank)

    def least(self, capacity_class: str) -> int:
        """See `Seats.least`."""
        return max(self.floor, self.base) if capacity_class == ON_DEMAND else 0


@lru_cache(maxsize=8192)
def _on_demand_seat(seats: TwoClassSeats, rank: int) -> int:
    """The least T with `rank` on-demand seats; a burst of a workload asks for neighbouring ranks again and again."""
    low, high = rank, rank
    while high - seats.spot(high) < rank:
        high *= 2
    while low < high:
        middle = (low + high) // 2
        if middle - seats.spot(middle) >= rank:
            high = middle
        else:
            low = middle + 1
    return low


def first_unfilled(seats: Seats, filled: Mapping[str, int], replicas: int | None = None) -> tuple[int, str]:
    """The first seat no pod sits in, when `filled` pods of each class fill their class's seats in order.

    Pods beyond the seats that their class has among `replicas` stand in for others, and sit on the first that are free.
    Runs on beyond T: at worst the first seat past all pods is free, so there always is one.
    """
    if replicas is not None:
        filled = _with_stand_ins(seats, filled, replicas)
    best: tuple[int, str] | None = None
    for name in seats.classes:
        seat = seats.seat_of(name, filled.get(name, 0) + 1)
        if seat is not None and (best is None or seat < best[0]):
            best = (seat, name)
    if best is None:  # every class is capped for ever, which no policy can say
        return sum(filled.values()) + 1, seats.classes[0]
    return best


def filled_up(seats: Seats, filled: Mapping[str, int], replicas: int, more: int) -> dict[str, int]:
    """`filled`, once `more` pods have taken the first free ones of `replicas` seats.

    Told by the seats that stay free, which are the last: these are about as many as there are pods, while a workload
    may be of any size on paper.
    """
    if more <= 0:
        return dict(filled)
    held = _with_stand_ins(seats, filled, replicas)
    free = {name: count - held.get(name, 0) for name, count in seats.target(replicas).items()}
    free = {name: count for name, count in free.items() if count > 0}
    rest = dict.fromkeys(free, 0)
    left, seat = sum(free.values()) - more, replicas
    while left > 0:
        name = seats.class_at(seat)
        seat -= 1
        if rest.get(name, 0) < free.get(name, 0):
            rest[name] += 1
            left -= 1
    return {**filled, **{name: filled.get(name, 0) + free[name] - rest[name] for name in free}}


def _with_stand_ins(seats: Seats, filled: Mapping[str, int], replicas: int) -> Mapping[str, int]:
    """`filled`, and the seats of other classes on which pods sit that are beyond their own class's among `replicas`.

    Without them all further pods would want a class without nodes, and others would never come to their seats. Of two
    classes only one can have free seats then: which of them are taken makes no difference.
    """
    if len(seats.classes) <= 2:
        return filled
    target = seats.target(replicas)
    beyond = sum(count - target.get(name, 0) for name, count in filled.items() if count > target.get(name, 0))
    if not beyond:
        return filled

    def free(seat: int) -> dict[str, int]:
        counts = seats.target(seat)
        return {name: max(0, count - filled.get(name, 0)) for name, count in counts.items()}

    low, high = 0, replicas
    while low < high:
        middle = (low + high) // 2
        if sum(free(middle).values()) >= beyond:
            high = middle
        else:
            low = middle + 1
    return {**filled, **{name: filled.get(name, 0) + count for name, count in free(low).items()}}
