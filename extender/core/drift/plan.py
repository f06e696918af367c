"""The plan: which pods to move now so that workloads come back to their split, and why the other surplus pods stay.

First the pods on interrupted nodes, see `drain`. Then for each revision off its split: guards of its workload; then its
surplus pods in the order that costs least, each with its own guards, budgets, and a node of the class that wants it,
room deducted. One ledger and one view of the room serve the whole plan, so that no two moves take the same.
"""

from collections import Counter
from collections.abc import Collection, Iterator

from extender.core.capacity.room import Room
from extender.core.drift.arrivals import Arrivals
from extender.core.drift.drain import drain
from extender.core.drift.excess import Excess, destinations
from extender.core.drift.fleets import Shared
from extender.core.drift.guards import (
    Case,
    back_off,
    cluster_refusal,
    pod_refusal,
    share_refusal,
    workload_refusal,
)
from extender.core.drift.history import History
from extender.core.drift.ledger import Ledger
from extender.core.drift.moves import DriftPlan, Move, PlanFault, Spent, Stay, Wish
from extender.core.drift.proofs import NO_PROOFS, Proofs
from extender.core.drift.replacement import Replacements
from extender.core.drift.rules import DriftRules
from extender.core.drift.surplus import Drift, drifted
from extender.core.drift.wishing import CURABLE, Unplaced, unplaced, wishes_of
from extender.core.model.reasons import Reason, Refusal
from extender.core.placement.enforcement import may_be_brought
from extender.core.scalein.removal_order import eviction_order
from extender.core.state.records import NodeRecord, PodRecord
from extender.core.state.state import ClusterState


def plan(
    state: ClusterState,
    history: History,
    rules: DriftRules,
    now: float,
    *,
    only: Collection[str] | None = None,
    current: bool = True,
    proofs: Proofs = NO_PROOFS,
) -> DriftPlan:
    """Plan the next moves. Pure: reads the live state, and changes nothing.

    Args:
        state: the cluster.
        history: moves in flight, made, and in vain.
        rules: how careful to be.
        now: seconds since the epoch.
        only: UIDs of the workloads to look at; None looks at all. Budgets of the cluster count everything either way.
        current: whether the state is known to be up to date; nothing is moved while it is not.
        proofs: the room that placeholders keep.
    """
    planner = _Planner(state, history, rules, proofs, now)
    return planner.plan(only, cluster_refusal(state, rules, now, current=current))


class _Planner:
    def __init__(self, state: ClusterState, history: History, rules: DriftRules, proofs: Proofs, now: float) -> None:
        self.state, self.history, self.rules, self.now = state, history, rules, now
        self.ledger = Ledger(state, history, rules, now)
        self.proofs = proofs
        self.held = {place: list(records) for place, records in proofs.held.items()}
        self.replacements = Replacements(state)
        self._room: Room | None = None
        self.searches = 1
        self.moves: list[Move] = []
        self.spent: list[Spent] = []
        self.unplaced: list[Unplaced] = []
        self.stays: list[Stay] = []
        self.shared_stays: list[tuple[Shared, Stay]] = []
        self.faults: list[PlanFault] = []

    @property
    def room(self) -> Room:
        """The room that is left, with what is about to come already deducted. Few plans come so far as to ask."""
        if self._room is None:
            dwell, steady = self.rules.dwell, self.proofs.steady
            self._room = Room(self.state, self.ledger.leaving, self.now, dwell=dwell, steady=steady)
            Arrivals(self.state, self.history, self._room, self.proofs.uids).deduct()
            self._room.expect(self.searches)
        return self._room

    def plan(self, only: Collection[str] | None, paused: Reason | None) -> DriftPlan:
        if self.rules.drain:
            self._drain(only, paused)
        drifts = sorted(drifted(self.state, self.ledger.leaving, only, self.faults), key=self._turn)
        self.searches = sum(bool(drift.excess) for drift in drifts)
        if self._room is not None:
            self._room.expect(self.searches)
        for drift in drifts:
            if drift.excess:
                self._settle_apart(drift, Refusal(paused) if paused is not None else None)
        self.stays += self._stays_of_fleets()
        wishes = tuple(self._wishes())
        return DriftPlan(
            tuple(self.moves),
            tuple(self.stays),
            tuple(drift.report for drift in drifts),
            paused,
            tuple(self.faults),
            wishes,
            tuple(self.spent),
        )

    def _stays_of_fleets(self) -> Iterator[Stay]:
        """Any pod of a fleet can be the one too many: as many stay as are left, those whose turn came first."""
        told: Counter[tuple[int, str]] = Counter()
        for shared, stay in self.shared_stays:
            key = id(shared), stay.source
            told[key] += 1
            if told[key] <= shared.spare.get(stay.source, 0):
                yield stay

    def _wishes(self) -> Iterator[Wish]:
        """Once all is moved that can be: what is looked for here takes no room from moves."""
        for each in self.unplaced:
            try:
                yield from wishes_of(each, self.room, self.replacements)
            except Exception as error:  # noqa: BLE001 - a bug that one workload meets is its own alone
                self.faults.append(PlanFault(each.case.drift.subject, repr(error)))

    def _drain(self, only: Collection[str] | None, paused: Reason | None) -> None:
        drained = drain(self.state, self.ledger, lambda: self.room, self.rules, self.now, only=only, paused=paused)
        self.moves += drained.moves
        self.stays += drained.stays
        self.faults += drained.faults

    def _turn(self, drift: Drift) -> tuple[bool, int, float, str, str, str]:
        """Whose turn it is: audited workloads take nothing from others; then the least moved; then the furthest off."""
        workload = drift.managed.workload
        history = self.history.get(workload.uid)
        return (
            workload.policy.mode == "audit",
            history.moves_in_hour(self.now) if history is not None else 0,
            -drift.surplus / max(1, drift.replicas),
            workload.namespace,
            workload.name,
            drift.revision.owner.uid,
        )

    def _settle_apart(self, drift: Drift, refusal: Refusal | None) -> None:
        """Settle a revision; where that meets a fault its pods stay, and what it took of budgets and room is taken."""
        moves, stays, wishes = len(self.moves), len(self.stays), len(self.unplaced)
        shared = len(self.shared_stays)
        try:
            self._settle(drift, refusal)
        except Exception as error:  # noqa: BLE001 - a bug that one workload meets is its own alone
            del self.moves[moves:], self.stays[stays:], self.unplaced[wishes:], self.shared_stays[shared:]
            self.faults.append(PlanFault(drift.subject, repr(error)))
            self._leave(drift, Refusal(Reason.FAULT, repr(error)))

    def _settle(self, drift: Drift, refusal: Refusal | None) -> None:
        workload = drift.managed.workload
        if refusal is None:
            standing, past = self.ledger.availability(workload), self.history.get(workload.uid)
            case = Case(drift, standing, past, self.rules, self.now, may_be_brought(self.state, workload))
            refusal = workload_refusal(case)
            if refusal is None:
                for excess in drift.excess:
                    leaving = _Leaving(self, case, excess)
                    leaving.choose()
                    left = unplaced(case, excess, leaving.left, self.ledger) if leaving.left else None
                    if left is not None:
                        self.unplaced.append(left)
                return
        self._leave(drift, refusal)

    def _leave(self, drift: Drift, refusal: Refusal) -> None:
        for excess in drift.excess:
            for pod in eviction_order(excess.pods)[: excess.count]:
                self.stay(drift, excess, pod, refusal)

    def stay(self, drift: Drift, excess: Excess, pod: PodRecord, refusal: Refusal) -> None:
        """Take in that a surplus pod stays."""
        destination = next(iter(destinations(drift.wanting, excess)), "")
        stay = Stay(pod.id, pod.node_name, drift.subject, excess.source, destination, refusal.reason, refusal.detail)
        if drift.shared is not None and not excess.destination:
            self.shared_stays.append((drift.shared, stay))
        else:
            self.stays.append(stay)

    def move(self, drift: Drift, excess: Excess, pod: PodRecord, destination: str, target: NodeRecord) -> None:
        """Take in that a pod is moved."""
        workload = drift.managed.workload
        self.ledger.deduct(pod, workload)
        self.ledger.deduct_limits(pod, destination)
        self.room.occupy(self.replacements.of(pod, destination), target, drift.revision)
        if not excess.destination:
            drift.wanting[destination] -= 1
            if drift.shared is not None:
                drift.shared.spare[excess.source] -= 1
        self.moves.append(
            Move(
                pod.id,
                pod.node_name,
                drift.subject,
                excess.source,
                destination,
                target.name,
                Reason.SURPLUS,
                dry=workload.policy.mode == "audit",
            )
        )


class _Leaving:
    """The pods of one excess on their way through guards, budgets and room."""

    def __init__(self, planner: _Planner, case: Case, excess: Excess) -> None:
        self.planner, self.case, self.excess = planner, case, excess
        self.left = excess.count
        self.stays: list[tuple[int, PodRecord, Refusal]] = []

    def choose(self) -> None:
        """Move as many as may be moved. Of the others, those stay that came nearest to it."""
        nearest = 0
        for pod in eviction_order(self.excess.pods):
            if not self.left or nearest >= self.left:
                break
            step, refusal = self._look_at(pod)
            if refusal is None:
                self.left -= 1
                continue
            self.stays.append((step, pod, refusal))
            nearest += step == _LAST
        for _, pod, refusal in sorted(self.stays, key=lambda stay: -stay[0])[: self.left]:
            self.planner.stay(self.case.drift, self.excess, pod, refusal)

    def _look_at(self, pod: PodRecord) -> tuple[int, Refusal | None]:
        """Move a pod, or say why not and how far it came; who came to the last step speaks for all that follow."""
        planner = self.planner
        refusal = pod_refusal(pod, self.case)
        if refusal is not None:
            return 0, refusal
        refusal = self._common()
        if refusal is not None:
            return _LAST, refusal
        refusal = planner.ledger.budget_refusal(pod)
        if refusal is not None:
            return 1, refusal
        return 2, self._go(pod)

    def _common(self) -> Refusal | None:
        """What keeps back this pod and any after it."""
        shared = self.case.drift.shared
        if shared is not None and not self.excess.destination and shared.spare[self.excess.source] <= 0:
            return Refusal(Reason.NO_SEAT)
        wanted = destinations(self.case.drift.wanting, self.excess)
        if not wanted:
            return Refusal(Reason.NO_SEAT)
        refusal = share_refusal(self.case)
        if refusal is not None:
            return refusal
        refusals = [back_off(self.case, self.excess.source, destination) for destination in wanted]
        if all(refusals):
            return refusals[0]
        return Refusal(Reason.CLUSTER_BUDGET) if self.planner.ledger.cluster_is_full else None

    def _go(self, pod: PodRecord) -> Refusal | None:
        refusal: Refusal | None = None
        for destination in destinations(self.case.drift.wanting, self.excess):
            if back_off(self.case, self.excess.source, destination) is not None:
                continue
            limited = self.planner.ledger.limit_refusal(pod, destination)
            if limited is not None:
                refusal = refusal or limited
                continue
            like = self.planner.replacements.of(pod, destination)
            found = self.planner.room.find(like, destination, self.case.drift.group)
            if isinstance(found, Refusal):
                found = self._proven(pod, like, destination) or found
            if isinstance(found, NodeRecord):
                self.planner.move(self.case.drift, self.excess, pod, destination, found)
                return None
            refusal = refusal or self._outlook(pod, destination, found)
        return refusal

    def _proven(self, pod: PodRecord, like: PodRecord, destination: str) -> NodeRecord | None:
        """The node of a placeholder that gives way to the replacement of a pod."""
        planner, drift = self.planner, self.case.drift
        held = planner.held.get((drift.revision.owner.uid, destination), [])
        for placeholder in held:
            if planner.room.takes_instead(like, placeholder, drift.group):
                held.remove(placeholder)
                planner.spent.append(Spent(placeholder.uid, pod.uid))
                return placeholder.node
        return None

    def _outlook(self, pod: PodRecord, destination: str, refusal: Refusal) -> Refusal:
        """What is done about it that there is no room, if anything is."""
        place = (self.case.drift.revision.owner.uid, destination)
        if not (self.case.brought and refusal.reason in CURABLE):
            return refusal
        return self.planner.proofs.outlook(place, self.planner.state.autoscaling.demand(pod)) or refusal


_LAST = 3
