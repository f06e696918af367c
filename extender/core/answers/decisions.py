"""The last decisions, in memory: a ring that is written on the path of every managed pod, and read by people.

A write is one entry and the count of its pod's: a lookup reads from the newest entry back, which takes a millisecond at
most. Whoever can reach the extender has decisions made, so a small second ring takes those that could push others out:
decisions on pods that the cluster does not know as waiting for a node, and the many on one and the same pod.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Container, Iterator
from heapq import merge
from itertools import islice

from msgspec import Struct

from extender.core.model.reasons import Reason
from extender.core.placement.decide import Decision, PodView

SIZE = 10_000
"""Decisions that are kept."""

BYTES = 540
"""Memory that one decision takes at most, its texts included: 5 MB for 10,000."""

OF_ONE_POD = 50
"""Decisions on one pod that have a place in the large ring."""

ASIDE = 10
"""The small ring keeps one decision for each ten of the large one."""

QUEUE = 1_000
"""Decisions that wait for a subscriber before it loses the oldest."""


class Entry(Struct, frozen=True, gc=False, rename="camel"):
    """One decision.

    `number` rises by 1 from decision to decision of a process, from 1 on. `at` is in seconds since the epoch. `wanted`
    is the class of the pod's seat, `given` the one it got, empty when none. Of `offered` nodes `passed` were left.
    `kind`, `workload` (its name) and `workload_uid` are empty while the pod's owner is not known.
    """

    number: int
    at: float
    verb: str
    namespace: str
    pod: str
    pod_uid: str
    kind: str
    workload: str
    workload_uid: str
    wanted: str
    given: str
    reason: Reason
    offered: int
    passed: int


Filter = Callable[[Entry], bool]


class Batch(Struct, frozen=True, rename="camel"):
    """What a subscriber has not seen yet, oldest first, and how many decisions before these it has lost."""

    entries: tuple[Entry, ...]
    lost: int


class Subscription:
    """Decisions for one reader. A reader that is slow loses the oldest, and nobody waits for it.

    Args:
        wants: which decisions it is given.
        size: decisions that wait for it at most.
        ready: called when there is something to take after there was nothing. Must not raise.
    """

    def __init__(self, wants: Filter, size: int, ready: Callable[[], None]) -> None:
        self._wants, self._ready = wants, ready
        self._waiting: deque[Entry] = deque(maxlen=size)
        self._lost = 0

    def put(self, entry: Entry, *, known: bool = True) -> None:
        """Add a decision if it is wanted; one on a pod that is not known pushes no other out."""
        if not self._wants(entry):
            return
        waiting = self._waiting
        if len(waiting) == waiting.maxlen:
            self._lost += 1
            if not known:
                return
        waiting.append(entry)
        if len(waiting) == 1:
            self._ready()

    def take(self) -> Batch:
        """All that waits."""
        batch = Batch(tuple(self._waiting), self._lost)
        self._waiting.clear()
        self._lost = 0
        return batch


class DecisionLog:
    """Keeps the last decisions, and hands each new one to those who subscribed.

    Args:
        size: decisions that are kept; 0 keeps none, subscribers are given them all the same.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._kept: deque[Entry] = deque(maxlen=size)
        self._aside: deque[Entry] = deque(maxlen=-(-size // ASIDE))
        self._of_pod: dict[str, int] = {}
        self._next = 1
        self._subscriptions: tuple[Subscription, ...] = ()

    def __len__(self) -> int:
        return len(self._kept) + len(self._aside)

    def add(self, at: float, verb: str, pod: PodView, decision: Decision, *, known: bool = True) -> int:
        """Take in a decision that was made at `at` (seconds since the epoch); its number.

        `known` says that the cluster has this pod, and that it waits for a node.
        """
        number, workload, nodes = self._next, decision.workload, decision.nodes
        self._next = number + 1
        entry = Entry(
            number,
            at,
            verb,
            pod.namespace,
            pod.name,
            pod.uid,
            workload.kind if workload is not None else "",
            workload.name if workload is not None else "",
            workload.uid if workload is not None else "",
            decision.wanted,
            decision.capacity_class,
            decision.reason,
            decision.offered,
            decision.offered if nodes is None else len(nodes),
        )
        self._keep(entry, known=known)
        for subscription in self._subscriptions:
            subscription.put(entry, known=known)
        return number

    def _keep(self, entry: Entry, *, known: bool) -> None:
        of_pod, kept, uid = self._of_pod, self._kept, entry.pod_uid
        count = of_pod.get(uid, 0)
        if not known or count >= OF_ONE_POD:
            self._aside.append(entry)
            return
        of_pod[uid] = count + 1
        if len(kept) == kept.maxlen:
            if not kept:
                of_pod.clear()
                return
            oldest = kept[0].pod_uid
            left = of_pod[oldest] - 1
            if left:
                of_pod[oldest] = left
            else:
                del of_pod[oldest]
        kept.append(entry)

    def _newest_first(self) -> Iterator[Entry]:
        if not self._aside:
            return iter(reversed(self._kept))
        return merge(reversed(self._kept), reversed(self._aside), key=lambda entry: -entry.number)

    def latest(self, count: int) -> list[Entry]:
        """The last decisions, newest first."""
        return list(islice(self._newest_first(), count))

    def numbered(self, number: int) -> Entry | None:
        """The decision of this number, if it is kept."""
        for ring in (self._kept, self._aside):
            at = bisect_left(ring, number, key=lambda entry: entry.number)
            if at < len(ring) and ring[at].number == number:
                return ring[at]
        return None

    def of_pod(self, uid: str, count: int) -> list[Entry]:
        """The last decisions on a pod, newest first."""
        return list(islice((entry for entry in self._newest_first() if entry.pod_uid == uid), count))

    def of_workload(self, uid: str, count: int) -> list[Entry]:
        """The last decisions on pods of a workload, newest first."""
        return self.of_workloads((uid,), count)

    def of_workloads(self, uids: Container[str], count: int) -> list[Entry]:
        """The last decisions on pods of any of these workloads, newest first."""
        return list(islice((entry for entry in self._newest_first() if entry.workload_uid in uids), count))

    def subscribe(self, wants: Filter, ready: Callable[[], None], size: int = QUEUE) -> Subscription:
        """Be given every decision from now on that `wants` says yes to; see `Subscription`."""
        subscription = Subscription(wants, size, ready)
        self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Be given no more."""
        self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)
