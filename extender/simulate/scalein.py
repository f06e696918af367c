"""Which pods a ReplicaSet deletes first.

Source: `pkg/controller/controller_utils.go`, `ActivePodsWithRanks.Less`, of Kubernetes 1.36, with logarithmic
scale-down on: of pods whose readiness (or age) is of the same order of magnitude, the one with the lower UID goes.
"""

from collections import Counter
from collections.abc import Iterable
from math import log2

from extender.simulate.api import VirtualPod

Rank = tuple[bool, bool, bool, int, int, int, str]


def _magnitude(since: float, now: float) -> int:
    """The order of magnitude of a time span, of which the controller takes nanoseconds; -1 for none."""
    nanoseconds = (now - since) * 1e9
    return int(log2(nanoseconds)) if nanoseconds >= 1 else -1


def _cost(pod: VirtualPod) -> int:
    """The deletion cost; what is no 32-bit number counts as none."""
    text = pod.cost or "0"
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10:
        return 0
    cost = int(text)
    return cost if -(1 << 31) <= cost < 1 << 31 else 0


def deletion_order(pods: Iterable[VirtualPod], related: Iterable[VirtualPod], now: float) -> list[VirtualPod]:
    """The pods in the order in which a scale-in deletes them.

    Args:
        pods: the active pods of a ReplicaSet.
        related: the active pods of all ReplicaSets of the same owner, which make a node crowded.
        now: seconds since the epoch.
    """
    crowd = Counter(pod.node for pod in related if pod.node)

    def rank(pod: VirtualPod) -> Rank:
        return (
            bool(pod.node),
            pod.running,
            pod.ready,
            _cost(pod),
            -crowd[pod.node],
            _magnitude(pod.ready_since if pod.ready else pod.created, now),
            pod.uid,
        )

    return sorted(pods, key=rank)
