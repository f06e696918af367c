"""The last decisions, in memory: a ring that is written on the path of every managed pod, and read by people.

A write is one entry, with no index beside it: a lookup reads from the newest entry back, which takes a millisecond at
most.
"""

from collections import deque
from collections.abc import Callable, Container
from itertools import islice

from msgspec import Struct

from extender.core.model.reasons import Reason
from extender.core.placement.decide import Decision, PodView

SIZE = 10_000
"""Decisions that are kept."""

BYTES = 540
"""Memory that one decision takes at most, its texts included: 5 MB for 10,000."""

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

    def put(self, entry: Entry) -> None:
        """Add a decision if it is wanted."""
        if not self._wants(entry):
            return
        waiting = self._waiting
        if len(waiting) == waiting.maxlen:
            self._lost += 1
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
        self._next = 1
        self._subscriptions: tuple[Subscription, ...] = ()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, at: float, verb: str, pod: PodView, decision: Decision) -> int:
        """Take in a decision that was made at `at` (seconds since the epoch); its number."""
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
        self._kept.append(entry)
        for subscription in self._subscriptions:
            subscription.put(entry)
        return number

    def latest(self, count: int) -> list[Entry]:
        """The last decisions, newest first."""
        return list(islice(reversed(self._kept), count))

    def numbered(self, number: int) -> Entry | None:
        """The decision of this number, if it is kept."""
        at = number - (self._next - len(self._kept))
        return self._kept[at] if 0 <= at < len(self._kept) else None

    def of_pod(self, uid: str, count: int) -> list[Entry]:
        """The last decisions on a pod, newest first."""
        return list(islice((entry for entry in reversed(self._kept) if entry.pod_uid == uid), count))

    def of_workload(self, uid: str, count: int) -> list[Entry]:
        """The last decisions on pods of a workload, newest first."""
        return self.of_workloads((uid,), count)

    def of_workloads(self, uids: Container[str], count: int) -> list[Entry]:
        """The last decisions on pods of any of these workloads, newest first."""
        return list(islice((entry for entry in reversed(self._kept) if entry.workload_uid in uids), count))

    def subscribe(self, wants: Filter, ready: Callable[[], None], size: int = QUEUE) -> Subscription:
        """Be given every decision from now on that `wants` says yes to; see `Subscription`."""
        subscription = Subscription(wants, size, ready)
        self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Be given no more."""
        self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)
