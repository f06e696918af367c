"""Prioritize: named parts that add up to 0-10 for each node.

| part | points | full when |
|---|---|---|
| class | 4 | the node is of the class of the pod's seat |
| pool | 3 | no pool holds fewer siblings |
| node | 2 | the node holds no sibling |
| health | 1 | no interruption of the pool is remembered |

A node that is going away scores 0. Siblings are the pods of the same revision. Scores are only ever compared with one
another, so the least of them is taken off all and zeros are left out of the answer.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from extender.core.records import NodeRecord, Pool, Revision
from extender.core.state import ClusterState

CLASS_POINTS, POOL_POINTS, NODE_POINTS, HEALTH_POINTS = 4, 3, 2, 1


class Parts(Struct, frozen=True, gc=False):
    """The parts of one node's score."""

    capacity_class: int = 0
    pool: int = 0
    node: int = 0
    health: int = 0

    @property
    def total(self) -> int:
        """The sum, 0-10."""
        return self.capacity_class + self.pool + self.node + self.health


def siblings(revision: Revision | None) -> tuple[dict[Pool, int], dict[str, int]]:
    """How many pods of a revision each pool and each node holds."""
    pools: dict[Pool, int] = {}
    nodes: dict[str, int] = {}
    for record in revision.pods if revision is not None else ():
        node = record.node
        if node is not None and not record.terminating:
            pools[node.pool] = pools.get(node.pool, 0) + 1
            nodes[node.name] = nodes.get(node.name, 0) + 1
    return pools, nodes


def score_nodes(
    state: ClusterState, revision: Revision | None, wanted: str, names: Iterable[str], now: float
) -> dict[str, Parts]:
    """The parts of the score of each node, by name; unknown nodes score nothing."""
    pools, nodes = siblings(revision)
    most = max(pools.values(), default=0)
    result: dict[str, Parts] = {}
    health: dict[Pool, int] = {}
    for name in names:
        record = state.nodes.get(name)
        if record is None or record.facts is None or not record.placeable:
            result[name] = Parts()
            continue
        pool = record.pool
        if pool not in health:
            health[pool] = HEALTH_POINTS if state.interruptions(pool, now) < 0.5 else 0
        result[name] = Parts(
            CLASS_POINTS if record.facts.capacity_class == wanted else 0,
            POOL_POINTS * (most - pools.get(pool, 0)) // most if most else POOL_POINTS,
            max(0, NODE_POINTS - nodes.get(name, 0)),
            health[pool],
        )
    return result


def relative_scores(parts: dict[str, Parts]) -> list[tuple[str, int]]:
    """Scores above the least one, as (node, points)."""
    totals = [(name, part.total) for name, part in parts.items()]
    least = min((total for _, total in totals), default=0)
    return [(name, total - least) for name, total in totals if total > least]


def spread_over(
    state: ClusterState, revision: Revision | None, records: Sequence[NodeRecord], limit: int, now: float
) -> list[str]:
    """At most `limit` of the nodes: evenly over pools, emptier pools and nodes without siblings first."""
    pools, nodes = siblings(revision)
    by_pool: dict[Pool, list[NodeRecord]] = {}
    for record in records:
        by_pool.setdefault(record.pool, []).append(record)
    for members in by_pool.values():
        if nodes:
            members.sort(key=lambda r: nodes.get(r.name, 0))
    order = sorted(by_pool, key=lambda p: (pools.get(p, 0), state.interruptions(p, now) >= 0.5))
    chosen: list[str] = []
    rank = 0
    while len(chosen) < limit:
        row = [by_pool[pool][rank].name for pool in order if rank < len(by_pool[pool])]
        if not row:
            break
        chosen.extend(row)
        rank += 1
    return chosen[:limit]
