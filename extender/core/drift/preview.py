"""What the drift loop would do if it looked at everything now: plans in its order and its slices, on a copy of its
history.
"""

from collections.abc import Collection, Generator, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from extender.core.drift.drain import threatened
from extender.core.drift.guards import cluster_refusal
from extender.core.drift.history import History
from extender.core.drift.moves import DriftPlan, Move, OffTarget, PlanFault, Stay
from extender.core.drift.plan import plan
from extender.core.drift.proofs import NO_PROOFS, Proofs
from extender.core.drift.rules import DriftRules
from extender.core.drift.surplus import drifted
from extender.core.drift.turns import in_turn, slices
from extender.core.model.reasons import Reason
from extender.core.state.state import ClusterState

_NONE: Mapping[str, str] = {}


class Knowledge(Struct, frozen=True):
    """What the drift loop plans with, beside the state.

    Attributes:
        history: moves in flight, made, and in vain.
        rules: how careful to be.
        current: whether the state is known to be up to date.
        proofs: the room that placeholders keep.
        unreadable: why the stored history of a workload cannot be read, by workload UID; no pod of it is moved.
    """

    history: History
    rules: DriftRules
    current: bool = True
    unreadable: Mapping[str, str] = _NONE
    proofs: Proofs = NO_PROOFS


def preview(
    state: ClusterState, known: Knowledge, now: float, only: Collection[str] | None = None
) -> Generator[None, None, DriftPlan]:
    """Plan as the drift loop does, with a pause after every few workloads. Changes neither the state nor the history.

    The state may change during a pause: each part is right for the moment it was made in.

    Args:
        state: the cluster.
        known: what the loop knows beside.
        now: seconds since the epoch.
        only: UIDs of the workloads to plan for; None plans for all.
    """
    history = known.history.fork()
    leaving = {entry.move.pod.uid for entry in history.in_flight()}
    off_target: list[str] = []
    faults: list[PlanFault] = []
    for part in slices(list(state.workloads.by_uid if only is None else only)):
        off_target += (drift.managed.workload.uid for drift in drifted(state, leaving, part, faults))
        yield
    urgent = threatened(state, only) if known.rules.drain else ()
    turns = in_turn(sorted(each.managed.workload.uid for each in urgent), off_target=off_target)
    made: list[DriftPlan] = []
    # The loop does not look at those that are held back: they take nothing from the others.
    for workloads in (
        [uid for uid in turns if uid not in known.unreadable],
        [uid for uid in turns if uid in known.unreadable],
    ):
        for part in slices(workloads):
            each = plan(state, history, known.rules, now, only=part, current=known.current, proofs=known.proofs)
            each = held_back(each, known.unreadable)
            for move in each.moves:
                if move.recorded:
                    history.started(move, state, now)
            made.append(each)
            yield
    paused = cluster_refusal(state, known.rules, now, current=known.current)
    return _together((DriftPlan(faults=tuple(faults)), *made), paused)


def held_back(plan: DriftPlan, faults: Mapping[str, str]) -> DriftPlan:
    """A plan without the moves of workloads whose history cannot be read; `faults` says why, by workload UID."""
    if not faults:
        return plan
    moves = tuple(move for move in plan.moves if move.workload.uid not in faults)
    kept = (_stay(move, Reason.MEMORY) for move in plan.moves if move.workload.uid in faults)
    stays = (
        replace(stay, reason=Reason.MEMORY, detail=faults[stay.workload.uid]) if stay.workload.uid in faults else stay
        for stay in (*kept, *plan.stays)
    )
    return replace(plan, moves=moves, stays=tuple(stays))


def paused_by(plan: DriftPlan, reason: Reason | None) -> DriftPlan:
    """A plan as it is while the loop moves nothing at all; `reason` says why, None changes nothing."""
    if reason is None:
        return plan
    kept = (_stay(move, reason) for move in plan.moves)
    return replace(plan, moves=(), stays=(*kept, *plan.stays), paused=reason)


def _stay(move: Move, reason: Reason) -> Stay:
    return Stay(move.pod, move.node, move.workload, move.source, move.destination, reason)


def _together(plans: Iterable[DriftPlan], paused: Reason | None) -> DriftPlan:
    moves: list[Move] = []
    stays: list[Stay] = []
    off_target: list[OffTarget] = []
    faults: dict[PlanFault, None] = {}
    for each in plans:
        moves += each.moves
        stays += each.stays
        off_target += each.off_target
        faults.update(dict.fromkeys(each.faults))
    return DriftPlan(tuple(moves), tuple(stays), tuple(off_target), paused, tuple(faults))
