"""Loads a synthetic cluster into a `ClusterState` and times plans of the drift loop on it; prints JSON.

    python -m bench.planchild NODES WORKLOADS REPLICAS ROUNDS

Figures are milliseconds of CPU in each round, by scene: a plan waits for nothing. Scenes follow one another on the same
state, each further off.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Collection

from msgspec.structs import replace

from bench.cluster import Cluster
from bench.statechild import NOW, load
from extender import runtime
from extender.core.drift.history import History
from extender.core.drift.moves import DriftPlan
from extender.core.drift.plan import plan
from extender.core.drift.rules import DriftRules
from extender.core.model.classes import SPOT, ClassRules
from extender.core.model.constraints import Constraints, PodTerm, Spread
from extender.core.model.objects import Node, Owner
from extender.core.model.selectors import LabelSelector
from extender.core.policy.rules import PolicyRules
from extender.core.state.events import Upsert
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState
from extender.settings import Settings
from extender.wire.objects_v1 import Decoders

DAY = 86_400.0
LATER = NOW + DAY
RULES = DriftRules()
ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
FEW = 20
PERCENTAGE = "spotmix.io/spot-percentage"


class Stage:
    """The loaded cluster, and what can be done to it."""

    def __init__(self, nodes: int, workloads: int, replicas: int) -> None:
        self.state = ClusterState(runtime.policy_rules(Settings()))
        load(
            Cluster(nodes, workloads, replicas),
            self.state,
            Decoders(ClassRules(), PolicyRules().prefixes),
        )
        self.results: dict[str, list[float]] = {}
        self.moves: dict[str, int] = {}

    def time(self, scene: str, rounds: int, only: Collection[str] | None = None) -> None:
        """Plan, some times over."""
        taken = []
        for _ in range(rounds):
            began = time.process_time()
            made: DriftPlan = plan(self.state, History(), RULES, LATER, only=only)
            taken.append((time.process_time() - began) * 1e3)
        self.results[scene], self.moves[scene] = taken, len(made.moves)

    def deployments(self, every: int) -> list[Owner]:
        """One in `every` Deployments."""
        owners = self.state.workloads.owners.values()
        return [owner for owner in owners if owner.kind == "Deployment"][::every]

    def ask_more(self, owners: Collection[Owner]) -> None:
        """Owners want ten percent more, or less, on spot."""
        for owner in owners:
            percentage = int(owner.annotations[PERCENTAGE])
            wanted = str(percentage - 10 if percentage > 50 else percentage + 10)
            self.state.apply(Upsert(replace(owner, annotations={**owner.annotations, PERCENTAGE: wanted})), NOW)

    def constrain(self, make: Callable[[PodRecord], Constraints]) -> None:
        """Let pods demand something; equal demands are shared within a workload."""
        shared: dict[str, Constraints] = {}
        for pod in self.state.pods.values():
            owner = pod.revision.owner.uid if pod.revision is not None else ""
            pod.constraints = shared.setdefault(owner, make(pod))
            self.state.repelling.add(pod)

    def fill(self, capacity_class: str) -> None:
        """No node of a class has CPU to spare."""
        for record in self.state.nodes.values():
            facts = record.facts
            if facts is not None and facts.capacity_class == capacity_class:
                full: Node = replace(facts, allocatable=replace(facts.allocatable, cpu=record.cpu))
                self.state.apply(Upsert(full), NOW)


def demands(pod: PodRecord) -> Constraints:
    """Spread over zones and no two on a node, as a chart with good manners asks for."""
    labels = tuple(sorted(pod.labels.labels.items())) if pod.labels is not None else ()
    mine = LabelSelector(labels)
    return Constraints(anti_affinity=(PodTerm(HOSTNAME, mine),), spread=(Spread(ZONE, 5, mine),))


def main() -> None:
    """Measure and print."""
    nodes, workloads, replicas, rounds = map(int, sys.argv[1:])
    stage = Stage(nodes, workloads, replicas)
    gc.collect()
    gc.freeze()
    stage.time("every workload at its split", rounds)
    few = stage.deployments(max(1, workloads // FEW))[:FEW]
    stage.ask_more(few)
    stage.time(f"{len(few)} workloads off their split, only those", rounds, [owner.uid for owner in few])
    stage.ask_more(stage.deployments(20))
    stage.time("one workload in twenty off its split", rounds)
    stage.ask_more(stage.deployments(1))
    stage.time("nearly every workload off its split", rounds)
    stage.constrain(demands)
    stage.time("the same, every pod with anti-affinity and topology spread", rounds)
    stage.time(f"the same, {len(few)} workloads only", rounds, [owner.uid for owner in few])
    stage.fill(SPOT)
    stage.time("the same, no spot node has room", rounds)
    sys.stdout.write(json.dumps({"times": stage.results, "moves": stage.moves}))


if __name__ == "__main__":
    main()
