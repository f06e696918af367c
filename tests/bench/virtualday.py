"""A day of spot reclaims at 5 %/h in virtual time, over 500 nodes and 200 workloads with mixed policies.

The same interruptions for each: Spotmix, Spotmix without its drift loop, and the scheduler alone. The spot pools have
just enough nodes, or a few too few at times, so that pods fall back and have to return.
"""

import time
from collections.abc import Mapping, Sequence
from statistics import median

from support.simulated import reclaimed

from bench.report import Bench, Target, spread
from extender.core.model.reasons import Reason
from extender.simulate.api import Cause
from extender.simulate.cluster import Cluster
from extender.simulate.meter import Tally

NAME = "virtual"
DAY = 86_400.0
SEEDS = (1, 2, 3)
SLACKS = (3, 0)
IN_VAIN = (Reason.LANDED_WRONG, Reason.NO_REPLACEMENT)
VARIANTS: dict[str, dict[str, None]] = {
    "Spotmix": {},
    "Spotmix without its drift loop": {"drift": None},
    "the scheduler alone": {"spotmix": None},
}


class Day:
    """One day that is over."""

    def __init__(self, cluster: Cluster, seconds: float) -> None:
        self.tallies: list[Tally] = list(cluster.meter.tallies())
        self.interruptions = sum(pool.interruptions for pool in cluster.pools.values())
        loop = cluster.drift
        self.drained = loop.evictions[Reason.INTERRUPTED] if loop is not None else 0
        self.moves = loop.evictions[Reason.SURPLUS] if loop is not None else 0
        self.in_vain = sum(loop.outcomes[reason] for reason in IN_VAIN) if loop is not None else 0
        self.seconds = seconds

    def average(self, field: str) -> float:
        """Replicas, on average over the day."""
        total: float = sum(getattr(tally, field) for tally in self.tallies)
        return total / DAY

    @property
    def broken_by_us(self) -> float:
        """Minutes for which an eviction of ours broke a floor."""
        return sum(tally.breach.get(Cause.SPOTMIX.value, 0.0) for tally in self.tallies) / 60.0


async def run(bench: Bench) -> None:
    """Measure and report."""
    nodes, workloads = bench.size(500, 60), bench.size(200, 20)
    seeds = SEEDS[: bench.size(len(SEEDS), 1)]
    days: dict[tuple[str, int], list[Day]] = {}
    with bench.progress() as progress:
        task = progress.add_task("days", total=len(SLACKS) * len(VARIANTS) * len(seeds))
        for slack in SLACKS:
            for name, options in VARIANTS.items():
                for seed in seeds:
                    began = time.process_time()
                    cluster = reclaimed(nodes, workloads, slack, seed, **options)
                    cluster.run(DAY)
                    day = Day(cluster, time.process_time() - began)
                    days.setdefault((name, slack), []).append(day)
                    progress.advance(task)
    for slack in SLACKS:
        _report(bench, slack, {name: days[name, slack] for name in VARIANTS})
    ours = days["Spotmix", SLACKS[0]]
    lost = ", ".join(str(day.interruptions) for day in ours)
    bench.say(f"{nodes} nodes, {workloads} workloads, {ours[0].average('wanted'):.0f} replicas; nodes lost: {lost}")


def _report(bench: Bench, slack: int, days: Mapping[str, Sequence[Day]]) -> None:
    room = f"{slack} spot nodes to spare" if slack else "no spot node to spare"
    for field, text in (("misplaced", "replicas on the wrong class"), ("missing", "replicas missing")):
        for name, found in days.items():
            averages = [day.average(field) for day in found]
            what = f"{text}, on average; {room}"
            bench.add(NAME, what, name, median(averages), "replicas", note=spread(averages))
    ours = days["Spotmix"]
    drained = [day.drained / day.interruptions for day in ours]
    what = f"evictions from a node about to be taken away; {room}"
    bench.add(NAME, what, "Spotmix", median(drained), "per interruption", note=spread(drained))
    moves = [day.moves / day.interruptions for day in ours]
    note = f"{spread(moves)}; in vain: {sum(day.in_vain for day in ours)} of {sum(day.moves for day in ours)}"
    bench.add(NAME, f"evictions back to the split; {room}", "Spotmix", median(moves), "per interruption", note=note)
    broken = max(day.broken_by_us for day in ours)
    bench.add(NAME, f"floors broken by us; {room}", "Spotmix", broken, "min", target=Target("<=", 0.0))
    took = [day.seconds for day in ours]
    bench.add(NAME, f"CPU for the whole day; {room}", "Spotmix", median(took), "s", note=spread(took))
