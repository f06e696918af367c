"""The last decisions, in memory: a ring that is written on the path of every managed pod, and read by people.

Of each pod and workload the ring knows the latest decision, and of each decision the one before it, so that a lookup
costs what it finds and a write a few dictionary entries.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from msgspec import Struct

from extender.core.decide import Decision, PodView
from extender.core.reasons import Reason

SIZE = 10_000
"""Decisions that are kept."""

BYTES = 600
"""Memory that one decision takes at most, its texts and its share of the indexes included: 6 MB for 10,000."""

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
    """See the module.

    Args:
        size: decisions that are kept; 0 keeps none, subscribers are given them all the same.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._ring: list[Entry | None] = [None] * size
        self._next = 1
        self._of_pod: dict[str, int] = {}
        self._of_workload: dict[str, int] = {}
        self._before_of_pod = [0] * size
        self._before_of_workload = [0] * size
        self._subscriptions: tuple[Subscription, ...] = ()

    def __len__(self) -> int:
        return min(self._next - 1, self._size)

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
        size = self._size
        if size:
            slot, of_pod, of_workload = number % size, self._of_pod, self._of_workload
            old = self._ring[slot]
            if old is not None:
                if of_pod[old.pod_uid] == old.number:
                    del of_pod[old.pod_uid]
                if of_workload[old.workload_uid] == old.number:
                    del of_workload[old.workload_uid]
            self._ring[slot] = entry
            self._before_of_pod[slot] = of_pod.get(pod.uid, 0)
            of_pod[pod.uid] = number
            self._before_of_workload[slot] = of_workload.get(entry.workload_uid, 0)
            of_workload[entry.workload_uid] = number
        for subscription in self._subscriptions:
            subscription.put(entry)
        return number

    def latest(self, count: int) -> list[Entry]:
        """The last decisions, newest first."""
        numbers = range(self._next - 1, max(0, self._next - 1 - min(count, self._size)), -1)
        return [entry for number in numbers if (entry := self._ring[number % self._size]) is not None]

    def numbered(self, number: int) -> Entry | None:
        """The decision of a number, while it is kept."""
        kept = self._size and max(0, self._next - 1 - self._size) < number < self._next
        return self._ring[number % self._size] if kept else None

    def of_pod(self, uid: str, count: int) -> list[Entry]:
        """The last decisions on a pod, newest first."""
        return list(islice(self._chain(self._of_pod.get(uid, 0), self._before_of_pod), count))

    def of_workload(self, uid: str, count: int) -> list[Entry]:
        """The last decisions on pods of a workload, newest first."""
        return list(islice(self._chain(self._of_workload.get(uid, 0), self._before_of_workload), count))

    def _chain(self, number: int, before: list[int]) -> Iterator[Entry]:
        while number > 0 and number >= self._next - self._size:
            entry = self._ring[number % self._size]
            if entry is not None:
                yield entry
            number = before[number % self._size]

    def subscribe(self, wants: Filter, ready: Callable[[], None], size: int = QUEUE) -> Subscription:
        """Be given every decision from now on that `wants` says yes to; see `Subscription`."""
        subscription = Subscription(wants, size, ready)
        self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Be given no more."""
        self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)
