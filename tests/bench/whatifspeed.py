"""How long a what-if takes on a large cluster: of one workload, and of lost pools.

A process of its own loads a synthetic cluster into the state (`whatifchild`) and asks.
"""

from statistics import median

from bench.cluster import extent
from bench.programs import measured
from bench.report import Bench, Target

NAME = "what-if"
WHOLE = Target("<=", 5000.0)


async def run(bench: Bench) -> None:
    """Measure and report."""
    nodes, workloads, replicas = bench.size(5000, 50), bench.size(10_000, 100), bench.size(15, 10)
    seen = await measured("the asking process", "bench.whatifchild", nodes, workloads, replicas, bench.size(5, 2))
    size = extent(nodes, workloads, replicas)
    for scene, times in seen["times"].items():
        steps = max(longest for _, longest in times)
        note = f"{seen['notes'][scene]}; longest step {steps:,.1f}"
        bench.add(NAME, scene, size, median(total for total, _ in times), "ms CPU", target=WHOLE, note=note)
