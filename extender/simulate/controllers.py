"""The workload controllers: they keep as many pods as their owners ask for."""

from collections.abc import Callable

from msgspec.structs import replace

from extender.core.model.objects import Owner
from extender.core.policy.ordinals import ordinal_of
from extender.core.scalein.removal_order import removal_order
from extender.core.state.events import Event, Upsert
from extender.simulate.api import Cause, PodTemplate, VirtualApi, VirtualPod, Watcher, make_owner
from extender.simulate.clock import Worker

LATENCY = 0.05
"""Seconds from a change to what a controller does about it."""
HASH = "pod-template-hash"
SURGE_PERCENT = 25
"""A Deployment's default maxSurge, rounded up, and maxUnavailable, rounded down."""


class Controllers(Watcher):
    """Creates and deletes pods for Deployments, ReplicaSets, StatefulSets and Jobs.

    Args:
        api: the cluster.

    Attributes:
        templates: what the pods of an owner (by UID) are like; owners without one get no pods.
        completions: how many pods of a Job have still to succeed, by UID.
    """

    def __init__(self, api: VirtualApi) -> None:
        self._api = api
        self.templates: dict[str, PodTemplate] = {}
        self.completions: dict[str, int] = {}
        self._worker = Worker(api.clock, LATENCY, self._reconcile)
        self._revisions: dict[str, list[str]] = {}
        self._outdated: dict[str, set[str]] = {}
        self._handlers: dict[str, Callable[[Owner], None]] = {
            "Deployment": self._deployment,
            "ReplicaSet": self._replica_set,
            "StatefulSet": self._stateful_set,
            "Job": self._job,
        }

    # What happens

    def pod(self, pod: VirtualPod, event: Event) -> None:
        """See `Watcher`."""
        if pod.ended and isinstance(event, Upsert) and pod.owner_uid in self.completions:
            self.completions[pod.owner_uid] -= 1
        self._worker.ask(pod.owner_uid)
        owner = self._api.owners.get(pod.owner_uid)
        if owner is not None and owner.owner is not None:
            self._worker.ask(owner.owner.uid)

    def other(self, event: Event) -> None:
        """See `Watcher`."""
        if isinstance(event, Upsert) and isinstance(event.object, Owner):
            self._worker.ask(event.object.uid)
            if event.object.owner is not None:
                self._worker.ask(event.object.owner.uid)

    def adopt(self, owner: Owner) -> None:
        """Take over a ReplicaSet that a Deployment has already; the last one adopted is the current one."""
        if owner.owner is not None:
            self._revisions.setdefault(owner.owner.uid, []).append(owner.uid)
            self.templates[owner.owner.uid] = self.templates[owner.uid]

    def roll_out(self, uid: str) -> None:
        """Change the pod template of a Deployment or StatefulSet: every pod is replaced."""
        owner = self._api.owners[uid]
        if owner.kind == "Deployment":
            self._add_revision(owner)
        elif owner.kind == "StatefulSet":
            self._outdated[uid] = {pod.uid for pod in self._api.pods_of(uid)}
        self._api.edit_owner(uid, rolling=True)
        self._worker.ask(uid)

    def _reconcile(self, uid: str) -> None:
        owner = self._api.owners.get(uid)
        if owner is not None and (owner.kind == "Deployment" or uid in self.templates):
            # A custom kind that controls pods itself is taken to do so as a ReplicaSet does.
            self._handlers.get(owner.kind, self._replica_set)(owner)

    def _active(self, uid: str) -> list[VirtualPod]:
        return [pod for pod in self._api.pods_of(uid) if not (pod.terminating or pod.ended)]

    # ReplicaSets

    def _replica_set(self, owner: Owner) -> None:
        pods = self._active(owner.uid)
        surplus = len(pods) - (owner.replicas or 0)
        for _ in range(-surplus):
            self._api.create_pod(owner.namespace, f"{owner.name}-", owner.ref, self.templates[owner.uid])
        if surplus > 0:
            kin = self._revisions.get(owner.owner.uid, [owner.uid]) if owner.owner else ()
            related = [pod for uid in kin for pod in self._active(uid)]
            for pod in removal_order(pods, related, self._api.clock.now)[:surplus]:
                self._api.delete_pod(pod, Cause.CONTROLLER)

    # Deployments

    def _add_revision(self, owner: Owner) -> None:
        revisions = self._revisions.setdefault(owner.uid, [])
        uid = self._api.new_uid("rs")
        number = uid.rpartition("-")[2]
        child = make_owner("ReplicaSet", owner.namespace, f"{owner.name}-{number}", uid, replicas=0, owner=owner.ref)
        template = self.templates[owner.uid]
        labels = tuple(sorted({**dict(template.labels), HASH: number}.items()))
        self.templates[uid] = replace(template, labels=labels)
        revisions.append(uid)
        self._api.put(child)

    def _deployment(self, owner: Owner) -> None:
        if not self._revisions.get(owner.uid):
            if owner.uid not in self.templates:
                return
            self._add_revision(owner)
        *old, current = self._revisions[owner.uid]
        wanted = owner.replicas or 0
        if not old:
            self._api.edit_owner(current, replicas=wanted)
            self._forget_old(owner, wanted)
            return
        self._api.edit_owner(owner.uid, rolling=True)
        sizes = {uid: self._api.owners[uid].replicas or 0 for uid in (*old, current)}
        surge = -(-wanted * SURGE_PERCENT // 100)
        unavailable = wanted * SURGE_PERCENT // 100 or (0 if surge else 1)
        room = wanted + surge - sum(sizes.values())
        if sizes[current] > wanted:
            self._api.edit_owner(current, replicas=wanted)
        elif sizes[current] < wanted and room > 0:
            self._api.edit_owner(current, replicas=min(wanted, sizes[current] + room))
        self._shrink(old, current, wanted - unavailable)
        self._forget_old(owner, wanted)

    def _shrink(self, old: list[str], current: str, needed: int) -> None:
        """Scale old ReplicaSets in as far as `needed` pods stay available; what is not ready goes first."""
        ready = {uid: sum(pod.ready for pod in self._active(uid)) for uid in (*old, current)}
        size = self._api.owners[current].replicas or 0
        total = sum(self._api.owners[uid].replicas or 0 for uid in (*old, current))
        spare = total - needed - (size - ready[current])
        for uid in old:
            replicas = self._api.owners[uid].replicas or 0
            unready = max(0, min(replicas - ready[uid], spare))
            spare -= unready
            if unready:
                self._api.edit_owner(uid, replicas=replicas - unready)
        excess = sum(ready.values()) - needed
        for uid in old:
            replicas = self._api.owners[uid].replicas or 0
            down = max(0, min(replicas, excess, spare))
            excess -= down
            spare -= down
            if down:
                self._api.edit_owner(uid, replicas=replicas - down)

    def _forget_old(self, owner: Owner, wanted: int) -> None:
        *old, current = self._revisions[owner.uid]
        for uid in old:
            if not self._api.owners[uid].replicas and not self._api.pods_of(uid):
                self._revisions[owner.uid].remove(uid)
                self.templates.pop(uid, None)
                self._api.remove_owner(uid)
        done = self._revisions[owner.uid] == [current] and sum(pod.ready for pod in self._active(current)) >= wanted
        if done:
            self._api.edit_owner(owner.uid, rolling=False)

    # StatefulSets

    def _stateful_set(self, owner: Owner) -> None:
        """OrderedReady: one pod at a time, the lowest ordinal first; the highest goes first."""
        pods = {ordinal_of(pod.name): pod for pod in self._api.pods_of(owner.uid) if not pod.ended}
        wanted = range(owner.first_ordinal, owner.first_ordinal + (owner.replicas or 0))
        for ordinal in wanted:
            pod = pods.get(ordinal)
            if pod is None:
                name = f"{owner.name}-{ordinal}"
                self._api.create_pod(owner.namespace, name, owner.ref, self.templates[owner.uid])
                return
            if pod.terminating or not pod.ready:
                return
        beyond = [ordinal for ordinal in pods if ordinal is not None and ordinal not in wanted]
        if beyond:
            self._api.delete_pod(pods[max(beyond)], Cause.CONTROLLER)
            return
        outdated = self._outdated.get(owner.uid, set())
        for ordinal in reversed(wanted):
            if pods[ordinal].uid in outdated:
                self._api.delete_pod(pods[ordinal], Cause.CONTROLLER)
                return
        self._outdated.pop(owner.uid, None)
        self._api.edit_owner(owner.uid, rolling=False)

    # Jobs

    def _job(self, owner: Owner) -> None:
        left = self.completions.get(owner.uid)
        if left is not None and left < (owner.replicas or 0):
            self._api.edit_owner(owner.uid, replicas=max(0, left))
            owner = self._api.owners[owner.uid]
        pods = self._active(owner.uid)
        for _ in range((owner.replicas or 0) - len(pods)):
            self._api.create_pod(owner.namespace, f"{owner.name}-", owner.ref, self.templates[owner.uid])
        for pod in pods[owner.replicas or 0 :] if left is None else ():
            self._api.delete_pod(pod, Cause.CONTROLLER)
