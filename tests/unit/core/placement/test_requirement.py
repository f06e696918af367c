"""Which labels pods require: by what is seen, launched, said, or known of platforms."""

from typing import Any

import pytest
from support.doubles import World, make_node

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.constraints import Constraints
from extender.core.model.objects import NodePool
from extender.core.placement.requirement import Term, class_requirement
from extender.core.placement.written import Requires, own_demands

KARPENTER, EKS, AKS = (
    "karpenter.sh/capacity-type",
    "eks.amazonaws.com/capacityType",
    "kubernetes.azure.com/scalesetpriority",
)
OWN = "spotmix.io/capacity-class"


RULES = ClassRules()


@pytest.fixture
def world() -> World:
    return World()


def marked(world: World, name: str, rules: ClassRules, marks: dict[str, str], **fields: Any) -> None:
    world.up(make_node(name, rules.class_of(marks), labels=marks, marks=tuple(marks.items()), **fields))


def labels(terms: tuple[Term, ...]) -> list[str]:
    return [term[0].key for term in terms]


def spot(world: World, rules: ClassRules = RULES, *, one_term: bool = False) -> list[str]:
    return labels(class_requirement(world.state.census, rules, "spot", one_term=one_term).terms)


def test_several_platforms_have_a_term_each_and_the_most_frequent_one_where_there_is_one(world: World) -> None:
    marked(world, "a", RULES, {AKS: "spot"})
    marked(world, "b", RULES, {EKS: "SPOT"})
    marked(world, "c", RULES, {EKS: "SPOT"})
    assert spot(world) == [EKS, AKS]
    assert spot(world, one_term=True) == [EKS]
    world.up(NodePool("uid", "pool", (("spot", ((KARPENTER, "spot"),)), ("on-demand", ((KARPENTER, "on-demand"),)))))
    assert spot(world) == [KARPENTER, EKS, AKS]
    assert spot(world, one_term=True) == [KARPENTER]


def test_a_pool_without_spot_tells_nothing_of_it(world: World) -> None:
    marked(world, "a", RULES, {EKS: "SPOT"})
    world.up(NodePool("uid", "pool", (("on-demand", ((KARPENTER, "on-demand"),)),)))
    assert spot(world) == [EKS]


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("aws://", [KARPENTER, EKS]),
        ("azure://", [KARPENTER, AKS]),
        (
            "gce://",
            ["cloud.google.com/gke-provisioning", "cloud.google.com/gke-spot", "cloud.google.com/gke-preemptible"],
        ),
    ],
)
def test_the_machines_tell_before_the_first_spot_node(world: World, provider: str, expected: list[str]) -> None:
    marked(world, "a", RULES, {}, provider=provider)
    found = class_requirement(world.state.census, RULES, "spot", one_term=False)
    assert (labels(found.terms), found.guessed) == (expected, False)


def test_where_nothing_tells_all_platforms_may_come_and_it_is_said(world: World) -> None:
    found = class_requirement(world.state.census, RULES, "spot", one_term=False)
    assert found.guessed
    assert labels(found.terms)[0] == KARPENTER
    assert {KARPENTER, EKS, AKS, OWN} <= {*labels(found.terms)}
    assert spot(world, one_term=True) == [KARPENTER]
    assert not class_requirement(world.state.census, RULES, "on-demand", one_term=False).guessed


def test_on_demand_is_never_told_by_absence_where_labels_have_values(world: World) -> None:
    marked(world, "a", RULES, {KARPENTER: "spot"})
    (term,) = class_requirement(world.state.census, RULES, "on-demand", one_term=False).terms
    assert {requirement.operator for requirement in term} == {"NotIn"}
    assert {KARPENTER, EKS, AKS} <= {requirement.key for requirement in term}


ALL = ({KARPENTER: "spot"}, {KARPENTER: "on-demand"})


@pytest.mark.parametrize(
    ("nodes", "offers", "by_value"),
    [
        (ALL, (), True),
        ((), ALL, True),
        ((), ALL[1:], True),
        (ALL[:1], ALL, True),
        ((), (), False),
        (ALL[:1], (), False),
        ((*ALL, {}), (), False),
        (({EKS: "ON_DEMAND"},), ALL, False),
        ((*ALL, {KARPENTER: "on-demand", OWN: "spot"}), (), False),
        ((*ALL, {KARPENTER: "unheard-of"}), (), False),
        (({EKS: "SPOT"}, {EKS: "ON_DEMAND"}), (), False),
    ],
)
def test_on_demand_is_told_by_karpenters_value_where_every_node_has_it(
    world: World, nodes: tuple[dict[str, str], ...], offers: tuple[dict[str, str], ...], by_value: bool
) -> None:
    for number, marks in enumerate(nodes):
        marked(world, f"node-{number}", RULES, marks)
    for number, marks in enumerate(offers):
        world.up(NodePool(f"uid-{number}", "pool", ((RULES.class_of(marks), tuple(marks.items())),)))
    found = class_requirement(world.state.census, RULES, "on-demand", one_term=False)
    assert (found.pair == (KARPENTER, "on-demand")) is by_value
    for marks in (*nodes, *offers):
        met = any(all(each.matches("", marks) for each in term) for term in found.terms)
        assert met is (RULES.class_of(marks) == "on-demand")


def test_a_label_without_values(world: World) -> None:
    label = "machine.openshift.io/interruptible-instance"
    marked(world, "a", RULES, {label: ""})
    (term,) = class_requirement(world.state.census, RULES, "spot", one_term=False).terms
    assert [(each.key, each.operator) for each in term] == [(label, "Exists")]
    (term,) = class_requirement(world.state.census, RULES, "on-demand", one_term=False).terms
    assert (label, "DoesNotExist") in [(each.key, each.operator) for each in term]


def test_a_node_that_carries_the_mark_of_another_class_too(world: World) -> None:
    spots, fallback = {"scheduling.cast.ai/spot": "true"}, "scheduling.cast.ai/spot-fallback"
    both = {fallback: "true", **spots}
    marked(world, "a", RULES, spots)
    marked(world, "b", RULES, both)
    for capacity_class, there, elsewhere in (("spot", spots, both), ("on-demand", both, spots)):
        terms = class_requirement(world.state.census, RULES, capacity_class, one_term=False).terms
        assert any(all(each.matches("", there) for each in term) for term in terms)
        assert not any(all(each.matches("", elsewhere) for each in term) for term in terms)


def test_the_settings_count_before_all(world: World) -> None:
    rules = ClassRules(
        extra_rules=(ClassRule("example.org/tier", "spot", ("cheap",)),),
        required_labels={"spot": {"example.org/tier": ("cheap",)}},
    )
    marked(world, "a", rules, {KARPENTER: "spot"})
    assert spot(world, rules) == ["example.org/tier"]
    (term,) = class_requirement(world.state.census, rules, "on-demand", one_term=True).terms
    assert ("example.org/tier", ("cheap",)) in [(each.key, each.values) for each in term]
    terms = class_requirement(world.state.census, rules, "spot", one_term=False).terms
    own = Constraints(node_selector=(("disk", "ssd"),))
    for requires in (Requires((), terms), Requires((("example.org/tier", "cheap"),))):
        assert own_demands(rules, requires.on(own)) == own
