"""What a pod has to require of its node so that it runs on its capacity class and nowhere else.

Schedulers and autoscalers have to understand it alike. Karpenter launches nodes for `In` and `NotIn` of values, and for
terms of which one can be met; it finds `DoesNotExist` of a label that all of its nodes have in contradiction to them.
So the class of nodes that carry no mark is told by `NotIn` the values of all others.

A class has to be known by its labels before its first node is there. What tells, the surest first: the settings; the
nodes that are seen and the NodePools that may launch some; whose machines the nodes are; all platforms that we know.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from extender.core.model.classes import ClassRules
from extender.core.model.providers import KARPENTER, PROVIDERS
from extender.core.model.selectors import Requirement
from extender.core.state.census import Census, Marks

Term = tuple[Requirement, ...]
"""The requirements of a node selector term, all of which have to be met; of several terms one has to be."""

_Values = Mapping[str, tuple[str, ...]]


class ClassTerms(Struct, frozen=True, gc=False):
    """The terms for a class; none where no label tells it. `guessed` says that nothing in the cluster shows which."""

    terms: tuple[Term, ...] = ()
    guessed: bool = False

    @property
    def pair(self) -> tuple[str, str] | None:
        """The label and its value, where one says it all."""
        match self.terms:
            case ((Requirement(key=label, operator="In", values=(value,), field=False),),):
                return label, value
        return None


def class_requirement(census: Census, rules: ClassRules, capacity_class: str, *, one_term: bool) -> ClassTerms:
    """The terms for a class.

    Args:
        census: how the nodes that are seen now, and those that may be launched, are marked.
        rules: how nodes are told apart.
        capacity_class: the class.
        one_term: the pod has terms of its own, to each of which one term's requirements are added.
    """
    own = rules.required_labels.get(capacity_class)
    if own:
        return ClassTerms(
            _cut([(Requirement(label, "In", values),) for label, values in own.items()], one_term=one_term)
        )
    if capacity_class == rules.default_class:
        return _unmarked(census, rules, capacity_class, one_term=one_term)
    values = _values(census, rules, lambda name: name == capacity_class)
    labels, guessed = _labels(census, rules, capacity_class, values)
    terms = [(_marked(label, values[label]), *_apart(census, rules, capacity_class, label)) for label in labels]
    return ClassTerms(_cut(terms, one_term=one_term), guessed)


def _cut(terms: list[Term], *, one_term: bool) -> tuple[Term, ...]:
    return tuple(terms[:1] if one_term else terms)


def _marked(label: str, values: tuple[str, ...]) -> Requirement:
    return Requirement(label, "In", values) if values else Requirement(label, "Exists")


def _unmarked(census: Census, rules: ClassRules, capacity_class: str, *, one_term: bool) -> ClassTerms:
    """One term for the class of nodes that carry no mark: no mark of any other.

    Nodes that carry one, and are of the class all the same by a rule that counts before it, have a term of their own.
    Where all nodes are Karpenter's the value of its own label says it: there is no node without.
    """
    value = _launched(census, capacity_class)
    if value:
        return ClassTerms(((Requirement(KARPENTER, "In", (value,)),),))
    others: dict[str, tuple[str, ...]] = dict(_values(census, rules, lambda name: name != capacity_class))
    for name, labels in rules.required_labels.items():
        for label, values in labels.items() if name != capacity_class else ():
            others[label] = tuple(dict.fromkeys((*others.get(label, ()), *values)))
    seen = {label for name, marks in census.marks() if name != capacity_class for label, _ in marks}
    term = tuple(
        Requirement(label, "NotIn", values) if values else Requirement(label, "DoesNotExist")
        for label, values in others.items()
        # Where no value says it, its absence does; where no node has it, nobody has to look.
        if values or label in seen
    )
    terms = [term] if term else []
    overruled: dict[str, dict[str, None]] = {}
    for name, marks in sorted({*census.marks(), *census.offered()}):
        decisive = _telling(rules, name, marks) if name == capacity_class else []
        if decisive and any(not requirement.matches("", dict(marks)) for requirement in term):
            overruled.setdefault(decisive[0], {})[dict(marks)[decisive[0]]] = None
    terms += [(Requirement(label, "In", tuple(values)),) for label, values in overruled.items()]
    return ClassTerms(_cut(terms, one_term=one_term))


def _launched(census: Census, capacity_class: str) -> str:
    """What Karpenter's label says on all nodes of a class, now and to come, and on none of another; empty for nothing.

    Groups of other autoscalers that have no node yet may be without any label, so only where nodes are Karpenter's.
    """
    own, others = set[str](), set[str]()
    for name, marks in {*census.marks(), *census.offered()}:
        (own if name == capacity_class else others).add(dict(marks).get(KARPENTER, ""))
    return next(iter(own)) if len(own) == 1 and not own & others else ""


def _labels(census: Census, rules: ClassRules, capacity_class: str, values: _Values) -> tuple[list[str], bool]:
    """The labels that nodes of a class carry or will carry, the best first, and whether that is a guess.

    What Karpenter can launch by comes first, then the label that most nodes have: a pod with terms of its own gets one.
    """
    weight: Counter[str] = Counter()
    for (name, marks), count in census.counts().items():
        if name == capacity_class:
            weight.update(dict.fromkeys(_telling(rules, name, marks), count))
    offers = [marks for name, marks in census.offered() if name == capacity_class]
    offered = {label for marks in offers for label in _telling(rules, capacity_class, marks)}
    shown = [label for label in values if label in weight or label in offered]
    if shown:
        first = _first_label(offered)
        return sorted(shown, key=lambda label: (label != first, -weight[label])), False
    provided = [label for provider in sorted(census.providers) for label in PROVIDERS[provider] if label in values]
    known = provided or [label for label in values if values[label]]
    return sorted(dict.fromkeys(known), key=lambda label: label != KARPENTER), not provided


def _first_label(offered: Iterable[str]) -> str:
    labels = sorted(offered)
    return KARPENTER if KARPENTER in labels else next(iter(labels), "")


def _apart(census: Census, rules: ClassRules, capacity_class: str, label: str) -> Iterable[Requirement]:
    """What keeps a class off nodes that carry its label too, and are of another class by a rule that counts before it.

    A node of CAST AI that stands in for a spot node has the label of both, say.
    """
    found: dict[str, dict[str, None]] = {}
    for name, marks in sorted({*census.marks(), *census.offered()}):
        if name != capacity_class and label in _telling(rules, capacity_class, marks):
            decisive = _telling(rules, name, marks)
            if decisive:
                found.setdefault(decisive[0], {})[dict(marks)[decisive[0]]] = None
    return [Requirement(key, "NotIn", tuple(values)) for key, values in found.items()]


def _telling(rules: ClassRules, capacity_class: str, marks: Marks) -> list[str]:
    """The labels among the marks of a node that say by themselves that it is of a class."""
    return [label for label, value in marks if rules.class_of({label: value}) == capacity_class]


def _values(census: Census, rules: ClassRules, wanted: Callable[[str], bool]) -> _Values:
    """By label, the values that say that a node is of a wanted class: those of the rules, and as nodes spell them.

    None where the label says it whatever its value.
    """
    found: dict[str, dict[str, None]] = {}
    for rule in (*rules.extra_rules, *rules.rules):
        if wanted(rule.capacity_class):
            found.setdefault(rule.label, {}).update(dict.fromkeys(rule.values))
    valueless = {rule.label for rule in (*rules.extra_rules, *rules.rules) if not rule.values}
    for name, marks in sorted({*census.marks(), *census.offered()}):
        for label, value in marks if wanted(name) else ():
            if label in found and label not in valueless and rules.class_of({label: value}) == name:
                found[label][value] = None
    return {label: () if label in valueless else tuple(values) for label, values in found.items()}
