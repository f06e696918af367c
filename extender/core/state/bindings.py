"""Pods on nodes: who runs where, what is used there, and who waits for a node."""

from collections import OrderedDict
from collections.abc import Callable
from sys import intern

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.classes import ON_DEMAND
from extender.core.model.objects import Pod, Requests
from extender.core.model.reasons import Reason
from extender.core.state.holdings import Holdings
from extender.core.state.indexes import PodsByLabels
from extender.core.state.nodes import Nodes
from extender.core.state.outbox import Met, Outbox, Placed
from extender.core.state.provisional import Provisional
from extender.core.state.records import PodRecord, Reservation, Revision, is_replacing, traits_of
from extender.core.state.repelling import Repelling
from extender.core.state.revisions import Revisions
from extender.core.state.schedulers import Schedulers
from extender.core.state.waiting import Waiting, WaitingPods

_TOMBSTONES = 8192
_NO_REQUESTS = Requests()


class Queued(Struct, frozen=True, gc=False):
    """Which scheduler a pod without a node waits for, and whether that has looked for one in vain."""

    scheduler: str
    refused: bool


class Bindings:
    """The part of the cluster state that knows pods.

    Args:
        nodes: that they run on.
        revisions: is told of pods that come, go, or come to count otherwise.
        waiting: a pod that is bound or gone waits no more.
        outbox: is told of revisions that others have to look at.
        is_asked_about: whether a scheduler that asks would have been noticed for a revision's pods.

    Attributes:
        pods: by UID.
        unbound: live pods without a node, by UID.
        placing: the schedulers that have placed a pod.
        gated: of those without a node, the ones that a scheduling gate keeps from every scheduler.
        decided: of those without a node and a gate, the ones on which their class is written.
        bound: is told of each pod that gets its node.
        ran: likewise, and of those that had ended when they were met.
        lost: is told of pods that interruptions took, as often as they are met.
        repelling: pods on a node with required anti-affinity, in groups of equal terms.
        labels: the pods in groups of equal labels, by namespace.
        provisional: the seats that were asked for in the name of pods that are not known.
        schedulers: which of them ask the extender.
        holdings: what is held in namespaces with limits.
    """

    def __init__(
        self,
        nodes: Nodes,
        revisions: Revisions,
        waiting: WaitingPods,
        outbox: Outbox,
        is_asked_about: Callable[[Revision], bool],
    ) -> None:
        self.pods: dict[str, PodRecord] = {}
        self.unbound: dict[str, PodRecord] = {}
        self.placing = {""}
        self._queued: dict[str, Queued] = {}
        self.gated: dict[str, PodRecord] = {}
        self.decided: dict[str, PodRecord] = {}
        self.bound: Callable[[PodRecord], None] = lambda _record: None
        self.ran: Callable[[Pod], None] = lambda _pod: None
        self.lost: Callable[[Pod], None] = lambda _pod: None
        self.repelling = Repelling()
        self.labels = PodsByLabels()
        self.provisional = Provisional()
        self.schedulers = Schedulers()
        self.holdings = Holdings(self.pods, self.labels, revisions, outbox)
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._nodes, self._revisions, self._waiting, self._outbox = nodes, revisions, waiting, outbox
        self._is_asked_about = is_asked_about
        # Each event about a pod asks for these.
        self._recount, self._release = revisions.recount, revisions.release

    def is_gone(self, pod: str) -> bool:
        """Whether the watch has delivered the end of this pod: the scheduler may still ask about it."""
        record = self.pods.get(pod)
        return record.terminating if record is not None else pod in self._gone

    def is_coming(self, record: PodRecord) -> bool:
        """Whether a pod without a node is about to get one: it has no gate, and its scheduler places pods."""
        queued = self._queued.get(record.uid)
        asked = record.revision is not None and record.uid in record.revision.reservations
        return queued is not None and (queued.scheduler in self.placing or asked)

    def asked(self, pod: str) -> None:
        """A scheduler asked about a pod (UID) that is known."""
        queued = self._queued.get(pod)
        self.schedulers.asked(pod, queued.scheduler if queued is not None else None)

    def scheduler_of(self, pod: str) -> str | None:
        """The scheduler that a pod (UID) without a node waits for; None where that is not known."""
        queued = self._queued.get(pod)
        return queued.scheduler if queued is not None else None

    def was_refused(self, pod: str) -> bool:
        """Whether a scheduler has looked for a node for a pod (UID) in vain."""
        queued = self._queued.get(pod)
        return queued is not None and queued.refused

    def awaits_node(self, pod: str) -> bool:
        """Whether the watch knows this pod, as one that is still to be given a node."""
        record = self.pods.get(pod)
        return record is not None and record.node is None and not record.terminating

    def reserve(self, reservation: Reservation) -> None:
        """Hold a seat: for a known pod until it is bound or gone, for one that is not known only provisionally."""
        uid = reservation.pod
        record = self.pods.get(uid)
        if record is not None:
            bound = record.node is not None and record.node.facts is not None
            if not bound and not record.terminating:
                self._revisions.reserve(reservation)
        elif is_replacing(uid):
            self._revisions.reserve(reservation)
        elif uid not in self._gone:
            self.provisional.put(reservation)
        if reservation.written:
            self._stop_waiting(uid)
        if self.holdings.accounts:
            self.holdings.look_at(uid, reservation.namespace)

    def wait(self, waiting: Waiting) -> None:
        """A pod was rejected; one that is not known waits only once it is."""
        if self.awaits_node(waiting.pod):
            self._add_waiting(waiting)
        else:
            self.provisional.reject(waiting)

    def _add_waiting(self, waiting: Waiting) -> None:
        self._waiting.add(waiting)
        if self.holdings.accounts:
            self.holdings.wait(waiting)

    def give_back(self, pod: str) -> None:
        """A pod holds no seat, unless it is bound, and waits no more."""
        self._release(pod)
        self.provisional.pop(pod)
        self._stop_waiting(pod)

    def _stop_waiting(self, pod: str) -> None:
        waiting = self._waiting.drop(pod)
        if waiting is not None and waiting.limited:
            self.holdings.leave(waiting.namespace, pod)

    def upsert_pod(self, pod: Pod) -> None:
        """A pod was met, or changed."""
        if pod.ended:
            # An ended pod uses nothing and holds nothing: to us it is gone.
            self._ended(pod)
            self._judge_loss(pod)
            self.remove_pod(pod.uid)
            return
        record = self.pods.get(pod.uid)
        if (
            record is not None
            and (record.revision.owner.uid if record.revision else "") != (pod.owner.uid if pod.owner else "")
            and not self._revisions.is_of(record.revision, pod.owner)
        ):
            # Adopted or orphaned: it counts elsewhere from now on.
            self.remove_pod(pod.uid)
            self._gone.pop(pod.uid, None)
            record = None
        if record is None:
            record = self._add_pod(pod)
        else:
            self._change_pod(record, pod)
        if pod.disrupted:
            self._judge_loss(pod)
        if self.labels.move(record, pod.labels):
            self._revisions.touch_controlled(record.uid)
        self._place(record, pod)
        self._recount(record)
        if self.holdings.accounts:
            self.holdings.look_at(record.uid, record.namespace)

    def _place(self, record: PodRecord, pod: Pod) -> None:
        """A pod is on a node, or waits for one."""
        if pod.node and record.node is None:
            self._bind(record, pod)
        if record.node is None and not pod.terminating:
            self._queue(record, pod)
        elif self.unbound:
            self._unqueue(pod.uid)
        if record.node is not None and pod.constraints.anti_affinity:
            self.repelling.add(record)

    def _ended(self, pod: Pod) -> None:
        """A pod has ended that may never have been seen on its node."""
        record = self.pods.get(pod.uid)
        if pod.node and (record.node is None if record is not None else pod.uid not in self._gone):
            self.ran(pod)

    def _judge_loss(self, pod: Pod) -> None:
        """A pod is ended, or has ended: it is lost where the platform took its node back, or somebody drains that.

        What is lost on on-demand would be so again.
        """
        node = self._nodes.last_facts(pod.node)
        taken = (pod.disrupted and (pod.terminating or pod.failed)) or (
            pod.failed and node is not None and node.reclaimed
        )
        capacity_class = node.capacity_class if node is not None else pod.written
        if taken and pod.node and capacity_class != ON_DEMAND:
            self.lost(pod)

    def _bind(self, record: PodRecord, pod: Pod) -> None:
        """A pod is on a node from now on."""
        node = record.node = self._nodes.named(pod.node)
        node.pods.append(record)
        if record.written and record.revision is not None:
            # It may be counted already, but not as one that is on a node.
            record.revision.spread = None
        self._charge(record, +1)
        if pod.uid in self.unbound:
            self._tell_placed(record)
        self._stop_waiting(pod.uid)
        self._placed(record, pod.scheduler or "")
        self.bound(record)
        self.ran(pod)

    def _tell_placed(self, record: PodRecord) -> None:
        waiting, revision = self._waiting.get(record.uid), record.revision
        if waiting is not None:
            reason = waiting.reason
        elif record.written:
            reason = Reason.WRITTEN
        elif revision is not None and record.uid in revision.reservations:
            reason = Reason.SEAT
        else:
            return
        facts = record.node.facts if record.node is not None else None
        capacity_class = facts.capacity_class if facts is not None else ""
        self._outbox.effects.append(Placed(capacity_class, reason, record.created))

    def _placed(self, record: PodRecord, scheduler: str) -> None:
        """A scheduler gave a pod its node: that tells whether it asks."""
        self.placing.add(scheduler)
        revision = record.revision
        if revision is not None:
            revision.scheduler = scheduler
            if self.schedulers.listens and record.uid in self.unbound:
                asked = record.uid in revision.reservations or self.schedulers.was_asked(record.uid)
                if asked or (asked is False and self._is_asked_about(revision)):
                    self.schedulers.bound(scheduler, asked=asked)
        self.schedulers.forget(record.uid)

    def _queue(self, record: PodRecord, pod: Pod) -> None:
        """A live pod waits for a node."""
        # The record's own string, which is kept anyway: each event brings another one.
        uid = record.uid
        self.unbound[uid] = record
        if pod.gates:
            self.gated[uid] = record
        elif self.gated:
            self.gated.pop(uid, None)
        if pod.written and not pod.gates:
            self.decided[uid] = record
        if pod.scheduler is None:
            self._queued.pop(uid, None)
        else:
            self._queued[uid] = Queued(pod.scheduler, pod.unscheduled)

    def _add_pod(self, pod: Pod) -> PodRecord:
        """A pod that is met for the first time; where it runs, and its labels, come later."""
        revision = self._revisions.of(pod.owner, pod.namespace) if pod.owner is not None else None
        record = self.pods[pod.uid] = PodRecord(
            uid=pod.uid,
            namespace=intern(pod.namespace),
            name=pod.name,
            node=None,
            revision=revision,
            requests=pod.requests,
            created=pod.created,
            cost=pod.cost,
            ready=pod.ready,
            constraints=pod.constraints,
            ready_after=pod.ready_after,
            traits=traits_of(pod),
        )
        self._revisions.add(record)
        if self.provisional:
            self._confirm(record)
        return record

    def _confirm(self, record: PodRecord) -> None:
        """A pod came that a decision may have been made on: it holds where the request said what the watch says."""
        claim, revision = self.provisional.pop(record.uid), record.revision
        if claim is not None and revision is not None:
            held = claim.reservation
            if (held.owner.uid, held.namespace) == (revision.owner.uid, record.namespace):
                self._revisions.reserve(held)
                if claim.waiting is not None and claim.waiting.name == record.name:
                    self._add_waiting(claim.waiting)
                    self._outbox.effects.append(Met(claim.waiting))

    def _change_pod(self, record: PodRecord, pod: Pod) -> None:
        """Take in what a known pod says now."""
        if record.requests is not pod.requests and record.requests != pod.requests:
            self._charge(record, -1)
            record.requests = pod.requests
            self._charge(record, +1)
        revision = record.revision
        if revision is not None:
            if pod.cost != record.cost:
                self._outbox.reseat.add(revision)
            if pod.ready is not record.ready or pod.terminating is not record.terminating:
                self._outbox.touch(revision)
        record.cost = pod.cost
        record.ready, record.ready_after = pod.ready, pod.ready_after
        record.traits = traits_of(pod)
        if record.constraints is not pod.constraints and record.constraints != pod.constraints:
            self.repelling.discard(record)
            record.constraints = pod.constraints

    def remove_pod(self, uid: str) -> None:
        """A pod is gone; one that was never met, too, will not be met again."""
        self.give_back(uid)
        self.schedulers.forget(uid)
        record = self.pods.pop(uid, None)
        self._gone[uid] = None
        if len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)
        if record is None:
            return
        node = record.node
        record.traits = replace(record.traits, terminating=True)
        self._recount(record)
        self.labels.remove(record)
        self._unqueue(uid)
        self.repelling.discard(record)
        if node is not None:
            self._charge(record, -1)
            node.pods.remove(record)
            record.node = None
            self._nodes.forget_unknown(node)
        self._revisions.remove(record)
        if self.holdings.accounts:
            self.holdings.look_at(uid, record.namespace)

    def _unqueue(self, pod: str) -> None:
        """A pod waits for a node no more."""
        self.unbound.pop(pod, None)
        self.gated.pop(pod, None)
        self.decided.pop(pod, None)
        self._queued.pop(pod, None)

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

    def count_anew(self, record: PodRecord) -> None:
        """What is known of the node of a pod has changed."""
        self._recount(record)
        if self.holdings.accounts:
            self.holdings.look_at(record.uid, record.namespace)
