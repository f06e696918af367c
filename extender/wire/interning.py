"""Equal parts of many objects, made and kept once."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LIMIT = 20_000
"""Different values that a table holds: beyond the workloads of most clusters."""


class Interned(Generic[K, V]):
    """Values by what they were made of.

    A table that is full is emptied: what is made from then on is equal to what was made before, and is not the same.

    Args:
        limit: the most values it holds.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._values: dict[K, V] = {}
        self._limit = limit
        self.get = self._values.get

    def put(self, key: K, value: V) -> V:
        """Keep a value, and return it."""
        if len(self._values) >= self._limit:
            self._values.clear()
        self._values[key] = value
        return value
