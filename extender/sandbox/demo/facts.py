"""What is seen of the cluster at one moment, and what it says about each workload. Pure.

A pod counts by the class of the node it is bound to; one on a node that is going away, or that is gone,
counts as leaving. A Deployment is seen by revision, as Spotmix counts it.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from msgspec import Struct

from extender.core.model.classes import SPOT
from extender.core.model.objects import Node, Owner
from extender.core.model.reasons import Reason
from extender.core.policy.policy import Layer, Policy, parse_policy
from extender.sandbox.demo.words import our_reason, waiting_words

PREFIX = "spotmix.io"
REVISION = "deployment.kubernetes.io/revision"
SHOWN = ("Deployment", "StatefulSet", "Job")
"""Kinds that get a row."""


class PodFact(Struct, frozen=True):
    """A pod that is neither terminating nor ended.

    `owner` is the UID of its controller, `message` the scheduler's word on why it is not bound, `seated`
    whether it carries a deletion cost.
    """

    name: str
    owner: str
    node: str
    ready: bool
    seated: bool
    message: str


class Look(Struct, frozen=True):
    """The cluster at one moment; `began` is when it was asked for, in seconds of a monotonic clock."""

    began: float = 0.0
    pods: Sequence[PodFact] = ()
    nodes: Mapping[str, Node] = {}
    owners: Sequence[Owner] = ()


class SplitState(Enum):
    """How a workload's actual split compares with the wanted one."""

    EXACT = "exact"
    WAITS = "waits, as asked"
    MOVING = "on its way"
    OFF = "off"

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come."""
        return self is not SplitState.MOVING


class RevisionView(Struct, frozen=True):
    """The pods of one revision. `replicas` is what its own controller is to run.

    `counts` are bound pods by class, `leaving` those whose node goes, `waiting` the unbound by reason,
    `patient` those of them that wait for their class because their policy says so, `fullest` the most spot
    pods in one pool.
    """

    uid: str
    number: int
    replicas: int
    counts: Mapping[str, int]
    leaving: int = 0
    waiting: Mapping[str, int] = {}
    patient: int = 0
    ready: int = 0
    fullest: int = 0
    unseated: int = 0

    @property
    def placed(self) -> int:
        """Pods that are bound to a node that stays."""
        return sum(self.counts.values())

    @property
    def pods(self) -> int:
        """All of them."""
        return self.placed + self.leaving + sum(self.waiting.values())


class WorkloadView(Struct, frozen=True):
    """A workload: what its owner asks for and what there is."""

    kind: str
    name: str
    policy: Policy
    replicas: int
    newest: RevisionView
    older: tuple[RevisionView, ...] = ()

    @property
    def wanted(self) -> dict[str, int]:
        """The split at the replicas asked for."""
        return self.policy.seats.target(self.replicas)

    @property
    def verdict(self) -> SplitState:
        """See `SplitState`. An actual split is judged when all its pods are bound and Ready, never before."""
        now, wanted = self.newest, self.wanted
        if self.older or now.leaving:
            return SplitState.MOVING
        if now.pods != self.replicas or now.ready != now.placed:
            return SplitState.MOVING
        if now.waiting:
            below = all(count <= wanted.get(name, 0) for name, count in now.counts.items())
            patient = now.patient == sum(now.waiting.values())
            return SplitState.WAITS if below and patient else SplitState.MOVING
        if not same_split(now.counts, wanted):
            return SplitState.OFF
        cap = self.policy.max_per_pool
        if cap is not None and now.fullest > cap.limit(self.replicas):
            return SplitState.OFF
        return SplitState.EXACT

    @property
    def doing(self) -> str:
        """What a workload that is on its way does."""
        now = self.newest
        if self.older:
            return "rolling out"
        if now.leaving:
            return f"{now.leaving} on a node that goes"
        if now.pods > self.replicas:
            return "scaling in"
        if now.pods < self.replicas or now.waiting:
            return "placing"
        return "starting"


def same_split(left: Mapping[str, int], right: Mapping[str, int]) -> bool:
    """Whether two splits are the same, whichever of them leaves zeros out."""
    return all(left.get(name, 0) == right.get(name, 0) for name in {*left, *right})


def policy_of(owner: Owner) -> Policy:
    """The policy in an owner's own annotations."""
    layer = Layer(f"{owner.kind} {owner.namespace}/{owner.name}", owner.annotations)
    return parse_policy([layer], (PREFIX,)).policy


def view_workloads(snapshot: Look) -> list[WorkloadView]:
    """The managed workloads of a snapshot, in the order of their kinds, then by name."""
    by_owner: dict[str, list[PodFact]] = {}
    for pod in snapshot.pods:
        by_owner.setdefault(pod.owner, []).append(pod)
    shown = [
        owner
        for owner in snapshot.owners
        if owner.kind in SHOWN and owner.labels.get(f"{PREFIX}/enabled", "").lower() == "true"
    ]
    shown.sort(key=lambda owner: (SHOWN.index(owner.kind), owner.name))
    return [_view(owner, snapshot, by_owner) for owner in shown]


def _view(owner: Owner, snapshot: Look, by_owner: Mapping[str, Sequence[PodFact]]) -> WorkloadView:
    policy = policy_of(owner)
    if owner.kind == "Deployment":
        controllers = [each for each in snapshot.owners if each.owner and each.owner.uid == owner.uid]
    else:
        controllers = [owner]
    revisions = [_revision(each, by_owner.get(each.uid, ()), snapshot.nodes) for each in controllers]
    revisions.sort(key=lambda revision: revision.number)
    newest = revisions.pop() if revisions else RevisionView("", 0, 0, {})
    older = tuple(revision for revision in revisions if revision.pods)
    return WorkloadView(owner.kind, owner.name, policy, owner.replicas or 0, newest, older)


def _revision(controller: Owner, pods: Iterable[PodFact], nodes: Mapping[str, Node]) -> RevisionView:
    counts: dict[str, int] = {}
    pools: dict[tuple[str, str], int] = {}
    waiting: dict[str, int] = {}
    leaving = patient = ready = unseated = 0
    for pod in pods:
        unseated += not pod.seated
        if not pod.node:
            words = waiting_words(pod.message)
            waiting[words] = waiting.get(words, 0) + 1
            patient += our_reason(pod.message) is Reason.WAIT_CLASS
            continue
        node = nodes.get(pod.node)
        if node is None or node.going_away:
            leaving += 1
            continue
        ready += pod.ready
        counts[node.capacity_class] = counts.get(node.capacity_class, 0) + 1
        if node.capacity_class == SPOT:
            pool = (node.instance_type, node.zone)
            pools[pool] = pools.get(pool, 0) + 1
    number = controller.annotations.get(REVISION, "0")
    return RevisionView(
        uid=controller.uid,
        number=int(number) if number.isdigit() else 0,
        replicas=controller.replicas or 0,
        counts=counts,
        leaving=leaving,
        waiting=waiting,
        patient=patient,
        ready=ready,
        fullest=max(pools.values(), default=0),
        unseated=unseated,
    )


def find(views: Iterable[WorkloadView], name: str) -> WorkloadView | None:
    """The workload of that name."""
    return next((view for view in views if view.name == name), None)


def pods_by_node(snapshot: Look) -> dict[str, list[PodFact]]:
    """Bound pods by the name of their node."""
    found: dict[str, list[PodFact]] = {}
    for pod in snapshot.pods:
        if pod.node:
            found.setdefault(pod.node, []).append(pod)
    return found


def workloads_on(snapshot: Look, node: str) -> list[str]:
    """The workload of each pod on a node, by name and in order."""
    owners = {owner.uid: owner for owner in snapshot.owners}
    names = []
    for pod in snapshot.pods:
        owner = owners.get(pod.owner)
        if pod.node == node and owner is not None:
            above = owners.get(owner.owner.uid) if owner.owner is not None else None
            names.append((above or owner).name)
    return sorted(names)
