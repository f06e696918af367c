"""What became of moves in flight.

A move is over when its pod is gone and a replacement is Ready; where that landed decides whether the move was worth it.
A Deployment's or StatefulSet's pods cannot be told by their ancestry, so any new pod of the revision may be the
replacement; of a StatefulSet it is the one with the same name. Each new pod stands for one move.
"""

from collections.abc import Iterator

from extender.core.drift.history import History, InFlight, Judgement
from extender.core.drift.moves import PlanFault
from extender.core.drift.rules import DriftRules
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.policy.managed import Managed
from extender.core.policy.ordinals import seat_of_ordinal
from extender.core.state.counting import count_of
from extender.core.state.records import PodRecord, Revision
from extender.core.state.state import ClusterState

UNSENT = 60.0
"""A pod that does not terminate this long (seconds) after its eviction was sent will not: the request was lost. Longer
than a request may take."""

STUCK_AFTER = 60.0
"""A pod that is still there this long (seconds) after its grace period is stuck."""


def judge(  # noqa: PLR0917 - inputs, each of a type of its own
    state: ClusterState,
    history: History,
    rules: DriftRules,
    now: float,
    seen_since: float = 0.0,
    faults: list[PlanFault] | None = None,
) -> list[Judgement]:
    """The moves of which there is something new to tell. Changes nothing: see `History.settle`.

    Args:
        state: the cluster, as current as can be: what is not in it counts as gone.
        history: the moves.
        rules: how long a replacement may take.
        now: seconds since the epoch.
        seen_since: since when the cluster has been seen without a gap, in seconds since the epoch. Nobody could replace
            a pod while the API server was away, so that the patience with a replacement begins anew.
        faults: takes in whose moves could not be judged; without it the fault is raised.
    """
    by_revision: dict[str, list[InFlight]] = {}
    for entry in history.in_flight():
        by_revision.setdefault(entry.move.workload.revision, []).append(entry)
    found: list[Judgement] = []
    for entries in by_revision.values():
        try:
            found += _judge(state, entries, rules, now, seen_since)
        except Exception as error:
            if faults is None:
                raise
            faults.append(PlanFault(entries[0].move.workload, repr(error)))
    return found


def _judge(
    state: ClusterState, entries: list[InFlight], rules: DriftRules, now: float, seen_since: float
) -> Iterator[Judgement]:
    """Judge the moves of one revision."""
    revision = state.revisions.get(entries[0].move.workload.revision)
    taken: set[str] = set()
    for entry in sorted(entries, key=lambda e: (e.at, e.move.pod.uid)):
        record = state.pods.get(entry.move.pod.uid)
        replacement = _replacement(entry, revision, taken)
        if replacement is not None:
            taken.add(replacement.uid)
        if record is not None:
            verdict = _of_one_still_there(entry, record, now)
        elif replacement is not None and replacement.ready and replacement.capacity_class:
            right = _is_right(state, entry, replacement)
            verdict = _landed(entry, Reason.MOVED if right else Reason.LANDED_WRONG, replacement)
        elif replacement is None and _is_content(state, entry, revision):
            verdict = Judgement(entry, Reason.NOT_REPLACED)
        elif now - max(entry.at, seen_since) > entry.grace + rules.patience:
            verdict = _landed(entry, Reason.NO_REPLACEMENT, replacement)
        else:
            verdict = None
        if verdict is not None:
            yield verdict


def _of_one_still_there(entry: InFlight, record: PodRecord, now: float) -> Judgement | None:
    if not record.terminating:
        return Judgement(entry, Reason.REFUSED) if now - entry.at > UNSENT else None
    if not entry.stuck and record.due and now - record.due > STUCK_AFTER:
        return Judgement(entry, Reason.STUCK, node=entry.move.node)
    return None


def _replacement(entry: InFlight, revision: Revision | None, taken: set[str]) -> PodRecord | None:
    """The pod that stands for the one that was evicted: a Ready one if there is one, the oldest of several."""
    if revision is None:
        return None
    named = entry.move.pod.name if revision.owner.kind == "StatefulSet" else ""
    candidates = [
        pod
        for pod in revision.pods
        if pod.created >= entry.newest
        and not pod.terminating
        and pod.uid not in taken
        and pod.uid not in entry.siblings
        and pod.uid != entry.move.pod.uid
        and named in ("", pod.name)
    ]
    return min(candidates, key=lambda pod: (not pod.ready, pod.created, pod.uid), default=None)


def _landed(entry: InFlight, outcome: Reason, pod: PodRecord | None) -> Judgement:
    if pod is None:
        return Judgement(entry, outcome)
    node = pod.node.name if pod.node is not None else ""
    return Judgement(entry, outcome, PodId(pod.namespace, pod.name, pod.uid), node, pod.capacity_class)


def _is_right(state: ClusterState, entry: InFlight, pod: PodRecord) -> bool:
    """Whether a replacement is where it was wanted, or where it is wanted now: policies and sizes change meanwhile."""
    landed = pod.capacity_class
    if landed == entry.move.destination:
        return True
    revision = pod.revision
    managed = state.workloads.resolve(pod.namespace, revision.owner if revision is not None else None)
    if revision is None or not isinstance(managed, Managed):
        return True
    count = count_of(state, managed, revision)
    own_seat = count.own_seat(pod.name)
    if own_seat is not None:
        return count.seats.class_at(own_seat) == landed
    wanted = count.seats.target(count.replicas) if count.replicas is not None else {}
    return count.filled.get(landed, 0) <= wanted.get(landed, 0)


def _is_content(state: ClusterState, entry: InFlight, revision: Revision | None) -> bool:
    """Whether the controller has as many pods as it wants without a replacement, or is gone itself."""
    owner = state.workloads.owners.get(entry.move.workload.revision)
    live = sum(not pod.terminating for pod in revision.pods) if revision is not None else 0
    if owner is None:
        # Not known yet, as long as it has pods: kinds of others are met one by one after a start.
        return live == 0
    owner = state.workloads.controller(owner)
    if owner.replicas is None:
        return False
    seat = seat_of_ordinal(owner, entry.move.pod.name)
    return live >= owner.replicas if seat is None else seat > owner.replicas
