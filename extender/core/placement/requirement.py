"""What a pod has to require of its node so that it runs on its capacity class and nowhere else.

Schedulers and autoscalers have to understand it alike. Karpenter launches nodes for `In` and `NotIn` of values, and for
terms of which one can be met; it finds `DoesNotExist` of a label that all of its nodes have in contradiction to them.
So the class of nodes that carry no mark is told by `NotIn` the values of all others.
"""

from collections.abc import Callable, Mapping

from extender.core.model.classes import ClassRules
from extender.core.model.selectors import Requirement
from extender.core.state.census import Census

Term = tuple[Requirement, ...]
"""The requirements of a node selector term, all of which have to be met; of several terms one has to be."""


KARPENTER = "karpenter.sh/capacity-type"
"""The label that is taken where only one can be and no node shows which."""


def class_requirement(census: Census, rules: ClassRules, capacity_class: str, *, one_term: bool) -> tuple[Term, ...]:
    """The terms for a class; none where no label tells it.

    Args:
        census: how the nodes that are seen now are marked.
        rules: how nodes are told apart.
        capacity_class: the class.
        one_term: the pod has terms of its own, to each of which one term's requirements are added.
    """
    if capacity_class == rules.default_class:
        others = _values(census, rules, lambda name: name != capacity_class)
        return (tuple(Requirement(label, "NotIn", values) for label, values in others.items()),) if others else ()
    own = _values(census, rules, lambda name: name == capacity_class)
    seen = {label for name, marks in census.marks() if name == capacity_class for label, _ in marks}
    # A platform's nodes tell which label it is; before there are any, each platform's may come.
    labels = [label for label in own if label in seen] or list(own)
    if one_term:
        labels = sorted(labels, key=lambda label: label != KARPENTER)[:1]
    return tuple((Requirement(label, "In", own[label]),) for label in labels)


def written_terms(
    census: Census, rules: ClassRules, capacity_class: str, own: tuple[Term, ...] | None
) -> tuple[Term, ...]:
    """What the node affinity of a pod has to require once its class is written; empty where nothing can be added.

    Args:
        census: how the nodes that are seen now are marked.
        rules: how nodes are told apart.
        capacity_class: the class.
        own: the terms that the pod has by itself, None for none.
    """
    terms = class_requirement(census, rules, capacity_class, one_term=bool(own))
    if own is None or not terms:
        return terms
    # An empty term matches no node: nothing may be added to it, or it would match some.
    return tuple((*term, *terms[0]) if term else () for term in own) if any(own) else ()


def own_terms(rules: ClassRules, terms: tuple[Term, ...] | None) -> tuple[Term, ...] | None:
    """What a pod on which a class was written requires by itself: of class labels its owner said nothing."""
    labels = frozenset(rules.labels)
    left = tuple(tuple(each for each in term if each.field or each.key not in labels) for term in terms or ())
    return left if any(left) else None


def _values(census: Census, rules: ClassRules, wanted: Callable[[str], bool]) -> Mapping[str, tuple[str, ...]]:
    """By label, the values that say that a node is of a wanted class: those of the rules, and as nodes spell them."""
    found: dict[str, dict[str, None]] = {}
    for rule in (*rules.extra_rules, *rules.rules):
        if rule.values and wanted(rule.capacity_class):
            found.setdefault(rule.label, {}).update(dict.fromkeys(rule.values))
    for name, marks in sorted(census.marks()):
        for label, value in marks if wanted(name) else ():
            if label in found and rules.class_of({label: value}) == name:
                found[label][value] = None
    return {label: tuple(values) for label, values in found.items()}
