"""Pods that leave a spot node which is about to be taken away, so that their replacements start within the notice.

Nothing of it is voluntary: there is no window, hourly budget, back-off or age that would keep a pod on a node that is
lost anyway. What holds are disruption budgets, opt-outs, and that a pod which runs is better than one that is Pending:
it stays to the end where no class that its workload may use has room. Whose workload has no budget loses so many pods
at a time as `DriftRules.drain_unavailable` says. Nodes that somebody else drains are left to them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet

from msgspec import Struct

from extender.core.capacity.room import Room
from extender.core.drift.guards import pending, protected
from extender.core.drift.ledger import Ledger
from extender.core.drift.moves import Move, PlanFault, Stay
from extender.core.drift.replacement import Replacements
from extender.core.drift.rules import DriftRules
from extender.core.drift.surplus import Drift, subject_of
from extender.core.model.reasons import Reason, Refusal
from extender.core.policy.managed import Managed
from extender.core.policy.ordinals import ordinal_of
from extender.core.policy.seats import filled_up, first_unfilled
from extender.core.policy.stand_ins import stand_ins
from extender.core.policy.workload import Workload
from extender.core.scalein.removal_order import deletion_cost
from extender.core.state.controllers import managed_controllers
from extender.core.state.counting import Count, OpenSeats, count_of, seated
from extender.core.state.fleets import ByClass
from extender.core.state.records import NodeRecord, PodRecord, Revision
from extender.core.state.state import ClusterState

NOTICE = 120.0
"""The longest notice that platforms give (AWS, seconds). A replacement that waits longer for a stand-in of its class
(`fallback-after`) comes too late for its pod to leave early."""


class Threatened(Struct, frozen=True, eq=False):
    """A revision with pods on interrupted nodes."""

    managed: Managed
    revision: Revision
    pods: list[PodRecord]


class Drained(Struct, frozen=True):
    """Pods that leave now, and those that stay for now."""

    moves: tuple[Move, ...]
    stays: tuple[Stay, ...]
    faults: tuple[PlanFault, ...] = ()


def threatened(state: ClusterState, only: Iterable[str] | None = None) -> list[Threatened]:
    """The managed revisions with live pods on interrupted nodes, audited ones last; `only` as in `plan`."""
    if not state.interrupted_nodes:
        return []
    by_revision: dict[Revision, list[PodRecord]] = {}
    for pod in _pods_on(state.interrupted_nodes) if only is None else _pods_of(state, only):
        if pod.revision is not None and pod.node in state.interrupted_nodes and not pod.terminating:
            by_revision.setdefault(pod.revision, []).append(pod)
    found = []
    for revision, pods in by_revision.items():
        managed = state.workloads.resolve(revision.namespace, revision.owner)
        if isinstance(managed, Managed):
            found.append(Threatened(managed, revision, pods))
    return sorted(found, key=_turn)


def _pods_on(nodes: Iterable[NodeRecord]) -> Iterator[PodRecord]:
    for node in nodes:
        yield from node.pods


def _pods_of(state: ClusterState, workloads: Iterable[str]) -> Iterator[PodRecord]:
    for uid in workloads:
        workload = state.workloads.by_uid.get(uid)
        for _, revision in managed_controllers(state, workload) if workload is not None else ():
            if revision is not None:
                yield from revision.pods


def _turn(each: Threatened) -> tuple[bool, str, str, str]:
    workload = each.managed.workload
    return workload.policy.mode == "audit", workload.namespace, workload.name, each.revision.owner.uid


def is_interrupted(state: ClusterState, pod: str) -> bool:
    """Whether the node of a pod (UID) is still about to be taken away: a notice may be withdrawn."""
    record = state.pods.get(pod)
    facts = record.node.facts if record is not None and record.node is not None else None
    return facts is not None and facts.interrupted


def drain(
    state: ClusterState,
    ledger: Ledger,
    room: Callable[[], Room],
    rules: DriftRules,
    now: float,
    *,
    only: Collection[str] | None = None,
    paused: Reason | None = None,
) -> Drained:
    """Say which pods leave interrupted nodes now. Pure but for what it takes from `ledger` and `room`.

    Args:
        state: the cluster.
        ledger: what the plan may take; this is asked first.
        room: gives the room that is left.
        rules: how careful to be.
        now: seconds since the epoch.
        only: as in `plan`.
        paused: why nothing is moved at all.
    """
    faults: list[PlanFault] = []
    drainer = _Drainer(state, ledger, room, rules, now)
    for each in threatened(state, only):
        moves, stays = len(drainer.moves), len(drainer.stays)
        try:
            drainer.drain(each, paused)
        except Exception as error:  # noqa: BLE001 - a bug that one workload meets is its own alone
            del drainer.moves[moves:], drainer.stays[stays:]
            faults.append(PlanFault(subject_of(each.managed, each.revision), repr(error)))
    return Drained(tuple(drainer.moves), tuple(drainer.stays), tuple(faults))


class _Drainer:
    def __init__(
        self, state: ClusterState, ledger: Ledger, room: Callable[[], Room], rules: DriftRules, now: float
    ) -> None:
        self._state, self._ledger, self._room, self._rules, self._now = state, ledger, room, rules, now
        self._crews: dict[str, _Crew] = {}
        self._fleets: dict[int, OpenSeats] = {}
        self._replacements = Replacements(state)
        self.moves: list[Move] = []
        self.stays: list[Stay] = []

    def drain(self, each: Threatened, paused: Reason | None) -> None:
        """Look at the pods of one revision, in the order of their seats."""
        leaving = self._ledger.leaving
        drift = _drift(each)
        seats = self._free_seats(each, leaving)
        for pod in _in_seat_order(pod for pod in each.pods if pod.uid not in leaving):
            seat = seats.offer(pod)
            refusal = Refusal(paused) if paused is not None else self._refusal(pod, drift, seat)
            target = refusal or self._target(pod, drift, seat)
            if isinstance(target, NodeRecord):
                self._go(pod, drift, seat, target)
                seats.fill(seat)
            else:
                source, where = pod.capacity_class, pod.node_name
                stay = Stay(pod.id, where, drift.subject, source, seat, target.reason, target.detail)
                self.stays.append(stay)

    def _free_seats(self, each: Threatened, leaving: AbstractSet[str]) -> "_FreeSeats | _FreeSeatsOfFleet":
        count = count_of(self._state, each.managed, each.revision)
        held = ByClass(seated(self._state, count, each.revision, leaving))
        held.add(count.reserved)
        if count.fleet is None:
            return _FreeSeats(count, held, each, leaving)
        # Pods that leave for one workload of a fleet leave fewer seats to the others.
        seats = self._fleets.setdefault(id(count.fleet), OpenSeats(count.seats, held, count.replicas))
        return _FreeSeatsOfFleet(seats, each, leaving)

    def _refusal(self, pod: PodRecord, drift: Drift, seat: str) -> Refusal | None:
        workload = drift.managed.workload
        if drift.managed.revision.kind == "Job":
            return Refusal(Reason.RUNS_TO_COMPLETION)
        if not seat:
            # Its controller is about to remove a pod.
            return Refusal(Reason.NO_SEAT)
        refusal = protected(pod, workload, self._now) or pending(pod) or self._ledger.budget_refusal(pod)
        if refusal is not None or self._ledger.is_budgeted(pod) or not _serves(pod):
            return refusal
        crew = self._crew_of(workload)
        lost = crew.replicas - crew.serving + 1
        return Refusal(Reason.UNAVAILABLE) if lost > self._rules.drain_limit(crew.replicas) else None

    def _target(self, pod: PodRecord, drift: Drift, seat: str) -> NodeRecord | Refusal:
        """A node for the replacement, of the class of its seat or of one that would stand in for it in time."""
        policy = drift.managed.workload.policy
        classes = [seat, *(stand_ins(policy, seat) if policy.fallback_after < NOTICE else ())]
        found: NodeRecord | Refusal = Refusal(Reason.NO_NODE)
        for number, name in enumerate(classes):
            other = self._ledger.limit_refusal(pod, name) or self._room().find(
                self._replacements.of(pod, name), name, drift.group, dwell=False
            )
            if isinstance(other, NodeRecord):
                return other
            # The seat's own class says most.
            found = found if number else other
        return found

    def _go(self, pod: PodRecord, drift: Drift, seat: str, target: NodeRecord) -> None:
        workload = drift.managed.workload
        dry = workload.policy.mode == "audit"
        # How it stands has to be known before the pod leaves: until then it counts as in flight.
        self._ledger.availability(workload)
        self._crew_of(workload).serving -= _serves(pod)
        self._ledger.deduct_budgets(pod)
        if not dry:
            landed = target.facts.capacity_class if target.facts is not None else seat
            self._ledger.deduct_limits(pod, landed)
            self._room().occupy(self._replacements.of(pod, landed), target, drift.revision)
        self.moves.append(
            Move(
                pod.id,
                pod.node_name,
                drift.subject,
                pod.capacity_class,
                seat,
                target.name,
                Reason.INTERRUPTED,
                dry=dry,
            )
        )

    def _crew_of(self, workload: Workload) -> "_Crew":
        known = self._crews.get(workload.uid)
        if known is None:
            known = self._crews[workload.uid] = _Crew()
            for owner, revision in managed_controllers(self._state, workload):
                pods = revision.pods if revision is not None else ()
                known.replicas += owner.replicas if owner.replicas is not None else len(pods)
                known.serving += sum(_serves(pod) and pod.uid not in self._ledger.leaving for pod in pods)
        return known


class _Crew(Struct):
    """A workload's replicas, and how many of its pods serve, wherever they are, less those that leave."""

    replicas: int = 0
    serving: int = 0


class _FreeSeats:
    """The seats for pods that hold none: those on nodes that are going away, that is.

    Replicas that are missing altogether are on their way, and come to the first of them.
    """

    def __init__(self, count: Count, held: dict[str, int], each: Threatened, leaving: AbstractSet[str]) -> None:
        self._count, self._held = count, held
        self._replicas, self._seats = count.replicas, count.seats
        seatless = sum(
            pod.node is not None and not pod.counted and not pod.terminating and pod.uid not in leaving
            for pod in each.revision.pods
        )
        self._left = max(0, (self._replicas or 0) - sum(self._held.values()))
        self._held = filled_up(self._seats, self._held, self._replicas or 0, self._left - seatless)

    def offer(self, pod: PodRecord) -> str:
        """The class of the seat that the replacement of a pod would take, empty when none would come."""
        if self._count.by_ordinal:
            seat = self._count.own_seat(pod.name)
            wanted = seat is not None and (self._replicas is None or seat <= self._replicas)
            return self._seats.class_at(seat) if seat is not None and wanted else ""
        self._left -= 1
        return (
            first_unfilled(self._seats, self._held, self._replicas)[1]
            if self._replicas is None or self._left >= 0
            else ""
        )

    def fill(self, name: str) -> None:
        """A replacement will take a seat of this class."""
        self._held[name] = self._held.get(name, 0) + 1


class _FreeSeatsOfFleet:
    """As `_FreeSeats`, of a workload that is counted with others; replicas missing elsewhere take none of its seats."""

    def __init__(self, seats: OpenSeats, each: Threatened, leaving: AbstractSet[str]) -> None:
        self._seats = seats
        revision, replicas = each.revision, each.managed.revision.replicas
        staying = sum(bool(pod.counted) and pod.uid not in leaving for pod in revision.pods)
        self._left = None if replicas is None else replicas - staying - sum(revision.reserved.values())

    def offer(self, pod: PodRecord) -> str:  # noqa: ARG002 - as `_FreeSeats.offer`
        """See `_FreeSeats.offer`."""
        if self._left is not None:
            self._left -= 1
        return self._seats.choose() if self._left is None or self._left >= 0 else ""

    def fill(self, name: str) -> None:
        """See `_FreeSeats.fill`."""
        self._seats.take(name)


def _in_seat_order(pods: Iterable[PodRecord]) -> list[PodRecord]:
    """The pods that are worth most first: a StatefulSet's by ordinal, else those that scale-in would take last."""
    return sorted(pods, key=lambda pod: (_ordinal(pod), not pod.ready, -deletion_cost(pod.cost), pod.created, pod.uid))


def _ordinal(pod: PodRecord) -> int:
    stateful = pod.revision is not None and pod.revision.owner.kind == "StatefulSet"
    return (ordinal_of(pod.name) or 0) if stateful else 0


def _drift(each: Threatened) -> Drift:
    """The revision, as a search for room knows it."""
    replicas = each.managed.revision.replicas
    size = replicas if replicas is not None else len(each.revision.pods)
    return Drift(each.managed, each.revision, size, {}, {}, (), {}, 0, replicas is not None)


def _serves(pod: PodRecord) -> bool:
    facts = pod.node.facts if pod.node is not None else None
    return pod.ready and not pod.terminating and facts is not None and facts.ready
