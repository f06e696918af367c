"""Spotmix in the virtual cluster: the state that a lagging watch feeds, and what surrounds a decision.

Decisions are `core.decide`'s; this is `servers.extender`, `kube.waker` and `kube.seatwriter` without their I/O, in
virtual time.
"""

from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from extender.core.admission.mutate import Draft, MutationRules, Mutator
from extender.core.capacity.fit import Needs
from extender.core.model.objects import Pod
from extender.core.placement.decide import Decision, PodView, decide, wanted_class
from extender.core.placement.score import relative_scores, score_nodes
from extender.core.policy.workloads import Managed, Missing, PolicyRules
from extender.core.scalein.costs import costs_to_write, is_foreign
from extender.core.state.events import Event, Gone, Upsert
from extender.core.state.outbox import Wake
from extender.core.state.records import Revision
from extender.core.state.state import ClusterState
from extender.core.state.waiting import Waiting
from extender.simulate.api import PodTemplate, VirtualApi, VirtualPod, Watcher
from extender.simulate.clock import Timer

UNWRITTEN, UNCHANGED, MARGIN = 1.0, 0.25, 0.02
"""As in `kube.waker` (seconds)."""
PATIENCE = 10
"""As in `kube.seatwriter`."""
HOUSEKEEPING = 60.0


class ServiceOptions(Struct, frozen=True):
    """How Spotmix runs. Durations in seconds.

    Attributes:
        lag: from a change to its arrival by the watch.
        patch: from deciding on a write to its being made.
        owner_wait: how long a decision waits for an owner that the watch has not delivered.
        reservation_ttl, half_life: see `ClusterState`.
        max_candidates: most nodes that pass filter, 0 for all.
        deletion_cost: whether seats are written on pods.
        settle: how long a revision must be unchanged before they are.
        mutation: what the webhook does to pods; None is a cluster without it.
    """

    lag: float = 0.05
    patch: float = 0.02
    owner_wait: float = 0.1
    reservation_ttl: float = 900.0
    half_life: float = 3600.0
    max_candidates: int = 100
    deletion_cost: bool = True
    settle: float = 2.0
    mutation: MutationRules | None = None


class Service(Watcher):
    """See the module.

    Args:
        api: the cluster.
        rules: how policies are read.
        options: see `ServiceOptions`.

    Attributes:
        state: the cluster as Spotmix sees it.
        on_touched: is called when something happened to a revision, as its outbox tells.
    """

    def __init__(self, api: VirtualApi, rules: PolicyRules, options: ServiceOptions) -> None:
        self._api = api
        self._clock = api.clock
        self._options = options
        self.state = ClusterState(rules, options.reservation_ttl, options.half_life)
        self._mutator = Mutator(self.state, options.mutation) if options.mutation is not None else None
        self._coming: deque[tuple[float, Event]] = deque()
        self._timers: dict[str, Timer] = {}
        self._nominees: dict[str, str] = {}
        self._changed: dict[str, tuple[float, float]] = {}
        self._writing: Timer = Timer(None)
        self.on_touched: Callable[[], None] = self.state.outbox.touched.clear

    def admit(self, managed: Managed | Missing | None, template: PodTemplate) -> PodTemplate:
        """Mutate a pod that is about to be created, as the webhook does: what it tolerates is what matters here."""
        if self._mutator is None or not isinstance(managed, Managed):
            return template
        demands = template.constraints
        draft = Draft(PodView("", "", "", None, "", None, Needs), tolerations=demands.tolerations)
        added = self._mutator.mutate(managed, draft).tolerations
        if not added:
            return template
        return replace(template, constraints=replace(demands, tolerations=(*demands.tolerations, *added)))

    def start(self) -> None:
        """Take in what there is at once, as after a list, and begin."""
        while self._coming:
            self._take(self._coming.popleft()[1])
        self._clock.after(HOUSEKEEPING, self._prune)

    # The watch

    def pod(self, _pod: VirtualPod, event: Event) -> None:
        """See `Watcher`."""
        self.other(event)

    def other(self, event: Event) -> None:
        """See `Watcher`."""
        if not self._coming:
            self._clock.after(self._options.lag, self._deliver)
        self._coming.append((self._clock.now + self._options.lag, event))

    def _deliver(self) -> None:
        now = self._clock.now
        while self._coming and self._coming[0][0] <= now:
            self._take(self._coming.popleft()[1])
        if self._coming:
            self._clock.at(self._coming[0][0], self._deliver)

    def _take(self, event: Event) -> None:
        self.state.apply(event, self._clock.now)
        if isinstance(event, Upsert) and isinstance(event.object, Pod):
            self._seen(event.object)
        elif isinstance(event, Gone):
            self._forget(event.uid)
        for effect in self.state.outbox.take_effects():
            if isinstance(effect, Wake):
                self._wake(effect.pod)
        if self.state.outbox.touched:
            self.on_touched()
        if self.state.outbox.reseat and self._options.deletion_cost:
            self._note_reseats()

    def _prune(self) -> None:
        self.state.expire(self._clock.now)
        self._clock.after(HOUSEKEEPING, self._prune)

    # Filter and prioritize

    @property
    def owner_wait(self) -> float:
        """How long a decision waits for an owner that the watch has not delivered (seconds)."""
        return self._options.owner_wait

    def resolve(self, pod: VirtualPod) -> Managed | Missing | None:
        """Whose a pod is; what is missing may come within `owner_wait`."""
        return self.state.workloads.resolve(pod.namespace, pod.owner)

    def filter(self, pod: VirtualPod, offered: Sequence[str]) -> Decision:
        """Answer a filter request, apply the decision, and see to it that a rejected pod is tried again."""
        now = self._clock.now
        decision = decide(self.state, view_of(pod), self.resolve(pod), offered, now, self._options.max_candidates)
        for event in decision.events:
            self.state.apply(event, now)
        waiting = next((event for event in decision.events if isinstance(event, Waiting)), None)
        if waiting is not None:
            self._rejected(waiting, written=pod.unscheduled_since is not None)
        else:
            self._forget(pod.uid)
        return decision

    def prioritize(self, pod: VirtualPod, offered: Sequence[str]) -> dict[str, int]:
        """Answer a prioritize request: points by node, 0 for those that are not in it."""
        managed = self.resolve(pod)
        if not isinstance(managed, Managed) or managed.workload.policy.mode == "audit":
            return {}
        revision = self.state.revisions.get(managed.revision.uid)
        reservation = revision.reservations.get(pod.uid) if revision is not None else None
        if reservation is not None:
            wanted = reservation.capacity_class
        else:
            wanted, _ = wanted_class(self.state, managed, managed.workload.policy, view_of(pod))
        return dict(relative_scores(score_nodes(self.state, revision, wanted, offered, self._clock.now)))

    # Waking

    def _rejected(self, waiting: Waiting, *, written: bool) -> None:
        uid = waiting.pod
        self._forget(uid)
        if waiting.node:
            self._nominees[uid] = waiting.node
            delay = UNCHANGED if written else UNWRITTEN
            self._timers[uid] = self._clock.after(delay, lambda: self._nominate(uid))
        elif waiting.wake_at:
            self._timers[uid] = self._clock.at(waiting.wake_at + MARGIN, lambda: self._wake(uid))

    def _seen(self, pod: Pod) -> None:
        if pod.node or pod.terminating or pod.ended:
            self._forget(pod.uid)
        elif pod.unscheduled and pod.uid in self._nominees:
            self._nominate(pod.uid)

    def _forget(self, uid: str) -> None:
        timer = self._timers.pop(uid, None)
        if timer is not None:
            timer.cancel()
        self._nominees.pop(uid, None)

    def _wake(self, uid: str) -> None:
        """Annotate a pod, which makes the scheduler try it again."""
        self._forget(uid)
        self._clock.after(self._options.patch, lambda: self._touch(uid))

    def _touch(self, uid: str) -> None:
        pod = self._api.pods.get(uid)
        if pod is not None and not pod.node:
            self._api.changed(pod)

    def _nominate(self, uid: str) -> None:
        node = self._nominees.get(uid, "")
        self._forget(uid)
        self._clock.after(self._options.patch, lambda: self._write_nominee(uid, node))

    def _write_nominee(self, uid: str, node: str) -> None:
        pod = self._api.pods.get(uid)
        if pod is not None and node and not pod.node:
            pod.nominated = node
            self._api.changed(pod)

    # Seats as deletion costs

    def _note_reseats(self) -> None:
        now = self._clock.now
        for revision in self.state.outbox.take_reseat():
            if revision.owner.kind == "ReplicaSet":
                first, _ = self._changed.get(revision.owner.uid, (now, now))
                self._changed[revision.owner.uid] = (first, now)
        if self._changed and not self._writing.pending:
            self._writing = self._clock.after(self._options.settle, self._write_settled)

    def _write_settled(self) -> None:
        now, settle = self._clock.now, self._options.settle
        for uid, (first, last) in sorted(self._changed.items()):
            if now - last >= settle or now - first >= PATIENCE * settle:
                del self._changed[uid]
                revision = self.state.revisions.get(uid)
                if revision is not None:
                    self._write(revision)
        if self._changed:
            self._writing = self._clock.after(settle / 4, self._write_settled)

    def _write(self, revision: Revision) -> None:
        managed = self.state.workloads.resolve(revision.namespace, revision.owner)
        costs: list[tuple[str, str | None]]
        if managed is None:
            costs = [(pod.uid, None) for pod in revision.pods if pod.cost is not None and not is_foreign(pod, {})]
        elif isinstance(managed, Managed) and managed.workload.policy.mode == "enforce":
            written = costs_to_write(revision, managed.workload.policy.seats)
            costs = [(pod.uid, str(cost)) for pod, cost in written]
        else:
            return
        costs.sort(key=lambda each: each[0])
        self._clock.after(self._options.patch, lambda: self._write_costs(costs))

    def _write_costs(self, costs: list[tuple[str, str | None]]) -> None:
        for uid, cost in costs:
            pod = self._api.pods.get(uid)
            if pod is not None and not pod.ended:
                pod.cost = cost
                self._api.changed(pod)


def view_of(pod: VirtualPod) -> PodView:
    """A pod as the scheduler shows it."""
    template = pod.template
    return PodView(
        pod.uid,
        pod.namespace,
        pod.name,
        pod.owner,
        pod.nominated,
        pod.unscheduled_since,
        lambda: Needs(template.requests, template.constraints),
    )
