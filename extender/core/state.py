"""The cluster state: nodes, pods, workloads, reservations. `apply(event)` is its only way to change.

A pod is counted by the class of the node it is bound to, or by its live reservation. Terminating and ended pods hold
no seat, nor do pods on a node that is going away or unknown.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from sys import intern

from msgspec import Struct

from extender.core.census import Census
from extender.core.classes import SPOT
from extender.core.events import Event, Gone, Listed, Unavailable, Upsert
from extender.core.objects import Namespace, Node, Owner, OwnerRef, Pod, Requests
from extender.core.reasons import Reason
from extender.core.records import NodeRecord, PodRecord, Pool, Reservation, Revision
from extender.core.waiting import Waiting, WaitingPods
from extender.core.workloads import PolicyChanged, PolicyRules, Workloads

_TOMBSTONES = 8192
_NO_REQUESTS = Requests()


class Released(Struct, frozen=True, gc=False):
    """The reservation of a pod is given back, and it waits no more."""

    pod: str


class Wake(Struct, frozen=True, gc=False):
    """An effect: something changed that the scheduler cannot see; this waiting pod should be tried again."""

    pod: str
    namespace: str
    name: str


Effect = Wake | PolicyChanged


class ClusterState:
    """See the module.

    Args:
        rules: how policies are read.
        reservation_ttl: seconds after which a reservation of a pod that the watch never delivered is dropped.
        half_life: seconds in which a recorded interruption of a pool loses half its weight.
    """

    def __init__(self, rules: PolicyRules, reservation_ttl: float = 900.0, half_life: float = 3600.0) -> None:
        self.workloads = Workloads(rules)
        self.nodes: dict[str, NodeRecord] = {}
        self.pods: dict[str, PodRecord] = {}
        self.revisions: dict[str, Revision] = {}
        self.placeable: dict[str, dict[str, NodeRecord]] = {}
        self.census = Census()
        self.waiting = WaitingPods()
        self.effects: list[Effect] = []
        self.reseat: set[Revision] = set()
        self._ttl = reservation_ttl
        self._half_life = half_life
        self._node_uids: dict[str, str] = {}
        self._reserved: dict[str, Revision] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._interruptions: dict[Pool, tuple[float, float]] = {}

    # Events

    def apply(  # noqa: C901 - a case for each event
        self, event: Event | Reservation | Released | Waiting, now: float
    ) -> None:
        """Take in what happened. What others must do about it is appended to `effects`.

        Args:
            event: a change of the cluster, or a part of a decision.
            now: seconds, of the same clock that decisions are made with.
        """
        match event:
            case Upsert(object=Pod() as pod):
                self._upsert_pod(pod)
            case Upsert(object=Node() as node):
                self._upsert_node(node, now)
            case Upsert(object=Owner() as owner):
                self._upsert_owner(owner)
            case Upsert(object=Namespace() as namespace):
                self._policies_changed(self.workloads.upsert_namespace(namespace))
            case Gone(resource=resource, uid=uid):
                self._remove(resource, uid)
            case Listed(resource=resource, uids=uids):
                for uid in [uid for uid in self._known(resource) if uid not in uids]:
                    self._remove(resource, uid)
            case Unavailable(group=group, kind=kind):
                self._policies_changed(self.workloads.mark_unavailable(group, kind))
                self._wake([w for w in self.waiting.all() if w.reason is Reason.OWNER_UNKNOWN])
            case Reservation():
                self._reserve(event)
            case Released(pod=uid):
                self._release(uid)
                self.waiting.drop(uid)
            case Waiting(pod=uid) if not self.is_gone(uid):
                self.waiting.add(event)

    def expire(self, now: float) -> None:
        """Drop reservations older than the TTL whose pod the watch never delivered."""
        for pod, revision in list(self._reserved.items()):
            if pod not in self.pods and now - revision.reservations[pod].at > self._ttl:
                self._release(pod)
                self.waiting.drop(pod)

    def depose(self) -> None:
        """Another replica decided meanwhile: what was decided here, and not seen bound since, counts no more."""
        for pod in (*self._reserved, *(waiting.pod for waiting in self.waiting.all())):
            self._release(pod)
            self.waiting.drop(pod)

    def _known(self, resource: str) -> Iterable[str]:
        if resource == "pods":
            return list(self.pods)
        if resource == "nodes":
            return list(self._node_uids)
        if resource == "namespaces":
            return [n.uid for n in self.workloads.namespaces.values()]
        return [o.uid for o in self.workloads.owners.values() if o.resource == resource]

    def _remove(self, resource: str, uid: str) -> None:
        if resource == "pods":
            self._remove_pod(uid)
        elif resource == "nodes":
            self._remove_node(uid)
        elif resource == "namespaces":
            self._policies_changed(self.workloads.remove_namespace(uid))
        else:
            self._policies_changed(self.workloads.remove_owner(uid))

    # Pods

    def _upsert_pod(self, pod: Pod) -> None:
        if pod.ended:
            # An ended pod uses nothing and holds nothing: to us it is gone.
            self._remove_pod(pod.uid)
            return
        record = self.pods.get(pod.uid)
        if record is not None and (record.revision.owner.uid if record.revision else "") != (
            pod.owner.uid if pod.owner else ""
        ):
            # Adopted or orphaned: it counts elsewhere from now on.
            self._remove_pod(pod.uid)
            self._gone.pop(pod.uid, None)
            record = None
        if record is None:
            revision = self.revision(pod.owner, pod.namespace) if pod.owner is not None else None
            record = PodRecord(
                pod.uid,
                intern(pod.namespace),
                pod.name,
                None,
                revision,
                pod.requests,
                pod.created,
                cost=pod.cost,
            )
            self.pods[pod.uid] = record
            if revision is not None:
                revision.pods.add(record)
        if record.requests is not pod.requests and record.requests != pod.requests:
            self._charge(record, -1)
            record.requests = pod.requests
            self._charge(record, +1)
        if pod.cost != record.cost:
            record.cost = pod.cost
            if record.revision is not None:
                self.reseat.add(record.revision)
        record.terminating = pod.terminating
        if pod.node and record.node is None:
            node = self.nodes.get(pod.node)
            if node is None:
                node = self.nodes[pod.node] = NodeRecord(pod.node, None, set())
            record.node = node
            node.pods.add(record)
            self._charge(record, +1)
            self.waiting.drop(pod.uid)
        self._recount(record)

    def _remove_pod(self, uid: str) -> None:
        self._release(uid)
        self.waiting.drop(uid)
        record = self.pods.pop(uid, None)
        self._gone[uid] = None
        if len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)
        if record is None:
            return
        revision, node = record.revision, record.node
        record.terminating = True
        self._recount(record)
        if node is not None:
            self._charge(record, -1)
            node.pods.discard(record)
            record.node = None
            if node.facts is None and not node.pods:
                self.nodes.pop(node.name, None)
        if revision is not None:
            revision.pods.discard(record)
            record.revision = None
            self._drop_if_empty(revision)

    def _charge(self, record: PodRecord, sign: int) -> None:
        node, asked = record.node, record.requests
        if node is None or asked is _NO_REQUESTS:
            return
        node.cpu += sign * asked.cpu
        node.memory += sign * asked.memory
        node.ephemeral += sign * asked.ephemeral
        if asked.extended:
            used = node.extended = node.extended or {}
            for name, amount in asked.extended:
                used[name] = used.get(name, 0) + sign * amount

    def _recount(self, record: PodRecord) -> None:
        """Count the pod under the class of its node, or not at all; a pod that is counted needs no reservation."""
        revision, node = record.revision, record.node
        if record.terminating or (node is not None and node.facts is not None):
            self._release(record.uid)
        if revision is None:
            return
        counted = ""
        if node is not None and node.placeable and not record.terminating:
            counted = node.facts.capacity_class if node.facts else ""
        if counted != record.counted:
            filled = revision.filled
            if record.counted:
                filled[record.counted] -= 1
            if counted:
                filled[counted] = filled.get(counted, 0) + 1
            if revision.spread is not None and node is not None and bool(counted) != bool(record.counted):
                revision.spread.add(node, 1 if counted else -1)
            record.counted = counted
            self.reseat.add(revision)

    # Nodes

    def _upsert_node(self, node: Node, now: float) -> None:
        record = self.nodes.get(node.name)
        if record is None:
            record = self.nodes[node.name] = NodeRecord(node.name, node, set())
            old = None
        else:
            old = record.facts
        record.facts = node
        self.census.change(old, node)
        _place(record, node)
        self._node_uids[node.uid] = node.name
        if old is not None and old.uid != node.uid:
            self._node_uids.pop(old.uid, None)
        if node.going_away and (old is None or not old.going_away) and node.capacity_class == SPOT:
            self._interruptions[record.pool] = (self.interruptions(record.pool, now) + 1.0, now)
        moved = (
            old is None or old.capacity_class != node.capacity_class or bool(old.going_away) != bool(node.going_away)
        )
        if moved:
            if old is not None:
                self.placeable.get(old.capacity_class, {}).pop(node.name, None)
            if record.placeable:
                self.placeable.setdefault(node.capacity_class, {})[node.name] = record
            for pod in record.pods:
                self._recount(pod)

    def _remove_node(self, uid: str) -> None:
        name = self._node_uids.pop(uid, None)
        record = self.nodes.get(name) if name is not None else None
        if record is None or record.facts is None or record.facts.uid != uid:
            return
        self.placeable.get(record.facts.capacity_class, {}).pop(record.name, None)
        self.census.change(record.facts, None)
        record.facts = None
        for pod in record.pods:
            self._recount(pod)
        if not record.pods:
            del self.nodes[record.name]

    @property
    def interrupted(self) -> bool:
        """Whether any interruption is remembered."""
        return bool(self._interruptions)

    def interruptions(self, pool: Pool, now: float) -> float:
        """Interruptions of a pool, each halved in weight every half-life."""
        if not self._interruptions:
            return 0.0
        value, at = self._interruptions.get(pool, (0.0, now))
        return value * 0.5 ** (max(0.0, now - at) / self._half_life) if value else 0.0

    # Workloads

    def _upsert_owner(self, owner: Owner) -> None:
        old = self.workloads.owners.get(owner.uid)
        self._policies_changed(self.workloads.upsert_owner(owner))
        if old is None:
            # Pods may wait for it to be known, those of its children too.
            for revision in self._revisions_of(owner.uid):
                self._wake(self.waiting.of_revision(revision.owner.uid))
        elif old.replicas != owner.replicas:
            self._wake(self.waiting.of_revision(owner.uid))

    def _policies_changed(self, changes: Iterable[PolicyChanged]) -> None:
        for change in changes:
            self.effects.append(change)
            for revision in self._revisions_of(change.workload.uid):
                self.reseat.add(revision)
                self._wake(self.waiting.of_revision(revision.owner.uid))

    def _revisions_of(self, workload: str) -> Iterator[Revision]:
        for uid in (workload, *self.workloads.children.get(workload, ())):
            revision = self.revisions.get(uid)
            if revision is not None:
                yield revision

    def _wake(self, pods: Iterable[Waiting]) -> None:
        self.effects.extend(Wake(waiting.pod, waiting.namespace, waiting.name) for waiting in pods)

    def revision(self, owner: OwnerRef, namespace: str) -> Revision:
        """The revision of the pods that `owner` controls, made when met for the first time."""
        revision = self.revisions.get(owner.uid)
        if revision is None:
            revision = self.revisions[owner.uid] = Revision(owner, intern(namespace), set(), {}, {}, {})
        return revision

    def _drop_if_empty(self, revision: Revision) -> None:
        if not revision.pods and not revision.reservations:
            self.revisions.pop(revision.owner.uid, None)
            self.reseat.discard(revision)

    # Reservations

    @property
    def reserved(self) -> int:
        """The number of live reservations."""
        return len(self._reserved)

    def reserved_since(self, start: float) -> list[str]:
        """The pods whose live reservation was made, or made anew, at `start` (seconds) or later."""
        return [pod for pod, revision in self._reserved.items() if revision.reservations[pod].at >= start]

    def is_gone(self, pod: str) -> bool:
        """Whether the watch has delivered the end of this pod: the scheduler may still ask about it."""
        record = self.pods.get(pod)
        return record.terminating if record is not None else pod in self._gone

    def _reserve(self, reservation: Reservation) -> None:
        pod = reservation.pod
        record = self.pods.get(pod)
        if self.is_gone(pod) or (record is not None and record.node is not None and record.node.facts is not None):
            return
        # First, since giving an earlier one back may leave its revision empty and drop it.
        self._release(pod)
        revision = self.revision(reservation.owner, reservation.namespace)
        revision.reservations[pod] = reservation
        revision.reserved[reservation.capacity_class] = revision.reserved.get(reservation.capacity_class, 0) + 1
        self._reserved[pod] = revision

    def _release(self, pod: str) -> None:
        revision = self._reserved.pop(pod, None)
        if revision is not None:
            reservation = revision.reservations.pop(pod)
            revision.reserved[reservation.capacity_class] -= 1
            self._drop_if_empty(revision)


def _place(record: NodeRecord, node: Node) -> None:
    """Take in where a node is. What is counted by pool is counted anew when a node's labels were changed."""
    pool = (intern(node.instance_type), intern(node.zone))
    if pool != record.pool:
        record.pool = pool
        for pod in record.pods:
            if pod.revision is not None:
                pod.revision.spread = None
    record.group = intern(f"{node.capacity_class}/{node.instance_type}/{node.zone}")
