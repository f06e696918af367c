"""How often spot capacity was taken away of late, by pool."""

from math import exp2

from extender.core.state.records import Pool


class Interruptions:
    """Interruptions of each pool, each halved in weight every half-life.

    Args:
        half_life: seconds.

    Attributes:
        counts: all that were recorded, by pool, undiminished.
    """

    def __init__(self, half_life: float) -> None:
        self.counts: dict[Pool, int] = {}
        self._half_life = half_life
        self._pools: dict[Pool, tuple[float, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._pools)

    def record(self, pool: Pool, now: float) -> None:
        """One more, at `now` (seconds)."""
        self.counts[pool] = self.counts.get(pool, 0) + 1
        self._pools[pool] = (self.of(pool, now) + 1.0, now)

    def withdraw(self, pool: Pool, at: float, now: float) -> None:
        """One that was recorded at `at` did not come to pass: take off what is left of it at `now`."""
        left = self.of(pool, now) - self._decayed(1.0, at, now)
        if left > _NOTHING:
            self._pools[pool] = (left, now)
        else:
            self._pools.pop(pool, None)

    def of(self, pool: Pool, now: float) -> float:
        """What is left of a pool's interruptions at `now`."""
        value, at = self._pools.get(pool, (0.0, now))
        return self._decayed(value, at, now) if value else 0.0

    def _decayed(self, value: float, at: float, now: float) -> float:
        return value * exp2(-max(0.0, now - at) / self._half_life)


_NOTHING = 1e-9
"""What is left of the sums' rounding."""
