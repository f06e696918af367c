"""The virtual cluster, put together: what tests and scenarios build on."""

from collections.abc import Callable, Iterable, Mapping
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from extender.core.drift.rules import DriftOptions
from extender.core.model.classes import ON_DEMAND, ClassRules
from extender.core.model.objects import Budget, Namespace, Owner, OwnerRef, Pod
from extender.core.model.selectors import LabelSelector
from extender.core.policy.rules import PolicyRules
from extender.core.state.events import Event, Sighted
from extender.simulate.api import PodTemplate, VirtualApi, make_owner
from extender.simulate.autoscaler import Autoscaler, AutoscalerOptions
from extender.simulate.budgets import BudgetSpec, DisruptionController
from extender.simulate.clock import Clock
from extender.simulate.controllers import Controllers
from extender.simulate.drift import VirtualDrift
from extender.simulate.kubelet import Kubelets
from extender.simulate.machines import PoolSpec, SimulatedPool
from extender.simulate.meter import Meter
from extender.simulate.prices import Prices
from extender.simulate.scheduler import SchedulerOptions, SimulatedScheduler
from extender.simulate.spotmix import SpotmixOptions, VirtualSpotmix
from extender.simulate.truth import Truth


class Options(Struct, frozen=True):
    """How a cluster is run.

    Attributes:
        rules: how policies are read.
        classes: how nodes are told apart.
        spotmix: how Spotmix runs; None is a cluster without it.
        scheduler: how the scheduler runs.
        drift: how the drift loop runs; None is a cluster without it.
        autoscaler: how the autoscaler runs; None is a cluster without one.
        start: when it begins (seconds since the epoch).
    """

    rules: PolicyRules
    classes: ClassRules = ClassRules()
    spotmix: SpotmixOptions | None = SpotmixOptions()
    scheduler: SchedulerOptions = SchedulerOptions()
    drift: DriftOptions | None = None
    autoscaler: AutoscalerOptions | None = None
    start: float = 0.0


class WorkloadSpec(Struct, frozen=True):
    """A workload: a Deployment, ReplicaSet, StatefulSet or Job, with the labels and annotations under our prefixes.

    `completions` is how many pods of a Job have to succeed; None is for ever.
    """

    kind: str
    namespace: str
    name: str
    replicas: int
    template: PodTemplate
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    completions: int | None = None
    all_labels: Mapping[str, str] = {}


NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"
"""The label that every Namespace has."""


class Cluster:
    """A virtual cluster with its pools, controllers, scheduler and Spotmix.

    Args:
        pools: the node pools.
        options: see `Options`.
        rng: all randomness comes from it. What is drawn for a pool does not depend on what runs on it, so that two
            policies meet the same interruptions.
    """

    def __init__(self, pools: Iterable[PoolSpec], options: Options, rng: Random) -> None:
        self.clock = Clock(options.start)
        self.api = VirtualApi(self.clock)
        self.truth = Truth(self.api, options.rules)
        base, pods, ties, drift = (rng.getrandbits(64) for _ in range(4))
        self.kubelets = Kubelets(self.api, Random(pods))
        self.refused: set[str] = set()
        specs = tuple(pools)
        self.pools = {
            spec.name: SimulatedPool(
                spec, self.api, self.kubelets, options.classes, Random(f"{base}/{spec.name}"), self.refused
            )
            for spec in specs
        }
        self.meter = Meter(self.api, self.truth, self._prices())
        self.controllers = Controllers(self.api)
        self.budgets = DisruptionController(self.api)
        self.spotmix = VirtualSpotmix(self.api, options.rules, options.spotmix) if options.spotmix is not None else None
        self.scheduler = SimulatedScheduler(
            self.api, self.truth, self.spotmix, Random(ties), options.scheduler, self.refused
        )
        self.drift: VirtualDrift | None = None
        if self.spotmix is not None:
            self.api.admit = self._admit
        if self.spotmix is not None and options.drift is not None:
            startup = options.spotmix.node_startup if options.spotmix and options.autoscaler else None
            self.drift = VirtualDrift(self.api, self.spotmix, self.budgets, options.drift, Random(drift), startup)
        self.api.watchers += [self.truth, self.meter, self.kubelets, self.controllers, self.budgets]
        self.api.watchers += [self.spotmix] if self.spotmix is not None else []
        self.api.watchers.append(self.scheduler)
        self.autoscaler: Autoscaler | None = None
        if options.autoscaler is not None:
            self.autoscaler = Autoscaler(self.api, self.truth, self.pools, options.autoscaler)
            self.api.watchers.append(self.autoscaler)

    def _admit(self, namespace: str, owner: OwnerRef, template: PodTemplate) -> PodTemplate:
        """Have the webhook look at a new pod. It waits for owners that the watch has not delivered."""
        if self.spotmix is None:
            return template
        return self.spotmix.admit(self.truth.state.workloads.resolve(namespace, owner), template)

    def _prices(self) -> Prices:
        by_pool: dict[tuple[str, str, str], float] = {}
        on_demand = []
        for pool in self.pools.values():
            node = pool.sample()
            by_pool[node.capacity_class, node.instance_type, node.zone] = pool.spec.price
            if node.capacity_class == ON_DEMAND and pool.spec.price:
                on_demand.append((node.allocatable, pool.spec.price))
        return Prices(by_pool, tuple(on_demand))

    # What it consists of

    def start(self) -> None:
        """Bring up the nodes and Spotmix, which takes in at once what there is."""
        for pool in self.pools.values():
            pool.fill()
        if self.autoscaler is not None:
            self.tell(Sighted("the autoscaler of the simulation", there=True))
            self.autoscaler.start()
        if self.spotmix is not None:
            self.spotmix.start()

    def begin(self) -> None:
        """Have nodes reclaimed, pods moved and all of it measured from now on."""
        self.meter.reset()
        for pool in self.pools.values():
            pool.begin()
        if self.drift is not None:
            self.drift.start()

    def add_namespace(
        self, name: str, labels: Mapping[str, str], annotations: Mapping[str, str], all_labels: Mapping[str, str]
    ) -> None:
        """Create or change a namespace; `labels` are those under our prefixes."""
        there = {NAME_OF_NAMESPACE: name, **all_labels}
        self.api.put(Namespace(f"namespace-{name}", name, labels, annotations, there))

    def add_workload(self, spec: WorkloadSpec) -> str:
        """Create a workload; its UID."""
        uid = self.api.new_uid(spec.kind.lower())
        owner = make_owner(spec.kind, spec.namespace, spec.name, uid, replicas=spec.replicas)
        self.controllers.templates[uid] = spec.template
        if spec.completions is not None:
            self.controllers.completions[uid] = spec.completions
        labels, annotations = dict(spec.labels), dict(spec.annotations)
        self.api.put(replace(owner, labels=labels, annotations=annotations, all_labels=dict(spec.all_labels)))
        return uid

    def add_budget(self, namespace: str, name: str, selector: LabelSelector, spec: BudgetSpec) -> None:
        """Create a PodDisruptionBudget."""
        self.budgets.add(Budget(f"pdb-{namespace}-{name}", namespace, name, selector, 0, current=False), spec)

    def adopt_pod(self, pod: Pod, owner: OwnerRef) -> None:
        """Take over a pod that there is."""
        self.api.adopt_pod(pod, owner, self.controllers.templates[owner.uid])

    def tell(self, event: Event) -> None:
        """Tell all that know policies something that is no object."""
        for watcher in self.api.watchers:
            watcher.other(event)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something happen `seconds` from now."""
        self.clock.after(seconds, call)

    # What happens to it

    def owner(self, uid: str) -> Owner:
        """A workload as it is now."""
        return self.api.owners[uid]

    def scale(self, uid: str, replicas: int) -> None:
        """Change a workload's size."""
        self.api.edit_owner(uid, replicas=replicas)

    def annotate(self, uid: str, annotations: Mapping[str, str | None]) -> None:
        """Set annotations of a workload; None removes one."""
        merged = {**self.owner(uid).annotations, **annotations}
        self.api.edit_owner(uid, annotations={key: value for key, value in merged.items() if value is not None})

    def delete_policy(self, title: str) -> None:
        """Delete a policy object, if it is there: `PlacementPolicy shop/web`."""
        for uid in [each.uid for each in self.api.policies.values() if each.title == title]:
            self.api.delete_policy(uid)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.run(self.clock.now + seconds)

    def split(self, uid: str) -> dict[str, int]:
        """The pods of a workload that hold a seat, by class, over all its revisions."""
        found: dict[str, int] = {}
        for each in (uid, *self.truth.state.workloads.children.get(uid, ())):
            revision = self.truth.state.revisions.get(each)
            for capacity_class, count in (revision.filled if revision is not None else {}).items():
                if count:
                    found[capacity_class] = found.get(capacity_class, 0) + count
        return found
