"""What pods cost: their share of their node, which is the greater of their shares of its cpu and memory."""

from collections.abc import Mapping

from extender.core.capacity.fit import share
from extender.core.model.objects import Node, Requests


class Prices:
    """Knows what a pod costs where it is, and on demand.

    Args:
        by_pool: the price of a node an hour, by capacity class, instance type and zone.
        on_demand: what nodes offer and cost that are on-demand: what a pod would cost is taken from the cheapest.
    """

    def __init__(
        self, by_pool: Mapping[tuple[str, str, str], float], on_demand: tuple[tuple[Requests, float], ...]
    ) -> None:
        self._by_pool = by_pool
        self._on_demand = on_demand
        self._known: dict[tuple[tuple[str, str, str], Requests, Requests], tuple[float, float]] = {}

    def of(self, node: Node, requests: Requests) -> tuple[float, float]:
        """What a pod costs on a node, and what it would cost on demand, per hour."""
        pool = (node.capacity_class, node.instance_type, node.zone)
        key = (pool, node.allocatable, requests)
        known = self._known.get(key)
        if known is None:
            rate = self._by_pool.get(pool, 0.0) * share(requests, node.allocatable)
            others = [price * share(requests, offer) for offer, price in self._on_demand]
            known = self._known[key] = (rate, min(others, default=0.0))
        return known
