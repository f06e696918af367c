"""The cluster state's own compact, mutable records.

150,000 pods are kept, so a pod's record holds references to shared records and interned values only. Records compare
by identity and stay out of the garbage collector: `state` takes their cycles apart when an object goes.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

from msgspec import Struct

from extender.core.model.constraints import NO_CONSTRAINTS, Constraints
from extender.core.model.objects import Node, OwnerRef, Pod, PodId, Protection, Requests

K = TypeVar("K")
Pool = tuple[str, str]
"""A spot pool: instance type and zone."""


class NodeRecord(Struct, eq=False, gc=False):
    """A node and what its pods use. `facts` is None until the watch has delivered the node that a pod names.

    `pods` are a list, since they are few and there are many nodes: sets of them would weigh seven times as much.
    `pool` are the nodes that tend to be lost together: of one instance type and zone. A node that says neither is one
    of its own, since nothing says that it is like others. `group` is one string for class and pool, equal
    for nodes that differ only by name: a string's hash is kept. `steady_since` is since when pods may be placed on
    it: it is Ready and not going away (seconds since the epoch).
    """

    name: str
    facts: Node | None
    pods: "list[PodRecord]"
    pool: Pool = ("", "")
    group: str = ""
    cpu: int = 0
    memory: int = 0
    ephemeral: int = 0
    extended: dict[str, int] | None = None
    steady_since: float = 0.0

    @property
    def place(self) -> Pool:
        """Its instance type and zone, as far as labels say; those of its `pool`, unless that is a node of its own."""
        return (self.facts.instance_type, self.facts.zone) if self.facts is not None else ("", "")

    @property
    def placeable(self) -> bool:
        """Whether pods on it hold seats: it is known and not going away."""
        return self.facts is not None and not self.facts.going_away


class Reservation(Struct, frozen=True, gc=False):
    """A seat held for a pod from the decision on. `at` is in seconds; `pool` is set where a pool cap made the choice.

    `stand_in` marks a fallback: it is judged anew when the pod is tried again, an own class's seat is kept. `written`
    says that the class is being written on the pod. `pod` is a UID, or what `replacing` makes of one: then the seat is
    for the next new pod of the revision. `waits` says that the pod was rejected: it has the seat and no more. It is
    `proven` where a pod was moved for it: there was room when that left.
    """

    pod: str
    namespace: str
    owner: OwnerRef
    capacity_class: str
    at: float
    pool: Pool | None = None
    stand_in: bool = False
    written: bool = False
    waits: bool = False
    proven: bool = False


ALONE = "node "
"""Before the name of a node that is a pool of its own, in place of an instance type."""


def place_of_pool(pool: Pool) -> Pool:
    """Instance type and zone of a pool, as labels say: of a node that is a pool of its own they say nothing."""
    return ("", "") if pool[0].startswith(ALONE) else pool


_REPLACING = "replacing/"


def replacing(pod: str) -> str:
    """For whom a seat is reserved while the pod that will replace `pod` is not known."""
    return _REPLACING + pod


def replaced_by(pod: str) -> str:
    """The pod that the one of a reservation will replace, where it is not known yet; else that pod itself."""
    return pod.removeprefix(_REPLACING)


def is_replacing(pod: str) -> bool:
    """Whether a reservation is for a pod that is not known yet."""
    return pod.startswith(_REPLACING)


class Siblings(Struct, eq=False, gc=False):
    """How many seated pods of a revision each pool and each node (by name) holds; no entry is 0."""

    pools: dict[Pool, int]
    nodes: dict[str, int]

    def add(self, node: NodeRecord, count: int) -> None:
        """Count `count` pods more on a node, or fewer when negative."""
        tally(self.pools, node.pool, count)
        tally(self.nodes, node.name, count)


def tally(held: dict[K, int], key: K, count: int) -> bool:
    """Count `count` more of `key`, or fewer when negative; what comes to 0 has no entry.

    Say whether an entry came or went.
    """
    before = held.get(key, 0)
    left = before + count
    if left:
        held[key] = left
    else:
        held.pop(key, None)
    return not before or not left


class Revision(Struct, eq=False, gc=False):
    """The pods of one controller (a ReplicaSet, StatefulSet, Job ..), counted alone.

    `filled` counts pods that hold a seat, by class: bound ones, and those on which their class is written.
    `reservations` are the live ones, by pod, and `reserved` counts them by class; `replacing` are the keys of those for
    pods not known yet, oldest first. `spread` is made when it is first asked for, and kept current from then on.
    `scheduler` is the name of the one that placed the last of its pods, empty while none was. `unbound` are the pods in
    `filled` that no node has yet, with their written classes.
    """

    owner: OwnerRef
    namespace: str
    pods: "set[PodRecord]"
    filled: dict[str, int]
    reservations: dict[str, Reservation]
    reserved: dict[str, int]
    spread: Siblings | None = None
    replacing: tuple[str, ...] = ()
    scheduler: str = ""
    unbound: dict[str, str] = {}

    @property
    def bound(self) -> Mapping[str, int]:
        """Pods that hold a seat and are on a node, by its class."""
        if not self.unbound:
            return self.filled
        waiting = Counter(self.unbound.values())
        return {name: count - waiting[name] for name, count in self.filled.items()}

    def lacks_node(self, pod: str, capacity_class: str) -> None:
        """Whether a pod that holds a seat of a class has no node; empty where it has one, or holds no seat."""
        if capacity_class:
            self.unbound[pod] = capacity_class
        elif self.unbound:
            self.unbound.pop(pod, None)

    def reservation(self, pod: str) -> Reservation | None:
        """The reservation of a pod, or the one that a new pod takes over."""
        own = self.reservations.get(pod)
        if own is None and self.replacing:
            own = self.reservations[self.replacing[0]]
        return own

    @property
    def siblings(self) -> Siblings:
        """Where its seated pods are."""
        if self.spread is None:
            self.spread = Siblings({}, {})
            for pod in self.pods:
                if pod.counted and pod.node is not None:
                    self.spread.add(pod.node, 1)
        return self.spread


class PodLabels(Struct, eq=False, gc=False):
    """The labels that some pods of a namespace have, and those pods: a selector is asked once for all of them.

    There are about as many of these as workloads; a set for the few pods of each would weigh four times as much.
    """

    namespace: str
    labels: Mapping[str, str]
    pods: "list[PodRecord]"


class PodTraits(Struct, frozen=True, gc=False):
    """What a pod has in common with most others, which share one of these. The fields are those of `Pod`."""

    terminating: bool = False
    pending: bool = False
    due: float = 0.0
    protection: Protection | None = None
    gates: tuple[str, ...] = ()
    written: str = ""


_PLAIN = PodTraits()
_shared_traits = lru_cache(maxsize=1024)(PodTraits)


def traits_of(pod: Pod) -> PodTraits:
    """Those of a pod."""
    if pod.terminating or pod.pending or pod.protection is not None or pod.gates or pod.written:
        return _shared_traits(pod.terminating, pod.pending, pod.due, pod.protection, pod.gates, pod.written)
    return _PLAIN


class PodRecord(Struct, eq=False, gc=False):
    """A pod. `counted` is the class under which its revision counts it, empty while it holds no seat.

    `ready_after` is as in `Pod`: it most often is a small number that Python keeps anyway, while a time would weigh 32
    bytes. `labels` is None once it is gone.
    """

    uid: str
    namespace: str
    name: str
    node: NodeRecord | None
    revision: Revision | None
    requests: Requests
    created: float
    counted: str = ""
    cost: str | None = None
    ready: bool = False
    labels: PodLabels | None = None
    constraints: Constraints = NO_CONSTRAINTS
    ready_after: int = 0
    traits: PodTraits = _PLAIN

    @property
    def terminating(self) -> bool:
        """As of `Pod`."""
        return self.traits.terminating

    @property
    def pending(self) -> bool:
        """As of `Pod`."""
        return self.traits.pending

    @property
    def due(self) -> float:
        """As of `Pod`."""
        return self.traits.due

    @property
    def protection(self) -> Protection | None:
        """As of `Pod`."""
        return self.traits.protection

    @property
    def gates(self) -> tuple[str, ...]:
        """As of `Pod`."""
        return self.traits.gates

    @property
    def written(self) -> str:
        """As of `Pod`."""
        return self.traits.written

    @property
    def id(self) -> PodId:
        """What names it to others."""
        return PodId(self.namespace, self.name, self.uid)

    @property
    def node_name(self) -> str:
        """The name of the node that it is on, empty when it is on none."""
        return self.node.name if self.node is not None else ""

    @property
    def capacity_class(self) -> str:
        """The class of the node that it is on, empty when it is on none that is known."""
        return self.node.facts.capacity_class if self.node is not None and self.node.facts is not None else ""

    @property
    def ready_since(self) -> float:
        """Since when it is ready, if it is (seconds since the epoch)."""
        return self.created + self.ready_after
