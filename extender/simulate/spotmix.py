"""Spotmix in the virtual cluster: its controllers, behind a watch that lags and patches that take a moment."""

from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from extender.core.admission.mutate import Draft, MutationRules, Mutator
from extender.core.capacity.fit import Needs
from extender.core.model.objects import PodId
from extender.core.placement.controller import Action, Annotate, PlacementController
from extender.core.placement.decide import Decision, PodView
from extender.core.placement.gates import GateController, Prover, Release
from extender.core.placement.pending import Outcome, PendingController, Replace
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.rules import PolicyRules
from extender.core.scalein.controller import SeatController, Unseated, WriteCosts
from extender.core.state.events import Continued, Event
from extender.core.state.intake import Intake
from extender.core.state.state import ClusterState
from extender.simulate.api import Cause, PodTemplate, VirtualApi, VirtualPod, Watcher
from extender.simulate.drive import VirtualDrive


class SpotmixOptions(Struct, frozen=True):
    """How Spotmix runs. Durations in seconds.

    Attributes:
        lag: from a change to its arrival by the watch.
        patch: from deciding on a write to its being made.
        owner_wait: how long a decision waits for an owner that the watch has not delivered.
        reservation_ttl, half_life: see `ClusterState`.
        max_candidates: most nodes that pass filter, 0 for all.
        best: of these, those alone pass that score highest.
        deletion_cost: whether seats are written on pods.
        settle: how long a revision must be unchanged before they are.
        mutation: how the webhook mutates pods.
        webhook: whether it does. Without it pods are gated alone, and only those of a workload that is to have its
            classes written.
        node_startup: how long a node may take to come.
        replaces: whether pods are replaced whose class does not come.
    """

    lag: float = 0.05
    patch: float = 0.02
    owner_wait: float = 0.1
    reservation_ttl: float = 900.0
    half_life: float = 3600.0
    max_candidates: int = 100
    best: bool = True
    deletion_cost: bool = True
    settle: float = 2.0
    mutation: MutationRules = MutationRules()
    webhook: bool = False
    node_startup: float = 600.0
    replaces: bool = True


class VirtualSpotmix(Watcher):
    """A running Spotmix, in virtual time.

    Args:
        api: the cluster.
        rules: how policies are read.
        options: see `SpotmixOptions`.

    Attributes:
        state: the cluster as Spotmix sees it.
        on_touched: is called when something happened to a revision, as its outbox tells.
    """

    def __init__(self, api: VirtualApi, rules: PolicyRules, options: SpotmixOptions) -> None:
        self._api = api
        self._clock = api.clock
        self._options = options
        self.state = ClusterState(rules, options.reservation_ttl, options.half_life, options.node_startup)
        self._mutator = Mutator(self.state, options.mutation, gating=lambda: True)
        self._coming: deque[tuple[float, Event]] = deque()
        self._placement = PlacementController(self.state, options.max_candidates, best=options.best)
        self._seats = SeatController(self.state, options.settle)
        self._gates = GateController(self.state)
        self._pending = PendingController(self.state, options.node_startup, replaces=options.replaces)
        observers = [self._placement.observe, self._gates.observe, self._pending.observe]
        self._replacing: VirtualDrive[Replace] = VirtualDrive(self._clock, self._pending, self._replace)
        self._intake = Intake(self.state, observers, [self._placement.observe, self._gates.observe])
        self._releases: VirtualDrive[Release] = VirtualDrive(self._clock, self._gates, self._let_go)
        self._wakes: VirtualDrive[Action] = VirtualDrive(self._clock, self._placement, self._wake)
        self._costs: VirtualDrive[WriteCosts | Unseated] = VirtualDrive(self._clock, self._seats, self._write)
        self.on_touched: Callable[[], None] = self.state.outbox.touched.clear

    def admit(self, managed: Managed | Missing | None, template: PodTemplate) -> PodTemplate:
        """Mutate a pod that is about to be created, as the webhook does: its gate and what it tolerates matter here."""
        if not isinstance(managed, Managed):
            return template
        demands = template.constraints
        asked = {key for key, _ in demands.node_selector}
        asked.update(each.key for term in demands.node_terms or () for each in term if not each.field)
        view = PodView("", "", "", None, "", None, Needs)
        draft = Draft(view, tolerations=demands.tolerations, node_labels=frozenset(asked))
        mutation = self._mutator.mutate(managed, draft)
        if not (mutation.gate or (self._options.webhook and mutation.tolerations)):
            return template
        tolerations = (*demands.tolerations, *mutation.tolerations)
        gates = (*template.gates, mutation.gate) if mutation.gate else template.gates
        return replace(template, constraints=replace(demands, tolerations=tolerations), gates=gates)

    def prove_by(self, prover: Prover) -> None:
        """Let pods that cannot be replaced go once there is room for them."""
        self._gates.prover = prover

    def start(self) -> None:
        """Take in what there is at once, as after a list, and begin."""
        while self._coming:
            self._take(self._coming.popleft()[1])
        self._wakes.wake()
        self._gates.take_over(self._clock.now)
        self._releases.wake()
        self._pending.take_over(self._clock.now)
        self._replacing.wake()

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
        now = self._clock.now
        self._intake.take(event, now)
        while self.state.workloads.is_behind:
            self._intake.take(Continued(), now)
        self._wakes.wake()
        self._releases.hasten()
        self._replacing.hasten()
        if self.state.outbox.touched:
            self.on_touched()
        if self.state.outbox.reseat and self._options.deletion_cost:
            self._seats.observe(now)
            self._costs.wake()

    # Filter and prioritize

    @property
    def owner_wait(self) -> float:
        """How long a decision waits for an owner that the watch has not delivered (seconds)."""
        return self._options.owner_wait

    def resolve(self, pod: VirtualPod) -> Managed | Missing | None:
        """Whose a pod is; what is missing may come within `owner_wait`."""
        return self._placement.owner(view_of(pod))

    def filter(self, pod: VirtualPod, offered: Sequence[str]) -> Decision:
        """Answer a filter request."""
        view = view_of(pod)
        decision = self._placement.filter(view, self._placement.owner(view), offered, self._clock.now)
        self._wakes.wake()
        return decision

    def prioritize(self, pod: VirtualPod, offered: Sequence[str]) -> dict[str, int]:
        """Answer a prioritize request: points by node, 0 for those that are not in it."""
        preference = self._placement.preference(view_of(pod))
        return dict(self._placement.scores(preference, offered, self._clock.now))

    # Patches

    def _wake(self, action: Action) -> None:
        node = "" if isinstance(action, Annotate) else action.node
        self._clock.after(self._options.patch, lambda: self._patch(action.pod, node))

    def _patch(self, pod: PodId, node: str) -> None:
        found = self._api.pods.get(pod.uid)
        if found is not None and not found.node:
            found.nominated = node or found.nominated
            self._api.changed(found)

    def _let_go(self, release: Release) -> None:
        if release.fault:
            raise RuntimeError(f"{release.pod.name}: {release.fault}")
        self._clock.after(self._options.patch, lambda: self._write_class(release))

    def _write_class(self, release: Release) -> None:
        """As the API server does: what a pod requires changes only while it is gated, and its gates only go."""
        found = self._api.pods.get(release.pod.uid)
        if found is not None and release.gate in found.gates:
            found.gates = tuple(gate for gate in found.gates if gate != release.gate)
            found.demands = release.requires.on(found.template.constraints)
            found.written = release.capacity_class
            self._api.changed(found)

    def _replace(self, action: Replace) -> None:
        self._clock.after(self._options.patch, lambda: self._delete(action))

    def _delete(self, action: Replace) -> None:
        found = self._api.pods.get(action.pod.uid)
        if found is not None and not found.node:
            self._api.delete_pod(found, Cause.REPLACED)
        outcome: Outcome = "gone" if found is None else "changed" if found.node else "replaced"
        self._pending.done(action, outcome, self._clock.now)
        self._replacing.hasten()

    def _write(self, action: WriteCosts | Unseated) -> None:
        if not isinstance(action, WriteCosts):
            raise RuntimeError(f"{action.workload.name}: {action.error}")  # noqa: TRY004 - it is the error
        self._seats.done(action, taken=True, now=self._clock.now)
        self._clock.after(self._options.patch, lambda: self._write_costs(action))

    def _write_costs(self, action: WriteCosts) -> None:
        for pod, cost in action.costs:
            found = self._api.pods.get(pod.uid)
            if found is not None and not found.ended:
                found.cost = None if cost is None else str(cost)
                self._api.changed(found)


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
        lambda: Needs(template.requests, pod.constraints),
    )
