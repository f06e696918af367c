"""How often spot capacity was taken away of late, by pool.

One interruption is told in several ways, such as by an Event, by a taint and by the end of the node: it counts once for
each node. What was counted outlives the process, see `records` and `restore`.
"""

from collections.abc import Iterable, Mapping
from math import exp2

from msgspec import Struct

from extender.core.state.records import Pool

MOST = 10_000
"""Nodes of which it is remembered that they were counted; beyond that the oldest are forgotten."""
_SPENT = 10.0
"""Half-lives after which nothing is left of an interruption that would tell two pools apart."""


class Interruption(Struct, frozen=True, gc=False):
    """That a node of a pool was interrupted, at `at` (seconds since the epoch).

    One that a `marker` on the node told is taken back when the marker is.
    """

    pool: Pool
    at: float
    marker: bool = False


class Interruptions:
    """Interruptions of each pool, each halved in weight every half-life.

    Args:
        half_life: seconds.

    Attributes:
        counts: all that were recorded, by pool, undiminished.
        nodes: those remembered, by the UID of the node, the oldest first.
        changed: whether `nodes` differ from what was stored.
    """

    def __init__(self, half_life: float) -> None:
        self.counts: dict[Pool, int] = {}
        self.nodes: dict[str, Interruption] = {}
        self.changed = False
        self._half_life = half_life
        self._pools: dict[Pool, tuple[float, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._pools)

    def halve_in(self, half_life: float) -> None:
        """Have weights halve in so many seconds from now on."""
        self._half_life = half_life

    def record(self, node: str, interruption: Interruption, now: float) -> None:
        """A node (UID) is interrupted, as is known at `now` (seconds since the epoch); it counts when that is news."""
        known = self.nodes.get(node)
        if known is None:
            self.counts[interruption.pool] = self.counts.get(interruption.pool, 0) + 1
            self._put(node, interruption, now)
        elif known.marker and not interruption.marker:
            # Whoever else told of it does not take it back.
            self.nodes[node] = Interruption(known.pool, known.at)
            self.changed = True

    def withdraw(self, node: str, now: float) -> None:
        """The marker of a node is gone: if nothing else told of its interruption, that did not come to pass."""
        known = self.nodes.get(node)
        if known is None or not known.marker:
            return
        del self.nodes[node]
        self.changed = True
        left = self.of(known.pool, now) - self._decayed(1.0, known.at, now)
        if left > _NOTHING:
            self._pools[known.pool] = (left, now)
        else:
            self._pools.pop(known.pool, None)

    def of(self, pool: Pool, now: float) -> float:
        """What is left of a pool's interruptions at `now`."""
        value, at = self._pools.get(pool, (0.0, now))
        return self._decayed(value, at, now) if value else 0.0

    def lasting(self, most: int, now: float) -> Mapping[str, Interruption]:
        """What is worth being stored, of the newest `most`."""
        newest = sorted(self.nodes.items(), key=lambda each: each[1].at)[-most:]
        return {node: each for node, each in newest if now - each.at < _SPENT * self._half_life}

    def restore(self, stored: Iterable[tuple[str, Interruption]], now: float) -> None:
        """Take in what was stored, as far as it is not known."""
        changed = self.changed
        for node, each in sorted(stored, key=lambda pair: pair[1].at):
            if node not in self.nodes and now - each.at < _SPENT * self._half_life:
                self._put(node, each, now)
        self.changed = changed

    def _put(self, node: str, interruption: Interruption, now: float) -> None:
        # Clocks differ: nothing counts for more than it would if it happened now.
        pool, at = interruption.pool, min(interruption.at, now)
        self.nodes[node] = Interruption(pool, at, interruption.marker)
        self._pools[pool] = (self.of(pool, now) + self._decayed(1.0, at, now), now)
        if len(self.nodes) > MOST:
            del self.nodes[next(iter(self.nodes))]
        self.changed = True

    def _decayed(self, value: float, at: float, now: float) -> float:
        return value * exp2(-max(0.0, now - at) / self._half_life)


_NOTHING = 1e-9
"""What is left of the sums' rounding."""
