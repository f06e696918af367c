"""What a pod of a managed workload gets at admission: a scheduler, tolerations of spot taints, a preference.

All of it adds to what the pod says: nothing is overridden or said twice, so that what was mutated once is not mutated
again, whatever has become of the cluster meanwhile. A hint, not the decision: a burst of pods is admitted before the
first of them has a seat, and only the extender's filter counts.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from extender.core.admission.preference import Term, class_terms
from extender.core.model.classes import SPOT, ClassRules
from extender.core.model.taints import Taint, Toleration
from extender.core.placement.decide import PodView, wanted_class
from extender.core.placement.enforcement import enforced
from extender.core.placement.gates import gate_name
from extender.core.policy.policy import Policy
from extender.core.policy.stand_ins import may_run_on
from extender.core.policy.workloads import Managed
from extender.core.state.census import Census
from extender.core.state.schedulers import DEFAULT_SCHEDULER
from extender.core.state.state import ClusterState

SPOT_TOLERATIONS: tuple[Toleration, ...] = (
    Toleration("cloud.google.com/gke-spot", "Equal", "true", "NoSchedule"),
    Toleration("kubernetes.azure.com/scalesetpriority", "Equal", "spot", "NoSchedule"),
    Toleration("oci.oraclecloud.com/oke-is-preemptible", "Exists", "", "NoSchedule"),
    Toleration("scheduling.cast.ai/spot", "Exists", "", "NoSchedule"),
    Toleration("karpenter.sh/capacity-type", "Equal", "spot", "NoSchedule"),
)
"""Of the taints that platforms put on spot nodes, as their own documentation writes them; and of the one
that NodePools of Karpenter are commonly given: before there is a first node none shows it.
"""

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def parse_taint(text: str) -> Toleration:
    """The toleration of a taint written as kubectl does: `key=value:effect`, or `key:effect` for any value.

    Raises:
        ValueError: it is none; the text says what to write.
    """
    left, colon, effect = text.strip().rpartition(":")
    key, equals, value = left.partition("=")
    if not colon or not key or effect not in _EFFECTS:
        raise ValueError(
            f"{text!r} is no taint; write key=value:effect, or key:effect for any value, such as spot=true:NoSchedule; "
            f"effects are {', '.join(_EFFECTS)}"
        )
    return Toleration(key, "Equal", value, effect) if equals else Toleration(key, "Exists", "", effect)


class MutationRules(Struct, frozen=True):
    """How pods are mutated.

    Attributes:
        classes: how nodes are told apart, and which taints say that a node is going away.
        default_scheduler: for pods whose workload and Namespace name no scheduler; empty leaves them alone.
        weight: of the preference, 1 to 100; 0 adds none.
        extra_tolerations: of further spot taints.
    """

    classes: ClassRules = ClassRules()
    default_scheduler: str = ""
    weight: int = 50
    extra_tolerations: tuple[Toleration, ...] = ()


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
    """Says what pods get. What follows from the nodes alone is kept until they change.

    Args:
        state: the cluster state.
        rules: see `MutationRules`.
        gating: whether somebody decides who would take a gate away again.
    """

    def __init__(self, state: ClusterState, rules: MutationRules, gating: Callable[[], bool] = lambda: False) -> None:
        self._state = state
        self._gating = gating
        self._gate = gate_name(state.workloads.rules.prefixes)
        self._rules = rules
        self._labels = frozenset(rules.classes.labels)
        self._version = -1
        self._tolerations: tuple[Toleration, ...] = ()
        self._tolerated: frozenset[str] = frozenset()
        self._terms: dict[str, tuple[Term, ...]] = {}

    def mutate(self, managed: Managed, draft: Draft) -> Mutation:
        """Say what a pod of a managed workload gets; in audit mode, nothing."""
        policy = managed.workload.policy
        if policy.mode == "audit":
            return Mutation()
        if self._version != self._state.census.version:
            self._look_again()
        tolerations = self._missing(draft.tolerations) if may_run_on(policy, SPOT) else ()
        preferences: tuple[Term, ...] = ()
        # Whoever names a class on the pod itself has decided.
        undecided = self._labels.isdisjoint(draft.node_labels)
        scheduler = _scheduler(policy, draft.scheduler_name, self._rules)
        if undecided and self._is_written(policy, scheduler or draft.scheduler_name) and self._gating():
            return Mutation(scheduler, tolerations, gate=self._gate)
        if self._rules.weight and undecided:
            wanted, _ = wanted_class(self._state, managed, policy, draft.pod)
            preferences = self._terms_of(wanted)
        return Mutation(
            scheduler,
            tolerations,
            preferences,
            self._rules.weight if preferences else 0,
        )

    def _is_written(self, policy: Policy, scheduler: str) -> bool:
        """Whether a pod's class is to be written on it."""
        how = enforced(self._state, policy, scheduler)
        return how is not None and how.enforcement == "affinity"

    def _look_again(self) -> None:
        census = self._state.census
        self._version = census.version
        self._terms = {}
        self._tolerations = _spot_tolerations(census, self._rules)
        self._tolerated = frozenset(toleration.key for toleration in self._tolerations)

    def _terms_of(self, capacity_class: str) -> tuple[Term, ...]:
        terms = self._terms.get(capacity_class)
        if terms is None:
            terms = class_terms(self._state.census, self._rules.classes, capacity_class)
            self._terms[capacity_class] = terms
        return terms

    def _missing(self, present: Iterable[Toleration]) -> tuple[Toleration, ...]:
        """The tolerations of spot taints that `present` lacks."""
        held = [toleration for toleration in present if not toleration.key or toleration.key in self._tolerated]
        return _lacking(self._tolerations, held) if held else self._tolerations


def _scheduler(policy: Policy, present: str, rules: MutationRules) -> str:
    asked = rules.default_scheduler if policy.scheduler_name is None else policy.scheduler_name
    return asked if asked != DEFAULT_SCHEDULER and present in ("", DEFAULT_SCHEDULER) else ""


def _spot_tolerations(census: Census, rules: MutationRules) -> tuple[Toleration, ...]:
    """Of all spot taints, but of none that says that a node is going away."""
    known = (*SPOT_TOLERATIONS, *rules.extra_tolerations)
    never = rules.classes.going_away_keys
    wanted = (*known, *_seen(census, known, rules.classes))
    return _lacking([toleration for toleration in wanted if toleration.key not in never], ())


def _lacking(wanted: Iterable[Toleration], present: Iterable[Toleration]) -> tuple[Toleration, ...]:
    """Of `wanted`, what neither `present` nor an earlier one of them tolerates."""
    held, lacking = list(present), []
    for toleration in wanted:
        if not any(_covers(each, toleration) for each in held):
            held.append(toleration)
            lacking.append(toleration)
    return tuple(lacking)


def _seen(census: Census, known: Iterable[Toleration], classes: ClassRules) -> Iterable[Toleration]:
    """Of the taints on spot nodes, those that say so: by a known taint's key, or as a label of theirs would."""
    keys = {toleration.key for toleration in known}
    labels = classes.labels
    for taint in sorted(census.spot_taints(), key=lambda taint: (taint.key, taint.value, taint.effect)):
        if taint.key in keys or (taint.key in labels and classes.class_of({taint.key: taint.value}) == SPOT):
            yield Toleration(taint.key, "Equal", taint.value, taint.effect)


def _covers(held: Toleration, wanted: Toleration) -> bool:
    """Whether whatever `wanted` tolerates is tolerated by `held` too."""
    if wanted.operator == "Exists":
        return held.operator == "Exists" and held.key in ("", wanted.key) and held.effect in ("", wanted.effect)
    return held.tolerates(Taint(wanted.key, wanted.value, wanted.effect))
