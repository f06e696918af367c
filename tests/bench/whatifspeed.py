"""How long a what-if takes on a large cluster: of one workload, and of lost pools.

A process of its own loads a synthetic cluster into the state (`whatifchild`) and asks.
"""

import asyncio
import json
import sys
from statistics import median

from bench.programs import environment
from bench.report import Bench, Target

NAME = "what-if"
WHOLE = Target("<=", 5000.0)


async def run(bench: Bench) -> None:
    """Measure and report."""
    nodes, workloads, replicas = bench.size(5000, 50), bench.size(10_000, 100), bench.size(15, 10)
    arguments = [str(n) for n in (nodes, workloads, replicas, bench.size(5, 2))]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.whatifchild", *arguments), env=environment(), stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the asking process ended with {process.returncode}")
    seen = json.loads(output)
    size = f"{workloads * replicas:,} pods, {workloads:,} workloads, {nodes:,} nodes"
    for scene, times in seen["times"].items():
        steps = max(longest for _, longest in times)
        note = f"{seen['notes'][scene]}; longest step {steps:,.1f}"
        bench.add(NAME, scene, size, median(total for total, _ in times), "ms CPU", target=WHOLE, note=note)
