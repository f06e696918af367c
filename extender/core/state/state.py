"""The cluster state: nodes, pods, workloads, reservations. `apply(event)` is its only way to change.

A pod is counted by the class of the node it is bound to, or by its live reservation. Terminating and ended pods hold
no seat, nor do pods on a node that is going away or unknown.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from extender.core.model.objects import (
    EMPTY,
    Announcement,
    AttachLimits,
    Budget,
    Claim,
    Namespace,
    Node,
    NodeClaim,
    NodePool,
    Notice,
    Owner,
    Pod,
    Volume,
)
from extender.core.model.policies import CLUSTER_PLACEMENT_POLICIES, PLACEMENT_POLICIES, PlacementPolicy
from extender.core.model.reasons import Reason
from extender.core.policy.managed import Managed, PolicyChanged
from extender.core.policy.rules import PolicyRules
from extender.core.policy.workloads import Workloads
from extender.core.state.autoscaling import EVENTS, NODE_CLAIMS, Autoscaling
from extender.core.state.bindings import Bindings
from extender.core.state.census import Census
from extender.core.state.derived import DerivedOwners
from extender.core.state.events import (
    Continued,
    Event,
    Forgotten,
    Gone,
    Listed,
    Reconfigured,
    Sighted,
    Unavailable,
    Upsert,
)
from extender.core.state.fleets import Fleets
from extender.core.state.indexes import BudgetIndex, Index
from extender.core.state.interruptions import Interruptions
from extender.core.state.losses import Losses
from extender.core.state.nodes import Nodes
from extender.core.state.outbox import GoesOnDemand, Outbox, Wake
from extender.core.state.records import PodLabels, PodRecord, Reservation, Revision
from extender.core.state.revisions import Revisions
from extender.core.state.runs import Runs
from extender.core.state.waiting import Waiting, WaitingPods

BUDGETS, CLAIMS, VOLUMES = "poddisruptionbudgets.policy", "persistentvolumeclaims", "persistentvolumes"
CSI_NODES = "csinodes.storage.k8s.io"
NODE_POOLS = "nodepools.karpenter.sh"
POLICY_OBJECTS = (PLACEMENT_POLICIES, CLUSTER_PLACEMENT_POLICIES)

JUDGED = 50
"""Owners that are judged anew in one step, after a policy object changed: a millisecond or two."""


class Released(Struct, frozen=True, gc=False):
    """The reservation of a pod is given back, and it waits no more."""

    pod: str


class ClusterState:
    """Takes in what happens, and answers what is so.

    Args:
        rules: how policies are read.
        reservation_ttl: seconds after which the seat is given back that was held for the replacement of an evicted pod
            and that no pod came for.
        half_life: seconds in which a recorded interruption of a pool loses half its weight.
        startup: seconds that a node may take to come, once an autoscaler launches it.

    Attributes:
        nodes, pods, placeable, interrupted_nodes, unbound, gated, decided, repelling, census, provisional,
            schedulers, holdings: as in `Bindings`.
        revisions: by the UID of their controller.
        waiting: pods that filter rejected.
        autoscaling: what autoscalers said, and which classes cannot be had for a while.
        interruptions: how often spot capacity was taken away of late.
        workloads: owners, and their policies.
        fleets: workloads that are counted together.
        outbox: what others have to do about what happened.
        claims: PersistentVolumeClaims by namespace and name.
        volumes: PersistentVolumes by name.
        attach_limits: how many volumes a node attaches, by its name.
        knows_attach_limits: whether these have been delivered.
    """

    def __init__(
        self,
        rules: PolicyRules,
        reservation_ttl: float = 900.0,
        half_life: float = 3600.0,
        startup: float = 600.0,
    ) -> None:
        self.outbox = Outbox()
        self.waiting = WaitingPods()
        self.interruptions = Interruptions(half_life)
        self.workloads = Workloads(rules)
        self._ttl = reservation_ttl
        self._revisions = Revisions(self.outbox)
        self.fleets = Fleets(self.workloads, self._revisions)
        self._nodes = Nodes(self.interruptions, self.outbox)
        self._bindings = Bindings(self._nodes, self._revisions, self.waiting, self.outbox, self._is_asked_about)
        self._nodes.moved = self._bindings.count_anew
        self.revisions, self._changed = self._revisions.by_uid, self._revisions.changed
        self.nodes, self.placeable = self._nodes.by_name, self._nodes.placeable
        self.interrupted_nodes, self.census = self._nodes.interrupted, self._nodes.census
        self.pods, self.unbound = self._bindings.pods, self._bindings.unbound
        self.gated, self.decided = self._bindings.gated, self._bindings.decided
        self.autoscaling = Autoscaling(self.pods, self.unbound, frozenset(rules.classes.labels), startup)
        self._bindings.bound = self.autoscaling.bound
        self.repelling = self._bindings.repelling
        self.provisional = self._bindings.provisional
        self.schedulers = self._bindings.schedulers
        self.holdings = self._bindings.holdings
        self.runs = Runs(self.workloads, self.nodes, self._revisions.held, self.decided)
        self._bindings.ran = self.runs.met
        self.losses = Losses(self.workloads)
        self._bindings.lost = self._lost
        self._signs: dict[str, None] = {}
        self._derived = DerivedOwners(self.workloads, self.revisions, self.pods)
        # Most events are about pods.
        self._upsert_pod = self._bindings.upsert_pod
        self._budgets = BudgetIndex()
        self._claims: Index[tuple[str, str], Claim] = Index()
        self._volumes: Index[str, Volume] = Index()
        self._attach_limits: Index[str, AttachLimits] = Index()
        self._shelves: Mapping[
            str,
            BudgetIndex | Index[tuple[str, str], Claim] | Index[str, Volume] | Index[str, AttachLimits] | Census,
        ] = {
            BUDGETS: self._budgets,
            CLAIMS: self._claims,
            VOLUMES: self._volumes,
            CSI_NODES: self._attach_limits,
            NODE_POOLS: self.census,
        }
        self.claims: Mapping[tuple[str, str], Claim] = self._claims.by_key
        self.volumes: Mapping[str, Volume] = self._volumes.by_key
        self.attach_limits: Mapping[str, AttachLimits] = self._attach_limits.by_key
        self.knows_attach_limits = False
        self._reclassing = False

    # Events

    def apply(  # noqa: C901, PLR0912, PLR0915 - a case for each event
        self, event: Event | Reservation | Released | Waiting, now: float
    ) -> None:
        """Take in what happened. What others must do about it is put into `outbox`.

        Args:
            event: a change of the cluster, or a part of a decision.
            now: seconds, of the same clock that decisions are made with.
        """
        match event:
            case Upsert(object=Pod() as pod):
                self._upsert_pod(pod)
            case Upsert(object=Node() as node):
                new = node.name not in self.nodes or self.nodes[node.name].facts is None
                self._nodes.upsert(node, now)
                if new:
                    self.runs.stir()
            case Upsert(object=Owner() as owner):
                self._upsert_owner(owner)
            case Upsert(object=Namespace() as namespace):
                self._policies_changed(self.workloads.upsert_namespace(namespace))
                self._limit(namespace.name)
            case Upsert(object=Notice() as notice):
                self._nodes.notice(notice, now)
            case Upsert(object=(Budget() | Claim() | Volume() | AttachLimits()) as fact):
                self._put(fact)
            case Upsert(object=NodeClaim() as claim):
                self.autoscaling.put(claim, now)
            case Upsert(object=Announcement() as said):
                self.autoscaling.hear(said, now)
            case Gone(resource=resource) | Listed(resource=resource) if resource.startswith(EVENTS):
                # That an Event is no more says nothing.
                pass
            case Gone(resource=resource, uid=uid) if resource == NODE_CLAIMS:
                self.autoscaling.remove(uid, now)
            case Listed(resource=resource, uids=uids) if resource == NODE_CLAIMS:
                self.autoscaling.listed(uids, now)
            case Gone(resource=resource, uid=uid):
                self._remove(resource, uid, now)
            case Listed(resource=resource, uids=uids):
                self.knows_attach_limits |= resource == CSI_NODES
                for uid in [uid for uid in self._known(resource) if uid not in uids]:
                    self._remove(resource, uid, None)
                if resource == "nodes" and self._reclassing:
                    self._reclassing = False
                    self._wake(self.waiting.all())
            case Unavailable(group=group, kind=kind):
                self._unavailable(group, kind)
            case Upsert(object=NodePool() as pool):
                self.census.put_pool(pool)
            case Upsert(object=PlacementPolicy() as written):
                if self.workloads.put_policy(written) and not written.namespace:
                    self._limit_all()
                self.runs.stir()
            case Continued():
                self._policies_changed(self.workloads.judge_anew(JUDGED))
                self.runs.stir()
            case Sighted(sign=sign, there=there):
                if there:
                    self._signs[sign] = None
                else:
                    self._signs.pop(sign, None)
            case Reconfigured():
                self._reconfigure(event)
            case Forgotten(group=group, kind=kind):
                self.workloads.unavailable.discard((group, kind))
            case Reservation():
                self._bindings.reserve(event)
            case Released(pod=uid):
                self._bindings.give_back(uid)
            case Waiting():
                self._bindings.wait(event)
        if self._changed:
            self._derive()
        if self.holdings.freed and not isinstance(event, Reservation | Released | Waiting):
            # A decision is one of many: they are followed by an event in a moment.
            self.holdings.wake_admissible()

    def _reconfigure(self, event: Reconfigured) -> None:
        """Go by other rules. Workloads follow a few at a time, or when they are asked for."""
        workloads, before, rules = self.workloads, self.workloads.rules, event.rules
        self._ttl = event.reservation_ttl
        self.interruptions.halve_in(event.half_life)
        self.autoscaling.go_by(frozenset(rules.classes.labels), event.startup)
        workloads.go_by(rules)
        # Nodes are told apart anew when they are listed again; no scheduler sees that.
        self._reclassing |= before.classes != rules.classes
        if before.asking != rules.asking:
            self._wake(self.waiting.all())

    def expire(self, now: float) -> None:
        """Drop reservations that are too old and whose pod the watch never delivered."""
        self.provisional.expire(now)
        self.holdings.try_again(now)
        for held in self._revisions.reservations():
            if held.pod not in self.pods and now - held.at > self._ttl:
                self._bindings.give_back(held.pod)

    def depose(self) -> None:
        """Another replica decided meanwhile: what was decided here, and not seen bound since, counts no more."""
        for pod in [each.pod for each in self._revisions.reservations()] + [each.pod for each in self.waiting.all()]:
            self._bindings.give_back(pod)
        self.provisional.clear()

    def _known(self, resource: str) -> Iterable[str]:
        if resource == "pods":
            return list(self.pods)
        if resource == "nodes":
            return self._nodes.uids()
        if resource == "namespaces":
            return [n.uid for n in self.workloads.namespaces.values()]
        if resource in POLICY_OBJECTS:
            objects = self.workloads.objects.by_uid.values()
            return [each.policy.uid for each in objects if each.policy.resource == resource]
        shelf = self._shelves.get(resource)
        if shelf is not None:
            return shelf.uids()
        return [o.uid for o in self.workloads.owners.values() if o.resource == resource]

    def _remove(self, resource: str, uid: str, now: float | None) -> None:
        if resource == "pods":
            self._bindings.remove_pod(uid)
        elif resource == "nodes":
            self._nodes.remove(uid, now)
        elif resource == "namespaces":
            self._policies_changed(self.workloads.remove_namespace(uid))
            self._limit_all()
        elif resource in POLICY_OBJECTS:
            self.workloads.remove_policy(uid)
            self._limit_all()
            self.runs.forget(uid)
            self.losses.forget_policy(uid)
        elif resource in self._shelves:
            self._shelves[resource].remove(uid)
        else:
            self.losses.forget(uid)
            owner = self.workloads.owners.get(uid)
            self._policies_changed([*self._derived.removed(uid), *self.workloads.remove_owner(uid)])
            if owner is not None:
                self.fleets.owner_changed(owner)

    # Limits

    def _limit(self, namespace: str) -> None:
        """A namespace came, or its labels may be others."""
        known = self.workloads.namespaces.get(namespace)
        limits = self.workloads.objects.limits(known.all_labels) if known is not None else ()
        self.holdings.limit(namespace, limits)

    def _limit_all(self) -> None:
        """A policy went, or says something else; or a namespace went."""
        if self.workloads.objects.limiting or self.holdings.accounts:
            for namespace in sorted({*self.workloads.namespaces, *self.holdings.accounts}):
                self._limit(namespace)

    # Workloads

    def _unavailable(self, group: str, kind: str) -> None:
        if (group, kind) in self.workloads.unavailable:
            return
        self._policies_changed(self.workloads.mark_unavailable(group, kind))
        self._changed.extend(each for each in self.revisions.values() if each.owner.is_a(group, kind))
        self._wake([w for w in self.waiting.all() if w.reason is Reason.OWNER_UNKNOWN])

    def _derive(self) -> None:
        """Look at revisions whose controllers no watch may deliver as such."""
        while self._changed:
            self._policies_changed(self._derived.look_at(self._changed.pop()))

    def _upsert_owner(self, owner: Owner) -> None:
        old = self.workloads.owners.get(owner.uid)
        self.runs.stir()
        if owner.namespace:
            self._policies_changed(self.workloads.upsert_owner(owner))
        else:
            self._policies_changed(self._derived.place(owner))
        if old is None:
            # Pods may wait for it to be known, those of its children too.
            for revision in self._revisions_of(owner.uid):
                self._wake(self.waiting.of_revision(revision.owner.uid))
        elif old.replicas != owner.replicas:
            self._wake(self.waiting.of_revision(owner.uid))
        if old is None or (old.replicas, old.rolling, old.first_ordinal) != (
            owner.replicas,
            owner.rolling,
            owner.first_ordinal,
        ):
            self.outbox.touch(*self._revisions_of(owner.uid))
            for uid in (owner.uid, *((owner.owner.uid,) if owner.owner is not None else ())):
                self.workloads.assignments.touch(uid)
        if old is None or (old.replicas, old.revision) != (owner.replicas, owner.revision):
            self.fleets.owner_changed(owner)

    def _policies_changed(self, changes: Iterable[PolicyChanged]) -> None:
        for change in changes:
            self.outbox.effects.append(change)
            self.fleets.policy_changed(change.workload, gone=change.gone)
            for revision in self._revisions_of(change.workload.uid):
                self.outbox.reseat.add(revision)
                self.outbox.touch(revision)
                self._wake(self.waiting.of_revision(revision.owner.uid))

    def _lost(self, pod: Pod) -> None:
        """An interruption took a pod."""
        managed = self.losses.take(pod)
        if managed is not None:
            self.outbox.effects.append(GoesOnDemand(managed))
            self._wake(self.waiting.of_revision(managed.revision.uid))

    def _revisions_of(self, workload: str) -> Iterator[Revision]:
        for uid in (workload, *self.workloads.children.get(workload, ())):
            revision = self.revisions.get(uid)
            if revision is not None:
                yield revision

    def _wake(self, pods: Iterable[Waiting]) -> None:
        self.outbox.effects.extend(Wake(waiting.pod, waiting.namespace, waiting.name) for waiting in pods)

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """All labels of a namespace; none while it is not known."""
        known = self.workloads.namespaces.get(namespace)
        return known.all_labels if known is not None else EMPTY

    def _is_asked_about(self, revision: Revision) -> bool:
        managed = self.workloads.resolve(revision.namespace, revision.owner)
        return isinstance(managed, Managed) and managed.workload.policy.mode == "enforce"

    # Questions

    @property
    def autoscalers(self) -> tuple[str, ...]:
        """What tells that an autoscaler serves the cluster, for people; empty where nothing does."""
        return (*self._signs, *self.census.autoscalers)

    def asked(self, pod: str) -> None:
        """A scheduler asked about a pod (UID) that is known."""
        self._bindings.asked(pod)

    def scheduler_of(self, pod: str) -> str | None:
        """The scheduler that a pod (UID) without a node waits for; None where that is not known."""
        return self._bindings.scheduler_of(pod)

    def is_gone(self, pod: str) -> bool:
        """Whether the watch has delivered the end of this pod: the scheduler may still ask about it."""
        return self._bindings.is_gone(pod)

    def awaits_node(self, pod: str) -> bool:
        """Whether the watch knows this pod, as one that is still to be given a node."""
        return self._bindings.awaits_node(pod)

    def is_coming(self, pod: PodRecord) -> bool:
        """Whether a pod without a node is about to get one: it has no gate, and its scheduler places pods."""
        return self._bindings.is_coming(pod)

    def was_refused(self, pod: str) -> bool:
        """Whether a scheduler has looked for a node for a pod (UID) in vain."""
        return self._bindings.was_refused(pod)

    def pod_labels(self, namespace: str) -> Collection[PodLabels]:
        """The pods of a namespace, in groups of equal labels."""
        return self._bindings.labels.of(namespace)

    @property
    def reserved(self) -> int:
        """The number of live reservations."""
        return self._revisions.reserved

    def reserved_classes(self) -> Iterator[str]:
        """The class of each live reservation."""
        return self._revisions.reserved_classes()

    def reserved_since(self, start: float) -> list[str]:
        """The pods whose live reservation was made, or made anew, at `start` (seconds) or later."""
        return self._revisions.reserved_since(start)

    # Facts

    def _put(self, fact: Budget | Claim | Volume | AttachLimits) -> None:
        match fact:
            case Budget():
                self._budgets.put(fact)
            case Claim():
                self._claims.put((fact.namespace, fact.name), fact)
            case Volume():
                self._volumes.put(fact.name, fact)
            case AttachLimits():
                self._attach_limits.put(fact.name, fact)
                self.knows_attach_limits = True

    def budgets_of(self, record: PodRecord) -> list[Budget]:
        """The PodDisruptionBudgets that cover a pod, by name."""
        return self._budgets.of(record.namespace, record.labels.labels if record.labels is not None else EMPTY)
