"""How often spot capacity was taken away of late, by pool."""

from extender.core.records import Pool


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

    def of(self, pool: Pool, now: float) -> float:
        """What is left of a pool's interruptions at `now`."""
        value, at = self._pools.get(pool, (0.0, now))
        return value * 0.5 ** (max(0.0, now - at) / self._half_life) if value else 0.0
