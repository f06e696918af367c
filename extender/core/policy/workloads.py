"""Which workload a pod belongs to, and under which policy: owner chains, opt-in, inheritance."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from extender.core.model.objects import EMPTY, Namespace, Owner, OwnerRef
from extender.core.policy.policy import (
    ENABLED,
    Layer,
    ParsedPolicy,
    Policy,
    Problem,
    parse_enabled,
    parse_policy,
)
from extender.core.policy.protection import workload_opt_out
from extender.core.policy.workload import Workload

NEVER_MANAGED = frozenset({"DaemonSet", "Node"})
"""Kinds whose pods are never managed; a mirror pod is owned by its Node."""

_MAX_CHAIN = 8


class PolicyRules(Struct, frozen=True):
    """How policies are read.

    `prefixes` without the slash, ours first; `defaults` are annotations that apply where nobody else sets a key;
    pods of `protected_namespaces` are never managed, so that a cluster can boot.
    """

    prefixes: tuple[str, ...] = ("spotmix.io", "spotalis.io")
    defaults: Mapping[str, str] = EMPTY
    protected_namespaces: frozenset[str] = frozenset({"kube-system"})


class Managed(Struct, frozen=True, gc=False):
    """A pod's workload and the object that controls it directly (its revision)."""

    workload: Workload
    revision: Owner


class Missing(Struct, frozen=True, gc=False):
    """The owner that must be known before it can be said whether a pod is managed."""

    ref: OwnerRef


class PolicyChanged(Struct, frozen=True, gc=False):
    """An effect: a workload's policy or its problems changed, or it is gone (`gone`)."""

    workload: Workload
    gone: bool = False


Sayings = tuple[Layer, Mapping[str, str]]
"""What an object says: its annotations, as a layer, and its labels."""


def sayings(thing: Owner | Namespace) -> Sayings:
    """What an object says about a policy."""
    if isinstance(thing, Namespace):
        return Layer(f"Namespace {thing.name}", thing.annotations), thing.labels
    return Layer(f"{thing.kind} {thing.namespace}/{thing.name}", thing.annotations), thing.labels


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


class Workloads:
    """Owners and namespaces by UID, and the policy of each that can carry one."""

    def __init__(self, rules: PolicyRules) -> None:
        self.rules = rules
        self.owners: dict[str, Owner] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.by_uid: dict[str, Workload] = {}
        self.children: dict[str, tuple[str, ...]] = {}
        self.unavailable: set[tuple[str, str]] = set()
        self.default_layer = Layer("configuration policy.defaults", rules.defaults)

    def may_manage(self, namespace: str, ref: OwnerRef | None) -> bool:
        """Say whether a pod in `namespace` controlled by `ref` can be managed at all, whatever its owners say."""
        return ref is not None and ref.kind not in NEVER_MANAGED and namespace not in self.rules.protected_namespaces

    def resolve(self, namespace: str, ref: OwnerRef | None) -> Managed | Missing | None:
        """The workload of a pod in `namespace` controlled by `ref`; None when it is not managed."""
        if ref is None or not self.may_manage(namespace, ref):
            return None
        revision = self.owners.get(ref.uid)
        if revision is None:
            return None if (ref.group, ref.kind) in self.unavailable else Missing(ref)
        holder = self.holder(revision)
        if isinstance(holder, Missing):
            return holder
        workload = self.by_uid.get(holder.uid)
        return Managed(workload, revision) if workload is not None else None

    def holder(self, revision: Owner) -> Owner | Missing:
        """The owner that speaks for the pods of `revision`: itself, or one above it."""
        holder = revision
        for _ in range(_MAX_CHAIN):
            above = holder.owner
            if above is None or above.kind in NEVER_MANAGED:
                break
            parent = self.owners.get(above.uid)
            if parent is None:
                if (above.group, above.kind) in self.unavailable:
                    break
                return Missing(above)
            if not self._is_copy(holder):
                break
            holder = parent
        return holder

    def kinds_behind(self, owner: Managed | Missing) -> Iterator[tuple[str, str]]:
        """Group and kind of what has to be known to say whose a pod is, and under which policy: of all owners above it.

        Kinds that cannot be read are not among them.
        """
        if isinstance(owner, Missing):
            yield owner.ref.group, owner.ref.kind
            return
        above: Owner | None = owner.revision
        for _ in range(_MAX_CHAIN):
            if above is None:
                return
            if (above.group, above.kind) not in self.unavailable:
                yield above.group, above.kind
            above = self.owners.get(above.owner.uid) if above.owner is not None else None

    def _is_copy(self, owner: Owner) -> bool:
        """A ReplicaSet carries a stale copy of its owner's annotations: while that can be read, it alone is asked."""
        above = owner.owner
        return owner.kind == "ReplicaSet" and above is not None and (above.group, above.kind) not in self.unavailable

    def mark_unavailable(self, group: str, kind: str) -> Iterable[PolicyChanged]:
        """Owners of this kind cannot be read: their children carry the policy."""
        if (group, kind) in self.unavailable:
            return ()
        self.unavailable.add((group, kind))
        return [
            change
            for owner in self.owners.values()
            if owner.owner is not None and owner.owner.kind == kind and owner.owner.group == group
            for change in self._evaluate(owner)
        ]

    def upsert_owner(self, owner: Owner) -> Iterable[PolicyChanged]:
        """Take in an owner; return the policies that changed."""
        old = self.owners.get(owner.uid)
        self.owners[owner.uid] = owner
        if old is not None and old.owner != owner.owner:
            self._unlink(old)
        if owner.owner is not None and (old is None or old.owner != owner.owner):
            self.children[owner.owner.uid] = (*self.children.get(owner.owner.uid, ()), owner.uid)
        if old is not None and _same_settings(old, owner):
            return ()
        self.unavailable.discard((owner.group, owner.kind))
        return list(self._evaluate_tree(owner))

    def _evaluate_tree(self, owner: Owner, depth: int = 0) -> Iterator[PolicyChanged]:
        """Judge an owner anew, and what inherits from it: a CronJob's Jobs, a StatefulSet that a custom kind owns."""
        if self._is_copy(owner):
            yield from self._forget(owner.uid)
            return
        yield from self._evaluate(owner)
        if depth < _MAX_CHAIN:
            for child in self.children.get(owner.uid, ()):
                yield from self._evaluate_tree(self.owners[child], depth + 1)

    def _forget(self, uid: str) -> Iterable[PolicyChanged]:
        workload = self.by_uid.pop(uid, None)
        return (PolicyChanged(workload, gone=True),) if workload is not None else ()

    def _unlink(self, owner: Owner) -> None:
        if owner.owner is None:
            return
        rest = tuple(child for child in self.children.get(owner.owner.uid, ()) if child != owner.uid)
        if rest:
            self.children[owner.owner.uid] = rest
        else:
            self.children.pop(owner.owner.uid, None)

    def remove_owner(self, uid: str) -> Iterable[PolicyChanged]:
        """Forget an owner."""
        owner = self.owners.pop(uid, None)
        if owner is not None:
            self._unlink(owner)
        return self._forget(uid)

    def upsert_namespace(self, namespace: Namespace) -> Iterable[PolicyChanged]:
        """Take in a namespace; return the policies that changed."""
        old = self.namespaces.get(namespace.name)
        self.namespaces[namespace.name] = namespace
        if old is None and not namespace.labels and not namespace.annotations:
            return ()
        if old is not None and old.labels == namespace.labels and old.annotations == namespace.annotations:
            return ()
        return self._evaluate_namespace(namespace.name)

    def remove_namespace(self, uid: str) -> Iterable[PolicyChanged]:
        """Forget a namespace."""
        name = next((n.name for n in self.namespaces.values() if n.uid == uid), None)
        if name is None:
            return ()
        del self.namespaces[name]
        return self._evaluate_namespace(name)

    def _evaluate_namespace(self, name: str) -> Iterable[PolicyChanged]:
        return [
            change
            for owner in self.owners.values()
            if owner.namespace == name and not self._is_copy(owner)
            for change in self._evaluate(owner)
        ]

    def layers(self, owner: Owner) -> list[Sayings]:
        """What is said about an owner's policy, most specific first, without the configured default."""
        layers: list[Sayings] = []
        holder: Owner | None = owner
        while holder is not None and len(layers) < _MAX_CHAIN:
            layers.append(sayings(holder))
            holder = self.owners.get(holder.owner.uid) if holder.owner else None
        namespace = self.namespaces.get(owner.namespace)
        if namespace is not None:
            layers.append(sayings(namespace))
        return layers

    def _evaluate(self, owner: Owner) -> Iterable[PolicyChanged]:
        layers = self.layers(owner)
        managed, problem = opted_in(layers, self.rules.prefixes)
        old = self.by_uid.get(owner.uid)
        if not managed:
            return self._forget(owner.uid)
        written = [*(layer for layer, _ in layers), self.default_layer]
        parsed = parse_policy(written, self.rules.prefixes)
        if problem is not None:
            held = Policy(mode=parsed.policy.mode, scheduler_name=parsed.policy.scheduler_name)
            parsed = ParsedPolicy(held, (problem, *parsed.problems))
        opt_out, unclear = workload_opt_out(written, self.rules.prefixes)
        if unclear is not None:
            parsed = ParsedPolicy(parsed.policy, (*parsed.problems, unclear))
        if old is not None and (old.parsed, old.opt_out) == (parsed, opt_out):
            return ()
        workload = old or Workload(owner.uid, owner.api_version, owner.kind, owner.namespace, owner.name, parsed)
        workload.parsed, workload.opt_out = parsed, opt_out
        if parsed.valid:
            workload.last_valid = parsed.policy
        self.by_uid[owner.uid] = workload
        return (PolicyChanged(workload),)


def _same_settings(old: Owner, new: Owner) -> bool:
    return old.labels == new.labels and old.annotations == new.annotations and old.owner == new.owner
