"""The scheduler: a queue, the scores that matter here, and the extender's answers between filters and scores.

Follows kube-scheduler 1.36: one pod at a time (`pkg/scheduler/schedule_one.go`), a nominated node first and alone,
back-off of 1 to 10 s, and what brings a rejected pod back (`pkg/scheduler/backend/queue`). Its filters are in
`feasible`. Scores are least-allocated and the extender's. There is no preemption.
"""

from collections import deque
from collections.abc import Container
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.objects import Node, Requests
from extender.core.policy.managed import Missing
from extender.core.state.events import Event, Gone, Upsert
from extender.core.state.records import NodeRecord
from extender.simulate.api import VirtualApi, VirtualPod, Watcher
from extender.simulate.clock import Timer
from extender.simulate.feasible import Feasible
from extender.simulate.spotmix import VirtualSpotmix
from extender.simulate.truth import Truth

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
        weight: of the extender's scores; 0 asks for none.
    """

    cycle: float = 0.004
    bind: float = 0.02
    back_off: tuple[float, float] = (1.0, 10.0)
    percentage: int = 0
    weight: int = 0


class _Attempt(Struct, eq=False):
    """What is known of a pod that was rejected: when, how often, whether a node had room, and what brings it back."""

    tries: int = 0
    at: float = 0.0
    room: bool = True
    back: Timer | None = None


class SimulatedScheduler(Watcher):
    """Places pods one after another, as kube-scheduler does.

    Args:
        api: the cluster.
        truth: the scheduler's cache.
        spotmix: the extender; None for the stock behaviour.
        rng: chooses among nodes of equal score, as the scheduler does.
        options: see `SchedulerOptions`.
        refused: nodes on which no pod is accepted, for a reason that the extender does not see.
    """

    def __init__(  # noqa: PLR0917 - each of a type of its own
        self,
        api: VirtualApi,
        truth: Truth,
        spotmix: VirtualSpotmix | None,
        rng: Random,
        options: SchedulerOptions,
        refused: Container[str],
    ) -> None:
        self._api = api
        self._clock = api.clock
        self._state = truth.state
        self._spotmix = spotmix
        self._rng = rng
        self._options = options
        self._feasible = Feasible(api, truth.state, options.percentage, refused)
        self._active: deque[str] = deque()
        self._queued: set[str] = set()
        self._rejected: dict[str, _Attempt] = {}
        self._assumed: set[str] = set()
        self._cycle: Timer = Timer(None)

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
        elif not (pod.terminating or pod.gates) and pod.uid not in self._queued and pod.uid not in self._assumed:
            if pod.uid in self._rejected:
                self._retry(pod.uid)
            else:
                self._enqueue(pod.uid)

    def other(self, event: Event) -> None:
        """See `Watcher`."""
        if isinstance(event, Upsert) and isinstance(event.object, Node):
            self._feasible.node_changed(event.object.name)
            self._more_room()
        elif isinstance(event, Gone) and event.resource == "nodes":
            self._feasible.node_gone()

    def _more_room(self) -> None:
        self._feasible.more_room()
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
        spotmix = self._spotmix
        if spotmix is not None and isinstance(spotmix.resolve(pod), Missing):
            # The extender waits for the owner, and the scheduler for the extender.
            self._cycle = self._clock.after(spotmix.owner_wait, lambda: self._resume(pod))
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
            fits = self._feasible.passes(pod)
            if nominated is not None and fits(nominated) and self._choose(pod, [nominated]):
                return
        feasible = self._feasible.nodes(pod)
        if not feasible:
            self._reject(pod, room=False)
        elif not self._choose(pod, feasible):
            self._reject(pod, room=True)

    def _choose(self, pod: VirtualPod, feasible: list[NodeRecord]) -> bool:
        """Have the extender filter, score what is left, and take the best node."""
        if self._spotmix is not None:
            decision = self._spotmix.filter(pod, [record.name for record in feasible])
            if decision.nodes is not None:
                passed = set(decision.nodes)
                feasible = [record for record in feasible if record.name in passed]
        if not feasible:
            return False
        self._assume(pod, self._best(pod, feasible))
        return True

    def _best(self, pod: VirtualPod, feasible: list[NodeRecord]) -> NodeRecord:
        if len(feasible) == 1:
            return feasible[0]
        points: dict[str, int] = {}
        if self._spotmix is not None and self._options.weight:
            points = self._spotmix.prioritize(pod, [record.name for record in feasible])
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
        self._state.apply(Upsert(replace(seen, node=name, written="")), self._clock.now)
        self._state.outbox.reseat.clear()
        self._clock.after(self._options.bind, lambda: self._bind(pod, name))

    def _bind(self, pod: VirtualPod, node: str) -> None:
        if self._api.bind(pod, node) or pod.uid not in self._api.pods:
            return
        # The node has gone meanwhile.
        self._assumed.discard(pod.uid)
        self._state.apply(Gone("pods", pod.uid), self._clock.now)
        self._state.apply(Upsert(replace(pod.fact(), written="")), self._clock.now)
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
