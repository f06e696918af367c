"""Runs the micro benchmarks of `test_micro.py` with pytest-benchmark and takes their medians into the report."""

import asyncio
import json
import sys
from pathlib import Path

from bench.programs import HERE, ROOT, output_of, scratch
from bench.report import Bench

NAME = "micro"


async def run(bench: Bench) -> None:
    """Measure and report."""
    with scratch() as folder:
        path = Path(folder) / "micro.json"
        limits = ("--benchmark-max-time=0.05", "--benchmark-min-rounds=3") if bench.quick else ()
        await output_of(
            *("pytest", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "test_micro.py")),
            *(f"--benchmark-json={path}", "--benchmark-disable-gc", *limits),
            cwd=ROOT,
            stderr=asyncio.subprocess.STDOUT,
        )
        result = json.loads(path.read_text())
    for each in result["benchmarks"]:
        stats = each["stats"]
        note = f"least {stats['min'] * 1e6:,.1f}, iqr {stats['iqr'] * 1e6:,.1f} us, {stats['rounds']:,} rounds"
        bench.add(NAME, each["name"].removeprefix("test_"), "in process", stats["median"] * 1e6, "us", note=note)
