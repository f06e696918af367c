"""Which pod leaves first: the one whose loss costs least."""

from collections.abc import Iterable

from extender.core.records import PodRecord

_INT32 = range(-(2**31), 2**31)


def deletion_cost(pod: PodRecord) -> int:
    """The pod-deletion-cost as a ReplicaSet reads it: 0 where there is none, or none that it can read."""
    digits = pod.cost.removeprefix("-") if pod.cost is not None else ""
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10:
        return 0
    cost = int(pod.cost or "")
    return cost if cost in _INT32 else 0


def in_order(pods: Iterable[PodRecord]) -> list[PodRecord]:
    """Pods that are not Ready first, then those of the lowest deletion cost, then the youngest; last by UID."""
    return sorted(pods, key=lambda pod: (pod.ready, deletion_cost(pod), -pod.created, pod.uid))
