"""Loads a synthetic cluster into a `ClusterState` and times what-ifs on it; prints JSON.

    python -m bench.whatifchild NODES WORKLOADS REPLICAS ROUNDS

Figures are milliseconds of CPU, by scene: those of each whole answer, and its longest step, which is how long a server
that pauses between steps lets others wait.
"""

import gc
import json
import sys
import time

from bench.planchild import LATER, Stage, demands
from extender.core.answers.plan import WorkloadName
from extender.core.model.classes import SPOT
from extender.core.state.state import ClusterState
from extender.core.whatif.outlook import Change, LostPool, WhatIf
from extender.core.whatif.what_if import what_if_in_steps


def ask(state: ClusterState, change: Change) -> tuple[float, float, WhatIf]:
    """Milliseconds of CPU in all, and of the longest step; the answer."""
    steps, total, longest = what_if_in_steps(state, change, LATER), 0.0, 0.0
    while True:
        began = time.process_time()
        try:
            next(steps)
        except StopIteration as end:
            return total + (time.process_time() - began) * 1e3, longest, end.value
        taken = (time.process_time() - began) * 1e3
        total, longest = total + taken, max(longest, taken)


def main() -> None:
    """Measure and print."""
    nodes, workloads, replicas, rounds = map(int, sys.argv[1:])
    stage = Stage(nodes, workloads, replicas)
    gc.collect()
    gc.freeze()
    owner = stage.deployments(1)[0]
    name = WorkloadName(owner.namespace, owner.kind, owner.name)
    facts = next(node.facts for node in stage.state.nodes.values() if node.facts and node.facts.capacity_class == SPOT)
    pool = LostPool(SPOT, facts.instance_type, facts.zone)
    changes = {
        "one workload twice as large": Change(name, 2 * replicas),
        "one workload under another policy": Change(name, policy={"spot-percentage": "90", "min-on-demand": "2"}),
        "a spot pool lost": Change(lost_pools=(pool,)),
        "all spot nodes lost": Change(lost_pools=(LostPool(SPOT),)),
    }
    seen: dict[str, list[tuple[float, float]]] = {}
    notes: dict[str, str] = {}

    def measure(scene: str, change: Change, times: int) -> None:
        for _ in range(times):
            total, longest, answer = ask(stage.state, change)
            seen.setdefault(scene, []).append((total, longest))
            after = answer.after
            lost, pending = sum(row.lost for row in answer.workloads), sum(after.pending.values())
            notes[scene] = f"{len(answer.workloads):,} workloads, {lost:,} pods lost, {pending:,} pending"

    for scene, change in changes.items():
        measure(scene, change, rounds)
    stage.constrain(demands)
    measure("a spot pool lost, every pod with anti-affinity and topology spread", changes["a spot pool lost"], rounds)
    sys.stdout.write(json.dumps({"times": seen, "notes": notes}))


if __name__ == "__main__":
    main()
