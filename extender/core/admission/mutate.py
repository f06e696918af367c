"""What a pod of a managed workload gets at admission: a scheduler, tolerations of spot taints, a preference.

All of it adds to what the pod says: nothing is overridden or said twice, so that what was mutated once is not mutated
again, whatever has become of the cluster meanwhile. A hint, not the decision: a burst of pods is admitted before the
first of them has a seat, and only the extender's filter counts.
"""

from collections.abc import Callable

from msgspec import Struct

from extender.core.admission.preference import Term, class_terms
from extender.core.model.taints import Toleration
from extender.core.placement.decide import PodView, wanted_class
from extender.core.placement.enforcement import enforced, is_written
from extender.core.placement.gates import gate_name
from extender.core.placement.tolerations import SpotTolerations
from extender.core.policy.managed import Managed
from extender.core.policy.policy import Policy
from extender.core.policy.rules import PolicyRules
from extender.core.policy.stand_ins import may_run_on
from extender.core.state.schedulers import DEFAULT_SCHEDULER
from extender.core.state.state import ClusterState


class MutationRules(Struct, frozen=True):
    """How pods are mutated.

    Attributes:
        default_scheduler: for pods whose workload and Namespace name no scheduler; empty leaves them alone.
        weight: of the preference, 1 to 100; 0 adds none.
    """

    default_scheduler: str = ""
    weight: int = 50


class Draft(Struct, frozen=True):
    """A pod that is about to be created.

    Attributes:
        pod: who it is, and whose.
        scheduler_name: its scheduler, perhaps empty.
        tolerations: what it tolerates.
        node_labels: keys of the node labels that its node selector or node affinity asks about.
    """

    pod: PodView
    scheduler_name: str = ""
    tolerations: tuple[Toleration, ...] = ()
    node_labels: frozenset[str] = frozenset()


class Mutation(Struct, frozen=True):
    """What a pod gets; empty is nothing. Each of `preferences` is a preferred term of `weight`; `gate` is the name of a
    scheduling gate.
    """

    scheduler_name: str = ""
    tolerations: tuple[Toleration, ...] = ()
    preferences: tuple[Term, ...] = ()
    weight: int = 0
    gate: str = ""


class Mutator:
    """Says what pods get. What follows from nodes and rules alone is kept until they change.

    Args:
        state: the cluster state.
        rules: see `MutationRules`.
        gating: whether somebody decides who would take a gate away again.
    """

    def __init__(self, state: ClusterState, rules: MutationRules, gating: Callable[[], bool] = lambda: False) -> None:
        self._state = state
        self._gating = gating
        self._gate = gate_name(state.workloads.rules.prefixes)
        self._terms: dict[str, tuple[Term, ...]] = {}
        self._found_by: tuple[PolicyRules, int] | None = None
        self._tolerations = SpotTolerations(state)
        self.go_by(rules)

    def go_by(self, rules: MutationRules) -> None:
        """Go by these rules from now on."""
        self._rules = rules

    def mutate(self, managed: Managed, draft: Draft) -> Mutation:
        """Say what a pod of a managed workload gets; in audit mode, nothing."""
        policy = managed.workload.policy
        if policy.mode == "audit":
            return Mutation()
        classes = self._state.workloads.rules.classes
        spot = any(may_run_on(policy, name) for name in classes.interruptible)
        tolerations = self._tolerations.missing(draft.tolerations) if spot else ()
        preferences: tuple[Term, ...] = ()
        # Whoever names a class on the pod itself has decided.
        undecided = not draft.node_labels or draft.node_labels.isdisjoint(classes.labels)
        scheduler = _scheduler(policy, draft.scheduler_name, self._rules)
        if undecided and self._is_written(policy, scheduler or draft.scheduler_name) and self._gating():
            return Mutation(scheduler, tolerations, gate=self._gate)
        if self._rules.weight and undecided:
            wanted, _ = wanted_class(self._state, managed, draft.pod)
            preferences = self._terms_of(wanted)
        return Mutation(
            scheduler,
            tolerations,
            preferences,
            self._rules.weight if preferences else 0,
        )

    def _is_written(self, policy: Policy, scheduler: str) -> bool:
        """Whether a pod's class is to be written on it."""
        return is_written(enforced(self._state, policy, scheduler))

    def _terms_of(self, capacity_class: str) -> tuple[Term, ...]:
        rules, census = self._state.workloads.rules, self._state.census
        if self._found_by != (rules, census.version):
            self._found_by = (rules, census.version)
            self._terms.clear()
        terms = self._terms.get(capacity_class)
        if terms is None:
            terms = class_terms(census, rules.classes, capacity_class)
            self._terms[capacity_class] = terms
        return terms


def _scheduler(policy: Policy, present: str, rules: MutationRules) -> str:
    asked = rules.default_scheduler if policy.scheduler_name is None else policy.scheduler_name
    return asked if asked != DEFAULT_SCHEDULER and present in ("", DEFAULT_SCHEDULER) else ""
