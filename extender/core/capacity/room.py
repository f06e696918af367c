"""Which node of a class has room for a pod: requests, taints, selectors, volumes, host ports, other pods, pool cap.

Whatever is to come to a node in the course of a plan is deducted from it: see `arrivals` and `Room.occupy`.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import IntEnum
from itertools import islice

from msgspec import Struct

from extender.core.capacity.fit import admits, needed
from extender.core.capacity.occupancy import Occupancy
from extender.core.capacity.stock import Entry, Stock
from extender.core.capacity.topology import Check, Topology
from extender.core.capacity.volumes import Bound, Volumes
from extender.core.model.objects import Requests
from extender.core.model.reasons import Reason, Refusal
from extender.core.state.records import NodeRecord, PodRecord, Pool, Revision, tally
from extender.core.state.state import ClusterState

LOOKS = 50_000
"""Nodes that a plan looks at in vain, shared out among the revisions that search. Once one has had its share, its last
search speaks for the rest of its pods; later plans begin at other nodes."""

LEAST_LOOKS = 50
"""The least share."""


class Group(Struct, frozen=True, eq=False):
    """The revision whose pods search a node, and by class the most of them that one pool may hold, where there is such
    a limit.
    """

    revision: Revision
    pool_limits: Mapping[str, int] = {}


Key = tuple[object, ...]


class Hurdle(IntEnum):
    """How far a node came."""

    ADMISSION = 0
    ROOM = 1
    VOLUME = 2
    HOST_PORT = 3
    AFFINITY = 4
    SPREAD = 5
    POOL_FULL = 6
    END = 7


_REASONS = {
    Hurdle.ADMISSION: Reason.NOT_ADMITTED,
    Hurdle.ROOM: Reason.NO_ROOM,
    Hurdle.VOLUME: Reason.VOLUME,
    Hurdle.HOST_PORT: Reason.HOST_PORT,
    Hurdle.AFFINITY: Reason.AFFINITY,
    Hurdle.SPREAD: Reason.SPREAD,
    Hurdle.POOL_FULL: Reason.STAY_POOL_FULL,
}


class Room:
    """Finds nodes for pods one after the other; what was found is deducted before the next search.

    Args:
        state: the cluster.
        leaving: UIDs of pods that leave; whoever moves one adds it.
        now: seconds since the epoch.
        dwell: how long a node must have been back (seconds).
        lost: names of nodes that are taken to be gone; the pods on them have to be among those that leave.
        steady: names of nodes that need not have been back for long.
        looks: nodes that may be looked at in vain, see `LOOKS`.
    """

    def __init__(
        self,
        state: ClusterState,
        leaving: AbstractSet[str],
        now: float,
        *,
        dwell: float = 0.0,
        lost: Container[str] = (),
        steady: Container[str] = (),
        looks: int = LOOKS,
    ) -> None:
        self._state, self._leaving = state, leaving
        self._now = now
        self._since, self._steady = now - dwell, steady
        self.stock = Stock(state, lost)
        self._occupancy = Occupancy(state, leaving)
        self.topology = Topology(state, self._occupancy, lost)
        self.volumes = Volumes(state, leaving, self.stock)
        self._admitted: dict[Key, dict[str, bool]] = {}
        self._refused: dict[Key, Refusal] = {}
        self._looks: dict[Key, int] = {}
        self._share = self._all_looks = looks
        self._pools: dict[str, dict[tuple[str, Pool], int]] = {}
        self._needed: dict[tuple[Revision, Requests], Requests] = {}
        self._values: dict[tuple[str, str], set[str | None]] = {}

    def expect(self, searches: int) -> None:
        """Share what may be looked at among so many revisions, or other groups of pods."""
        self._share = max(LEAST_LOOKS, self._all_looks // max(1, searches))

    def find(
        self, pod: PodRecord, capacity_class: str, group: Group | None = None, *, dwell: bool = True
    ) -> NodeRecord | Refusal:
        """A node of a class for a pod like `pod`, which leaves its own; or why there is none.

        The reason is that of the node that came furthest, or DWELL where one would do but for that. Without a `group`
        there is no pool cap; without that, or `dwell`, nodes need not have been back for long.
        """
        demands = pod.constraints
        if demands.unmodelled:
            return Refusal(Reason.UNMODELLED, ", ".join(demands.unmodelled))
        revision = group.revision if group is not None else None
        since = self._since if dwell and group is not None else None
        shape = (demands.node_selector, demands.node_terms, demands.tolerations)
        plain: Key = (capacity_class, since, revision is None, self.needed(pod), shape)
        close: Key = (*plain, demands, pod.labels, revision, self._domains(pod, capacity_class))
        tried: Key = (capacity_class, since, revision or pod.labels)
        for key in (plain, close, tried):
            known = self._refused.get(key)
            if known is not None:
                return known
        search = _Search(self, pod, group, self._admitted.setdefault(shape, {}))
        spent = self._looks.get(tried, 0)
        limit = max(LEAST_LOOKS, self._share - spent)
        found = search.among(capacity_class, since, limit, int(self._now) * limit)
        if isinstance(found, Refusal):
            self._refused[plain if found.reason in (Reason.NOT_ADMITTED, Reason.NO_ROOM) else close] = found
            self._looks[tried] = spent = spent + search.looks
            if spent >= self._share:
                self._refused[tried] = found
        return found

    def steps(self, pod: PodRecord) -> Callable[[NodeRecord], Hurdle]:
        """Says how far nodes come for a pod like `pod`, without a pool cap."""
        return _Search(self, pod, None, {}).step

    def fits(self, pod: PodRecord, node: NodeRecord) -> bool:
        """Whether a pod like `pod` fits a certain node."""
        return _Search(self, pod, None, {}).step(node) is Hurdle.END

    def is_back(self, node: NodeRecord, since: float | None) -> bool:
        """Whether a node has been steady since then, or need not have been."""
        return since is None or node.steady_since <= since or node.name in self._steady

    def takes_instead(self, pod: PodRecord, other: PodRecord, group: Group) -> bool:
        """Whether a pod like `pod` fits the node of another one once that is gone; then that is deducted."""
        node = other.node
        if node is None:
            return False
        self.stock.leave(other, node)
        if self.fits(pod, node) and self.pool_takes(group, node):
            return True
        self.stock.occupy(other, node)
        return False

    def occupy(self, pod: PodRecord, node: NodeRecord, revision: Revision | None = None) -> None:
        """A pod like `pod` is to come to a node, and counts towards the pool cap of `revision`."""
        self.stock.occupy(pod, node)
        self._occupancy.expect(pod, node)
        if revision is not None and node.facts is not None:
            tally(self._held(revision), (node.facts.capacity_class, node.pool), 1)

    def needed(self, pod: PodRecord) -> Requests:
        """See `fit.needed`."""
        if not pod.requests.extended or pod.revision is None:
            return needed(pod)
        known = self._needed.get((pod.revision, pod.requests))
        if known is None:
            known = self._needed[pod.revision, pod.requests] = needed(pod)
        return known

    def pool_takes(self, group: Group, node: NodeRecord) -> bool:
        """Whether the owner's cap lets another pod into a node's pool."""
        name = node.facts.capacity_class if node.facts is not None else ""
        limit = group.pool_limits.get(name)
        return limit is None or self._held(group.revision).get((name, node.pool), 0) < limit

    def _domains(self, pod: PodRecord, capacity_class: str) -> tuple[str | None, ...]:
        """Which topology domains a pod would leave: all that makes a difference between the pods of a workload.

        To affinity it makes one only where nodes of the class are in that domain too: its old host is in none of them.
        """
        if pod.node is None or pod.node.facts is None:
            return ()
        demands, labels = pod.constraints, pod.node.facts.labels
        left = [labels.get(each.topology_key) for each in demands.spread]
        for term in (*demands.anti_affinity, *demands.affinity):
            value = labels.get(term.topology_key)
            left.append(value if value in self._values_of(capacity_class, term.topology_key) else None)
        return tuple(left)

    def _values_of(self, capacity_class: str, key: str) -> set[str | None]:
        values = self._values.get((capacity_class, key))
        if values is None:
            nodes = self.stock.nodes(capacity_class)
            values = {node.facts.labels.get(key) for _, _, node in nodes if node.facts is not None}
            self._values[capacity_class, key] = values
        return values

    def _held(self, revision: Revision) -> dict[tuple[str, Pool], int]:
        """How many pods of a revision each pool of a class holds, seen or reserved."""
        held = self._pools.get(revision.owner.uid)
        if held is None:
            held = self._pools[revision.owner.uid] = {}
            for pod in revision.pods:
                if pod.counted and pod.node is not None and pod.uid not in self._leaving:
                    tally(held, (pod.counted, pod.node.pool), 1)
            for reservation in revision.reservations.values():
                if reservation.pool is not None:
                    tally(held, (reservation.capacity_class, reservation.pool), 1)
        return held


class _Search:
    """The steps of one pod. What only some pods need is worked out when a node comes so far."""

    def __init__(self, room: Room, pod: PodRecord, group: Group | None, admitted: dict[str, bool]) -> None:
        self._room, self._pod, self._group, self._admitted = room, pod, group, admitted
        self._asked = room.needed(pod)
        self._volumes: list[Bound] | str | None = None
        self._affinity: list[Check] | None = None
        self._spread: list[Check] | None = None
        self._claim = ""
        self.looks = 0

    def among(self, capacity_class: str, since: float | None, limit: int, start: int) -> NodeRecord | Refusal:
        """Search the nodes of a class.

        Args:
            capacity_class: the class.
            since: since when a node must have been steady (seconds since the epoch); None takes any.
            limit: most nodes to look at.
            start: where to begin when there are more: anywhere, but not always there.
        """
        nodes = self._room.stock.nodes(capacity_class)
        if not nodes:
            return Refusal(Reason.NO_NODE)
        roomy = self._room.stock.with_cpu(capacity_class, self._pod.requests.cpu)
        chosen: Iterable[Entry] = islice(nodes, roomy)
        if roomy > limit:
            chosen = (nodes[(start + number) % roomy] for number in range(limit))
        furthest, dwells = Hurdle.ADMISSION, ""
        for _, name, node in chosen:
            back = self._room.is_back(node, since)
            if dwells and not back:
                continue
            self.looks += 1
            step = self.step(node)
            if step is Hurdle.END:
                if back:
                    return node
                dwells = name
            furthest = max(furthest, step)
        if roomy > limit:
            return Refusal(Reason.LATER)
        if dwells:
            return Refusal(Reason.DWELL, dwells)
        if furthest is Hurdle.ADMISSION and any(self._is_admitted(node) for _, _, node in islice(nodes, roomy, None)):
            furthest = Hurdle.ROOM
        return Refusal(_REASONS[furthest], self._claim if furthest is Hurdle.VOLUME else "")

    def step(self, node: NodeRecord) -> Hurdle:
        """The step that a node fails at, END when it fits."""
        room, pod, facts = self._room, self._pod, node.facts
        demands = pod.constraints
        if facts is None or not self._is_admitted(node):
            return Hurdle.ADMISSION
        if not room.stock.has_room(self._asked, node):
            return Hurdle.ROOM
        if demands.claims and not self._reaches_volumes(node):
            return Hurdle.VOLUME
        if demands.host_ports and room.stock.takes_port_of(pod, node):
            return Hurdle.HOST_PORT
        if self._affinity is None:
            self._affinity = room.topology.affinity(pod)
        if not all(check(facts.labels) for check in self._affinity):
            return Hurdle.AFFINITY
        if self._spread is None:
            self._spread = room.topology.spread(pod)
        if not all(check(facts.labels) for check in self._spread):
            return Hurdle.SPREAD
        if self._group is not None and not room.pool_takes(self._group, node):
            return Hurdle.POOL_FULL
        return Hurdle.END

    def _is_admitted(self, node: NodeRecord) -> bool:
        known = self._admitted.get(node.name)
        if known is None:
            known = self._admitted[node.name] = admits(node, self._pod.constraints)
        return known

    def _reaches_volumes(self, node: NodeRecord) -> bool:
        if self._volumes is None:
            self._volumes = self._room.volumes.of(self._pod)
        lacking = self._volumes if isinstance(self._volumes, str) else self._room.volumes.lacks(self._volumes, node)
        self._claim = lacking or self._claim
        return not lacking
