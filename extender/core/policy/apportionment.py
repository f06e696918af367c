"""Seats of any number of classes, by a divisor method.

The seats of a class are taken in this order: its `base`; its `floor`, if that is more; all up to its cap, for a class
that has a cap and no weight; then by weight. Of the weighted classes the next seat goes to the one with the least
`(seats + r) / weight`, where seats beyond its base count:

* `r = 1/2` is Webster's method (Sainte-Lague; Balinski & Young, *Fair Representation*, 1982), for three and more.
* Of two of which one is spot, spot has `r = 1` and the other `r = 0`: spot is rounded down, as `TwoClassSeats` does.

The k-th seat of a class comes at the level `(k - 1 + r) / weight`, and at a level the seats of every other class are
known as well. So all is in closed form: a workload may be of any size on paper.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from msgspec import Struct

from extender.core.model.classes import SPOT

_UNBOUNDED = 1 << 100
_DOWN, _NEAREST, _UP = 2, 1, 0
"""Twice `r`: how many seats by weight are rounded."""


class ClassShare(Struct, frozen=True, gc=False):
    """What one class gets.

    `base`, `floor` and `cap` are in replicas, `cap_percent` in percent of all replicas, rounded down. A base is there
    beside what the weight gives, a floor is part of it. A class with a cap and without a weight comes before those with
    one. A class of neither, or of weight 0, has its base and its floor, and what is left when the others are full.
    """

    capacity_class: str
    weight: int | None = None
    base: int = 0
    floor: int = 0
    cap: int | None = None
    cap_percent: int | None = None

    @property
    def most(self) -> int:
        """The cap in replicas."""
        return _UNBOUNDED if self.cap is None else self.cap

    @property
    def least(self) -> int:
        """The seats that it has before others by weight."""
        return min(max(self.base, self.floor), self.most)


class ApportionedSeats(Struct, frozen=True, dict=True):
    """A seat sequence (`Seats`) of any number of classes. Earlier shares win ties and are filled first.

    Where every class is at its cap, the first of those without one in replicas takes the rest, else the first.

    Raises:
        ValueError: there is no share, a class has two, or more than one has a cap in percent. Two such caps can rise
            with the same replica, which is one seat and not two.
    """

    shares: tuple[ClassShare, ...]

    def __post_init__(self) -> None:
        if not self.shares or len(set(self.classes)) < len(self.shares):
            raise ValueError(f"each class has one share, and there is one at least: {self.classes}")
        capped = [share.capacity_class for share in self.shares if share.cap_percent is not None]
        if len(capped) > 1:
            raise ValueError(f"{', '.join(capped)} have a cap in percent: one class may have one")

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their shares."""
        return tuple(share.capacity_class for share in self.shares)

    @cached_property
    def _all(self) -> "_Sequence":
        """The seats if no cap were in percent."""
        return _Sequence(self.shares, self._roundings)

    @cached_property
    def _capped(self) -> "tuple[str, int, _Sequence] | None":
        """The class with a cap in percent, that, and the seats of the others among themselves.

        A divisor method is consistent: these are the seats of `_all` without that class.
        """
        share = next((share for share in self.shares if share.cap_percent is not None), None)
        if share is None or share.cap_percent is None or len(self.shares) == 1:
            return None
        others = tuple(each for each in self.shares if each is not share)
        return share.capacity_class, share.cap_percent, _Sequence(others, self._roundings)

    @property
    def _roundings(self) -> dict[str, int]:
        weighted = [share.capacity_class for share in self.shares if share.weight]
        if len(weighted) == 2 and SPOT in weighted:
            return {name: _DOWN if name == SPOT else _UP for name in weighted}
        return dict.fromkeys(weighted, _NEAREST)

    def target(self, replicas: int) -> dict[str, int]:
        """See `Seats.target`."""
        found = self._all.target(replicas)
        if self._capped is not None:
            name, percent, others = self._capped
            most = replicas * percent // 100
            if found[name] > most:
                found = {**found, **others.target(replicas - most), name: most}
        return found

    def class_at(self, seat: int) -> str:
        """See `Seats.class_at`."""
        found = self._all.class_at(seat)
        if self._capped is None:
            return found
        name, percent, others = self._capped
        count = self._all.count(name, seat)
        held = min(count, seat * percent // 100)
        before = min(count - (found == name), (seat - 1) * percent // 100)
        return name if held > before else others.class_at(seat - held)

    def seat_of(self, capacity_class: str, rank: int) -> int | None:
        """See `Seats.seat_of`."""
        seat = self._all.seat_of(capacity_class, rank)
        if self._capped is None:
            return seat
        name, percent, others = self._capped
        if capacity_class == name:
            # The least number of replicas of which the percentage is `rank`.
            return max(seat, -(-rank * 100 // percent)) if seat is not None and percent else None
        other = others.seat_of(capacity_class, rank)
        if other is None or percent == 100:
            return seat
        # The least number of replicas that leaves the others so many seats beside the percentage.
        beside = (other - 1) * 100 // (100 - percent) + 1
        return beside if seat is None else min(seat, beside)

    def least(self, capacity_class: str) -> int:
        """See `Seats.least`."""
        return next((share.least for share in self.shares if share.capacity_class == capacity_class), 0)


class _Weighted(NamedTuple):
    """A class with a weight. Of its seats beyond its base `low` are its floor, and `high` are there at most."""

    name: str
    weight: int
    rounding: int
    base: int
    low: int
    high: int


class _Sequence:
    """The seats of shares none of whose caps is in percent; `roundings` of those with a weight.

    First come runs of seats of one class each, `head` seats in all; then those by weight; after `end` all are of the
    class that takes the `rest`.
    """

    def __init__(self, shares: Sequence[ClassShare], roundings: Mapping[str, int]) -> None:
        self._classes = tuple(share.capacity_class for share in shares)
        self._runs: list[tuple[str, int]] = []
        self._rest = next((share.capacity_class for share in shares if share.cap is None), self._classes[0])
        for share in shares:
            self._run(share.capacity_class, min(share.base, share.most))
        for share in shares:
            self._run(share.capacity_class, share.least - min(share.base, share.most))
        # Without its cap in percent a class that comes first takes all there are.
        boundless = None
        for share in shares:
            if boundless is None and share.weight is None:
                if share.cap is not None:
                    self._run(share.capacity_class, share.most - share.least)
                elif share.cap_percent is not None:
                    boundless = share.capacity_class
        self._head = sum(count for _, count in self._runs)
        self._in_head = self._first(self._head)
        self._rest = boundless or self._rest
        # The order in which they win ties.
        self._weighted = () if boundless else _weighted(shares, roundings)
        self._index = {each.name: index for index, each in enumerate(self._weighted)}
        self._bounds = [
            (self._seat(index, each.low + 1), self._seat(index, each.high)) for index, each in enumerate(self._weighted)
        ]
        self._end = max((last for _, last in self._bounds), default=self._head)

    def _run(self, name: str, count: int) -> None:
        if count:
            self._runs.append((name, count))

    def _first(self, seats: int) -> dict[str, int]:
        """How many of the first `seats`, or of those before the ones by weight, each class has."""
        found = dict.fromkeys(self._classes, 0)
        for name, count in self._runs:
            found[name] += min(count, seats)
            seats -= min(count, seats)
        return found

    def target(self, replicas: int) -> dict[str, int]:
        if replicas <= self._head:
            return self._first(replicas)
        found = dict(self._in_head)
        for each, count in zip(self._weighted, _by_weight(self, min(replicas, self._end))[0], strict=True):
            found[each.name] = each.base + count
        found[self._rest] += max(0, replicas - self._end)
        return found

    def class_at(self, seat: int) -> str:
        if seat > self._end:
            return self._rest
        if seat <= self._head:
            return self._class_in_head(seat)
        return self._weighted[_by_weight(self, seat)[1]].name

    def seat_of(self, name: str, rank: int) -> int | None:
        in_head = self._in_head.get(name, 0)
        if rank <= in_head:
            return self._seat_in_head(name, rank)
        index = self._index.get(name)
        if index is not None:
            each = self._weighted[index]
            if rank - each.base <= each.high:
                return self._seat(index, rank - each.base)
            in_head = each.base + each.high
        return self._end + rank - in_head if name == self._rest and self._end < _UNBOUNDED else None

    def count(self, name: str, replicas: int) -> int:
        """As `target`, of one class."""
        index = self._index.get(name)
        if index is None or replicas <= self._head or replicas > self._end:
            return self.target(replicas)[name]
        return self._weighted[index].base + _by_weight(self, replicas)[0][index]

    def _class_in_head(self, seat: int) -> str:
        runs = iter(self._runs)
        name, end = next(runs)
        while seat > end:
            name, count = next(runs)
            end += count
        return name

    def _seat_in_head(self, name: str, rank: int) -> int:
        seat = 0
        for other, count in self._runs:
            if other == name:
                if rank <= count:
                    break
                rank -= count
            seat += count
        return seat + rank

    def _seat(self, index: int, count: int) -> int:
        """The seat by weight with which a class has `count` seats beyond its base."""
        _, weight, rounding, _, low, _ = self._weighted[index]
        level, unit = 2 * (count - 1) + rounding, 2 * weight
        seat = self._head + count - low
        for other, (_, their_weight, their_rounding, _, their_low, their_high) in enumerate(self._weighted):
            if other != index:
                # Those before it have theirs of the same level first.
                above = their_weight * level - their_rounding * weight
                held = above // unit + 1 if other < index else -(-above // unit)
                if held > their_low:
                    seat += min(held, their_high) - their_low
        return seat

    def by_weight(self, seats: int) -> tuple[Sequence[int], int]:
        """The seats of each weighted class beyond its base, among the first `seats`, and which of them has the last.

        That one is a seat by weight, or the last before these.
        """
        left, total = seats - self._head, 0
        counts, rising = [], []
        for index, (each, (first, last)) in enumerate(zip(self._weighted, self._bounds, strict=True)):
            left += each.low
            if first <= seats < last:
                rising.append(index)
                total += each.weight
                counts.append(0)
            else:
                counts.append(each.high if seats >= last else each.low)
                left -= counts[index]
        quota = left
        for index in rising:
            _, weight, rounding, _, low, high = self._weighted[index]
            counts[index] = min(max((2 * weight * quota - rounding * total) // (2 * total) + 1, low), high)
            left -= counts[index]
        # The quota alone is off by about a seat for each class.
        for _ in range(left):
            counts[self._next(rising, counts)] += 1
        for _ in range(-left):
            counts[self._latest(rising, counts)] -= 1
        return counts, self._latest(range(len(counts)), counts)

    def _next(self, among: Iterable[int], counts: Sequence[int]) -> int:
        """Which class has the next seat."""
        best, least, unit = -1, 0, 0
        for index in among:
            _, weight, rounding, _, _, high = self._weighted[index]
            level = 2 * counts[index] + rounding
            if counts[index] < high and (best < 0 or level * unit < least * weight):
                best, least, unit = index, level, weight
        return best

    def _latest(self, among: Iterable[int], counts: Sequence[int]) -> int:
        """Which class had the last seat."""
        best, most, unit = -1, 0, 0
        for index in among:
            _, weight, rounding, _, low, _ = self._weighted[index]
            level = 2 * (counts[index] - 1) + rounding
            if counts[index] > low and (best < 0 or level * unit >= most * weight):
                best, most, unit = index, level, weight
        return best


@lru_cache(maxsize=4096)
def _by_weight(sequence: _Sequence, seats: int) -> tuple[Sequence[int], int]:
    """A burst of a workload asks about neighbouring seats again and again."""
    return sequence.by_weight(seats)


def _weighted(shares: Sequence[ClassShare], roundings: Mapping[str, int]) -> tuple[_Weighted, ...]:
    """The classes with a weight in the order in which they win ties."""
    found = []
    for share in shares:
        base = min(share.base, share.most)
        if share.weight and share.least < share.most:
            name = share.capacity_class
            found.append(_Weighted(name, share.weight, roundings[name], base, share.least - base, share.most - base))
    return tuple(sorted(found, key=lambda each: -each.rounding))
