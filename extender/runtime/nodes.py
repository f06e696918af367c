"""Tells of nodes of a class in doubt, of a class that no policy names, and of those that say nothing of their pool."""

import asyncio
from collections.abc import Container, Iterator, Sequence

from extender.core.answers.replicas import unnamed_classes
from extender.core.model.eventreasons import EventReason
from extender.core.state.records import NodeRecord
from extender.core.state.state import ClusterState
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.kube.seams import Timing
from extender.runtime.retelling import Retelling

LOOK = 60.0
"""Seconds between two looks."""

AT_ONCE = 20
"""Nodes that are told of at one look: others have their turn at the next."""

SLICE = 1000
"""Nodes looked at between two looks at the event loop."""

Said = tuple[NodeRecord, EventReason, str]


class NodeReports:
    """Events on nodes.

    Args:
        state: the cluster.
        recorder: posts Events.
        timing: where time comes from.
    """

    def __init__(self, state: ClusterState, recorder: EventRecorder, *, timing: Timing | None = None) -> None:
        self._state = state
        self._recorder = recorder
        self._timing = timing or Timing()
        self._retelling = Retelling(self._timing.clock)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._look()
            await self._timing.sleep(LOOK)

    async def _look(self) -> None:
        left = AT_ONCE
        capped = {name for each in self._state.workloads.by_uid.values() for name in each.policy.capped_classes}
        # Of each class one node tells.
        unnamed = {min(self._state.placeable[name]) for name in unnamed_classes(self._state)}
        nodes = list(self._state.nodes.values())
        for start in range(0, len(nodes), SLICE):
            for node, reason, text in _said(nodes[start : start + SLICE], unnamed, capped):
                about = Regarding.node(node)
                due = left and self._retelling.is_due(about.uid, text)
                if due and self._recorder.emit(about, reason, "Classify", text):
                    self._retelling.told(about.uid, text)
                    left -= 1
            await asyncio.sleep(0)
        self._retelling.keep({node.facts.uid for node in nodes if node.facts is not None}.__contains__)


def _said(nodes: Sequence[NodeRecord], unnamed: Container[str], capped: Container[str]) -> Iterator[Said]:
    for node in nodes:
        facts = node.facts
        if facts is None:
            continue
        if node.name in unnamed:
            text = f"No policy names the class {facts.capacity_class}: no managed replica is placed on nodes of it"
            fix = "name it in spec.classes of a policy, or have classes.extraRules say that they are spot or on-demand"
            yield node, EventReason.CLASS_UNNAMED, f"{text}; {fix}"
        elif facts.doubt:
            fix = "label it spotmix.io/capacity-class=spot or on-demand, or add a rule to classes.extraRules"
            yield node, EventReason.NODE_DOUBTFUL, f"It counts as {facts.capacity_class}: {facts.doubt}; {fix}"
        elif facts.capacity_class in capped and node.place == ("", ""):
            text = "It has no label of its instance type or zone, so that max-per-pool takes it for a pool of its own"
            yield node, EventReason.NODE_ALONE, text
