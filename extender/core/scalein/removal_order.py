"""Which pod leaves first: the one whose loss costs least."""

from collections.abc import Iterable
from functools import lru_cache

from extender.core.state.records import PodRecord

_INT32 = range(-(2**31), 2**31)


@lru_cache(maxsize=8192)
def deletion_cost(text: str | None) -> int:
    """The pod-deletion-cost as a ReplicaSet reads it: 0 where there is none, or none that it can read."""
    if text is None:
        return 0
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10:
        return 0
    cost = int(text)
    return cost if cost in _INT32 else 0


def in_order(pods: Iterable[PodRecord]) -> list[PodRecord]:
    """Pods that are not Ready first, then those of the lowest deletion cost, then the youngest; last by UID."""
    return sorted(pods, key=lambda pod: (pod.ready, deletion_cost(pod.cost), -pod.created, pod.uid))
