"""How long the drift loop's plan takes on a large cluster: all workloads, and a few of them.

A process of its own loads a synthetic cluster into the state (`planchild`) and plans again and again on it, further and
further off its split, then with pods that all have anti-affinity and topology spread.
"""

from statistics import median

from bench.cluster import extent
from bench.programs import measured
from bench.report import Bench, Target

NAME = "plan"
ALL, FEW = Target("<=", 1000.0), Target("<=", 50.0)


async def run(bench: Bench) -> None:
    """Measure and report."""
    nodes, workloads, replicas = bench.size(5000, 50), bench.size(10_000, 100), bench.size(15, 10)
    seen = await measured("the planning process", "bench.planchild", nodes, workloads, replicas, bench.size(9, 3))
    size = extent(nodes, workloads, replicas)
    for scene, times in seen["times"].items():
        bench.add(
            *(NAME, f"a plan, {scene}", size, median(times), "ms CPU"),
            target=FEW if "only" in scene else ALL,
            note=f"least {min(times):,.1f}, most {max(times):,.1f}; {seen['moves'][scene]} moves",
        )
