"""Which node to nominate for a pod whose class the scheduler's sample missed."""

from collections.abc import Container, Iterable
from itertools import islice

from extender.core.capacity.fit import Needs, admits, has_room
from extender.core.model.objects import Requests
from extender.core.state.records import NodeRecord
from extender.core.state.state import ClusterState

MOST_COMPARISONS = 500_000
"""Of a pod's demands with nodes: some tenths of a second, in which nobody else is answered."""


def _nominated(state: ClusterState) -> dict[str, int]:
    """How many waiting pods are nominated to each node."""
    counts: dict[str, int] = {}
    for waiting in state.waiting.all():
        if waiting.node:
            counts[waiting.node] = counts.get(waiting.node, 0) + 1
    return counts


def choose_node(
    state: ClusterState,
    nodes: Iterable[NodeRecord],
    offered: Container[str],
    refused: Container[str],
    needs: Needs,
) -> str:
    """The node with the fewest pods that would fit, was not offered and was not refused; empty when there is none.

    Room is deducted for pods already nominated there, as if each asked for what this one does. Of a pod that asks for
    very much, by hundreds of terms, only so many nodes are looked at that nobody waits for it.
    """
    nominated = _nominated(state)
    best: tuple[int, str] | None = None
    asked = needs.requests
    for node in islice(nodes, MOST_COMPARISONS // needs.constraints.comparisons):
        name = node.name
        if name in offered or name in refused:
            continue
        pods = nominated.get(name, 0)
        key = (len(node.pods) + pods, name)
        if best is not None and key >= best:
            continue
        taken = Requests(
            asked.cpu * pods,
            asked.memory * pods,
            asked.ephemeral * pods,
            tuple((extended, amount * pods) for extended, amount in asked.extended),
        )
        if has_room(node, asked, pods=pods, taken=taken) and admits(node, needs.constraints):
            best = key
    return best[1] if best is not None else ""
