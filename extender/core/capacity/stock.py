"""The nodes of each class with what is left on them, once all that is planned so far has come.

Kept in the order of the CPU they have to spare: the first that fits is near the one that the scheduler would take.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Iterator, Sequence

from extender.core.capacity.fit import has_room
from extender.core.model.constraints import HostPort
from extender.core.model.objects import Requests
from extender.core.state.records import NodeRecord, PodRecord
from extender.core.state.state import ClusterState

Entry = tuple[int, str, NodeRecord]
"""A node in order: less the CPU it has to spare (millicores, negated), its name, itself."""

ANY_ADDRESS = ("", "0.0.0.0", "::")
_NO_REQUESTS = Requests()


class Stock:
    """What is left on nodes, by class. Those not Ready, cordoned, going away or `lost` (names) are left out."""

    def __init__(self, state: ClusterState, lost: Container[str] = ()) -> None:
        self._state, self._lost = state, lost
        self._left: dict[str, set[str]] = {}
        self._coming: dict[str, list[PodRecord]] = {}
        self._taken: dict[str, Requests] = {}
        self._ordered: dict[str, list[Entry]] = {}

    def nodes(self, capacity_class: str) -> Sequence[Entry]:
        """The nodes of a class that can take pods."""
        ordered = self._ordered.get(capacity_class)
        if ordered is None:
            ordered = self._ordered[capacity_class] = sorted(
                self._entry(node)
                for node in self._state.placeable.get(capacity_class, {}).values()
                if node.facts is not None
                and node.facts.ready
                and not node.facts.unschedulable
                and node.name not in self._lost
            )
        return ordered

    def with_cpu(self, capacity_class: str, asked: int) -> int:
        """How many of these, from the first on, have so many millicores to spare; all where none are asked for."""
        nodes = self.nodes(capacity_class)
        return bisect_right(nodes, -asked, key=_less_spare) if asked else len(nodes)

    def spare_cpu(self, node: NodeRecord) -> int:
        """Millicores that nobody has asked for."""
        return -self._entry(node)[0]

    def occupy(self, pod: PodRecord, node: NodeRecord) -> None:
        """A pod like `pod` is to come to a node."""
        self._coming.setdefault(node.name, []).append(pod)
        self._charge(node, pod.requests, +1)

    def leave(self, pod: PodRecord, node: NodeRecord) -> None:
        """A pod of a node leaves it, and what it has is for others."""
        self._left.setdefault(node.name, set()).add(pod.uid)
        self._charge(node, pod.requests, -1)

    def _charge(self, node: NodeRecord, asked: Requests, sign: int) -> None:
        before = self._entry(node)
        self._taken[node.name] = _sum(self._taken.get(node.name, _NO_REQUESTS), asked, sign)
        ordered = self._ordered.get(node.facts.capacity_class) if node.facts is not None else None
        if ordered is None:
            return
        index = bisect_left(ordered, before[:2], key=_rank)
        if index < len(ordered) and ordered[index][2] is node:
            del ordered[index]
            insort(ordered, self._entry(node), key=_rank)

    def has_room(self, asked: Requests, node: NodeRecord) -> bool:
        """Whether a node has room for a pod that asks for so much."""
        taken = self._taken.get(node.name)
        if taken is None:
            return has_room(node, asked)
        more = len(self._coming.get(node.name, ())) - len(self._left.get(node.name, ()))
        return has_room(node, asked, pods=more, taken=taken)

    def takes_port_of(self, pod: PodRecord, node: NodeRecord) -> bool:
        """Whether a host port of a pod is taken on a node."""
        taken = [port for other in self.pods(node) for port in other.constraints.host_ports]
        return any(_clash(wanted, port) for wanted in pod.constraints.host_ports for port in taken)

    def pods(self, node: NodeRecord) -> Iterator[PodRecord]:
        """The pods that will be on a node."""
        left = self._left.get(node.name, ())
        yield from (pod for pod in node.pods if pod.uid not in left)
        yield from self._coming.get(node.name, ())

    def _entry(self, node: NodeRecord) -> Entry:
        offered = node.facts.allocatable.cpu if node.facts is not None else 0
        return node.cpu + self._taken.get(node.name, _NO_REQUESTS).cpu - offered, node.name, node


def _rank(entry: Entry) -> tuple[int, str]:
    return entry[:2]


def _less_spare(entry: Entry) -> int:
    return entry[0]


def _clash(one: HostPort, other: HostPort) -> bool:
    """Source: `HostPortInfo.CheckConflict` in `kube-scheduler/framework/types.go` of Kubernetes 1.36."""
    return (
        one.port == other.port
        and one.protocol == other.protocol
        and (one.ip == other.ip or one.ip in ANY_ADDRESS or other.ip in ANY_ADDRESS)
    )


def _sum(one: Requests, other: Requests, sign: int) -> Requests:
    extended = dict(one.extended)
    for name, amount in other.extended:
        extended[name] = extended.get(name, 0) + sign * amount
    return Requests(
        one.cpu + sign * other.cpu,
        one.memory + sign * other.memory,
        one.ephemeral + sign * other.ephemeral,
        tuple(sorted(extended.items())),
    )
