"""What is on the page of nodes: pools and nodes, first those that something is to be said of."""

from collections import Counter
from typing import Any

from msgspec import Struct

from extender.core.answers.overview import PoolRow, pools
from extender.core.state.records import NodeRecord
from extender.servers.answers.search import matches
from extender.servers.answers.sources import Sources
from extender.servers.console.query import Query, page_of

POOLS = 200
"""Node pools shown."""


STATES = ("", "going away", "not ready", "cordoned", "doubtful")
"""What is to be said of a node first; of a doubtful one, that its class may be another."""


class NodeView(Struct, frozen=True, gc=False):
    """A node. `state` is what is to be said of it first: going away, not ready, cordoned, or nothing."""

    name: str
    capacity_class: str
    instance_type: str
    zone: str
    state: str
    detail: str
    pods: int


def nodes_context(sources: Sources, query: Query) -> dict[str, Any]:
    """Node pools and nodes; first the nodes that something is to be said of."""
    state = sources.state
    words = query.words()
    show = query.choice("show", STATES)
    found: list[NodeView] = []
    counts: Counter[str] = Counter()
    for node in state.nodes.values():
        view = _node_view(node)
        if view is None:
            continue
        counts[view.state] += 1
        texts = (view.name, view.capacity_class, view.instance_type, view.zone, view.state, view.detail)
        if show in ("", view.state) and matches(words, *texts):
            found.append(view)
    found.sort(key=lambda view: (not view.state, view.state, view.name))
    rows = sorted(pools(state, sources.now()), key=_troubled)
    return {
        "pools": rows[:POOLS],
        "more_pools": max(0, len(rows) - POOLS),
        "counts": counts,
        "classes": {name: len(nodes) for name, nodes in sorted(state.placeable.items())},
        "show": show,
        "states": STATES,
        "page": page_of(found, query.number("page")),
    }


def _node_view(node: NodeRecord) -> NodeView | None:
    facts = node.facts
    if facts is None:
        return None
    state, detail = "", ""
    if facts.going_away:
        state, detail = "going away", facts.going_away
    elif not facts.ready:
        state = "not ready"
    elif facts.unschedulable:
        state = "cordoned"
    elif facts.doubt:
        state, detail = "doubtful", facts.doubt
    return NodeView(node.name, facts.capacity_class, *node.place, state=state, detail=detail, pods=len(node.pods))


def _troubled(pool: PoolRow) -> tuple[float, float, str, str, str]:
    """Pools that something happens in come first."""
    return -pool.going_away, -pool.interruptions, pool.capacity_class, pool.instance_type, pool.zone
