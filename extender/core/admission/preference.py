"""Which node selector terms tell the nodes of a capacity class from all others, as the nodes are labelled now.

Where a platform labels spot nodes alone (AKS, often GKE), on-demand nodes are told by what they do not carry. Preferred
terms are scored one by one, so one term that says it all is better than several.
"""

from collections.abc import Iterable, Mapping, Sequence

from extender.core.model.classes import ClassRules
from extender.core.model.selectors import Requirement
from extender.core.state.census import Census, Marks

Term = tuple[Requirement, ...]
"""The requirements of a node selector term, all of which have to be met."""


def class_terms(census: Census, rules: ClassRules, capacity_class: str) -> tuple[Term, ...]:
    """The fewest terms that match the nodes of a class and no others; none when labels do not tell, or need not."""
    ours: list[Marks] = []
    others: list[Marks] = []
    for name, marks in census.marks():
        (ours if name == capacity_class else others).append(marks)
    if not others:
        return ()
    valueless = {rule.label for rule in (*rules.extra_rules, *rules.rules) if not rule.values}

    def requirement(label: str, values: Sequence[str], by_values: str, by_label: str) -> Requirement:
        return Requirement(label, by_label) if label in valueless else Requirement(label, by_values, tuple(values))

    has = _tellers(ours, others, rules.labels) if ours else ()
    if len(has) == 1:
        return tuple((requirement(label, values, "In", "Exists"),) for label, values in has)
    lacks = _tellers(others, ours, rules.labels)
    if lacks:
        return (tuple(requirement(label, values, "NotIn", "DoesNotExist") for label, values in lacks),)
    return tuple((requirement(label, values, "In", "Exists"),) for label, values in has)


def _tellers(these: Iterable[Marks], those: Iterable[Marks], labels: Sequence[str]) -> Sequence[tuple[str, list[str]]]:
    """The fewest labels, each with values, of which all of `these` have one and none of `those` has any; else none.

    The fewest as far as taking the most telling one first finds them.
    """
    shared = {mark for marks in those for mark in marks}
    left = [dict(mark for mark in marks if mark not in shared) for marks in these]
    found: list[tuple[str, list[str]]] = []
    while left:
        label = max(labels, key=lambda label: sum(label in marks for marks in left))
        told = [marks for marks in left if label in marks]
        if not told:
            return ()
        left = [marks for marks in left if label not in marks]
        found.append((label, _values(told, label)))
    return found


def _values(kinds: Iterable[Mapping[str, str]], label: str) -> list[str]:
    return sorted({marks[label] for marks in kinds})
