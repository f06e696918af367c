"""How policies are read, and where: the settings that all of it goes by, and who is opted in."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from extender.core.model.classes import ClassRules
from extender.core.model.objects import EMPTY, Namespace, Owner
from extender.core.model.policies import EVERYTHING
from extender.core.model.reasons import Reason
from extender.core.model.selectors import LabelSelector
from extender.core.model.taints import Toleration
from extender.core.policy.objects import PolicyObject
from extender.core.policy.policy import ENABLED, Layer, Problem, parse_enabled


class PolicyRules(Struct, frozen=True):
    """How policies are read.

    `prefixes` without the slash, ours first; `defaults` are annotations that apply where nobody else sets a key;
    pods of `protected_namespaces` are never managed, so that a cluster can boot; `classes` tell nodes apart. `gates`
    says whether a webhook of ours gates pods, None where that is not known; `asking` are schedulers that are said to
    ask the extender. Where `namespaces` names some, nothing is managed outside of these; nor is it outside of those
    whose labels `selector` selects. `spot_tolerations` are of taints of spot nodes that nobody else knows.
    """

    prefixes: tuple[str, ...] = ("spotmix.io", "spotalis.io")
    defaults: Mapping[str, str] = EMPTY
    protected_namespaces: frozenset[str] = frozenset({"kube-system"})
    classes: ClassRules = ClassRules()
    gates: bool | None = None
    asking: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    selector: LabelSelector = EVERYTHING
    spot_tolerations: tuple[Toleration, ...] = ()

    def outside(self, namespace: str, labels: Mapping[str, str] | None) -> tuple[Reason, str] | None:
        """Why nothing in a namespace is managed, and for people which setting says so; None where it may be.

        Args:
            namespace: its name.
            labels: all of its labels; None where they do not matter, as they are not known.
        """
        if namespace in self.protected_namespaces:
            return Reason.PROTECTED_NAMESPACE, namespace
        if self.namespaces and namespace not in self.namespaces:
            return Reason.OUTSIDE_NAMESPACES, f"namespace {namespace} is not in policy.namespaces"
        if labels is not None and self.selector != EVERYTHING and not self.selector.matches(labels):
            text = f"the labels of namespace {namespace} are not those of policy.namespaceSelector"
            return Reason.OUTSIDE_NAMESPACES, text
        return None


Sayings = tuple[Layer, Mapping[str, str]]
"""What an object says: its annotations, as a layer, and its labels."""


def sayings(thing: Owner | Namespace) -> Sayings:
    """What an object says about a policy."""
    if isinstance(thing, Namespace):
        return Layer(f"Namespace {thing.name}", thing.annotations), thing.labels
    return Layer(f"{thing.kind} {thing.namespace}/{thing.name}", thing.annotations), thing.labels


def of_object(thing: PolicyObject, prefix: str) -> Sayings:
    """What a policy object says; whoever is matched by it is opted in by it. `prefix` is that of our keys."""
    return thing.layer, {f"{prefix}/{ENABLED}": "true"}


def opted_in(layers: Iterable[Sayings], prefixes: Iterable[str]) -> tuple[bool | None, Problem | None]:
    """What the most specific opt-in label says, None when there is none; one that is wrong counts as opted in."""
    for layer, labels in layers:
        for prefix in prefixes:
            value = labels.get(f"{prefix}/{ENABLED}")
            if value is None:
                continue
            enabled = parse_enabled(value)
            if enabled is None:
                fix = 'write the label as "true" or "false"'
                return True, Problem(layer.source, f"{prefix}/{ENABLED}", value, "is neither true nor false", fix)
            return enabled, None
    return None, None
