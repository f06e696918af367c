"""The scheduler: a queue, the filters and scores that matter here, and the extender's answers in between.

Follows kube-scheduler 1.36: one pod at a time, a sample of the nodes that starts where the last one ended
(`pkg/scheduler/schedule_one.go`), a nominated node first and alone, back-off of 1 to 10 s, and what brings a rejected
pod back (`pkg/scheduler/backend/queue`). Scores are least-allocated and the extender's. There is no preemption.
"""

from collections import deque
from collections.abc import Callable, Container
from itertools import chain, zip_longest
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from extender.core.constraints import Constraints
from extender.core.drift.topology import Check, Topology
from extender.core.drift.whereabouts import Whereabouts
from extender.core.events import Event, Gone, Upsert
from extender.core.fit import admits, has_room, meets
from extender.core.objects import Node, Requests
from extender.core.records import NodeRecord
from extender.core.selectors import Requirement
from extender.core.workloads import Missing
from extender.simulate.api import VirtualApi, VirtualPod, Watcher
from extender.simulate.clock import Timer
from extender.simulate.service import Service
from extender.simulate.truth import Truth

MIN_SAMPLE, MIN_PERCENT = 100, 5
EXTENDER_FACTOR = 10
"""An extender's points count ten times (MaxNodeScore / MaxExtenderPriority), and then its weight."""
FLUSH = 300.0


class SchedulerOptions(Struct, frozen=True):
    """How the scheduler runs. Durations in seconds.

    Attributes:
        cycle: for one pod.
        bind: from choosing a node to the binding.
        back_off: first and longest.
        percentage: percentageOfNodesToScore, 0 for adaptive.
        weight: of the extender's scores.
    """

    cycle: float = 0.004
    bind: float = 0.02
    back_off: tuple[float, float] = (1.0, 10.0)
    percentage: int = 0
    weight: int = 15


class _Attempt(Struct, eq=False):
    """What is known of a pod that was rejected: when, how often, whether a node had room, and what brings it back."""

    tries: int = 0
    at: float = 0.0
    room: bool = True
    back: Timer | None = None


def sample_size(nodes: int, percentage: int = 0) -> int:
    """How many feasible nodes are enough (`numFeasibleNodesToFind`)."""
    if nodes < MIN_SAMPLE or percentage >= 100:
        return nodes
    percent = percentage or max(MIN_PERCENT, 50 - nodes // 125)
    return max(MIN_SAMPLE, nodes * percent // 100)


class Scheduler(Watcher):
    """See the module.

    Args:
        api: the cluster.
        truth: the scheduler's cache.
        service: the extender; None for the stock behaviour.
        rng: chooses among nodes of equal score, as the scheduler does.
        options: see `SchedulerOptions`.
        refused: nodes on which no pod is accepted, for a reason that the extender does not see.
    """

    def __init__(  # noqa: PLR0917 - each of a type of its own
        self,
        api: VirtualApi,
        truth: Truth,
        service: Service | None,
        rng: Random,
        options: SchedulerOptions,
        refused: Container[str],
    ) -> None:
        self._api = api
        self._clock = api.clock
        self._state = truth.state
        self._service = service
        self._rng = rng
        self._options = options
        self._refused = refused
        self._active: deque[str] = deque()
        self._queued: set[str] = set()
        self._rejected: dict[str, _Attempt] = {}
        self._assumed: set[str] = set()
        self._cycle: Timer = Timer(None)
        self._names: list[str] | None = None
        self._next = 0
        self._version = 0
        self._admitted: dict[Constraints, dict[str, bool]] = {}
        self._hopeless: dict[tuple[Requests, Constraints], int] = {}

    # What happens

    def pod(self, pod: VirtualPod, event: Event) -> None:
        """See `Watcher`."""
        if isinstance(event, Gone):
            self._assumed.discard(pod.uid)
            attempt = self._rejected.pop(pod.uid, None)
            if attempt is not None and attempt.back is not None:
                attempt.back.cancel()
            if pod.node:
                self._more_room()
        elif pod.node:
            self._assumed.discard(pod.uid)
            self._bring_back(room_only=False)
        elif not pod.terminating and pod.uid not in self._queued and pod.uid not in self._assumed:
            if pod.uid in self._rejected:
                self._retry(pod.uid)
            else:
                self._enqueue(pod.uid)

    def other(self, event: Event) -> None:
        """See `Watcher`."""
        if isinstance(event, Upsert) and isinstance(event.object, Node):
            self._names = None
            for admitted in self._admitted.values():
                admitted.pop(event.object.name, None)
            self._more_room()
        elif isinstance(event, Gone) and event.resource == "nodes":
            self._names = None
            self._admitted.clear()

    def _more_room(self) -> None:
        self._version += 1
        self._bring_back(room_only=True)

    def _bring_back(self, *, room_only: bool) -> None:
        """Try rejected pods again: all when there is more room, else those only that the extender turned down."""
        for uid, attempt in list(self._rejected.items()):
            if room_only or attempt.room:
                self._retry(uid)

    def _retry(self, uid: str) -> None:
        """Queue a rejected pod again once its back-off is over."""
        attempt = self._rejected[uid]
        first, longest = self._options.back_off
        when = attempt.at + min(longest, first * 2.0 ** min(attempt.tries - 1, 10))
        if when <= self._clock.now:
            self._enqueue(uid)
        elif attempt.back is None or not attempt.back.pending:
            attempt.back = self._clock.at(when, lambda: self._enqueue(uid))

    def _enqueue(self, uid: str) -> None:
        if uid in self._queued:
            return
        self._queued.add(uid)
        self._active.append(uid)
        if not self._cycle.pending:
            self._cycle = self._clock.after(self._options.cycle, self._schedule_next)

    # A scheduling cycle

    def _schedule_next(self) -> None:
        while self._active:
            uid = self._active.popleft()
            self._queued.discard(uid)
            pod = self._api.pods.get(uid)
            if pod is not None and not (pod.node or pod.terminating or uid in self._assumed):
                self._schedule(pod)
                break
        if self._active and not self._cycle.pending:
            self._cycle = self._clock.after(self._options.cycle, self._schedule_next)

    def _schedule(self, pod: VirtualPod) -> None:
        service = self._service
        if service is not None and isinstance(service.resolve(pod), Missing):
            # The extender waits for the owner, and the scheduler for the extender.
            self._cycle = self._clock.after(service.owner_wait, lambda: self._resume(pod))
        else:
            self._decide(pod)

    def _resume(self, pod: VirtualPod) -> None:
        if pod.uid in self._api.pods and not (pod.node or pod.terminating):
            self._decide(pod)
        if self._active:
            self._cycle = self._clock.after(self._options.cycle, self._schedule_next)

    def _decide(self, pod: VirtualPod) -> None:
        if pod.nominated:
            nominated = self._state.nodes.get(pod.nominated)
            fits = self._filter(pod)
            if nominated is not None and fits(nominated) and self._choose(pod, [nominated]):
                return
        feasible = self._feasible(pod)
        if not feasible:
            self._reject(pod, room=False)
        elif not self._choose(pod, feasible):
            self._reject(pod, room=True)

    def _choose(self, pod: VirtualPod, feasible: list[NodeRecord]) -> bool:
        """Have the extender filter, score what is left, and take the best node."""
        if self._service is not None:
            decision = self._service.filter(pod, [record.name for record in feasible])
            if decision.nodes is not None:
                passed = set(decision.nodes)
                feasible = [record for record in feasible if record.name in passed]
        if not feasible:
            return False
        self._assume(pod, self._best(pod, feasible))
        return True

    def _filter(self, pod: VirtualPod) -> Callable[[NodeRecord], bool]:
        """The scheduler's own filters for a pod: requests, taints, selectors, volumes, and where other pods are."""
        requests, constraints = pod.template.requests, pod.template.constraints
        checks: list[Check] = []
        if self._minds_others(constraints):
            topology = Topology(self._state, Whereabouts(self._state, frozenset()))
            record = self._state.pods[pod.uid]
            checks = [*topology.affinity(record), *topology.spread(record)]
        volumes = self._volume_terms(pod)
        admitted = self._admitted.setdefault(constraints, {})

        def fits(node: NodeRecord) -> bool:
            name = node.name
            known = admitted.get(name)
            if known is None:
                known = admitted[name] = admits(node, constraints) and name not in self._refused
            return (
                known
                and has_room(node, requests)
                and node.facts is not None
                and all(meets(node.facts, terms) for terms in volumes)
                and all(check(node.facts.labels) for check in checks)
            )

        return fits

    def _volume_terms(self, pod: VirtualPod) -> list[tuple[tuple[Requirement, ...], ...] | None]:
        """What the volumes of a pod's claims demand of nodes; a claim that has none gets one where the pod goes."""
        claims = (self._state.claims.get((pod.namespace, name)) for name in pod.template.constraints.claims)
        volumes = (self._state.volumes.get(claim.volume) for claim in claims if claim is not None)
        return [volume.terms for volume in volumes if volume is not None]

    def _minds_others(self, constraints: Constraints) -> bool:
        """Whether it matters where other pods are."""
        return bool(constraints.affinity or constraints.anti_affinity or constraints.spread or self._state.repelling)

    def _feasible(self, pod: VirtualPod) -> list[NodeRecord]:
        """The nodes that the scheduler's own filters pass: as many as it is content with."""
        template = pod.template
        simple = not (template.constraints.claims or self._minds_others(template.constraints))
        key = (template.requests, template.constraints)
        if simple and self._hopeless.get(key) == self._version:
            return []
        if self._names is None:
            self._names = self._order()
        names = self._names
        enough = sample_size(len(names), self._options.percentage)
        found: list[NodeRecord] = []
        looked = 0
        nodes, fits = self._state.nodes, self._filter(pod)
        for looked in range(1, len(names) + 1):
            record = nodes[names[(self._next + looked - 1) % len(names)]]
            if fits(record):
                found.append(record)
                if len(found) >= enough:
                    break
        self._next = (self._next + looked) % len(names) if names else 0
        if not found and simple:
            self._hopeless[key] = self._version
        return found

    def _order(self) -> list[str]:
        """The nodes' names, zone by zone in turn."""
        zones: dict[str, list[str]] = {}
        for name, node in self._api.nodes.items():
            zones.setdefault(node.zone, []).append(name)
        return [name for name in chain.from_iterable(zip_longest(*zones.values())) if name is not None]

    def _best(self, pod: VirtualPod, feasible: list[NodeRecord]) -> NodeRecord:
        if len(feasible) == 1:
            return feasible[0]
        points: dict[str, int] = {}
        if self._service is not None:
            points = self._service.prioritize(pod, [record.name for record in feasible])
        factor = EXTENDER_FACTOR * self._options.weight
        asked = pod.template.requests
        scores = [_least_allocated(record, asked) + factor * points.get(record.name, 0) for record in feasible]
        best = max(scores)
        return self._rng.choice([record for record, score in zip(feasible, scores, strict=True) if score == best])

    def _assume(self, pod: VirtualPod, record: NodeRecord) -> None:
        self._forget(pod.uid)
        self._assumed.add(pod.uid)
        name = record.name
        seen = pod.fact()
        self._state.apply(Upsert(replace(seen, node=name)), self._clock.now)
        self._state.reseat.clear()
        self._clock.after(self._options.bind, lambda: self._bind(pod, name))

    def _bind(self, pod: VirtualPod, node: str) -> None:
        if self._api.bind(pod, node) or pod.uid not in self._api.pods:
            return
        # The node has gone meanwhile.
        self._assumed.discard(pod.uid)
        self._state.apply(Gone("pods", pod.uid), self._clock.now)
        self._state.apply(Upsert(pod.fact()), self._clock.now)
        self._enqueue(pod.uid)

    def _forget(self, uid: str) -> _Attempt:
        attempt = self._rejected.pop(uid, None) or _Attempt()
        if attempt.back is not None:
            attempt.back.cancel()
        return attempt

    def _reject(self, pod: VirtualPod, *, room: bool) -> None:
        """Give a pod up for now; PodScheduled is written when that is news, or to withdraw a nomination."""
        attempt = self._forget(pod.uid)
        attempt.tries += 1
        attempt.at = now = self._clock.now
        attempt.room = room
        self._rejected[pod.uid] = attempt
        tries = attempt.tries
        self._clock.after(FLUSH, lambda: self._flush(pod.uid, tries))
        if pod.unscheduled_since is None or pod.nominated:
            if pod.unscheduled_since is None:
                pod.unscheduled_since = now
            pod.nominated = ""
            self._queued.add(pod.uid)
            self._api.changed(pod)
            self._queued.discard(pod.uid)

    def _flush(self, uid: str, tries: int) -> None:
        attempt = self._rejected.get(uid)
        if attempt is not None and attempt.tries == tries:
            self._retry(uid)


def _least_allocated(record: NodeRecord, asked: Requests) -> int:
    """NodeResourcesFit, LeastAllocated: 0 to 100 by what is left of cpu and memory."""
    facts = record.facts
    if facts is None:
        return 0
    offer = facts.allocatable
    cpu = 100 * (offer.cpu - record.cpu - asked.cpu) // offer.cpu if offer.cpu else 0
    memory = 100 * (offer.memory - record.memory - asked.memory) // offer.memory if offer.memory else 0
    return (max(0, cpu) + max(0, memory)) // 2
