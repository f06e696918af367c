"""What a plan may take, and has taken: disruption budgets, pods that may be unavailable, moves in flight and per hour.

One `Ledger` is shared by all that a plan moves, whatever for. It is asked first and told afterwards: `budget_refusal`,
then `deduct_budgets`; `availability`, then `deduct`. Nothing is ever given back within a plan.
"""

from collections.abc import Set as AbstractSet

from msgspec import Struct

from extender.core.drift.history import DEFAULT_GRACE, History
from extender.core.drift.judge import STUCK_AFTER
from extender.core.drift.rules import DriftRules
from extender.core.model.objects import Budget
from extender.core.model.reasons import Reason, Refusal
from extender.core.policy.owners import is_divided_kind
from extender.core.policy.workload import Workload
from extender.core.state.controllers import managed_controllers
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState


class Availability(Struct):
    """How a workload stands; the plan's own moves are added as they are made.

    `unavailable` counts replicas that do not serve, or soon will not: not ready, not there, terminating, moved by this
    plan, on a node that is not ready, or `away`: on one that is cordoned or going away, so that somebody drains it or
    is about to. `in_flight` are moves of the history and of this plan, and the pods that are `away`. `moved` counts
    moves of the last hour. `revisions` is how many of its revisions have or want pods, and `resting` that its owner has
    stopped a rollout between them. `culprit` is one of the pods
    that are unavailable, `stuck` one that should have ended a minute ago, and `astray` one that is `away`: by name,
    empty when there is none.
    """

    replicas: int = 0
    unavailable: int = 0
    in_flight: int = 0
    moved: int = 0
    away: int = 0
    revisions: int = 0
    rolling: bool = False
    resting: bool = False
    culprit: str = ""
    stuck: str = ""
    astray: str = ""


class Ledger:
    """What one plan may still take.

    Attributes:
        leaving: UIDs of pods whose eviction was sent, by the history or this plan.
        in_flight: voluntary moves in flight in the cluster and begun of late, this plan's included.
    """

    def __init__(self, state: ClusterState, history: History, rules: DriftRules, now: float) -> None:
        self._state, self._history, self._rules, self._now = state, history, rules, now
        entries = list(history.in_flight())
        self._leaving = {entry.move.pod.uid for entry in entries}
        # One that lasts holds up its workload, and not all others for ever.
        self.in_flight = sum(now - entry.at <= rules.patience + DEFAULT_GRACE for entry in entries)
        self._taken: dict[str, int] = {}
        self._availabilities: dict[str, Availability] = {}
        self._held: dict[str, dict[tuple[str, str], int]] = {}
        for entry in entries:
            pod = state.pods.get(entry.move.pod.uid)
            if pod is not None and not pod.terminating:
                # The API server has counted it already, but that may not have come back to us.
                self.deduct_budgets(pod)

    @property
    def leaving(self) -> AbstractSet[str]:
        """See the class."""
        return self._leaving

    @property
    def cluster_is_full(self) -> bool:
        """Whether as many moves are in flight in the cluster as may be."""
        return self.in_flight >= self._rules.max_in_flight

    # Disruption budgets

    def budget_refusal(self, pod: PodRecord) -> Refusal | None:
        """Why the API server would refuse to evict a pod now, as far as its budgets go; None when it would not.

        Source: `pkg/registry/core/pod/storage/eviction.go` of Kubernetes 1.36.
        """
        if pod.pending or pod.terminating:
            return None
        budgets = self._state.budgets_of(pod)
        if len(budgets) > 1:
            return Refusal(Reason.BUDGETS, ", ".join(budget.name for budget in budgets))
        for budget in budgets:
            if not _guards(budget, pod):
                continue
            if not budget.current or budget.overfull:
                return Refusal(Reason.BUDGET_STALE, budget.name)
            if budget.allowed <= self._taken.get(budget.uid, 0):
                return Refusal(Reason.BUDGET, budget.name)
        return None

    def is_budgeted(self, pod: PodRecord) -> bool:
        """Whether a PodDisruptionBudget covers a pod."""
        return bool(self._state.budgets_of(pod))

    def deduct_budgets(self, pod: PodRecord) -> None:
        """A pod is evicted: its budget allows one less, and it counts as leaving."""
        self._leaving.add(pod.uid)
        for budget in self._state.budgets_of(pod):
            if _guards(budget, pod):
                self._taken[budget.uid] = self._taken.get(budget.uid, 0) + 1

    # Limits

    def limit_refusal(self, pod: PodRecord, destination: str) -> Refusal | None:
        """The limit of its namespace that keeps the replacement of a pod from a class; None where none does.

        The pod holds what it has until it is gone.
        """
        account = self._state.holdings.accounts.get(pod.namespace)
        if account is None:
            return None
        limit = account.reached(destination, pod.requests, (), self._held.get(pod.namespace, {}))
        return None if limit is None else Refusal(Reason.STAY_LIMIT_REACHED, limit.policy)

    def deduct_limits(self, pod: PodRecord, destination: str) -> None:
        """A pod is moved: its namespace holds more of a class."""
        account = self._state.holdings.accounts.get(pod.namespace)
        if account is not None:
            account.take(self._held.setdefault(pod.namespace, {}), destination, pod.requests)

    # Workloads

    def availability(self, workload: Workload) -> Availability:
        """How a workload stands now, this plan's moves included."""
        known = self._availabilities.get(workload.uid)
        if known is None:
            known = self._availabilities[workload.uid] = self._look(workload)
        return known

    def deduct(self, pod: PodRecord, workload: Workload) -> None:
        """A pod is moved: deduct it everywhere."""
        self.deduct_budgets(pod)
        availability = self.availability(workload)
        availability.unavailable += 1
        availability.in_flight += 1
        availability.moved += 1
        availability.culprit = availability.culprit or pod.name
        self.in_flight += 1

    def _look(self, workload: Workload) -> Availability:
        availability = Availability()
        available = terminating = 0
        down: list[str] = []
        stuck: list[str] = []
        astray: list[str] = []
        for owner, revision in managed_controllers(self._state, workload):
            availability.rolling |= owner.rolling
            live = 0
            for pod in revision.pods if revision is not None else ():
                if pod.terminating:
                    terminating += 1
                    down.append(pod.name)
                    if pod.due and self._now - pod.due > STUCK_AFTER:
                        stuck.append(pod.name)
                    continue
                live += 1
                if pod.uid in self._leaving:
                    continue
                node = pod.node
                facts = node.facts if node is not None else None
                if node is not None and (facts is None or facts.unschedulable or facts.going_away):
                    astray.append(pod.name)
                elif pod.ready and facts is not None and facts.ready:
                    available += 1
                else:
                    down.append(pod.name)
            availability.replicas += live if owner.replicas is None else owner.replicas
            # Pods of a Deployment itself are beside its revisions.
            availability.revisions += not is_divided_kind(owner) and bool(live or owner.replicas)
        root = self._state.workloads.owners.get(workload.uid)
        availability.rolling |= root is not None and root.rolling
        availability.resting = root is not None and root.resting
        # A pod that terminates and the replica that is missing for it are one and the same.
        availability.unavailable = max(availability.replicas - available, terminating, 0)
        availability.away = len(astray)
        availability.culprit, availability.stuck, availability.astray = (
            min(names, default="") for names in (down, stuck, astray)
        )
        history = self._history.get(workload.uid)
        if history is not None:
            availability.in_flight = len(history.in_flight)
            availability.moved = history.moves_in_hour(self._now)
        availability.in_flight += availability.away
        return availability


def _guards(budget: Budget, pod: PodRecord) -> bool:
    return not pod.pending and (pod.ready or budget.guards_unready)
