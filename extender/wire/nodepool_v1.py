"""NodePools of Karpenter (`karpenter.sh/v1`): the capacity classes, marks and taints of nodes that they may launch."""

from itertools import islice, product
from typing import Any

from msgspec import Struct

from extender.core.model.classes import ClassRules
from extender.core.model.objects import NodePool
from extender.core.model.providers import KARPENTER
from extender.wire.kube_v1 import Identity, RawTaint

MOST_OFFERS = 50
"""Combinations of labels that are kept of one NodePool."""

_CAPACITY = ("spot", "on-demand")


class _Requirement(Struct, frozen=True, gc=False):
    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class _Labels(Struct, frozen=True, gc=False):
    labels: dict[str, Any] | None = None


class _NodeSpec(Struct, frozen=True, gc=False):
    requirements: list[_Requirement] | None = None
    taints: list[RawTaint] | None = None


class _Template(Struct, frozen=True, gc=False):
    metadata: _Labels | None = None
    spec: _NodeSpec | None = None


class _Spec(Struct, frozen=True, gc=False):
    template: _Template | None = None


class RawNodePool(Struct, frozen=True, gc=False):
    """A NodePool."""

    metadata: Identity
    spec: _Spec | None = None


def to_node_pool(raw: RawNodePool, rules: ClassRules) -> NodePool:
    """The core's view of a NodePool, its nodes classified by `rules`."""
    template = (raw.spec.template if raw.spec else None) or _Template()
    spec = template.spec or _NodeSpec()
    values = _values(template, spec)
    asked = [label for label in rules.labels if label in values]
    combinations = islice(product(*(values[label] for label in asked)), MOST_OFFERS)
    marks = [tuple(zip(asked, each, strict=True)) for each in combinations]
    offers = tuple(dict.fromkeys((rules.class_of(dict(each)), each) for each in marks))
    taints = tuple(taint.taint() for taint in spec.taints or ())
    return NodePool(raw.metadata.uid, raw.metadata.name, offers, taints)


def _values(template: _Template, spec: _NodeSpec) -> dict[str, list[str]]:
    """The values that each label of its nodes may have, where there is an end to them."""
    # Karpenter gives every node this label: which values, the requirements may narrow.
    found = {KARPENTER: list(_CAPACITY)}
    labels = template.metadata.labels if template.metadata is not None else None
    found |= {key: [value] for key, value in (labels or {}).items() if isinstance(value, str)}
    for each in spec.requirements or ():
        values, known = each.values or [], found.get(each.key)
        if each.operator == "In":
            found[each.key] = [value for value in values if known is None or value in known or each.key == KARPENTER]
        elif each.operator == "NotIn" and known is not None:
            found[each.key] = [value for value in known if value not in values]
    return found
