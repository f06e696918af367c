"""Where a pod says it may go: node selector, node affinity and tolerations, as partial Structs."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from extender.core.model.selectors import Requirement
from extender.core.model.taints import Toleration


class RawRequirement(Struct, frozen=True, gc=False):
    """`matchExpressions[]` and `matchFields[]` of a node selector term."""

    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class Term(Struct, frozen=True, rename="camel", gc=False):
    """`nodeSelectorTerms[]`."""

    match_expressions: list[RawRequirement] | None = None
    match_fields: list[RawRequirement] | None = None

    def requirements(self) -> tuple[Requirement, ...]:
        """The core types."""
        return (
            *_requirements(self.match_expressions, field=False),
            *_requirements(self.match_fields, field=True),
        )


class NodeSelector(Struct, frozen=True, rename="camel", gc=False):
    """A node selector: its terms are ORed."""

    node_selector_terms: list[Term] | None = None


class PreferredTerm(Struct, frozen=True, gc=False):
    """A preferred term; its weight is of no interest here."""

    preference: Term = Term()


class NodeAffinity(
    Struct,
    frozen=True,
    gc=False,
    rename={
        "required": "requiredDuringSchedulingIgnoredDuringExecution",
        "preferred": "preferredDuringSchedulingIgnoredDuringExecution",
    },
):
    """`affinity.nodeAffinity`."""

    required: NodeSelector | None = None
    preferred: list[PreferredTerm] | None = None

    def terms(self) -> Iterator[Term]:
        """Every term, required or preferred."""
        if self.required is not None:
            yield from self.required.node_selector_terms or ()
        for each in self.preferred or ():
            yield each.preference


class Affinity(Struct, frozen=True, rename="camel", gc=False):
    """`affinity`."""

    node_affinity: NodeAffinity | None = None


class RawToleration(Struct, frozen=True, gc=False):
    """`tolerations[]`."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None

    def toleration(self) -> Toleration:
        """The core type."""
        return Toleration(self.key or "", self.operator or "Equal", self.value or "", self.effect or "")


def raw_toleration(toleration: Toleration) -> dict[str, str]:
    """A toleration as the API takes it."""
    said = {"key": toleration.key, "operator": toleration.operator}
    if toleration.value:
        said["value"] = toleration.value
    return {**said, "effect": toleration.effect}


def node_selector_term(requirements: Iterable[Requirement]) -> dict[str, Any]:
    """A node selector term as the API takes it."""
    term: dict[str, list[dict[str, Any]]] = {}
    for each in requirements:
        said = {"key": each.key, "operator": each.operator, **({"values": list(each.values)} if each.values else {})}
        term.setdefault("matchFields" if each.field else "matchExpressions", []).append(said)
    return term


def _requirements(expressions: list[RawRequirement] | None, *, field: bool) -> Iterable[Requirement]:
    return (Requirement(e.key, e.operator, tuple(e.values or ()), field) for e in expressions or ())
