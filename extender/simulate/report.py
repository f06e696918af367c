"""What a simulation says: a summary, and a row for each pool and workload. Costs are in the currency of the prices."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct

from extender.core.model.reasons import Reason
from extender.core.model.textenum import TextEnum
from extender.simulate.build import Built
from extender.simulate.drift import VirtualDrift
from extender.simulate.meter import Tally

HOUR = 3600.0
T = TypeVar("T", bound=TextEnum)


class PoolOutcome(Struct, frozen=True, rename="camel"):
    """A node pool: how many of its nodes were reclaimed, how long nodes ran, and what they cost."""

    name: str
    capacity_class: str
    size: int
    interruptions: int
    node_hours: float
    cost: float


class WorkloadOutcome(Struct, frozen=True, rename="camel"):
    """A workload over the time that was simulated.

    Attributes:
        kind, namespace, name: of the workload.
        managed: whether Spotmix manages it.
        replicas: asked for, on average.
        availability: ready replicas, as a share of those asked for; None for a size of 0.
        misplaced: replicas on another class than their seat's, on average.
        missing: replicas that were not there, or on a node about to end, on average.
        floor_broken_by_us: minutes with fewer ready on-demand replicas than the owner insists on, because of an
            eviction by Spotmix; `floor_broken_by_others`: because of anything else.
        evictions: by Spotmix.
        lost: pods that went with their node.
        pods: bound to a node.
        pending_mean, pending_max: seconds from a pod's creation to its binding.
        cost: of its pods' shares of their nodes; `on_demand_cost`: what that would be on demand.
    """

    kind: str
    namespace: str
    name: str
    managed: bool
    replicas: float
    availability: float | None
    misplaced: float
    missing: float
    floor_broken_by_us: float
    floor_broken_by_others: float
    evictions: int
    lost: int
    pods: int
    pending_mean: float
    pending_max: float
    cost: float
    on_demand_cost: float


class DriftTotals(Struct, frozen=True, rename="camel"):
    """What the drift loop did.

    Attributes:
        cycles: how often it planned.
        evictions: pods evicted; `drained`: those of them that left an interrupted node.
        refused: evictions that were refused, by HTTP status.
        outcomes: of moves, by reason.
        circuits: how often a workload was given up.
        stays: pods off their class at the end, by the reason for which they stay.
        placeholders: those that asked an autoscaler for a node, by how they ended.
    """

    cycles: int = 0
    evictions: int = 0
    drained: int = 0
    refused: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    circuits: int = 0
    stays: dict[str, int] = {}
    placeholders: dict[str, int] = {}


class Report(Struct, frozen=True, rename="camel"):
    """The whole result; see `WorkloadOutcome` for what the fields of the same name mean.

    Attributes:
        seed, duration: of the simulation; seconds.
        interruptions: spot nodes that were reclaimed.
        evictions_per_interruption: by Spotmix; None without an interruption.
        cost: of the workloads' pods, by class; `total_cost` is their sum.
        saving: share of `on_demand_cost` that was saved; None where on-demand nodes have no price.
        node_cost: of all nodes, used or not.
    """

    seed: int
    duration: float
    interruptions: int
    availability: float | None
    misplaced: float
    missing: float
    floor_broken_by_us: float
    floor_broken_by_others: float
    evictions: int
    evictions_per_interruption: float | None
    cost: dict[str, float]
    total_cost: float
    on_demand_cost: float
    saving: float | None
    node_cost: float
    drift: DriftTotals
    pools: tuple[PoolOutcome, ...]
    workloads: tuple[WorkloadOutcome, ...]
    notes: tuple[str, ...]


def report(built: Built, seed: int, duration: float) -> Report:
    """Sum up a simulation that has run for `duration` seconds. Workloads are in order, the worst first."""
    cluster = built.cluster
    tallies = list(cluster.meter.tallies())
    rows = sorted((_row(tally) for tally in tallies), key=_badness)
    pools = tuple(
        PoolOutcome(
            pool.spec.name,
            pool.capacity_class,
            pool.spec.size,
            pool.interruptions,
            _round(pool.running_seconds(cluster.clock.now) / HOUR),
            _round(pool.running_seconds(cluster.clock.now) / HOUR * pool.spec.price),
        )
        for pool in cluster.pools.values()
    )
    interruptions = sum(pool.interruptions for pool in pools)
    evictions = sum(row.evictions for row in rows)
    cost = {
        name: _round(sum(tally.cost.get(name, 0.0) for tally in tallies))
        for name in sorted({name for tally in tallies for name in tally.cost})
    }
    on_demand_cost = sum(tally.on_demand_cost for tally in tallies)
    return Report(
        seed=seed,
        duration=duration,
        interruptions=interruptions,
        availability=_share(sum(t.served for t in tallies), sum(t.wanted for t in tallies)),
        misplaced=_round(sum(row.misplaced for row in rows)),
        missing=_round(sum(row.missing for row in rows)),
        floor_broken_by_us=_round(sum(row.floor_broken_by_us for row in rows)),
        floor_broken_by_others=_round(sum(row.floor_broken_by_others for row in rows)),
        evictions=evictions,
        evictions_per_interruption=_round(evictions / interruptions) if interruptions else None,
        cost=cost,
        total_cost=_round(sum(cost.values())),
        on_demand_cost=_round(on_demand_cost),
        saving=_round(1.0 - sum(cost.values()) / on_demand_cost) if on_demand_cost else None,
        node_cost=_round(sum(pool.cost for pool in pools)),
        drift=_drift(cluster.drift),
        pools=pools,
        workloads=tuple(rows),
        notes=built.notes,
    )


def _drift(loop: VirtualDrift | None) -> DriftTotals:
    if loop is None:
        return DriftTotals()
    return DriftTotals(
        loop.cycles,
        loop.evictions.total(),
        loop.evictions[Reason.INTERRUPTED],
        {str(status): count for status, count in sorted(loop.refused.items())},
        _by_reason(loop.outcomes),
        loop.circuits,
        _by_reason(loop.view.stays),
        _by_reason(loop.placeholders.endings) if loop.placeholders is not None else {},
    )


def _by_reason(counts: Mapping[T, int]) -> dict[str, int]:
    return {str(reason): count for reason, count in sorted(counts.items(), key=lambda each: str(each[0]))}


def _row(tally: Tally) -> WorkloadOutcome:
    time = tally.time or 1.0
    ours = tally.breach.get("spotmix", 0.0)
    return WorkloadOutcome(
        tally.kind,
        tally.namespace,
        tally.name,
        tally.managed,
        _round(tally.wanted / time),
        _share(tally.served, tally.wanted),
        _round(tally.misplaced / time),
        _round(tally.missing / time),
        _round(ours / 60.0),
        _round((sum(tally.breach.values()) - ours) / 60.0),
        tally.evictions,
        tally.lost,
        tally.started,
        _round(tally.pending / tally.started) if tally.started else 0.0,
        _round(tally.longest),
        _round(sum(tally.cost.values())),
        _round(tally.on_demand_cost),
    )


def _badness(row: WorkloadOutcome) -> tuple[float, float, float, str, str]:
    """Sorts the worst first: floors that we broke, then how much was not there, then how much was misplaced."""
    return (
        -row.floor_broken_by_us,
        row.availability if row.availability is not None else 1.0,
        -row.misplaced,
        row.namespace,
        row.name,
    )


def _share(part: float, whole: float) -> float | None:
    return _round(part / whole) if whole else None


def _round(value: float) -> float:
    return round(value, 6)
