"""How long the drift loop's plan takes on a large cluster: all workloads, and a few of them.

A process of its own loads a synthetic cluster into the state (`planchild`) and plans again and again on it, further and
further off its split, then with pods that all have anti-affinity and topology spread.
"""

import asyncio
import json
import sys
from statistics import median

from bench.programs import environment
from bench.report import Bench, Target

NAME = "plan"
ALL, FEW = Target("<=", 1000.0), Target("<=", 50.0)


async def run(bench: Bench) -> None:
    """Measure and report."""
    nodes, workloads, replicas = bench.size(5000, 50), bench.size(10_000, 100), bench.size(15, 10)
    arguments = [str(n) for n in (nodes, workloads, replicas, bench.size(9, 3))]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.planchild", *arguments), env=environment(), stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the planning process ended with {process.returncode}")
    seen = json.loads(output)
    size = f"{workloads * replicas:,} pods, {workloads:,} workloads, {nodes:,} nodes"
    for scene, times in seen["times"].items():
        bench.add(
            *(NAME, f"a plan, {scene}", size, median(times), "ms CPU"),
            target=FEW if "only" in scene else ALL,
            note=f"least {min(times):,.1f}, most {max(times):,.1f}; {seen['moves'][scene]} moves",
        )
