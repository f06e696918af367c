"""`metav1.LabelSelector` as partial Structs."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from extender.core.model.selectors import LabelSelector, Requirement


class RawExpression(Struct, frozen=True, gc=False):
    """`matchExpressions[]`."""

    key: str = ""
    operator: str = ""
    values: list[str] | None = None

    def requirement(self) -> Requirement:
        """The core type."""
        return Requirement(self.key, self.operator, tuple(self.values or ()))


class RawLabelSelector(Struct, frozen=True, rename="camel", gc=False):
    """`labelSelector`, `selector` and the like."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[RawExpression] | None = None

    def selector(self, more: Iterable[Requirement] = ()) -> LabelSelector:
        """The core type; it requires `more` as well."""
        expressions = (*(e.requirement() for e in self.match_expressions or ()), *more)
        return LabelSelector(tuple(sorted((self.match_labels or {}).items())), expressions)


def same_value(keys: Iterable[str] | None, labels: Mapping[str, str], operator: str = "In") -> list[Requirement]:
    """What `matchLabelKeys` and `mismatchLabelKeys` of a pod with these labels mean; keys it does not have, nothing.

    Source: `applyLabelKeysToLabelSelector` in `pkg/registry/core/pod/strategy.go` of Kubernetes 1.36.
    """
    return [Requirement(key, operator, (labels[key],)) for key in keys or () if key in labels]
