"""Pods that wait for their class: since when, until when, and which node was nominated for them."""

from collections.abc import Iterable

from msgspec import Struct

from extender.core.model.reasons import Reason


class Waiting(Struct, frozen=True, gc=False):
    """A pod that filter rejected.

    `since` is when it first lacked its class; `wake_at` when it may fall back, 0 for never; `node` is to be nominated
    once the scheduler has written PodScheduled=False; `refused` are the nodes the scheduler refused although we
    nominated them, until `refused_until`. `limited` are the classes of which its namespace holds as much as it may: it
    is tried again when that is less. All times in seconds of the decision clock.
    """

    pod: str
    namespace: str
    name: str
    revision: str
    capacity_class: str
    reason: Reason
    since: float
    wake_at: float = 0.0
    node: str = ""
    refused: frozenset[str] = frozenset()
    refused_until: float = 0.0
    limited: tuple[str, ...] = ()


class WaitingPods:
    """Waiting pods by UID and by revision."""

    def __init__(self) -> None:
        self._by_pod: dict[str, Waiting] = {}

    def __len__(self) -> int:
        return len(self._by_pod)

    def get(self, pod: str) -> Waiting | None:
        """The entry of a pod."""
        return self._by_pod.get(pod)

    def all(self) -> Iterable[Waiting]:
        """Every entry."""
        return list(self._by_pod.values())

    def of_revision(self, revision: str) -> Iterable[Waiting]:
        """The entries of a revision's pods."""
        return [w for w in self._by_pod.values() if w.revision == revision] if self._by_pod else ()

    def add(self, waiting: Waiting) -> None:
        """Add or replace the entry of a pod."""
        self._by_pod[waiting.pod] = waiting

    def drop(self, pod: str) -> Waiting | None:
        """The pod waits no more; its entry, if it had one."""
        return self._by_pod.pop(pod, None)
