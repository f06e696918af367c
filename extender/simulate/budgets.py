"""PodDisruptionBudgets: the disruption controller's arithmetic, and the eviction API that goes by its result.

Sources: `pkg/controller/disruption/disruption.go`, `pkg/registry/core/pod/storage/eviction.go` of Kubernetes 1.36.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from extender.core.drift.eviction import Answer, Outcome
from extender.core.model.objects import MAX_DISRUPTED, Budget
from extender.core.state.events import Event, Gone
from extender.simulate.api import Cause, VirtualApi, VirtualPod, Watcher
from extender.simulate.clock import Worker

LATENCY = 0.2
"""Seconds from a change of pods to the status that the controller writes about it."""
FORGOTTEN_AFTER = 120.0
"""Seconds for which an evicted pod counts as disrupted though its deletion was not seen."""
RETRY_AFTER = 10.0


class Amount(Struct, frozen=True, gc=False):
    """A number of pods, or a percentage of those expected, rounded up."""

    value: int
    percent: bool = False

    def of(self, expected: int) -> int:
        """How many pods that is."""
        return -(-expected * self.value // 100) if self.percent else self.value


def parse_amount(value: int | str | None) -> Amount | None:
    """An amount as a budget has it: a number, or a percentage such as `50%`."""
    if value is None:
        return None
    text = str(value)
    return Amount(int(text.removesuffix("%")), percent=text.endswith("%"))


class BudgetSpec(Struct, frozen=True, gc=False):
    """What a PodDisruptionBudget asks for: one of the two."""

    min_available: Amount | None = None
    max_unavailable: Amount | None = None


class _Status(Struct):
    spec: BudgetSpec
    healthy: int = 0
    desired: int = 0
    disrupted: dict[str, float] = field(default_factory=dict)


class DisruptionController(Watcher):
    """Keeps the budgets' status, and answers evictions by it.

    Args:
        api: the cluster.
    """

    def __init__(self, api: VirtualApi) -> None:
        self._api = api
        self._status: dict[str, _Status] = {}
        self._worker = Worker(api.clock, LATENCY, self._reconcile)
        self._by_namespace: dict[str, list[str]] = {}
        self._members: dict[str, dict[str, VirtualPod]] = {}
        self._matching: dict[tuple[str, int], tuple[Mapping[str, str], tuple[str, ...]]] = {}

    def add(self, budget: Budget, spec: BudgetSpec) -> None:
        """Create a budget; its status is written a moment later."""
        self._status[budget.uid] = _Status(spec)
        self._by_namespace.setdefault(budget.namespace, []).append(budget.uid)
        self._matching.clear()
        self._api.put(replace(budget, allowed=0, current=False))
        pods = self._api.pods.values()
        self._members[budget.uid] = {pod.uid: pod for pod in pods if budget.uid in self._of(pod)}
        self._worker.ask(budget.uid)

    def pod(self, pod: VirtualPod, event: Event) -> None:
        """See `Watcher`."""
        for uid in self._of(pod):
            if isinstance(event, Gone):
                self._members[uid].pop(pod.uid, None)
            else:
                self._members[uid][pod.uid] = pod
            self._worker.ask(uid)

    def _of(self, pod: VirtualPod) -> Iterable[str]:
        """The budgets of a pod. Pods of a template share their labels, so they are asked for once."""
        uids = self._by_namespace.get(pod.namespace)
        if not uids:
            return ()
        key = (pod.namespace, id(pod.labels))
        known = self._matching.get(key)
        if known is None:
            selectors = ((uid, self._api.budgets[uid].selector) for uid in uids)
            found = tuple(uid for uid, selector in selectors if selector is not None and selector.matches(pod.labels))
            # The labels are kept with it, so that nothing else can come to have their identity.
            known = self._matching[key] = (pod.labels, found)
        return known[1]

    def _reconcile(self, uid: str) -> None:
        budget, status = self._api.budgets[uid], self._status[uid]
        now = self._api.clock.now
        pods = [pod for pod in self._members[uid].values() if not pod.ended]
        status.disrupted = {
            name: at
            for name, at in status.disrupted.items()
            if now - at < FORGOTTEN_AFTER and (pod := self._api.pods.get(name)) is not None and not pod.terminating
        }
        status.healthy = sum(pod.ready and not pod.terminating and pod.uid not in status.disrupted for pod in pods)
        expected, status.desired = self._expected(status.spec, pods)
        allowed = status.healthy - status.desired
        if expected <= 0 or allowed <= 0:
            allowed = 0
        if status.disrupted:
            self._worker.ask(uid, FORGOTTEN_AFTER)
        healthy = status.healthy >= status.desired > 0
        if (allowed, healthy) != (budget.allowed, budget.healthy) or not budget.current:
            self._api.put(replace(budget, allowed=allowed, current=True, healthy=healthy))

    def _expected(self, spec: BudgetSpec, pods: list[VirtualPod]) -> tuple[int, int]:
        """The number of pods expected, and of those that have to be healthy."""
        if spec.max_unavailable is not None:
            expected = self._scale(pods)
            return expected, max(0, expected - spec.max_unavailable.of(expected))
        least = spec.min_available or Amount(0)
        expected = self._scale(pods) if least.percent else len(pods)
        return expected, least.of(expected)

    def _scale(self, pods: list[VirtualPod]) -> int:
        """What the controllers of the pods want in all: a Deployment's replicas count once."""
        tops = {}
        for pod in pods:
            owner = self._api.owners.get(pod.owner_uid)
            if owner is not None and owner.owner is not None:
                owner = self._api.owners.get(owner.owner.uid, owner)
            if owner is not None:
                tops[owner.uid] = owner.replicas or 0
        return sum(tops.values())

    def evict(self, namespace: str, name: str, uid: str, *, dry_run: bool = False) -> Outcome:
        """Evict a pod, as the API server does; `uid` is the precondition, empty for none.

        A dry run checks everything, budgets too, and changes nothing.
        """
        pod = self._api.pod_named(namespace, name)
        if pod is None:
            return Outcome(Answer.GONE, 404)
        if uid and pod.uid != uid:
            return Outcome(Answer.CHANGED, 409)
        if pod.ended or pod.terminating or not pod.running:
            return self._delete(pod, dry_run=dry_run)
        budgets = [self._api.budgets[each] for each in self._of(pod)]
        if len(budgets) > 1:
            return Outcome(Answer.BUDGETS, 500)
        if budgets:
            refusal = self._take(budgets[0], pod, dry_run=dry_run)
            if refusal is not None:
                return refusal
        return self._delete(pod, dry_run=dry_run)

    def _delete(self, pod: VirtualPod, *, dry_run: bool) -> Outcome:
        if not dry_run:
            self._api.delete_pod(pod, Cause.SPOTMIX)
        return Outcome(Answer.EVICTED, 201)

    def _take(self, budget: Budget, pod: VirtualPod, *, dry_run: bool) -> Outcome | None:
        """Take the pod out of a budget; what is refused otherwise, None when nothing is."""
        status = self._status[budget.uid]
        if not pod.ready and not budget.guards_unready:
            return None
        if not budget.current:
            return Outcome(Answer.LATER, 429, retry_after=RETRY_AFTER)
        if len(status.disrupted) > MAX_DISRUPTED:
            return Outcome(Answer.FORBIDDEN, 403)
        if budget.allowed == 0:
            return Outcome(Answer.BUDGET, 429)
        if not dry_run:
            status.disrupted[pod.uid] = self._api.clock.now
            self._api.put(replace(budget, allowed=budget.allowed - 1))
        return None
