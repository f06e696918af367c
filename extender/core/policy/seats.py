"""Seats: a policy and a replica count T give the class of replica 1, 2, .. T.

A seat sequence is house-monotone: T -> T+1 adds exactly one seat and takes none away. Placement, scale-in order and
drift all follow from it. Seats are numbered from 1 and run on beyond T: a pod too many takes the next seat.

* `TwoClassSeats`: `spot(T) = max(0, min(floor(max(0, T - base) * P / 100), T - floor, cap))`, all else on-demand. Each
  term rises by 0 or 1 with T, so their minimum does, which is house-monotony.
* `ApportionedSeats`: N classes by Webster's method (Sainte-Lague): the next seat goes to the class with the greatest
  `weight / (2 * seats + 1)`, floors first, caps respected (Balinski & Young, *Fair Representation*, 1982).
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


class ClassShare(Struct, frozen=True, gc=False):
    """One class of an apportionment: its `weight` (0 or more), floor and cap in replicas."""

    capacity_class: str
    weight: int
    floor: int = 0
    cap: int | None = None


class ApportionedSeats(Struct, frozen=True):
    """N classes by Webster's method with floors and caps. Earlier shares win ties and are filled first."""

    shares: tuple[ClassShare, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their shares."""
        return tuple(share.capacity_class for share in self.shares)

    def _next(self, counts: Mapping[str, int]) -> str:
        open_shares = [s for s in self.shares if s.cap is None or counts[s.capacity_class] < s.cap]
        for share in open_shares:
            if counts[share.capacity_class] < share.floor:
                return share.capacity_class
        weighted = [s for s in open_shares if s.weight > 0]
        if not weighted:
            # Every weighted class is at its cap: the first open one takes the rest, as on-demand does with two.
            return (open_shares or self.shares)[0].capacity_class
        # Exact fractions by cross-multiplication; `max` keeps the first of equals.
        best = weighted[0]
        for share in weighted[1:]:
            if share.weight * (2 * counts[best.capacity_class] + 1) > best.weight * (
                2 * counts[share.capacity_class] + 1
            ):
                best = share
        return best.capacity_class

    def _sequence(self, replicas: int) -> list[str]:
        counts = dict.fromkeys(self.classes, 0)
        sequence = []
        for _ in range(replicas):
            chosen = self._next(counts)
            counts[chosen] += 1
            sequence.append(chosen)
        return sequence

    def target(self, replicas: int) -> dict[str, int]:
        """See `Seats.target`."""
        sequence = self._sequence(replicas)
        return {name: sequence.count(name) for name in self.classes}

    def class_at(self, seat: int) -> str:
        """See `Seats.class_at`."""
        return self._sequence(seat)[-1]

    def seat_of(self, capacity_class: str, rank: int) -> int | None:
        """See `Seats.seat_of`; None also when the class has not come to `rank` within its share of a long sequence."""
        share = next((s for s in self.shares if s.capacity_class == capacity_class), None)
        if share is None:
            return None
        total = sum(s.weight for s in self.shares)
        floors = sum(s.floor for s in self.shares)
        # With its weight alone a class reaches `rank` within rank * total / weight seats and the others' floors; the
        # one that takes the rest, once the others are at their caps.
        weight = max(share.weight, 1)
        caps = sum(s.cap or 0 for s in self.shares)
        bound = floors + caps + len(self.shares) + (rank + 1) * max(1, -(-total // weight)) + rank
        seen = 0
        for seat, name in enumerate(self._sequence(bound), start=1):
            seen += name == capacity_class
            if seen == rank and name == capacity_class:
                return seat
        return None


def first_unfilled(seats: Seats, filled: Mapping[str, int]) -> tuple[int, str]:
    """The first seat no pod sits in, when `filled` pods of each class fill their class's seats in order.

    Runs on beyond T: at worst the first seat past all pods is free, so there always is one.
    """
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
    free = {name: count - filled.get(name, 0) for name, count in seats.target(replicas).items()}
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
