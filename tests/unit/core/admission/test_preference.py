"""Terms that tell a class: checked on nodes labelled as the platforms label them, and on any labels at all."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import ON_DEMAND, SPOT, make_node
from support.rare import Met

from extender.core.admission.preference import Term, class_terms
from extender.core.model.classes import ClassRule, ClassRules
from extender.core.state.census import Census

RULES = ClassRules()
Labels = Mapping[str, str]
KARPENTER = {kind: {"karpenter.sh/capacity-type": kind} for kind in (SPOT, ON_DEMAND)}
EKS = {SPOT: {"eks.amazonaws.com/capacityType": "SPOT"}, ON_DEMAND: {"eks.amazonaws.com/capacityType": "ON_DEMAND"}}
GKE = {"cloud.google.com/gke-spot": "true", "cloud.google.com/gke-provisioning": "spot"}
AKS = {"kubernetes.azure.com/scalesetpriority": "spot"}
PLAIN: Labels = {"kubernetes.io/os": "linux"}


def census(*labels: Labels, rules: ClassRules = RULES) -> Census:
    counted = Census()
    for number, each in enumerate(labels):
        marks = tuple((label, each[label]) for label in rules.labels if label in each)
        counted.change(None, make_node(f"n{number}", rules.class_of(each), labels=each, marks=marks))
    return counted


def written(terms: tuple[Term, ...]) -> list[list[str]]:
    return [[" ".join((r.key, r.operator, *r.values)) for r in term] for term in terms]


@pytest.mark.parametrize(
    ("nodes", "spot", "on_demand"),
    [
        (
            (KARPENTER[SPOT], KARPENTER[ON_DEMAND]),
            [["karpenter.sh/capacity-type In spot"]],
            [["karpenter.sh/capacity-type In on-demand"]],
        ),
        # A control plane's nodes have no label: they are on-demand.
        (
            (KARPENTER[SPOT], KARPENTER[ON_DEMAND], PLAIN),
            [["karpenter.sh/capacity-type In spot"]],
            [["karpenter.sh/capacity-type NotIn spot"]],
        ),
        (
            (EKS[SPOT], EKS[ON_DEMAND]),
            [["eks.amazonaws.com/capacityType In SPOT"]],
            [["eks.amazonaws.com/capacityType In ON_DEMAND"]],
        ),
        # Two ways of labelling in one cluster: one term says it by what the others carry.
        (
            (KARPENTER[SPOT], KARPENTER[ON_DEMAND], EKS[SPOT], EKS[ON_DEMAND]),
            [["karpenter.sh/capacity-type NotIn on-demand", "eks.amazonaws.com/capacityType NotIn ON_DEMAND"]],
            [["karpenter.sh/capacity-type NotIn spot", "eks.amazonaws.com/capacityType NotIn SPOT"]],
        ),
        (
            (GKE, {"cloud.google.com/gke-provisioning": "standard"}),
            [["cloud.google.com/gke-provisioning In spot"]],
            [["cloud.google.com/gke-provisioning In standard"]],
        ),
        # Older nodes have one of the two labels: the one that all have tells.
        (
            (GKE, {"cloud.google.com/gke-spot": "true"}, PLAIN),
            [["cloud.google.com/gke-spot In true"]],
            [["cloud.google.com/gke-spot NotIn true"]],
        ),
        (
            (AKS, PLAIN),
            [["kubernetes.azure.com/scalesetpriority In spot"]],
            [["kubernetes.azure.com/scalesetpriority NotIn spot"]],
        ),
        # On-demand nodes that nothing tells, and spot nodes of two sorts: it takes two terms, or two requirements.
        (
            (AKS, {"kubernetes.azure.com/priority": "spot"}, PLAIN),
            [["kubernetes.azure.com/scalesetpriority In spot"], ["kubernetes.azure.com/priority In spot"]],
            [["kubernetes.azure.com/scalesetpriority NotIn spot", "kubernetes.azure.com/priority NotIn spot"]],
        ),
        # A label without a value to go by.
        (
            ({"machine.openshift.io/interruptible-instance": ""}, PLAIN),
            [["machine.openshift.io/interruptible-instance Exists"]],
            [["machine.openshift.io/interruptible-instance DoesNotExist"]],
        ),
        # No spot node yet: what the others are not.
        ((KARPENTER[ON_DEMAND],), [["karpenter.sh/capacity-type NotIn on-demand"]], []),
        ((PLAIN,), [], []),
        ((), [], []),
    ],
)
def test_platforms(nodes: tuple[Labels, ...], spot: list[list[str]], on_demand: list[list[str]]) -> None:
    counted = census(*nodes)
    assert written(class_terms(counted, RULES, SPOT)) == spot
    assert written(class_terms(counted, RULES, ON_DEMAND)) == on_demand


def test_values_are_taken_as_nodes_write_them() -> None:
    rules = ClassRules(extra_rules=(ClassRule("tier", SPOT, ("cheap", "cheaper")),))
    counted = census({"tier": "CHEAP"}, {"tier": "cheaper"}, {"tier": "dear"}, rules=rules)
    assert written(class_terms(counted, rules, SPOT)) == [["tier In CHEAP cheaper"]]
    assert written(class_terms(counted, rules, ON_DEMAND)) == [["tier In dear"]]


LABELS = st.dictionaries(
    st.sampled_from(["karpenter.sh/capacity-type", "eks.amazonaws.com/capacityType", "cloud.google.com/gke-spot"]),
    st.sampled_from(["spot", "on-demand", "true", "x"]),
    max_size=3,
)


def test_terms_match_the_class_and_nothing_else() -> None:
    met = Met()

    @given(st.lists(LABELS, max_size=6), st.sampled_from([SPOT, ON_DEMAND]))
    def holds(nodes: list[dict[str, str]], capacity_class: str) -> None:
        terms = class_terms(census(*nodes), RULES, capacity_class)
        classes = {RULES.class_of(labels) for labels in nodes}
        met.example(told=bool(terms), one_class=len(classes) == 1, told_apart=bool(terms) and len(classes) == 2)
        if classes <= {capacity_class}:
            assert not terms, "there is nothing to tell them from"
        for labels in nodes if terms else ():
            matched = any(all(r.matches("", labels) for r in term) for term in terms)
            assert matched == (RULES.class_of(labels) == capacity_class)

    holds()
    met.at_least(told=10, one_class=5, told_apart=10)
