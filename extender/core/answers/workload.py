"""One workload in detail: its revisions and their seats, its pods, and why some of them wait."""

from collections.abc import Iterator

from msgspec import Struct

from extender.core.answers.nodes import verdicts
from extender.core.answers.overview import WorkloadRow, rows_of
from extender.core.answers.pod import view_of
from extender.core.answers.pod_parts import gated_by
from extender.core.answers.replicas import standing_of
from extender.core.answers.seats import (
    RunsOf,
    SeatsOf,
    Subject,
    runs_of,
    seat_numbers,
    seats_held,
    seats_of,
    subject_of,
)
from extender.core.drift.surplus import drift_of
from extender.core.model.objects import Owner
from extender.core.model.reasons import Reason
from extender.core.placement.enforcement import Enforced, enforced_for, is_written
from extender.core.policy.managed import Managed
from extender.core.policy.policy import Problem
from extender.core.policy.provenance import Setting, Unmanaged, problems_of, settings_in_force, why_unmanaged
from extender.core.policy.workload import Workload
from extender.core.scalein.costs import BEYOND
from extender.core.scalein.removal_order import eviction_order
from extender.core.state.controllers import managed_controllers, size_of_workload
from extender.core.state.counting import count_alone, count_of
from extender.core.state.records import PodRecord, Revision
from extender.core.state.state import ClusterState


class RevisionRow(Struct, frozen=True, rename="camel"):
    """One controller of pods. `replicas` is T, None where nobody knows it; `surplus` counts pods off their seats."""

    revision: Subject
    replicas: int | None
    rolling: bool
    seats: tuple[SeatsOf, ...]
    surplus: int
    pending: int


class PodRow(Struct, frozen=True, gc=False, rename="camel"):
    """One pod.

    `node` and what follows it are empty without a node. `seat` is None where the pod holds none. `reason` is why a pod
    without a node waits, or what would be decided on it now; `wanted` is the class it would get or waits for. `surplus`
    marks those of a class with too many that leave first.
    """

    name: str
    uid: str
    revision: str
    node: str
    capacity_class: str
    instance_type: str
    zone: str
    going_away: str
    seat: int | None
    ready: bool
    terminating: bool
    created: float
    reason: Reason | None = None
    wanted: str = ""
    surplus: bool = False


class WorkloadExplanation(Struct, frozen=True, rename="camel"):
    """A workload in detail.

    `row` is None for one without replicas, or that nobody manages: then `unmanaged` says why. The first pods are
    those without a node, then those on nodes by seat.
    """

    workload: Subject
    unmanaged: Unmanaged | None
    row: WorkloadRow | None = None
    revisions: tuple[RevisionRow, ...] = ()
    pods: tuple[PodRow, ...] = ()
    settings: tuple[Setting, ...] = ()
    problems: tuple[Problem, ...] = ()
    enforcement: Enforced | None = None
    runs: RunsOf | None = None


def explain_owner(state: ClusterState, owner: Owner, now: float) -> WorkloadExplanation:
    """Explain the workload that an owner is or belongs to, at `now` (seconds since the epoch)."""
    managed = state.workloads.resolve(owner.namespace, owner.ref)
    if not isinstance(managed, Managed):
        subject = Subject(owner.kind, owner.namespace, owner.name, owner.uid)
        return WorkloadExplanation(subject, why_unmanaged(state.workloads, owner.namespace, owner.ref))
    return explain_workload(state, managed.workload, now)


def explain_workload(state: ClusterState, workload: Workload, now: float) -> WorkloadExplanation:
    """Explain a workload of the state at `now` (seconds since the epoch)."""
    members = _members(state, workload)
    rows = rows_of(state, (standing for each in members if (standing := standing_of(state, each)) is not None))
    controllers = [(each, *controller) for each in members for controller in managed_controllers(state, each)]
    controllers.sort(key=lambda each: (-each[1].created, each[1].name))
    pods = [row for each, owner, revision in controllers for row in _Pods(state, each, owner, revision, now).rows()]
    how = enforced_for(state, workload)
    pods.sort(key=lambda pod: (bool(pod.node), pod.terminating, pod.seat is None, pod.seat or 0, pod.created, pod.name))
    return WorkloadExplanation(
        subject_of(workload),
        None,
        rows[0] if rows else None,
        tuple(_revision_row(state, *controller) for controller in controllers),
        tuple(pods),
        settings_in_force(state.workloads, workload, on_pods=is_written(how)),
        problems_of(state.workloads, workload, size_of_workload(state, workload)),
        how,
        next((runs for each, owner, _ in controllers if (runs := runs_of(state, Managed(each, owner)))), None),
    )


def _members(state: ClusterState, workload: Workload) -> list[Workload]:
    """The workload; or those that go by its name, a CronJob's Jobs."""
    if workload.kind != "CronJob":
        return [workload]
    known = state.workloads
    return [known.by_uid[uid] for uid in known.children.get(workload.uid, ()) if uid in known.by_uid]


def _revision_row(state: ClusterState, workload: Workload, owner: Owner, revision: Revision | None) -> RevisionRow:
    managed = Managed(workload, owner)
    count = count_of(state, managed, revision)
    drift = drift_of(state, count, managed, revision, frozenset()) if revision is not None else None
    above = state.workloads.owners.get(workload.uid)
    return RevisionRow(
        Subject(owner.kind, owner.namespace, owner.name, owner.uid),
        owner.replicas,
        owner.rolling or (above is not None and above.rolling),
        seats_of(count) if count.fleet is None else seats_held(count_alone(managed, revision)),
        drift.surplus if drift is not None else 0,
        sum(pod.node is None for pod in revision.pods) if revision is not None else 0,
    )


class _Pods:
    """The pods of one revision. Those without a node that are alike are looked at once: the oldest speaks for them."""

    def __init__(
        self, state: ClusterState, workload: Workload, owner: Owner, revision: Revision | None, now: float
    ) -> None:
        self.state, self.managed, self.revision, self.now = state, Managed(workload, owner), revision, now
        self.known: dict[object, tuple[Reason, str]] = {}

    def rows(self) -> Iterator[PodRow]:
        revision = self.revision
        if revision is None:
            return
        seats, surplus = seat_numbers(revision, self.managed), self._surplus(revision)
        for pod in sorted(revision.pods, key=lambda pod: (pod.created, pod.uid)):
            node = pod.node
            facts = node.facts if node is not None else None
            seat = seats.get(pod.uid)
            reason, wanted = self._waits(pod) if node is None and not pod.terminating else (None, "")
            yield PodRow(
                pod.name,
                pod.uid,
                revision.owner.name,
                node.name if node is not None else "",
                facts.capacity_class if facts is not None else "",
                *(node.place if node is not None else ("", "")),
                going_away=facts.going_away if facts is not None else "",
                seat=seat if seat is not None and seat < BEYOND else None,
                ready=pod.ready,
                terminating=pod.terminating,
                created=pod.created,
                reason=reason,
                wanted=wanted,
                surplus=pod.uid in surplus,
            )

    def _surplus(self, revision: Revision) -> set[str]:
        """The surplus pods: a StatefulSet's are known by their ordinals, of others those on the highest seats leave."""
        count = count_of(self.state, self.managed, revision)
        drift = drift_of(self.state, count, self.managed, revision, frozenset())
        return {pod.uid for each in drift.excess for pod in eviction_order(each.pods)[: each.count]} if drift else set()

    def _waits(self, pod: PodRecord) -> tuple[Reason, str]:
        if pod.counted:
            return Reason.WRITTEN, pod.counted
        waiting = self.state.waiting.get(pod.uid)
        if waiting is not None:
            return waiting.reason, waiting.capacity_class
        reservation = self.revision.reservations.get(pod.uid) if self.revision is not None else None
        held = (reservation.capacity_class, reservation.stand_in) if reservation is not None else None
        alike = (held, self._class_of_ordinal(pod), pod.requests, pod.constraints, pod.gates)
        if alike not in self.known:
            decision = verdicts(self.state, pod, view_of(pod), self.managed, self.now).decision
            reason = gated_by(self.state, pod) if pod.gates else decision.reason
            self.known[alike] = (reason, decision.capacity_class or decision.wanted)
        return self.known[alike]

    def _class_of_ordinal(self, pod: PodRecord) -> str:
        count = count_of(self.state, self.managed, self.revision)
        seat = count.own_seat(pod.name)
        return count.seats.class_at(seat) if seat is not None else ""
