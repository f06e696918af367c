"""Node pools: machines that are reclaimed and replaced."""

from datetime import UTC, datetime
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.classes import ClassRules
from extender.core.model.objects import Node
from extender.simulate.api import VirtualApi
from extender.simulate.kubelet import Kubelets
from extender.wire.kube_v1 import Metadata, NodeSpec, NodeStatus, RawNode, RawTaint, TimedCondition
from extender.wire.objects_v1 import to_node
from extender.wire.requests_v1 import Quantities

NOTICE = "aws-node-termination-handler/spot-itn"
"""The taint that announces the end of a machine, as one platform's handler writes it; all mean the same."""
LEAVING, JOINING = "karpenter.sh/disrupted", "node.kubernetes.io/not-ready"
"""The taints on a node that its autoscaler is about to remove, and on one that has just come."""
HOUR = 3600.0


class PoolSpec(Struct, frozen=True):
    """A node pool: machines of one instance type in one zone, of one capacity class.

    Attributes:
        name: of the pool, with which its nodes' names begin.
        labels: of its nodes; they say class, instance type and zone.
        taints: of its nodes.
        allocatable: what a node offers, as Kubernetes writes it.
        size: how many nodes the pool has when nothing is missing.
        price: of a node, an hour, in whatever currency.
        rate: interruptions per node and hour.
        notice: seconds from the announcement of an end to the end; 0 for none.
        delay: least and mean seconds until a lost node is replaced.
        noticed: seconds after its end in which the control plane has noticed that a node is gone.
        refused: whether the scheduler refuses all pods on its nodes, for a reason that Spotmix does not see.
        most: how many nodes an autoscaler may bring it to; 0 where none has a say.
    """

    name: str
    labels: dict[str, str]
    allocatable: Quantities
    size: int
    price: float = 0.0
    taints: tuple[RawTaint, ...] = ()
    rate: float = 0.0
    notice: float = 120.0
    delay: tuple[float, float] = (60.0, 180.0)
    noticed: float = 40.0
    refused: bool = False
    most: int = 0


class Machine(Struct, eq=False):
    """A node of a pool. `died` is when it ended; `noticed` is whether its end is announced or over."""

    name: str
    raw: RawNode
    born: float
    noticed: bool = False
    died: float | None = None


class SimulatedPool:
    """One node pool, alive.

    Args:
        spec: what it should be like.
        api: the cluster.
        kubelets: of its nodes.
        rules: how nodes are told apart.
        rng: when nodes end, and others come.
        refused: takes the names of nodes on which the scheduler accepts no pod.

    Attributes:
        interruptions: how many of its nodes were reclaimed.
        seconds: how long nodes ran in all, of those that have ended.
    """

    def __init__(  # noqa: PLR0917 - each of a type of its own
        self, spec: PoolSpec, api: VirtualApi, kubelets: Kubelets, rules: ClassRules, rng: Random, refused: set[str]
    ) -> None:
        self.spec = spec
        self.interruptions = 0
        self.seconds = 0.0
        self._api = api
        self._kubelets = kubelets
        self._rules = rules
        self._rng = rng
        self._refused = refused
        self._made = 0
        self._lost_until = 0.0
        self._live = False
        self.machines: dict[str, Machine] = {}
        self.capacity_class = rules.class_of(spec.labels)

    def fill(self) -> None:
        """Start all nodes."""
        while len(self.machines) < self.spec.size:
            self._start(self.next_name())

    def adopt(self, raw: RawNode) -> None:
        """Take over a node that there is."""
        self._made += 1
        self._start(raw.metadata.name, raw)

    def running_seconds(self, now: float) -> float:
        """How long its nodes have run, in all."""
        return self.seconds + sum(now - machine.born for machine in self.machines.values() if machine.died is None)

    def node_of(self, raw: RawNode) -> Node:
        """The core's view of a node."""
        return to_node(raw, self._rules, self._rules.labels)

    def sample(self) -> Node:
        """A node as the pool's nodes are."""
        return self.node_of(self._raw(self.spec.name))

    def _raw(self, name: str) -> RawNode:
        labels = {**self.spec.labels, "kubernetes.io/hostname": name}
        born = datetime.fromtimestamp(self._api.clock.now, UTC)
        meta = Metadata(uid=f"node-{name}", name=name, labels=labels, creation_timestamp=born)
        return RawNode(meta, NodeSpec(taints=list(self.spec.taints)), NodeStatus(self.spec.allocatable))

    def _start(self, name: str, raw: RawNode | None = None) -> None:
        raw = raw or self._raw(name)
        machine = self.machines[name] = Machine(name, raw, self._api.clock.now)
        if self.spec.refused:
            self._refused.add(name)
        self._api.put(self.node_of(raw))
        if self._live:
            self._expose(machine)

    def begin(self) -> None:
        """Have nodes reclaimed from now on."""
        self._live = True
        for machine in self.machines.values():
            self._expose(machine)

    def _expose(self, machine: Machine) -> None:
        if self.spec.rate:
            after = self._rng.expovariate(self.spec.rate / HOUR)
            self._api.clock.after(after, lambda: self.reclaim(machine, self.spec.notice))

    def lose(self, seconds: float, notice: float) -> None:
        """Lose every node at once, and have none for a while."""
        self._lost_until = max(self._lost_until, self._api.clock.now + seconds)
        for machine in list(self.machines.values()):
            self.reclaim(machine, notice)

    # What an autoscaler does

    @property
    def live(self) -> int:
        """How many machines run."""
        return sum(machine.died is None for machine in self.machines.values())

    def names(self) -> list[str]:
        """The machines that run, and whose end is not announced."""
        return [name for name, machine in self.machines.items() if machine.died is None and not machine.noticed]

    def grows(self, coming: int = 0) -> bool:
        """Whether one more machine can be had, beside so many that are coming."""
        return self.live + coming < self.spec.most and self._api.clock.now >= self._lost_until

    def next_name(self) -> str:
        """A name for one more machine."""
        self._made += 1
        return f"{self.spec.name}-{self._made - 1:04d}"

    def launch(self, name: str) -> None:
        """Start a machine that is to take no pods yet: see `taint`."""
        raw = self._raw(name)
        joining = RawTaint(JOINING, "NoSchedule")
        self._start(name, replace(raw, spec=NodeSpec(taints=[*(raw.spec.taints or ()), joining])))

    def taint(self, name: str, key: str, *, on: bool) -> None:
        """Keep pods off a machine by a taint, or take that taint away."""
        machine = self.machines.get(name)
        if machine is None or machine.noticed:
            return
        spec = machine.raw.spec
        taints = [taint for taint in spec.taints or () if taint.key != key]
        taints += [RawTaint(key, "NoSchedule")] if on else []
        machine.raw = replace(machine.raw, spec=NodeSpec(spec.unschedulable, taints))
        self._api.put(self.node_of(machine.raw))

    def retire(self, name: str) -> bool:
        """Remove a machine that is empty; False when its end has come otherwise."""
        machine = self.machines.get(name)
        if machine is None or machine.noticed:
            return False
        machine.noticed, machine.died = True, self._api.clock.now
        self.seconds += machine.died - machine.born
        self._removed(machine)
        return True

    def reclaim(self, machine: Machine, notice: float) -> None:
        """Announce the end of a node, or end it at once."""
        if machine.noticed:
            return
        machine.noticed = True
        self.interruptions += 1
        if not notice:
            self._die(machine)
            return
        spec = machine.raw.spec
        tainted = NodeSpec(spec.unschedulable, [*(spec.taints or ()), RawTaint(NOTICE, "NoSchedule")])
        machine.raw = replace(machine.raw, spec=tainted)
        self._api.put(self.node_of(machine.raw))
        self._api.clock.after(notice, lambda: self._die(machine))

    def _die(self, machine: Machine) -> None:
        now = self._api.clock.now
        machine.died = now
        self.seconds += now - machine.born
        self._kubelets.die(machine.name)
        self._api.clock.after(self.spec.noticed, lambda: self._silent(machine))
        self._api.clock.after(1.5 * self.spec.noticed, lambda: self._removed(machine))
        least, mean = self.spec.delay
        wait = least + (self._rng.expovariate(1.0 / (mean - least)) if mean > least else 0.0)
        self._api.clock.at(max(now, self._lost_until) + wait, self._replace)

    def _silent(self, machine: Machine) -> None:
        """The control plane has noticed: the node is not Ready, nor are its pods."""
        since = datetime.fromtimestamp(self._api.clock.now, UTC)
        unknown = TimedCondition("Ready", "Unknown", "NodeStatusUnknown", since)
        machine.raw = replace(machine.raw, status=replace(machine.raw.status, conditions=[unknown]))
        self._api.put(self.node_of(machine.raw))
        self._kubelets.lose_contact(machine.name)

    def _removed(self, machine: Machine) -> None:
        del self.machines[machine.name]
        self._api.remove_node(machine.name)

    def _replace(self) -> None:
        if self._api.clock.now < self._lost_until:
            # Lost again meanwhile, before it had come.
            self._api.clock.at(self._lost_until + self.spec.delay[0], self._replace)
        elif sum(machine.died is None for machine in self.machines.values()) < self.spec.size:
            self._start(self.next_name())
