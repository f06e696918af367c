"""How workloads stand once their pods have nodes: counts by class, floors, moves still to make, and nodes taken."""

from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct, field

from extender.core.answers.replicas import Replicas, no_replicas
from extender.core.capacity.fit import share
from extender.core.capacity.room import Room
from extender.core.drift.excess import Excess, destinations
from extender.core.drift.guards import Case, policy_fault, protected, runs_to_completion, singleton, size_unknown
from extender.core.drift.ledger import Availability
from extender.core.drift.replacement import Replacements
from extender.core.drift.rules import DriftRules
from extender.core.drift.surplus import Drift, drift_of
from extender.core.model.classes import ON_DEMAND
from extender.core.model.reasons import Reason
from extender.core.policy.managed import Managed
from extender.core.policy.workload import Workload
from extender.core.scalein.removal_order import eviction_order
from extender.core.state.counting import count_alone
from extender.core.state.records import NodeRecord, PodRecord
from extender.core.state.state import ClusterState
from extender.core.whatif.fleets import least_of, wanted_of
from extender.core.whatif.outlook import MoveForecast, Outlook
from extender.core.whatif.pods import STEP, FutureRevision

_LASTING = (policy_fault, runs_to_completion, size_unknown, singleton)
"""What keeps the pods of a workload where they are, however long one waits."""


class _Tally(Struct, eq=False):
    """What is summed up of a workload's moves."""

    needed: int = 0
    possible: int = 0
    blocked: Counter[Reason] = field(default_factory=Counter)


class Outlooks:
    """Sums up what `place_pods` came to, workload by workload.

    Args:
        state: the cluster.
        room: what is left once all pods have their nodes; moves take from it.
        rules: of the drift loop.
        now: seconds since the epoch.
        prices: of a node, by class.
    """

    def __init__(
        self, state: ClusterState, room: Room, rules: DriftRules, now: float, prices: Mapping[str, float]
    ) -> None:
        self._state, self._room, self._rules, self._now, self._prices = state, room, rules, now, prices
        self._replacements = Replacements(state)
        self._moved: dict[str, NodeRecord] = {}

    def of(self, futures: Mapping[str, Sequence[FutureRevision]]) -> Generator[None, None, dict[str, Outlook]]:
        """The outlook of each workload, by its UID, with a pause after every few."""
        drifts: dict[str, list[tuple[FutureRevision, Drift]]] = {}
        for number, (uid, each) in enumerate(futures.items()):
            drifts[uid] = list(self._drifts(each))
            if number % STEP == STEP - 1:
                yield
        yield
        self._room.expect(sum(bool(drift.excess) for found in drifts.values() for _, drift in found))
        outlooks: dict[str, Outlook] = {}
        for number, (uid, each) in enumerate(futures.items()):
            outlooks[uid] = self._outlook(each, self._moves(each, drifts[uid]))
            if number % STEP == STEP - 1:
                yield
        return outlooks

    def _drifts(self, futures: Sequence[FutureRevision]) -> Iterable[tuple[FutureRevision, Drift]]:
        for future in futures:
            workload = future.controller.workload
            if workload is None or future.counted is not None:
                # Any pod of a fleet may be the one that its sum has too many.
                continue
            managed = Managed(workload, future.controller.owner)
            drift = drift_of(self._state, count_alone(managed, future.revision), managed, future.revision, frozenset())
            if drift is not None:
                yield future, drift

    # MoveForecast

    def _moves(self, futures: Sequence[FutureRevision], drifts: Sequence[tuple[FutureRevision, Drift]]) -> MoveForecast:
        tally = _Tally()
        standing = Availability(replicas=sum(future.size for future in futures))
        for _, drift in drifts:
            tally.needed += drift.surplus
            why = self._lasting(drift, standing)
            for excess in drift.excess:
                if why is not None:
                    tally.blocked[why] += excess.count
                else:
                    self._move(drift, excess, tally)
        hours = tally.possible / drifts[0][1].managed.workload.policy.max_moves_per_hour if tally.possible else 0.0
        return MoveForecast(tally.needed, tally.possible, dict(tally.blocked), hours)

    def _lasting(self, drift: Drift, standing: Availability) -> Reason | None:
        """Why none of a revision's pods is ever moved."""
        policy = drift.managed.workload.policy
        case = Case(drift, standing, None, self._rules, self._now)
        refusal = next(filter(None, (guard(case) for guard in _LASTING)), None)
        if refusal is not None:
            return refusal.reason
        if policy.mode == "audit":
            return Reason.AUDIT
        return None if policy.max_moves_per_hour else Reason.HOURLY_BUDGET

    def _move(self, drift: Drift, excess: Excess, tally: _Tally) -> None:
        """Move as many as can be; of the others those count that were looked at first."""
        left, kept = excess.count, list[Reason]()
        for pod in eviction_order(excess.pods):
            if not left:
                break
            why = self._leaves(drift, excess, pod)
            if why is None:
                left -= 1
                tally.possible += 1
            else:
                kept.append(why)
        tally.blocked.update(kept[:left])

    def _leaves(self, drift: Drift, excess: Excess, pod: PodRecord) -> Reason | None:
        """Move a pod, or say why not."""
        workload: Workload = drift.managed.workload
        refusal = protected(pod, workload, self._now)
        if refusal is not None:
            return refusal.reason
        wanted = destinations(drift.wanting, excess)
        why: Reason | None = None
        for destination in wanted:
            like = self._replacements.of(pod, destination)
            found = self._room.find(like, destination, drift.group, dwell=False)
            if isinstance(found, NodeRecord):
                self._room.occupy(like, found, drift.revision)
                self._moved[pod.uid] = found
                if pod.node is not None:
                    self._room.stock.leave(pod, pod.node)
                if not excess.destination:
                    drift.wanting[destination] -= 1
                return None
            why = why or found.reason
        return why or Reason.NO_SEAT

    # Counts

    def _outlook(self, futures: Sequence[FutureRevision], moves: MoveForecast) -> Outlook:
        replicas, floor, unmanaged = Replicas(), 0, Counter[str]()
        pending, classes = Counter[Reason](), Counter[str]()
        eventual, nodes = no_replicas(), dict[str, float]()
        for future in futures:
            workload = future.controller.workload
            if future.counted is not None:
                least = least_of(future)
                replicas.add(Replicas(wanted_of(future), dict(future.actual)))
                replicas.below_floor += max(0, least - future.actual.get(ON_DEMAND, 0))
                floor += least
            elif workload is not None:
                seats = workload.policy.seats
                managed = Managed(workload, future.controller.owner)
                replicas.count(count_alone(managed, future.revision), future.revision)
                floor += min(future.size, sum(map(seats.least, seats.classes)))
            else:
                unmanaged.update(future.actual)
            for (reason, capacity_class), count in future.pending.items():
                pending[reason] += count
                if capacity_class:
                    classes[capacity_class] += count
            self._add(eventual, nodes, future.revision.pods)
        for name, count in unmanaged.items():
            replicas.actual[name] = replicas.actual.get(name, 0) + count
        return Outlook(
            sum(future.size for future in futures),
            replicas.wanted,
            replicas.actual,
            dict(pending),
            dict(classes),
            sum(future.stand_ins for future in futures),
            replicas.surplus,
            floor,
            replicas.below_floor,
            moves,
            eventual,
            {name: round(part, 3) for name, part in sorted(nodes.items())},
            self._cost(nodes),
        )

    def _add(self, counts: dict[str, int], nodes: dict[str, float], pods: Iterable[PodRecord]) -> None:
        """Count pods where they are in the end, and what they take there."""
        for pod in pods:
            node = self._moved.get(pod.uid, pod.node)
            facts = node.facts if node is not None else None
            if facts is not None:
                name = facts.capacity_class
                counts[name] = counts.get(name, 0) + 1
                nodes[name] = nodes.get(name, 0.0) + share(pod.requests, facts.allocatable)

    def _cost(self, nodes: Mapping[str, float]) -> float | None:
        """None where the price of a class that is used is not known."""
        if not self._prices or any(name not in self._prices for name in nodes):
            return None
        return round(sum(part * self._prices[name] for name, part in nodes.items()), 3)


K = TypeVar("K")


def _sum(counts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    summed: Counter[K] = Counter()
    for each in counts:
        summed.update(each)
    return dict(summed)


def total(outlooks: Sequence[Outlook]) -> Outlook:
    """The sum of outlooks; the cost is known when that of each is. Workloads are moved at the same time."""
    replicas = Replicas()
    for each in outlooks:
        replicas.add(Replicas(dict(each.wanted), dict(each.actual), each.surplus, 0, each.below_floor))
    costs = [each.cost for each in outlooks]
    nodes: dict[str, float] = {}
    for each in outlooks:
        for name, part in each.nodes.items():
            nodes[name] = nodes.get(name, 0.0) + part
    return Outlook(
        sum(each.replicas for each in outlooks),
        replicas.wanted,
        replicas.actual,
        _sum(each.pending for each in outlooks),
        _sum(each.pending_classes for each in outlooks),
        sum(each.stand_ins for each in outlooks),
        replicas.surplus,
        sum(each.floor for each in outlooks),
        replicas.below_floor,
        MoveForecast(
            sum(each.moves.needed for each in outlooks),
            sum(each.moves.possible for each in outlooks),
            _sum(each.moves.blocked for each in outlooks),
            max((each.moves.hours for each in outlooks), default=0.0),
        ),
        {**no_replicas(), **_sum(each.eventual for each in outlooks)},
        {name: round(part, 3) for name, part in sorted(nodes.items())},
        None if not costs or any(cost is None for cost in costs) else round(sum(filter(None, costs)), 3),
    )
