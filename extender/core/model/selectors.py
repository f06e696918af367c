"""Selectors: what says which nodes, pods or namespaces are meant, by their labels.

Sources: `apimachinery/pkg/labels`, `component-helpers/scheduling/corev1/nodeaffinity` of Kubernetes 1.36.
"""

from collections.abc import Mapping

from msgspec import Struct


def compares(operator: str, left: str, right: str) -> bool:
    """Say whether two whole numbers compare as Gt or Lt says; texts that are none never do."""
    try:
        difference = int(left) - int(right)
    except ValueError:
        return False
    return difference > 0 if operator == "Gt" else operator == "Lt" and difference < 0


class Requirement(Struct, frozen=True, gc=False):
    """A match expression of a node selector term; `field` is true for matchFields (metadata.name)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()
    field: bool = False

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Say whether a node of this name and these labels meets the requirement; an unknown operator matches none."""
        value = name if self.field and self.key == "metadata.name" else labels.get(self.key)
        if self.operator == "NotIn":
            return value is None or value not in self.values
        if self.operator == "DoesNotExist":
            return value is None
        if value is None:
            return False
        if self.operator == "Exists":
            return True
        if self.operator == "In":
            return value in self.values
        return len(self.values) == 1 and compares(self.operator, value, self.values[0])


class LabelSelector(Struct, frozen=True, gc=False):
    """A `metav1.LabelSelector`: all `labels` (sorted pairs) and all `expressions` have to match; empty matches all."""

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.labels) and all(
            expression.matches("", labels) for expression in self.expressions
        )
