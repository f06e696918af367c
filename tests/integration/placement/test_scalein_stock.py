"""What deletion costs are for: the same scale-in with them and without, side by side.

`pytest -rP` shows the table; that of docs/explanation/scale-in.md was made so.
"""

import asyncio
from collections.abc import Sequence

import pytest
from support.cluster import Cluster, policy
from support.patience import eventually, stretched
from support.stage import open_stage

from extender.core.policy.seats import TwoClassSeats
from extender.wire.kube_v1 import DELETION_COST

pytestmark = [pytest.mark.controlplane]

SIZES = (20, 13, 7, 2)
PERCENTAGE, FLOOR = 65, 3
SEATS = TwoClassSeats(percentage=PERCENTAGE, floor=FLOOR)
WORKLOADS = [f"web-{number}" for number in range(10)]


async def _rest(cluster: Cluster, replicas: int, *, costs: bool) -> None:
    """Wait until all are ready and seated, as they are long before a scale-in of an ordinary cluster."""
    for app in WORKLOADS:
        await cluster.ready(app, replicas)

    async def written() -> list[bool]:
        return [DELETION_COST in pod["metadata"].get("annotations", {}) for pod in await cluster.pods()]

    if costs:
        await eventually(written, all, "costs on all pods")


async def on_demand_after_each_step(flags: Sequence[str], *, costs: bool) -> list[list[int]]:
    """The on-demand replicas of each workload, by size."""
    found = []
    async with open_stage(flags=flags) as stage, stage.namespace() as cluster:
        wanted = policy(spot_percentage=PERCENTAGE, min_on_demand=FLOOR)
        await asyncio.gather(*(cluster.deployment(app, SIZES[0], wanted) for app in WORKLOADS))
        for replicas in SIZES:
            await asyncio.gather(*(cluster.scale("Deployment", app, replicas) for app in WORKLOADS))
            await _rest(cluster, replicas, costs=costs)
            splits = [await cluster.split(app) for app in WORKLOADS]
            found.append([split.get("on-demand", 0) for split in splits])
    return found


async def test_scale_in_with_costs_and_without() -> None:
    with_costs = await on_demand_after_each_step(("--scale-in-settle", f"{stretched(0.5):.2f}s"), costs=True)
    without = await on_demand_after_each_step(("--scale-in-deletion-cost", "false"), costs=False)
    print("| replicas | on-demand wanted | with costs | without | without, workloads off |")
    for replicas, seated, stock in zip(SIZES, with_costs, without, strict=True):
        wanted = SEATS.target(replicas)["on-demand"]
        off = sum(count != wanted for count in stock)
        print(f"| {replicas} | {wanted} | {_range(seated)} | {_range(stock)} | {off} of {len(stock)} |")
        assert set(seated) == {wanted}
    assert set(without[0]) == {SEATS.target(SIZES[0])["on-demand"]}, "they were placed alike"
    assert any(
        count != SEATS.target(replicas)["on-demand"]
        for replicas, stock in zip(SIZES[1:], without[1:], strict=True)
        for count in stock
    ), "the stock order keeps no split"


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
