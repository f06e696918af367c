"""Which schedulers ask the extender: what each did with the last pod says it.

Of a scheduler that asked about a pod it is taken for granted that it goes on asking, however long it is idle; once it
has bound a pod of a managed workload without asking, that it does not. Only the replica that decides is asked: it
tells the others, and whoever decides next.
"""

from collections.abc import Iterable, Mapping

DEFAULT_SCHEDULER = "default-scheduler"

MOST = 50
"""Schedulers that are remembered: pods name them as they like. The one that was heard of first gives way."""


class Schedulers:
    """What is known of schedulers, by their names.

    Attributes:
        asks: whether each asks the extender; of others it is not known.
        listens: whether this replica is the one that is asked.
    """

    def __init__(self) -> None:
        self.asks: dict[str, bool] = {}
        self.listens = False
        self._asked: set[str] = set()
        self._earlier: set[str] = set()

    def listen(self, unbound: Iterable[str]) -> None:
        """This replica is asked from now on; about the pods (UIDs) in `unbound` another may have been."""
        self.listens = True
        self._earlier = set(unbound)

    def stop(self) -> None:
        """Another replica is asked."""
        self.listens = False
        self._asked.clear()
        self._earlier.clear()

    def asked(self, pod: str, scheduler: str | None) -> None:
        """A scheduler asked about a pod (UID); None where it is not known yet which one."""
        if self.listens:
            self._asked.add(pod)
            if scheduler is not None:
                self._learn(scheduler, asks=True)

    def was_asked(self, pod: str) -> bool | None:
        """Whether anybody asked about a pod (UID) that has no node yet; None where it may have been another replica."""
        if pod in self._asked:
            return True
        return None if pod in self._earlier else False

    def bound(self, scheduler: str, *, asked: bool) -> None:
        """A scheduler gave a pod a node."""
        if self.listens:
            self._learn(scheduler, asks=asked)

    def forget(self, pod: str) -> None:
        """A pod (UID) has a node, or is gone."""
        self._asked.discard(pod)
        self._earlier.discard(pod)

    def hear(self, told: Mapping[str, bool]) -> None:
        """Take in what the replica that is asked tells."""
        if not self.listens:
            self.asks = dict(list(told.items())[-MOST:])

    def _learn(self, scheduler: str, *, asks: bool) -> None:
        name = scheduler or DEFAULT_SCHEDULER
        if self.asks.get(name) is asks:
            return
        self.asks.pop(name, None)
        self.asks[name] = asks
        if len(self.asks) > MOST:
            del self.asks[next(iter(self.asks))]
