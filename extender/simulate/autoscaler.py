"""An autoscaler for node pools: brings nodes for pods that no node takes, and removes those that stand empty.

It goes by what Karpenter and cluster-autoscaler have in common. It asks no extender: a pod that fits a node which is
there, or is coming, brings no other, whatever class it is meant for. Its pods are those that the scheduler found no
node for, the largest first; a node is brought of the cheapest pool that takes the pod and may still grow. Not modelled:
moving pods onto fewer nodes, and where other pods are, for a node that is still to come.
"""

from collections.abc import Mapping
from functools import partial

from msgspec import Struct

from extender.core.capacity.fit import admits, has_room
from extender.core.model.constraints import Constraints
from extender.core.model.objects import Announcement, Requests
from extender.core.state.events import Event
from extender.core.state.records import NodeRecord
from extender.simulate.api import VirtualApi, VirtualPod, Watcher
from extender.simulate.clock import Timer
from extender.simulate.feasible import Feasible
from extender.simulate.machines import JOINING, LEAVING, SimulatedPool
from extender.simulate.truth import Truth

AGAIN = 10.0
"""How often it looks again at pods that it could not help, and for empty nodes (seconds)."""

JOINS = 1.0
"""From a node's coming to its taking pods (seconds)."""

MARKED = 5.0
"""From the mark on a node that is to be removed to its removal (seconds)."""


class AutoscalerOptions(Struct, frozen=True):
    """How the autoscaler behaves. Durations in seconds.

    Attributes:
        batch: from the first pod without a node to the look at all of them.
        launch: from that to a node that takes pods.
        empty: how long a node stands empty before it is removed.
    """

    batch: float = 1.0
    launch: float = 40.0
    empty: float = 60.0


class _Offer(Struct, eq=False):
    """A node, and what pods that are to come to it take."""

    node: NodeRecord
    pods: int = 0
    taken: Requests = Requests()

    def take(self, asked: Requests) -> bool:
        """Let a pod come here too, if there is room for it."""
        if not has_room(self.node, asked, pods=self.pods, taken=self.taken):
            return False
        mine = self.taken
        extended = dict(mine.extended)
        for name, amount in asked.extended:
            extended[name] = extended.get(name, 0) + amount
        self.pods += 1
        self.taken = Requests(
            mine.cpu + asked.cpu,
            mine.memory + asked.memory,
            mine.ephemeral + asked.ephemeral,
            tuple(sorted(extended.items())),
        )
        return True


class Autoscaler(Watcher):
    """Grows and shrinks the pools that may.

    Args:
        api: the cluster.
        truth: see `Truth`.
        pools: all pools, by name.
        options: see `AutoscalerOptions`.

    Attributes:
        launched: nodes that it brought.
        removed: nodes that it removed.
    """

    def __init__(
        self, api: VirtualApi, truth: Truth, pools: Mapping[str, SimulatedPool], options: AutoscalerOptions
    ) -> None:
        self._api, self._clock, self._state, self._options = api, api.clock, truth.state, options
        self._pools = sorted((pool for pool in pools.values() if pool.spec.most), key=lambda pool: pool.spec.price)
        self._refused: dict[str, float] = {}
        self._coming: dict[str, SimulatedPool] = {}
        self._empty_since: dict[str, float] = {}
        self._look = Timer(None)
        self.launched = self.removed = 0

    def start(self) -> None:
        """Look for empty nodes from now on."""
        self._clock.after(AGAIN, self._sweep)

    def refuse(self, capacity_class: str, seconds: float) -> None:
        """Have no node of a class to be had for a while; those that are coming do not come."""
        self._refused[capacity_class] = max(self._refused.get(capacity_class, 0.0), self._clock.now + seconds)
        for name, pool in list(self._coming.items()):
            if pool.capacity_class == capacity_class and name not in pool.machines:
                del self._coming[name]

    def pod(self, pod: VirtualPod, event: Event) -> None:  # noqa: ARG002 - the pod has it all
        """See `Watcher`."""
        if _is_asked_for(pod):
            self._look_in(self._options.batch)

    def _look_in(self, seconds: float) -> None:
        if not self._look.pending:
            self._look = self._clock.after(seconds, self._bring)

    # More nodes

    def _bring(self) -> None:
        """Bring the nodes that pods without one lack."""
        waiting = [pod for pod in self._state.unbound if _is_asked_for(self._api.pods[pod])]
        pods = sorted((self._api.pods[uid] for uid in waiting), key=_size)
        feasible = Feasible(self._api, self._state, 100, frozenset())
        there = [_Offer(node) for node in self._state.nodes.values() if node.placeable]
        coming = [_Offer(NodeRecord(name, pool.sample(), [])) for name, pool in self._coming.items()]
        in_vain: set[tuple[Requests, Constraints]] = set()
        for pod in pods:
            asked, demands = pod.template.requests, pod.constraints
            if (asked, demands) not in in_vain:
                fits = feasible.passes(pod)
                if any(fits(offer.node) and offer.take(asked) for offer in there):
                    continue
                in_vain.add((asked, demands))
            brought = any(admits(offer.node, demands) and offer.take(asked) for offer in coming)
            if not brought:
                new = self._launch(asked, demands)
                coming += new
                brought = bool(new)
            text = "a node is coming for it" if brought else "no pool that may grow takes it, or can be had"
            now, uid = self._clock.now, f"event-{pod.uid}"
            self._api.announce(Announcement(uid, pod.uid, pod.namespace, pod.name, brought, text, now))
        if pods:
            self._look_in(AGAIN)

    def _launch(self, asked: Requests, demands: Constraints) -> list[_Offer]:
        """Bring a node for a pod, of the cheapest pool that can."""
        now = self._clock.now
        for pool in self._pools:
            if now < self._refused.get(pool.capacity_class, 0.0) or not pool.grows(self._of(pool)):
                continue
            offer = _Offer(NodeRecord("", pool.sample(), []))
            if admits(offer.node, demands) and offer.take(asked):
                name = pool.next_name()
                self._coming[name] = pool
                self._clock.after(max(0.0, self._options.launch - JOINS), partial(self._arrive, name))
                return [offer]
        return []

    def _of(self, pool: SimulatedPool) -> int:
        """How many nodes of a pool are still to come."""
        return sum(each is pool and name not in pool.machines for name, each in self._coming.items())

    def _arrive(self, name: str) -> None:
        pool = self._coming.get(name)
        if pool is not None and pool.grows():
            self.launched += 1
            pool.launch(name)
        # Whoever watches nodes knows it by the time that it takes pods.
        self._clock.after(JOINS, partial(self._join, name))

    def _join(self, name: str) -> None:
        pool = self._coming.pop(name, None)
        if pool is not None:
            pool.taint(name, JOINING, on=False)

    # Fewer nodes

    def _sweep(self) -> None:
        now, used = self._clock.now, self._used()
        for pool in self._pools:
            spare = pool.live - pool.spec.size
            for name in pool.names():
                if name in used:
                    self._empty_since.pop(name, None)
                    continue
                since = self._empty_since.setdefault(name, now)
                if spare > 0 and now - since >= self._options.empty:
                    spare -= 1
                    self._remove(pool, name)
        self._clock.after(AGAIN, self._sweep)

    def _used(self) -> set[str]:
        """The nodes with pods, those too that the scheduler has just chosen."""
        return {name for name, node in self._state.nodes.items() if node.pods}

    def _remove(self, pool: SimulatedPool, name: str) -> None:
        pool.taint(name, LEAVING, on=True)
        self._clock.after(MARKED, lambda: self._marked(pool, name))

    def _marked(self, pool: SimulatedPool, name: str) -> None:
        self._empty_since.pop(name, None)
        if name in self._used():
            pool.taint(name, LEAVING, on=False)
        else:
            self.removed += pool.retire(name)


def _is_asked_for(pod: VirtualPod) -> bool:
    """Whether the scheduler has found no node for a pod that is to have one."""
    return pod.unscheduled_since is not None and not (pod.node or pod.nominated or pod.terminating or pod.gates)


def _size(pod: VirtualPod) -> tuple[int, int, float, str]:
    asked = pod.template.requests
    return (-asked.cpu, -asked.memory, pod.created, pod.uid)
