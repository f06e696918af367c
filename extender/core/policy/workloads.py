"""Which workload a pod belongs to, and under which policy: owner chains, opt-in, inheritance."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from msgspec.structs import replace

from extender.core.model.objects import EMPTY, Namespace, Owner, OwnerRef
from extender.core.model.policies import EVERYTHING, PlacementPolicy
from extender.core.model.reasons import Reason
from extender.core.policy.managed import Managed, Missing, PolicyChanged
from extender.core.policy.matching import NOTHING, Assignments, Matching, PolicyObjects
from extender.core.policy.owners import DERIVED, NEVER_MANAGED, is_divided_kind, is_unread, stand_in
from extender.core.policy.policy import (
    ENABLED,
    Layer,
    ParsedPolicy,
    Problem,
    on_demand,
    parse_policy,
)
from extender.core.policy.protection import workload_opt_out
from extender.core.policy.rules import PolicyRules, Sayings, of_object, opted_in, sayings
from extender.core.policy.workload import Workload

_MAX_CHAIN = 8


class Workloads:
    """Owners and namespaces by UID, and the policy of each that can carry one.

    A policy object may speak for every owner there is: when one changes, owners are judged anew a few at a time by
    `judge_anew`, and at once where somebody asks.

    Args:
        rules: how policies are read.
        objects: the policy objects; those of another, for whoever tries something out.

    Attributes:
        assignments: which policy object speaks for whom.
        stale: UIDs of owners that are to be judged anew.
        class_names: the classes that nodes can be of.
    """

    def __init__(self, rules: PolicyRules, objects: PolicyObjects | None = None) -> None:
        self.rules = rules
        self.class_names = rules.classes.names
        self.objects = objects if objects is not None else PolicyObjects(rules.prefixes, self.class_names)
        self.assignments = Assignments()
        self.stale: dict[str, None] = {}
        self._late: list[PolicyChanged] = []
        self._in_namespace: dict[str, dict[str, None]] = {}
        self.owners: dict[str, Owner] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.by_uid: dict[str, Workload] = {}
        self.children: dict[str, tuple[str, ...]] = {}
        self.cluster_scoped: dict[str, Owner] = {}
        self._divided: dict[str, int] = {}
        self.unavailable: set[tuple[str, str]] = set()
        self.default_layer = Layer("configuration policy.defaults", rules.defaults)
        self.default_policy = parse_policy([self.default_layer], rules.prefixes, self.class_names).policy

    def supposing(self, objects: PolicyObjects) -> "Workloads":
        """The same owners and namespaces under other policy objects, for whoever tries these out: only to be read."""
        other = Workloads(self.rules, objects)
        other.owners, other.namespaces, other.unavailable = self.owners, self.namespaces, self.unavailable
        return other

    def in_namespace(self, namespace: str) -> list[Owner]:
        """The owners of a namespace, those of all where it is empty."""
        return [self.owners[uid] for uid in (self._in_namespace.get(namespace, ()) if namespace else self.owners)]

    def judged(self, owner: Owner) -> Workload | None:
        """An owner as the workload that it is by what is said now; None where nobody opts in for it."""
        return self._judged(owner, self.matching(owner))

    def go_by(self, rules: PolicyRules) -> None:
        """Go by other rules; where they say something else about policies, all are judged anew by `judge_anew`."""
        (old, known), self.rules, self.class_names = (self.rules, self.class_names), rules, rules.classes.names
        if self.class_names != known:
            self.objects.go_by(self.class_names)
            self.assignments.changed.update(self.objects.by_uid)
        reach, before = _reach(rules), _reach(old)
        if reach != before:
            self.assignments.changed.update(self.objects.by_uid)
        if rules.defaults != old.defaults or self.class_names != known or reach != before:
            self.default_layer = Layer("configuration policy.defaults", rules.defaults)
            self.default_policy = parse_policy([self.default_layer], rules.prefixes, self.class_names).policy
            self._put_off("")

    def may_manage(self, namespace: str, ref: OwnerRef | None) -> bool:
        """Say whether a pod in `namespace` controlled by `ref` can be managed at all, whatever its owners say."""
        return ref is not None and ref.kind not in NEVER_MANAGED and self.outside(namespace) is None

    def outside(self, namespace: str) -> tuple[Reason, str] | None:
        """Why nothing in a namespace is managed, see `PolicyRules.outside`; one that is not known has no labels."""
        known = self.namespaces.get(namespace) if self.rules.selector != EVERYTHING else None
        return self.rules.outside(namespace, known.all_labels if known is not None else EMPTY)

    def resolve(self, namespace: str, ref: OwnerRef | None) -> Managed | Missing | None:
        """The workload of a pod in `namespace` controlled by `ref`; None when it is not managed."""
        if ref is None or not self.may_manage(namespace, ref):
            return None
        revision = self.owners.get(ref.uid)
        if revision is None or revision.namespace != namespace:
            return self._resolve_apart(namespace, ref)
        holder = self.holder(revision)
        if isinstance(holder, Missing):
            return holder
        if self.stale and holder.uid in self.stale:
            del self.stale[holder.uid]
            self._late += self._evaluate(holder)
        workload = self.by_uid.get(holder.uid)
        return Managed(workload, self.controller(revision)) if workload is not None else None

    def _resolve_apart(self, namespace: str, ref: OwnerRef) -> Managed | Missing | None:
        owner = self.owner_in(namespace, ref)
        holder = self.holder(owner) if isinstance(owner, Owner) else owner
        if not isinstance(owner, Owner) or not isinstance(holder, Owner):
            return holder if isinstance(holder, Missing) else None
        kept = self.owners.get(holder.uid) is holder
        workload = self.by_uid.get(holder.uid) if kept else self._judged(holder, self.matching(holder))
        return Managed(workload, self.controller(owner)) if workload is not None else None

    def owner_in(self, namespace: str, ref: OwnerRef) -> Owner | Missing | None:
        """The owner that `ref` names, as the one of pods in `namespace`; None where it is one of another namespace.

        One that cannot be read is known by its name alone.
        """
        uid, _, elsewhere = ref.uid.partition("/")
        found = self.owners.get(ref.uid)
        if found is None and elsewhere:
            # Somebody else's pods named it before its own came.
            own = self.owners.get(uid)
            found = replace(own, uid=ref.uid) if own is not None and own.namespace == namespace else None
        if found is not None and found.namespace == namespace:
            return found
        if found is not None and ref.uid not in self.cluster_scoped:
            return None
        there = self.owners.get(ref.within(namespace).uid)
        if there is not None:
            return there
        if found is not None:
            return replace(found, namespace=namespace)
        return stand_in(ref, namespace) if (ref.group, ref.kind) in self.unavailable else Missing(ref)

    def controller(self, owner: Owner) -> Owner:
        """An owner as the controller of its own pods: where it has others make pods, its size and rollouts are theirs.

        The TaskManagers of a Flink cluster are controlled by the Deployment of its JobManager, say. Nobody tells how
        many of them there should be.
        """
        if is_divided_kind(owner) or owner.uid in self._divided:
            return replace(owner, replicas=None, rolling=False, resting=False)
        return owner

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
        if owner.kind != "ReplicaSet" or above is None or above.uid in self.cluster_scoped:
            return False
        return (above.group, above.kind) not in self.unavailable

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
        if old is not None and old.namespace != owner.namespace:
            del self._in_namespace[old.namespace][owner.uid]
        self._in_namespace.setdefault(owner.namespace, {})[owner.uid] = None
        self.owners[owner.uid] = owner
        if old is not None and old.owner != owner.owner:
            self._unlink(old)
        if owner.owner is not None and (old is None or old.owner != owner.owner):
            self._link(owner, owner.owner.uid)
        if old is not None and _same_settings(old, owner):
            return ()
        if owner.resource != DERIVED:
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
        self.assignments.assign(uid, NOTHING)
        workload = self.by_uid.pop(uid, None)
        return (PolicyChanged(workload, gone=True),) if workload is not None else ()

    def _link(self, owner: Owner, parent: str) -> None:
        self.children[parent] = (*self.children.get(parent, ()), owner.uid)
        if owner.kind != "Job":
            # Some make their pods themselves and have a Job prepare them.
            self._divided[parent] = self._divided.get(parent, 0) + 1

    def _unlink(self, owner: Owner) -> None:
        if owner.owner is None:
            return
        parent = owner.owner.uid
        rest = tuple(child for child in self.children.get(parent, ()) if child != owner.uid)
        if rest:
            self.children[parent] = rest
        else:
            self.children.pop(parent, None)
        if owner.kind != "Job":
            self._divided[parent] -= 1
            if not self._divided[parent]:
                del self._divided[parent]

    def remove_owner(self, uid: str) -> Iterable[PolicyChanged]:
        """Forget an owner."""
        owner = self.owners.pop(uid, None)
        if owner is not None:
            self._unlink(owner)
            del self._in_namespace[owner.namespace][uid]
            self.stale.pop(uid, None)
        return self._forget(uid)

    def upsert_namespace(self, namespace: Namespace) -> Iterable[PolicyChanged]:
        """Take in a namespace; return the policies that changed."""
        old = self.namespaces.get(namespace.name)
        self.namespaces[namespace.name] = namespace
        relabelled = old is None or old.all_labels != namespace.all_labels
        if relabelled and (self.objects.by_uid or self.rules.selector != EVERYTHING):
            self.assignments.changed.update(self.objects.in_namespace(namespace.name))
            self._put_off(namespace.name)
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
            for owner in [self.owners[uid] for uid in self._in_namespace.get(name, ())]
            if not self._is_copy(owner)
            for change in self._evaluate(owner)
        ]

    def put_policy(self, policy: PlacementPolicy) -> bool:
        """Take in a policy object, and say whether it says anything else than before.

        Whoever it may be for is judged anew by `judge_anew`.
        """
        self.assignments.changed.add(policy.uid)
        changed = self.objects.put(policy)
        if changed:
            self._put_off(policy.namespace)
        return changed

    def remove_policy(self, uid: str) -> None:
        """Forget a policy object; as `put_policy`."""
        removed = self.objects.remove(uid)
        if removed is not None:
            self._put_off(removed.policy.namespace)

    def _put_off(self, namespace: str) -> None:
        """Have the owners of a namespace judged anew, those of all where it is empty."""
        self.stale.update(dict.fromkeys(self._in_namespace.get(namespace, ()) if namespace else self.owners))

    def judge_anew(self, most: int) -> list[PolicyChanged]:
        """Judge at most so many of the owners that are stale; the policies that changed since the last call."""
        changes, self._late = self._late, []
        for uid in list(islice(self.stale, most)):
            del self.stale[uid]
            owner = self.owners[uid]
            if not self._is_copy(owner):
                changes += self._evaluate(owner)
        if not self.stale:
            # Its table has grown to all that were stale at once.
            self.stale.clear()
        return changes

    @property
    def is_behind(self) -> bool:
        """Whether `judge_anew` has something to do."""
        return bool(self.stale or self._late)

    def matching(self, owner: Owner) -> Matching:
        """The policy objects that match an owner, by its labels or those of what is above it."""
        if not self.objects.by_uid:
            return NOTHING
        namespace = self.namespaces.get(owner.namespace)
        labels = (each.all_labels for each in self._chain(owner))
        return self.objects.matching(owner.namespace, namespace.all_labels if namespace is not None else None, labels)

    def _chain(self, owner: Owner) -> Iterator[Owner]:
        """An owner and what is above it, as far as that is known."""
        holder: Owner | None = owner
        for _ in range(_MAX_CHAIN):
            if holder is None:
                return
            yield holder
            holder = self.owners.get(holder.owner.uid) if holder.owner else None

    def layers(self, owner: Owner) -> list[Sayings]:
        """What is said about an owner's policy, most specific first, without the configured default."""
        return self._layers(owner, self.matching(owner))

    def _layers(self, owner: Owner, matching: Matching) -> list[Sayings]:
        layers = [sayings(holder) for holder in self._chain(owner)]
        prefix = self.rules.prefixes[0]
        layers += [of_object(each, prefix) for each in matching.own[:1]]
        namespace = self.namespaces.get(owner.namespace)
        if namespace is not None:
            layers.append(sayings(namespace))
        return layers + [of_object(each, prefix) for each in matching.cluster[:1]]

    def _evaluate(self, owner: Owner) -> Iterable[PolicyChanged]:
        matching = self.matching(owner)
        judged, old = self._judged(owner, matching), self.by_uid.get(owner.uid)
        if judged is None:
            return self._forget(owner.uid)
        self.assignments.assign(owner.uid, matching)
        workload = judged
        if old is not None and old.namespace == judged.namespace:
            if _says(old) == _says(judged):
                return ()
            workload = old
            workload.parsed, workload.opt_out = judged.parsed, judged.opt_out
            workload.runs, workload.on_demand_after = judged.runs, judged.on_demand_after
            workload.last_valid = judged.last_valid or old.last_valid
            self.assignments.touch(owner.uid)
        self.by_uid[owner.uid] = workload
        return (PolicyChanged(workload),)

    def _judged(self, owner: Owner, matching: Matching) -> Workload | None:
        """An owner as a workload; None where nobody opts in for it, or its namespace is not managed."""
        if self.outside(owner.namespace) is not None:
            return None
        layers = self._layers(owner, matching)
        managed, problem = opted_in(layers, self.rules.prefixes)
        if not managed:
            return None
        written = [*(layer for layer, _ in layers), self.default_layer]
        parsed = _parsed(written, self.rules.prefixes, self.class_names)
        if problem is not None:
            held = on_demand(parsed.policy.mode, parsed.policy.scheduler_name, parsed.policy.enforcement)
            parsed = ParsedPolicy(held, (problem, *parsed.problems), splits=False)
        opt_out, unclear = workload_opt_out(written, self.rules.prefixes)
        if unclear is not None:
            parsed = parsed.also(unclear)
        if is_unread(owner):
            parsed = parsed.also(self._unread(owner))
        workload = Workload(owner.uid, owner.api_version, owner.kind, owner.namespace, owner.name, parsed)
        workload.opt_out = opt_out
        workload.runs, workload.on_demand_after = matching.runs, matching.on_demand_after
        if parsed.valid:
            workload.last_valid = parsed.policy
        return workload

    def _unread(self, owner: Owner) -> Problem:
        """Of one whose labels and annotations, if it has any, have no effect."""
        fault = f"objects of {owner.api_version} {owner.kind} cannot be read: the policy of its Namespace alone applies"
        fix = "if it is a workload, allow Spotmix to list and watch its kind"
        source = f"{owner.kind} {owner.namespace}/{owner.name}"
        return Problem(source, f"{self.rules.prefixes[0]}/{ENABLED}", "", fault, fix, warning=True)


def _says(workload: Workload) -> tuple[object, ...]:
    """What is said for a workload."""
    return workload.parsed, workload.opt_out, workload.runs, workload.on_demand_after


def _parsed(layers: Sequence[Layer], prefixes: Sequence[str], classes: Collection[str]) -> ParsedPolicy:
    try:
        return parse_policy(layers, prefixes, classes)
    except Exception as error:  # noqa: BLE001 - a bug that one workload meets is its own alone
        problem = Problem(layers[0].source, "policy", "", f"met a fault of Spotmix itself: {error!r}", "report it")
        return ParsedPolicy(on_demand("enforce", None, "auto"), (problem,), splits=False)


def _reach(rules: PolicyRules) -> tuple[object, ...]:
    """What says which namespaces are managed."""
    return rules.protected_namespaces, rules.namespaces, rules.selector


def _same_settings(old: Owner, new: Owner) -> bool:
    return (
        old.labels == new.labels
        and old.all_labels == new.all_labels
        and old.annotations == new.annotations
        and old.owner == new.owner
        and old.namespace == new.namespace
    )
