"""What is measured of each workload, weighted by virtual time."""

from collections.abc import Iterable, Mapping
from copy import copy

from msgspec import Struct, field

from extender.core.model.classes import ON_DEMAND
from extender.core.model.objects import Namespace, Node, Owner
from extender.core.model.policies import PlacementPolicy
from extender.core.state.events import Event, Gone, Upsert
from extender.core.state.state import POLICY_OBJECTS
from extender.simulate.api import Cause, VirtualApi, VirtualPod, Watcher
from extender.simulate.prices import Prices
from extender.simulate.truth import Truth, least_on_demand

START, SCALE = "start", "scale"
"""Why a floor is not held, beside the values of `Cause`: its pods have not started yet; it, or the size, was raised."""


class Gap(Struct, frozen=True, gc=False):
    """How far a revision is off its split: `misplaced` replicas on another class than their seat's, `missing` ones."""

    misplaced: int = 0
    missing: int = 0


class PodShare(Struct, frozen=True, gc=False):
    """What a pod adds to its workload while it is as it is. Rates are per hour."""

    ready: bool = False
    on_demand: bool = False
    capacity_class: str = ""
    rate: float = 0.0
    on_demand_rate: float = 0.0


_NOTHING = PodShare()


class Tally(Struct, eq=False):
    """A workload's measures. Integrals are in seconds, and in replica-seconds; costs in the currency of the prices.

    Attributes:
        time: for which it was measured.
        wanted: replicas asked for; `served`: of those, ready.
        misplaced, missing: see `Gap`.
        breach: by cause, for how long fewer on-demand replicas were ready than the owner insists on.
        cost: of the pods' shares of their nodes, by class; `on_demand_cost`: what it would be on demand.
        started, pending, longest: pods bound, and for how long they waited for that, in all and at the most.
        evictions: by Spotmix; `lost`: pods that went with their node.
    """

    kind: str
    namespace: str
    name: str
    managed: bool = False
    time: float = 0.0
    wanted: float = 0.0
    served: float = 0.0
    misplaced: float = 0.0
    missing: float = 0.0
    breach: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    on_demand_cost: float = 0.0
    started: int = 0
    pending: float = 0.0
    longest: float = 0.0
    evictions: int = 0
    lost: int = 0


class _Gauge(Struct, eq=False):
    """The present values of a workload, and since when they hold."""

    tally: Tally
    since: float
    replicas: int = 0
    floor: int = 0
    ready: int = 0
    ready_on_demand: int = 0
    splits: dict[str, Gap] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    on_demand_rate: float = 0.0
    cause: str = ""

    def advance(self, now: float) -> None:
        """Add what was since the last change."""
        passed, self.since = now - self.since, now
        if passed <= 0:
            return
        tally = self.tally
        tally.time += passed
        tally.wanted += passed * self.replicas
        tally.served += passed * min(self.ready, self.replicas)
        for split in self.splits.values():
            tally.misplaced += passed * split.misplaced
            tally.missing += passed * split.missing
        if self.cause:
            tally.breach[self.cause] = tally.breach.get(self.cause, 0.0) + passed
        for capacity_class, rate in self.rates.items():
            tally.cost[capacity_class] = tally.cost.get(capacity_class, 0.0) + passed * rate / 3600.0
        tally.on_demand_cost += passed * self.on_demand_rate / 3600.0


class Meter(Watcher):
    """Measures each workload. It is told after `Truth`.

    Args:
        api: the cluster.
        truth: see `Truth`.
        prices: what pods cost.
    """

    def __init__(self, api: VirtualApi, truth: Truth, prices: Prices) -> None:
        self._api = api
        self._truth = truth
        self._prices = prices
        self._gauges: dict[str, _Gauge] = {}
        self._shares: dict[str, PodShare] = {}
        self._bound: set[str] = set()
        self._started = api.clock.now

    def reset(self) -> None:
        """Forget what was measured until now."""
        now = self._api.clock.now
        self._started = now
        for gauge in self._gauges.values():
            gauge.advance(now)
            old = gauge.tally
            gauge.tally = Tally(old.kind, old.namespace, old.name, old.managed)
            if gauge.cause:
                gauge.cause = START

    def tallies(self) -> Iterable[Tally]:
        """The measures of every workload up to now, in the order in which they came to be known."""
        now = self._api.clock.now
        for gauge in self._gauges.values():
            gauge.advance(now)
        found = {uid: copy(gauge.tally) for uid, gauge in self._gauges.items()}
        for pod in self._api.pods.values():
            if not pod.node and pod.owner is not None:
                self._waited(pod, found[self._top(pod.owner_uid)])
        return list(found.values())

    # What happens

    def pod(self, pod: VirtualPod, event: Event) -> None:
        """See `Watcher`."""
        gauge = self._gauge_of(pod.owner_uid)
        if gauge is None:
            return
        gauge.advance(self._api.clock.now)
        gone = isinstance(event, Gone)
        if pod.node and pod.uid not in self._bound:
            self._bound.add(pod.uid)
            gauge.tally.started += 1
            self._waited(pod, gauge.tally)
        before = gauge.ready_on_demand
        self._count(gauge, pod, _NOTHING if gone else self._share(pod))
        if gone:
            self._bound.discard(pod.uid)
            gauge.tally.evictions += pod.cause is Cause.SPOTMIX
            gauge.tally.lost += pod.cause is Cause.NODE
        self._measure(gauge, pod.owner_uid)
        cause = pod.cause
        if cause is None and pod.ready and not pod.serving:
            cause = Cause.NODE
        lowered = cause is Cause.SPOTMIX and gauge.ready_on_demand < before
        self._judge(gauge, cause.value if cause is not None else START, lowered=lowered)

    def other(self, event: Event) -> None:
        """See `Watcher`."""
        if isinstance(event, Gone):
            if event.resource == "nodes":
                return
            self._close(event.uid)
            if event.resource in POLICY_OBJECTS:
                self._look_at_all()
        elif isinstance(event, Upsert):
            thing = event.object
            if isinstance(thing, Node):
                for revision in {pod.owner_uid: None for pod in self._api.pods_on(thing.name)}:
                    self._look(revision, Cause.NODE.value)
            elif isinstance(thing, Owner):
                self._look(thing.uid, SCALE)
            elif isinstance(thing, Namespace):
                self._look_at_all(thing.name)
            elif isinstance(thing, PlacementPolicy):
                self._look_at_all()

    def _look_at_all(self, namespace: str = "") -> None:
        """Measure the owners of a namespace again, or all of them."""
        for owner in list(self._api.owners.values()):
            if namespace in ("", owner.namespace):
                self._look(owner.uid, SCALE)

    def _look(self, uid: str, cause: str) -> None:
        """Measure an owner again, and what it controls."""
        gauge = self._gauge_of(uid)
        if gauge is None:
            return
        gauge.advance(self._api.clock.now)
        if uid in self._gauges:
            gauge.replicas = self._api.owners[uid].replicas or 0
        self._measure(gauge, uid)
        for child in self._truth.state.workloads.children.get(uid, ()):
            self._measure(gauge, child)
        self._judge(gauge, cause)

    def _close(self, uid: str) -> None:
        for gauge in self._gauges.values():
            if uid in gauge.splits:
                gauge.advance(self._api.clock.now)
                del gauge.splits[uid]

    # Values

    def _top(self, uid: str) -> str:
        """An owner's top owner, itself if it has none; empty for an owner that is gone."""
        owner = self._api.owners.get(uid)
        while owner is not None and owner.owner is not None and owner.owner.uid in self._api.owners:
            owner = self._api.owners[owner.owner.uid]
        return owner.uid if owner is not None else ""

    def _gauge_of(self, uid: str) -> _Gauge | None:
        """The gauge of an owner's top owner."""
        top = self._top(uid)
        gauge = self._gauges.get(top)
        if gauge is None and top:
            owner = self._api.owners[top]
            gauge = _Gauge(Tally(owner.kind, owner.namespace, owner.name), self._api.clock.now)
            gauge.replicas = owner.replicas or 0
            self._gauges[top] = gauge
        return gauge

    def _measure(self, gauge: _Gauge, uid: str) -> None:
        """Compare a revision with its seats."""
        managed = self._truth.managed(uid)
        if managed is None:
            gauge.splits.pop(uid, None)
            return
        gauge.tally.managed = True
        policy = managed.workload.policy
        gauge.floor = least_on_demand(policy, gauge.replicas)
        revision = self._truth.state.revisions.get(uid)
        wanted = managed.revision.replicas
        if wanted is None or managed.revision.kind == "Deployment":
            return
        filled = revision.filled if revision is not None else {}
        if policy.fleet is not None:
            # It has no split of its own: what it lacks is told of it, and not where its pods are.
            gauge.splits[uid] = Gap(0, max(0, wanted - sum(filled.values())))
            return
        gauge.splits[uid] = split_of(policy.seats.target(wanted), filled)

    def _share(self, pod: VirtualPod) -> PodShare:
        node = self._api.nodes.get(pod.node)
        if node is None or pod.ended:
            return _NOTHING
        rate, on_demand = self._prices.of(node, pod.template.requests)
        return PodShare(
            pod.ready and pod.serving and not pod.terminating,
            node.capacity_class == ON_DEMAND,
            node.capacity_class,
            rate,
            on_demand,
        )

    def _count(self, gauge: _Gauge, pod: VirtualPod, new: PodShare) -> None:
        old = self._shares.get(pod.uid, _NOTHING)
        if old == new:
            return
        if new is _NOTHING:
            del self._shares[pod.uid]
        else:
            self._shares[pod.uid] = new
        gauge.ready += new.ready - old.ready
        gauge.ready_on_demand += (new.ready and new.on_demand) - (old.ready and old.on_demand)
        for share, sign in ((new, 1.0), (old, -1.0)):
            if share.capacity_class:
                gauge.rates[share.capacity_class] = gauge.rates.get(share.capacity_class, 0.0) + sign * share.rate
                gauge.on_demand_rate += sign * share.on_demand_rate

    def _judge(self, gauge: _Gauge, cause: str, *, lowered: bool = False) -> None:
        """See whether the floor is held. A breach that an eviction of ours has deepened (`lowered`) is ours."""
        if gauge.ready_on_demand >= gauge.floor:
            gauge.cause = ""
        elif lowered or not gauge.cause:
            gauge.cause = cause

    def _waited(self, pod: VirtualPod, tally: Tally) -> None:
        waited = self._api.clock.now - max(pod.created, self._started)
        tally.pending += waited
        tally.longest = max(tally.longest, waited)


def split_of(target: Mapping[str, int], filled: Mapping[str, int]) -> Gap:
    """How far `filled` seats by class are off a target: the surplus of classes, and what is missing in all."""
    surplus = sum(max(0, count - target.get(name, 0)) for name, count in filled.items())
    deficit = sum(max(0, count - filled.get(name, 0)) for name, count in target.items())
    misplaced = min(surplus, deficit)
    return Gap(misplaced, deficit - misplaced)
