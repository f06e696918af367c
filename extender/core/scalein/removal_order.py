"""The order in which a ReplicaSet deletes pods, as the controller itself has it.

Source, of Kubernetes 1.36: `ActivePodsWithRanks.Less` in `pkg/controller/controller_utils.go`, and
`getPodsRankedByRelatedPodsOnSameNode` in `pkg/controller/replicaset/replica_set.go`. Two of its criteria are left out:
the phase Unknown, which nothing sets any more, and restarts. Those tell pods apart that are not ready, or became ready
in the same second; to read them would make every change of a pod dearer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cmp_to_key, lru_cache
from math import log2
from typing import Protocol, TypeVar

_INT32 = range(-(2**31), 2**31)
_NONE: Mapping[str, int] = {}


class Removable(Protocol):
    """What the order asks of a pod.

    `node_name` is empty while it is on no node, `pending` is whether its phase is Pending, `cost` the text of its
    pod-deletion-cost or None. `created` and `ready_since` are in seconds since the epoch; `ready_since` is read of a
    pod that is `ready` alone.
    """

    @property
    def uid(self) -> str: ...
    @property
    def node_name(self) -> str: ...
    @property
    def pending(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    @property
    def cost(self) -> str | None: ...
    @property
    def created(self) -> float: ...
    @property
    def ready_since(self) -> float: ...


P = TypeVar("P", bound=Removable)


@lru_cache(maxsize=8192)
def deletion_cost(text: str | None) -> int:
    """The pod-deletion-cost as a ReplicaSet reads it: 0 where there is none, or none that it can read."""
    if text is None:
        return 0
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or (text.startswith("0") and text != "0"):
        return 0
    cost = int(text)
    return cost if cost in _INT32 else 0


def removal_order(
    pods: Iterable[P], related: Iterable[Removable], now: float, costs: Mapping[str, int] = _NONE
) -> list[P]:
    """The pods of a ReplicaSet in the order in which a scale-in deletes them.

    Pods on no node leave first, then pending ones, then those that are not ready, then those of the lowest deletion
    cost, then those whose node has the most related pods. What is left is decided by time: see `_by_time`.

    Args:
        pods: the active pods of the ReplicaSet: those that neither terminate nor have ended.
        related: the active pods of every ReplicaSet of the same owner, those of this one included. None for one without
            an owner: the controller does not ask then where its pods are.
        now: seconds since the epoch.
        costs: deletion costs to suppose, by the UID of their pod; a pod without one has its own.
    """
    crowd = Counter(pod.node_name for pod in related)

    def rank(pod: P) -> tuple[object, ...]:
        cost = costs.get(pod.uid)
        return (
            pod.node_name != "",
            not pod.pending,
            pod.ready,
            deletion_cost(pod.cost) if cost is None else cost,
            -crowd[pod.node_name],
            _by_time(_Times(pod, now)),
        )

    # Pods that the controller finds equal leave in the order of their UIDs, whatever order they came in.
    return sorted(sorted(pods, key=lambda pod: pod.uid), key=rank)


def eviction_order(pods: Iterable[P]) -> list[P]:
    """The pods in the order in which to evict them: the one whose loss costs least comes first.

    As in `removal_order` that is one that is not ready, then one of the lowest deletion cost. The youngest of these
    leaves first, by its age itself: the magnitude of an age is for spreading deletions at random, and would let a plan
    change while time passes and nothing else happens.
    """
    return sorted(pods, key=lambda pod: (pod.ready, deletion_cost(pod.cost), -pod.created, pod.uid))


class _Times:
    """When a pod was created and became ready, and the magnitudes of both ages."""

    __slots__ = ("age", "created", "ready", "ready_age", "ready_since", "uid")

    def __init__(self, pod: Removable, now: float) -> None:
        self.uid, self.ready = pod.uid, pod.ready
        # Objects have whole seconds.
        self.created, self.ready_since = int(pod.created), int(pod.ready_since)
        self.age, self.ready_age = _magnitude(self.created, now), _magnitude(self.ready_since, now)


def _magnitude(since: float, now: float) -> int:
    """The order of magnitude of the time since then, of which the controller counts nanoseconds; -1 for none."""
    nanoseconds = (now - since) * 1e9
    return int(log2(nanoseconds)) if nanoseconds >= 1 else -1


def _compare(one: _Times, other: _Times) -> int:
    """Negative when `one` leaves first, 0 when the controller does not care.

    Of pods that became ready at different times the one of the smaller magnitude leaves, else the lower UID. Of others
    the younger one leaves, by magnitude too, else the lower UID. This is no order in the strict sense: some pods leave
    one before the other in a circle. Then the controller's choice depends on its sorting.
    """
    if one.ready and one.ready_since != other.ready_since:
        return one.ready_age - other.ready_age or _by_uid(one, other)
    if one.created != other.created:
        return one.age - other.age or _by_uid(one, other)
    return 0


def _by_uid(one: _Times, other: _Times) -> int:
    return -1 if one.uid < other.uid else 1


_by_time = cmp_to_key(_compare)
