"""How nodes of each class are marked, counted: what tells a class, and which taints keep pods off spot nodes.

Kept by the state as nodes come, change and go, so that asking costs as much as there are different nodes, not nodes.
Only nodes that are not going away count. What autoscalers would launch is kept beside it: it tells the same before the
first node is there.
"""

from collections.abc import Collection, Iterable, Mapping

from extender.core.model.objects import Node, NodePool
from extender.core.model.taints import Taint
from extender.core.state.records import tally

Marks = tuple[tuple[str, str], ...]
"""The labels of a node that class rules ask about, with their values."""


class Census:
    """Counts the marks and spot taints of nodes that are not going away.

    Attributes:
        version: rises whenever what `marks`, `offered` or `spot_taints` give may have changed, so that answers can be
            kept.
    """

    def __init__(self) -> None:
        self.version = 0
        self._marks: dict[tuple[str, Marks], int] = {}
        self._taints: dict[Taint, int] = {}
        self._autoscalers: dict[str, int] = {}
        self._providers: dict[str, int] = {}
        self._pools: dict[str, NodePool] = {}

    def change(self, old: Node | None, new: Node | None) -> None:
        """Count `new` in place of `old`."""
        # The new one first: what both have stays.
        for node, sign in ((new, +1), (old, -1)):
            if node is None or node.going_away:
                continue
            self.version += tally(self._marks, (node.capacity_class, node.marks), sign)
            if node.autoscaler:
                tally(self._autoscalers, node.autoscaler, sign)
            if node.provider:
                tally(self._providers, node.provider, sign)
            if node.interruptible:
                for taint in node.taints:
                    self.version += tally(self._taints, taint, sign)

    def marks(self) -> Iterable[tuple[str, Marks]]:
        """Each capacity class with the marks that nodes of it have, in every combination there is."""
        return self._marks.keys()

    def counts(self) -> Mapping[tuple[str, Marks], int]:
        """How many nodes there are of each class with the same marks."""
        return self._marks

    def spot_taints(self, interruptible: Collection[str]) -> Iterable[Taint]:
        """The taints on interruptible nodes, and on those of such classes that an autoscaler would launch."""
        pools = (pool for pool in self._pools.values() if any(name in interruptible for name, _ in pool.offers))
        return {*self._taints, *(taint for pool in pools for taint in pool.taints)}

    # Autoscalers

    @property
    def autoscalers(self) -> Iterable[str]:
        """What nodes say of autoscalers, for people."""
        return self._autoscalers.keys()

    @property
    def providers(self) -> Iterable[str]:
        """Whose machines the nodes are, as keys of `PROVIDERS`."""
        return self._providers.keys()

    def offered(self) -> set[tuple[str, Marks]]:
        """As `marks`, of nodes that NodePools may launch."""
        return {offer for pool in self._pools.values() for offer in pool.offers}

    def put_pool(self, pool: NodePool) -> None:
        """A NodePool was met, or changed."""
        old = self._pools.get(pool.uid)
        if old is None or (old.offers, old.taints) != (pool.offers, pool.taints):
            self._pools[pool.uid] = pool
            self.version += 1

    def remove(self, uid: str) -> None:
        """A NodePool (UID) is gone, if it was there."""
        if self._pools.pop(uid, None) is not None:
            self.version += 1

    def uids(self) -> list[str]:
        """The UIDs of the NodePools."""
        return list(self._pools)
