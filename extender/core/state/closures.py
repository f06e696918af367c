"""Classes that cannot be had for a while: pods that want one are given a stand-in at once, instead of each waiting.

A class is closed for what was asked in vain, and for whatever asks for more: a refusal of a node of one zone says
nothing of pods that may be anywhere, and none of 30 CPUs nothing of small ones. It is opened again by the first proof,
which is a node that came, or by time. Then one pod is let try, and the others follow when it has got its node.
"""

from collections.abc import Callable, Hashable

from msgspec import Struct

from extender.core.model.objects import Requests
from extender.core.model.selectors import Requirement
from extender.core.state.records import PodRecord

SHORTEST, LONGEST = 60.0, 1800.0
"""How long a class is closed for the first time, and at most (seconds); each refusal after that doubles it."""

MOST = 500
"""Closures that are kept; of more the one that ends first gives way."""

HOSTNAME = "kubernetes.io/hostname"
_CPU, _MEMORY = 125, 512 * 2**20


class Demand(Struct, frozen=True):
    """What a pod asks of a node, whatever its class, as far as whether there is such a node may depend on it.

    `narrow` are its requirements, a zone, say; `size` is a bucket: each holds pods of up to twice the size of the one
    below.
    """

    narrow: frozenset[Hashable] = frozenset()
    size: int = 0

    def covers(self, other: "Demand") -> bool:
        """Whether it asks for as much as another, or more."""
        return self.size >= other.size and self.narrow >= other.narrow


def size_of(asked: Requests) -> int:
    """The bucket of requests."""
    return max(-(-asked.cpu // _CPU), -(-asked.memory // _MEMORY)).bit_length()


def demand_of(pod: PodRecord, class_labels: frozenset[str]) -> Demand:
    """What a pod asks for beside its class, which is told by `class_labels`."""
    asked = pod.constraints
    narrow: set[Hashable] = {Requirement(key, "In", (value,)) for key, value in asked.node_selector}
    terms = {tuple(each for each in term if each.key not in class_labels) for term in asked.node_terms or ()}
    if len(terms) == 1:
        narrow.update(*terms)
    elif () not in terms:
        narrow.add(frozenset(terms)) if terms else None
    narrow.update(("spread", each.topology_key) for each in asked.spread if each.topology_key != HOSTNAME)
    narrow.update(("near", each.topology_key) for each in asked.affinity)
    if asked.claims:
        # A volume may be of one zone.
        narrow.add("volumes")
    narrow.update(("resource", name) for name, _ in pod.requests.extended)
    return Demand(frozenset(each for each in narrow if not _of_class(each, class_labels)), size_of(pod.requests))


def _of_class(item: Hashable, class_labels: frozenset[str]) -> bool:
    return isinstance(item, Requirement) and item.key in class_labels


class Closure(Struct, eq=False):
    """A class that is closed for a demand, for all workloads, or for the one of which `scope` is the UID.

    It was closed last at `since`, until `until` at the latest (seconds since the epoch), for the `level`-th time in a
    row, because of `reason`. What it asks for was `refused` then, or earlier where that was heard late. `probe` is the
    UID of the pod that is let try after that; empty while there is none.
    """

    capacity_class: str
    demand: Demand
    scope: str
    since: float
    until: float
    reason: str
    refused: float
    level: int = 0
    probe: str = ""


class Closures:
    """All closures.

    Args:
        waits: whether a pod (UID) still waits for a node.

    Attributes:
        through: UIDs of pods that were given a class although it was closed, and may still wait for a node.
    """

    def __init__(self, waits: Callable[[str], bool]) -> None:
        self._waits = waits
        self._all: dict[tuple[str, Demand, str], Closure] = {}
        self.through: set[str] = set()

    def __len__(self) -> int:
        return len(self._all)

    def all(self) -> list[Closure]:
        """Every closure, those included that only wait for a pod to try."""
        return list(self._all.values())

    def closed(self, capacity_class: str, demand: Demand, now: float, scope: str = "", pod: str = "") -> Closure | None:
        """What closes a class for a demand of a workload (`scope`); None where nothing does.

        Args:
            capacity_class: the class.
            demand: what is asked for of a node of it.
            now: seconds since the epoch.
            scope: the workload's UID.
            pod: the UID of who asks: for the pod that was let try, it is open.
        """
        return next(
            (
                each
                for each in self._all.values()
                if each.capacity_class == capacity_class
                and each.scope in ("", scope)
                and demand.covers(each.demand)
                and (now < each.until or (each.probe not in ("", pod) and self._waits(each.probe)))
            ),
            None,
        )

    def let_try(self, capacity_class: str, demand: Demand, scope: str, pod: str) -> None:
        """A pod is given a class that is not closed to it: where time has opened it, others wait how it fares."""
        for each in self._all.values():
            if each.capacity_class == capacity_class and each.scope in ("", scope) and demand.covers(each.demand):
                each.probe = pod

    def let_through(self, pod: str) -> None:
        """A pod (UID) is given a class that is closed: there is room for it."""
        self.through = {uid for uid in self.through if self._waits(uid)} | {pod}

    def close(  # noqa: PLR0917 - as `closed`
        self,
        capacity_class: str,
        demand: Demand,
        now: float,
        reason: str,
        scope: str = "",
        refused: float | None = None,
    ) -> None:
        """A class was refused for a demand: close it for longer than before, unless it is closed already.

        Args:
            capacity_class: the class.
            demand: what was asked for of a node of it.
            now: seconds since the epoch.
            reason: why, in words.
            scope: the UID of the workload that it is closed for; empty for all.
            refused: when it was refused (seconds since the epoch), where that was not now.
        """
        wider = [
            each
            for each in self._all.values()
            if each.capacity_class == capacity_class and each.scope in ("", scope) and demand.covers(each.demand)
        ]
        if any(now < each.until for each in wider):
            return
        closure = self._all.get((capacity_class, demand, scope)) or (wider[0] if wider else None)
        if closure is None:
            closure = Closure(capacity_class, demand, scope, now, 0.0, reason, now)
            self._all[capacity_class, demand, scope] = closure
        else:
            closure.level += 1
        closure.since, closure.reason, closure.probe = now, reason, ""
        closure.refused = now if refused is None else refused
        closure.until = now + min(SHORTEST * 2.0**closure.level, LONGEST)
        if len(self._all) > MOST:
            soonest = min(self._all, key=lambda key: self._all[key].until)
            del self._all[soonest]

    def prove(self, capacity_class: str, proven: Callable[[Demand], bool], since: float) -> None:
        """A node of a class came: open it for each demand that this proves.

        Args:
            capacity_class: the class.
            proven: says of which demands it is proof.
            since: when the node was asked for, or came (seconds since the epoch): what was refused later stays closed.
        """
        for key, each in list(self._all.items()):
            if each.capacity_class == capacity_class and each.refused <= since and proven(each.demand):
                del self._all[key]
