"""A world whose workloads are off their split, and plans made for it."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from extender.core.drift.history import History
from extender.core.drift.moves import DriftPlan, Move
from extender.core.drift.plan import plan
from extender.core.drift.rules import DriftRules
from extender.core.model.objects import EMPTY, OwnerRef
from extender.core.model.reasons import Reason
from support.doubles import ENABLED, ON_DEMAND, SPOT, World, keys, make_node, make_owner, make_pod

NIGHTLY = {"disruption_schedule": "0 2 * * *", "disruption_duration": "1h"}
"""A disruption schedule; `DRIFT_RULES` say that its window is shut."""

DRIFT_RULES = DriftRules()


class DriftWorld(World):
    """Nodes have been there for ever and pods for ten minutes, unless said otherwise."""

    def __init__(self, rules: DriftRules = DRIFT_RULES) -> None:
        super().__init__()
        self.now = 1_767_571_200.0
        self.rules = rules
        self.history = History()

    def pods(self, owner: OwnerRef, count: int, node: str, start: int = 0, **fields: Any) -> list[str]:
        """Add `count` pods `web-1-0` and so on of a ReplicaSet `web-1` to a node; their names, which are their UIDs."""
        names = [f"{owner.name}-{number}" for number in range(start, start + count)]
        given = {"created": self.now - 600.0, "labels": {"app": owner.name}, "ready": True, **fields}
        self.up(*(make_pod(name, owner, node, **given) for name in names))
        return names

    def drifted(
        self,
        name: str = "web",
        on_demand: int = 6,
        spot: int = 4,
        nodes: Mapping[str, str] = EMPTY,
        policy: Mapping[str, Any] = EMPTY,
        **pods: Any,
    ) -> OwnerRef:
        """A Deployment with this many pods on `on-demand-0` and `spot-0`, whose owner wants half of them on each."""
        owner = self.deployment(name, on_demand + spot, **{"spot_percentage": 50, **policy})
        self.pods(owner, on_demand, nodes.get(ON_DEMAND, "on-demand-0"), **pods)
        self.pods(owner, spot, nodes.get(SPOT, "spot-0"), start=on_demand, **pods)
        return owner

    def stateful(self, name: str, classes: Iterable[str], first: int = 0, **policy: Any) -> OwnerRef:
        """A StatefulSet, each of whose pods is on the first node of its class in `classes`."""
        on = list(classes)
        owner = make_owner(
            "StatefulSet", name, len(on), first_ordinal=first, labels=ENABLED, annotations=keys(**policy)
        )
        self.up(owner)
        for number, capacity_class in enumerate(on, first):
            self.pods(owner.ref, 1, f"{capacity_class}-0", start=number)
        return owner.ref

    def workload_owner(self, name: str) -> OwnerRef:
        """The first ReplicaSet of a Deployment."""
        return self.state.workloads.owners[f"uid-ReplicaSet-{name}-1"].ref

    def plan(self, only: Collection[str] | None = None, *, current: bool = True) -> DriftPlan:
        return plan(self.state, self.history, self.rules, self.now, only=only, current=current)

    def moved(self) -> list[str]:
        """The names of the pods that a plan moves."""
        return [move.pod.name for move in self.plan().moves]

    def why(self) -> list[tuple[Reason, str]]:
        """Why pods stay in a plan, with the details, each once."""
        return list(dict.fromkeys((stay.reason, stay.detail) for stay in self.plan().stays))

    def reasons(self) -> list[Reason]:
        """Why pods stay in a plan, each once."""
        return list(dict.fromkeys(stay.reason for stay in self.plan().stays))

    def start(self, move: Move) -> None:
        """The eviction of a move is sent."""
        self.history.started(move, self.state, self.now)

    def carry_out(self, move: Move) -> None:
        """The pod is gone, and another is ready where the plan saw room."""
        record = self.state.pods[move.pod.uid]
        assert record.revision is not None
        old = make_pod(
            f"{move.pod.name}-again",
            record.revision.owner,
            move.target,
            name=move.pod.name if record.revision.owner.kind == "StatefulSet" else f"{move.pod.name}-again",
            created=self.now,
            labels=record.labels.labels if record.labels is not None else EMPTY,
            requests=record.requests,
            constraints=record.constraints,
        )
        self.gone("pods", move.pod.uid)
        self.up(old)

    def cycle(self, seconds: float = 30.0) -> list[str]:
        """Carry out a plan whose evictions all succeed; the pods that were moved."""
        moves = self.plan().moves
        for move in moves:
            self.carry_out(move)
        self.now += seconds
        return [move.pod.name for move in moves]


def zonal(name: str, capacity_class: str, zone: str, **fields: Any) -> Any:
    """A node that says its zone and name by labels."""
    labels = {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name}
    return make_node(name, capacity_class, zone=zone, labels=labels, **fields)
