"""Whose turn it is: in which order workloads are planned for, and for how many at once.

What is moved for some is not there for those that come after them, so whoever plans for many does it like this.
"""

from collections.abc import Iterable, Iterator, Sequence

SLICE = 100
"""Workloads that are planned for at once: some 10 ms."""


def in_turn(
    threatened: Iterable[str], changed: Iterable[str] = (), off_target: Iterable[str] = (), others: Iterable[str] = ()
) -> list[str]:
    """The UIDs of workloads, each once, in the order in which they are planned for.

    Args:
        threatened: have pods on interrupted nodes, and little time.
        changed: something has happened to them, or they have waited for long enough.
        off_target: are off their split.
        others: are to be looked at as well.
    """
    return list(dict.fromkeys((*threatened, *changed, *sorted(off_target), *others)))


def slices(workloads: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many of them at a time as are planned for at once."""
    for start in range(0, len(workloads), SLICE):
        yield workloads[start : start + SLICE]
