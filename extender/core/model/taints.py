"""Taints of nodes, and what tolerates them.

Source: `k8s.io/api/core/v1/toleration.go` of Kubernetes 1.36.
"""

from msgspec import Struct

from extender.core.model.selectors import compares


class Taint(Struct, frozen=True, gc=False):
    """A node taint; `effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


class Toleration(Struct, frozen=True, gc=False):
    """`operator` is Exists, Equal, Gt or Lt; an empty key with Exists tolerates all, an empty effect every effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        """Say whether the taint is tolerated."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        if self.operator in ("Gt", "Lt"):
            return compares(self.operator, taint.value, self.value)
        return bool(self.key) and self.value == taint.value
