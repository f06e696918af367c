"""Which placeholders there are to be: for whose wishes they are asked for, and which nobody needs any more."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush

from extender.core.drift.moves import Place, Wish
from extender.core.drift.open_placeholder import OpenPlaceholder
from extender.core.drift.placeholder import Ask


def unneeded(free: Iterable[OpenPlaceholder], wanted: Mapping[Place, Sequence[Wish]]) -> Iterator[OpenPlaceholder]:
    """Of each place, those beyond the wishes; those go first that do not run."""
    by: dict[Place, list[OpenPlaceholder]] = {}
    for each in free:
        by.setdefault(each.wish.place, []).append(each)
    for place, those in by.items():
        those.sort(key=lambda each: (each.proven, -each.at))
        yield from those[: max(0, len(those) - len(wanted.get(place, ())))]


def share_out(asks: Mapping[Place, Iterator[Ask]], held: Mapping[Place, int], left: int) -> Iterator[Ask]:
    """At most `left` of the asks of places; the place has its turn that has the fewest.

    Args:
        asks: by place.
        held: how many placeholders a place has.
        left: how many more there may be.
    """
    turns = [(held.get(place, 0), number, place) for number, place in enumerate(asks)]
    heapify(turns)
    while turns and left > 0:
        has, number, place = heappop(turns)
        ask = next(asks[place], None)
        if ask is not None:
            heappush(turns, (has + 1, number, place))
            left -= 1
            yield ask
