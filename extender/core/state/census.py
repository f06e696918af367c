"""How nodes of each class are marked, counted: what tells a class, and which taints keep pods off spot nodes.

Kept by the state as nodes come, change and go, so that asking costs as much as there are different nodes, not nodes.
Only nodes that are not going away count.
"""

from collections.abc import Iterable

from extender.core.model.classes import SPOT
from extender.core.model.objects import Node
from extender.core.model.taints import Taint
from extender.core.state.records import tally

Marks = tuple[tuple[str, str], ...]
"""The labels of a node that class rules ask about, with their values."""


class Census:
    """Counts the marks and spot taints of nodes that are not going away.

    Attributes:
        version: rises whenever what `marks` or `spot_taints` give may have changed, so that answers can be kept.
    """

    def __init__(self) -> None:
        self.version = 0
        self._marks: dict[tuple[str, Marks], int] = {}
        self._taints: dict[Taint, int] = {}

    def change(self, old: Node | None, new: Node | None) -> None:
        """Count `new` in place of `old`."""
        # The new one first: what both have stays.
        for node, sign in ((new, +1), (old, -1)):
            if node is None or node.going_away:
                continue
            self.version += tally(self._marks, (node.capacity_class, node.marks), sign)
            if node.capacity_class == SPOT:
                for taint in node.taints:
                    self.version += tally(self._taints, taint, sign)

    def marks(self) -> Iterable[tuple[str, Marks]]:
        """Each capacity class with the marks that nodes of it have, in every combination there is."""
        return self._marks.keys()

    def spot_taints(self) -> Iterable[Taint]:
        """The taints on spot nodes."""
        return self._taints.keys()
