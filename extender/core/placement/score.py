"""Which nodes of a class are the better ones: named parts that add up to 0-10 for each node.

| part | points | full when |
|---|---|---|
| class | 4 | the node is of the class of the pod's seat |
| pool | 3 | no pool holds fewer siblings |
| node | 2 | the node holds no sibling |
| health | 1 | no interruption of the pool is remembered |

A node that is going away scores 0. Siblings are the pods of the same revision.

Filter leaves the nodes that score highest (`best_nodes`), so that the scheduler need not ask for scores. Where it is
told to leave them all, prioritize gives their scores. Those are only ever compared with one another, so the least of
them is taken off all and zeros are left out of the answer.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, islice, zip_longest

from msgspec import Struct
from msgspec.structs import force_setattr

from extender.core.state.records import NodeRecord, Pool, Revision, Siblings
from extender.core.state.state import ClusterState

CLASS_POINTS, POOL_POINTS, NODE_POINTS, HEALTH_POINTS = 4, 3, 2, 1


class Parts(Struct, frozen=True, gc=False):
    """The parts of one node's score; `total` is their sum, 0-10."""

    capacity_class: int = 0
    pool: int = 0
    node: int = 0
    health: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        """Add up once: nodes of a pool share their parts."""
        force_setattr(self, "total", self.capacity_class + self.pool + self.node + self.health)


_NOTHING = Parts()
_NOWHERE = Siblings({}, {})


def score_nodes(
    state: ClusterState, revision: Revision | None, wanted: str, names: Iterable[str], now: float
) -> dict[str, Parts]:
    """The parts of the score of each node, by name; unknown nodes score nothing."""
    held = revision.siblings if revision is not None else _NOWHERE
    most = max(held.pools.values(), default=0)

    def parts(record: NodeRecord, capacity_class: str) -> Parts:
        return Parts(
            CLASS_POINTS if capacity_class == wanted else 0,
            _pool_points(held.pools.get(record.pool, 0), most),
            _node_points(held.nodes.get(record.name, 0)),
            _health_points(state, record.pool, now),
        )

    result: dict[str, Parts] = {}
    # Nodes of one class and pool without siblings are alike.
    alike: dict[str, Parts] = {}
    for name in names:
        record = state.nodes.get(name)
        if record is None or record.facts is None or record.facts.going_away:
            result[name] = _NOTHING
        elif name in held.nodes:
            result[name] = parts(record, record.facts.capacity_class)
        else:
            known = alike.get(record.group)
            if known is None:
                known = alike[record.group] = parts(record, record.facts.capacity_class)
            result[name] = known
    return result


def _pool_points(held: int, most: int) -> int:
    return POOL_POINTS * (most - held) // most if most else POOL_POINTS


def _node_points(held: int) -> int:
    return max(0, NODE_POINTS - held)


def _health_points(state: ClusterState, pool: Pool, now: float) -> int:
    return HEALTH_POINTS if _healthy(state, pool, now) else 0


def _healthy(state: ClusterState, pool: Pool, now: float) -> bool:
    return state.interruptions.of(pool, now) < 0.5


def relative_scores(parts: dict[str, Parts]) -> list[tuple[str, int]]:
    """Scores above the least one, as (node, points)."""
    least = min((part.total for part in parts.values()), default=0)
    return [(name, part.total - least) for name, part in parts.items() if part.total > least]


def best_nodes(
    state: ClusterState, revision: Revision | None, found: Sequence[NodeRecord], limit: int, now: float
) -> list[str]:
    """The names of at most `limit` (0: all) of those of the nodes `found` that score highest, their pools in turn.

    The nodes are placeable and all of one class. They score as in `score_nodes`, but by the group.
    """
    held = revision.siblings if revision is not None else _NOWHERE
    most = max(held.pools.values(), default=0)
    crowded = {state.nodes[name].group for name in held.nodes}
    scored: defaultdict[int, list[list[NodeRecord]]] = defaultdict(list)
    for group, row in _grouped(found).items():
        points = _pool_points(held.pools.get(row[0].pool, 0), most) + _health_points(state, row[0].pool, now)
        if group in crowded:
            nodes = [_node_points(held.nodes.get(record.name, 0)) for record in row]
            best = max(nodes)
            scored[points + best].append([record for record, node in zip(row, nodes, strict=True) if node == best])
        else:
            scored[points + NODE_POINTS].append(row)
    return _in_turn(scored[max(scored)], limit or None) if scored else []


def spread_over(
    state: ClusterState, revision: Revision | None, found: Sequence[NodeRecord], limit: int, now: float
) -> list[str]:
    """The names of at most `limit` of the nodes `found`: evenly over pools, emptier pools and nodes without siblings
    first.
    """
    held = revision.siblings if revision is not None else _NOWHERE
    groups = _grouped(found)
    for group in {state.nodes[name].group for name in held.nodes} & groups.keys():
        groups[group].sort(key=lambda record: held.nodes.get(record.name, 0))
    rows = list(groups.values())
    if state.interruptions:
        rows.sort(key=lambda row: not _healthy(state, row[0].pool, now))
    if held.pools:
        rows.sort(key=lambda row: held.pools.get(row[0].pool, 0))
    return _in_turn(rows, limit)


def _grouped(found: Sequence[NodeRecord]) -> dict[str, list[NodeRecord]]:
    groups: defaultdict[str, list[NodeRecord]] = defaultdict(list)
    for record in found:
        groups[record.group].append(record)
    return groups


def _in_turn(rows: Sequence[Sequence[NodeRecord]], limit: int | None) -> list[str]:
    """The names of the first of each row, then of the second, and so on; the rows are of unequal length."""
    in_turn = filter(None, chain.from_iterable(zip_longest(*rows)))
    return [record.name for record in islice(in_turn, limit)]
