"""Whether a pod fits a node, as far as the node alone says.

Used to tell "no offered node has the class" from "the class has no room", and to choose a node to nominate: the
scheduler still runs all its own filters, so what is left out here (volumes, inter-pod terms) costs an attempt at most.
Sources: `pkg/scheduler/framework/plugins/{tainttoleration,nodeaffinity,noderesources}` of Kubernetes 1.36.
"""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.objects import EMPTY, Requests, Taint
from extender.core.records import NodeRecord


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
            return _compare(self.operator, taint.value, self.value)
        return bool(self.key) and self.value == taint.value


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
        return len(self.values) == 1 and _compare(self.operator, value, self.values[0])


def _compare(operator: str, left: str, right: str) -> bool:
    try:
        difference = int(left) - int(right)
    except ValueError:
        return False
    return difference > 0 if operator == "Gt" else operator == "Lt" and difference < 0


class Needs(Struct, frozen=True, gc=False):
    """What a pod needs of a node. `terms` are ORed, the requirements of a term ANDed; None asks for nothing."""

    requests: Requests = Requests()
    node_selector: Mapping[str, str] = EMPTY
    terms: tuple[tuple[Requirement, ...], ...] | None = None
    tolerations: tuple[Toleration, ...] = ()


def has_room(node: NodeRecord, asked: Requests, *, pods: int = 0, taken: Requests | None = None) -> bool:
    """Say whether a node has room for `asked` beside its pods, `pods` more of them and what those have `taken`."""
    facts = node.facts
    if facts is None or len(node.pods) + pods >= facts.max_pods:
        return False
    offer = facts.allocatable
    taken = taken or Requests()
    if (
        (asked.cpu and node.cpu + taken.cpu + asked.cpu > offer.cpu)
        or (asked.memory and node.memory + taken.memory + asked.memory > offer.memory)
        or (asked.ephemeral and node.ephemeral + taken.ephemeral + asked.ephemeral > offer.ephemeral)
    ):
        return False
    if asked.extended:
        offered, used, nominated = dict(offer.extended), node.extended or {}, dict(taken.extended)
        for name, amount in asked.extended:
            if used.get(name, 0) + nominated.get(name, 0) + amount > offered.get(name, 0):
                return False
    return True


def admits(node: NodeRecord, needs: Needs) -> bool:
    """Say whether a node's taints, labels and name admit a pod, whatever its room."""
    facts = node.facts
    if facts is None:
        return False
    if facts.unschedulable and not any(
        t.tolerates(Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")) for t in needs.tolerations
    ):
        return False
    for taint in facts.taints:
        if taint.effect != "PreferNoSchedule" and not any(t.tolerates(taint) for t in needs.tolerations):
            return False
    labels = facts.labels
    if any(labels.get(key) != value for key, value in needs.node_selector.items()):
        return False
    return needs.terms is None or any(term and all(r.matches(facts.name, labels) for r in term) for term in needs.terms)
