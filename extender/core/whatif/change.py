"""What a change supposes, checked against the cluster: nodes that are gone, sizes, and a policy, judged for real.

Nothing here is counted or placed: see `pods` and `placing`.
"""

import difflib
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from extender.core.answers.plan import WorkloadName
from extender.core.model.errors import ChangeError, NotFoundError
from extender.core.model.objects import Owner
from extender.core.model.reasons import Reason
from extender.core.policy.keys import KEYS
from extender.core.policy.managed import Missing
from extender.core.policy.matching import PolicyObjects
from extender.core.policy.owners import NEVER_MANAGED
from extender.core.policy.policy import ENABLED, Policy, Problem
from extender.core.policy.provenance import why_unmanaged
from extender.core.policy.values import MAX_REPLICAS
from extender.core.policy.workload import Workload
from extender.core.policy.workloads import Workloads
from extender.core.state.controllers import OwnerPods, controllers_of
from extender.core.state.lookup import find_owner, kind_named, namespaces_with
from extender.core.state.records import NodeRecord, Revision
from extender.core.state.state import ClusterState
from extender.core.whatif.outlook import Change, LostPool
from extender.core.whatif.policies import SupposedPolicies

SHORT_KEYS = {"spot": "spot-percentage"}
"""Keys that people may write shorter."""

SHOWN = 12
"""Pools that an error names."""


class SupposedController(Struct, eq=False):
    """An object that controls pods, a ReplicaSet for one, with the size and under the policy that are supposed.

    Attributes:
        owner: the object; its `replicas` is the size supposed.
        revision: its pods as they are now; None where it has none.
        workload: the policy supposed; None where nobody manages its pods.
        subject: UID of the object whose size and policy these are: the Deployment of a ReplicaSet.
    """

    owner: Owner
    revision: Revision | None
    workload: Workload | None
    subject: str


class CheckedChange(Struct, eq=False):
    """A change in terms of the cluster's objects: nodes that are gone, and controllers with a new size or policy.

    Attributes:
        lost: the nodes that are gone, by name.
        controllers: of the workload that was named, under the change; None where none was.
        subject: the UID of that workload, empty where none was named.
        problems: of the supposed policy.
        notes: what was assumed.
    """

    lost: Mapping[str, NodeRecord]
    controllers: tuple[SupposedController, ...] | None = None
    subject: str = ""
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def check_change(state: ClusterState, change: Change, policies: SupposedPolicies) -> CheckedChange:
    """Check a change, under policy objects that are supposed, if there are any.

    Raises:
        ChangeError: it asks for what cannot be.
        NotFoundError: there is no such workload, or no node of such a pool.
    """
    if change.workload is None and (change.replicas is not None or change.policy):
        raise ChangeError("replicas and policy are those of a workload; name one")
    if change.workload is None and not change.lost_pools and not policies:
        raise ChangeError("nothing is changed: give replicas, a policy, or a pool to lose")
    if change.replicas is not None and not 0 <= change.replicas <= MAX_REPLICAS:
        raise ChangeError(f"replicas is {change.replicas}; write a whole number from 0 to {MAX_REPLICAS}")
    for name, price in change.prices.items():
        if not 0.0 <= price < float("inf"):
            raise ChangeError(f"the price of {name} is {price:g}; write a number that is not negative")
    lost = _lost(state, change.lost_pools)
    if change.workload is None:
        return CheckedChange(lost)
    return replace(_named(state, change, change.workload, policies), lost=lost)


# Nodes


def _lost(state: ClusterState, pools: tuple[LostPool, ...]) -> dict[str, NodeRecord]:
    lost: dict[str, NodeRecord] = {}
    for pool in pools:
        if pool == LostPool():
            raise ChangeError("a pool to lose has no class, instance type or zone; name one of them at least")
        found = {name: node for name, node in state.nodes.items() if _is_of(node, pool)}
        if not found:
            raise NotFoundError(f"no node is of pool {pool_text(pool)}; {_those_there_are(state)}")
        lost.update(found)
    return lost


def _is_of(node: NodeRecord, pool: LostPool) -> bool:
    facts = node.facts
    return facts is not None and all(
        wanted in ("", found)
        for wanted, found in (
            (pool.capacity_class, facts.capacity_class),
            (pool.instance_type, facts.instance_type),
            (pool.zone, facts.zone),
        )
    )


def pool_text(pool: LostPool) -> str:
    """A pool as people write it: `spot/m5.large/a`, `*` for any."""
    return "/".join(part or "*" for part in (pool.capacity_class, pool.instance_type, pool.zone))


def _those_there_are(state: ClusterState) -> str:
    known = {
        pool_text(LostPool(node.facts.capacity_class, node.facts.instance_type, node.facts.zone))
        for node in state.nodes.values()
        if node.facts is not None
    }
    if not known:
        return "the cluster has no nodes"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"there are {', '.join(sorted(known)[:SHOWN])}{more}"


# The workload


def _named(state: ClusterState, change: Change, asked: WorkloadName, policies: SupposedPolicies) -> CheckedChange:
    owner = _owner(state, asked)
    known = state.workloads
    why = _never(state, owner)
    if why:
        raise ChangeError(f"{_title(owner)} can never be managed: {why}")
    settings = _settings(change.policy, known.rules.prefixes[0])
    workload = policies.workload(owner.uid) if policies else known.by_uid.get(owner.uid)
    if settings:
        workload = _judged(state, owner, settings, policies.known.objects, opts_in=workload is None)
    elif workload is None:
        unmanaged = why_unmanaged(known, owner.namespace, owner.ref)
        raise ChangeError(
            f"{_title(owner)} is not managed: {unmanaged.reason.text}; give it a policy to see what that would do, "
            f"such as spot-percentage=70, or {ENABLED}=true for that of its Namespace and the defaults"
        )
    controllers = tuple(
        SupposedController(each, revision, workload, owner.uid)
        for each, revision in controllers_or_itself(state, owner, managed=workload is not None)
    )
    notes: list[str] = []
    if change.replicas is not None:
        controllers = _scaled(owner, controllers, change.replicas, notes)
    if workload is not None and any(controller.revision is None for controller in controllers):
        notes.append(_title(owner) + " has no pods to know their needs from: new ones are taken to need nothing")
    problems = workload.parsed.problems if workload is not None else ()
    return CheckedChange({}, controllers, owner.uid, problems, tuple(notes))


def _title(owner: Owner) -> str:
    return f"{owner.kind} {owner.namespace}/{owner.name}"


def _owner(state: ClusterState, asked: WorkloadName) -> Owner:
    """The object that speaks for the pods: for a ReplicaSet of a Deployment that is the Deployment."""
    kind, group = kind_named(asked.kind)
    owner = find_owner(state, kind, group, asked.namespace, asked.name)
    if owner is None:
        others = namespaces_with(state, kind, group, asked.name) if kind != "pod" else []
        elsewhere = f"; there is one in {', '.join(others)}" if others else ""
        raise NotFoundError(f'no {kind} "{asked.name}" in namespace "{asked.namespace}"{elsewhere}')
    holder = state.workloads.holder(owner)
    if isinstance(holder, Missing):
        raise ChangeError(f"{_title(owner)} is controlled by {holder.ref.kind} {holder.ref.name}, which cannot be read")
    if holder.kind == "CronJob":
        raise ChangeError(f"{_title(holder)} makes Jobs, which are workloads of their own; name one of these")
    return holder


def _never(state: ClusterState, owner: Owner) -> str:
    if owner.kind in NEVER_MANAGED:
        return "its pods are bound to their nodes"
    outside = state.workloads.outside(owner.namespace)
    if outside is None:
        return ""
    reason, detail = outside
    return reason.text if reason is Reason.PROTECTED_NAMESPACE else detail


def controllers_or_itself(state: ClusterState, owner: Owner, *, managed: bool = True) -> Iterable[OwnerPods]:
    """The controllers of a workload's pods; itself where it is managed and has made none yet."""
    return list(controllers_of(state, owner)) or ([(owner, None)] if managed else [])


def _settings(policy: Mapping[str, str], prefix: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for written, value in policy.items():
        key = written.removeprefix(f"{prefix}/")
        key = SHORT_KEYS.get(key, key)
        if key not in (*KEYS, ENABLED):
            near = difflib.get_close_matches(key, KEYS, 1)
            fix = f"did you mean {near[0]}?" if near else "keys are " + ", ".join(KEYS)
            raise ChangeError(f"{written} is no key of a policy; {fix}")
        settings[key] = value
    return settings


def _judged(
    state: ClusterState, owner: Owner, settings: Mapping[str, str], objects: PolicyObjects, *, opts_in: bool
) -> Workload | None:
    """The workload with keys set, judged as it will be; None when it is not managed then."""
    known = state.workloads
    tried = Workloads(known.rules, objects)
    tried.unavailable |= known.unavailable
    namespace = known.namespaces.get(owner.namespace)
    if namespace is not None:
        tried.upsert_namespace(namespace)
    above = owner.owner
    while above is not None and above.uid not in tried.owners and (parent := known.owners.get(above.uid)):
        tried.upsert_owner(parent)
        above = parent.owner
    if opts_in:
        settings = {ENABLED: "true", **settings}
    prefix, others = known.rules.prefixes[0], known.rules.prefixes[1:]
    labels, annotations = dict(owner.labels), dict(owner.annotations)
    for key, value in settings.items():
        target = labels if key == ENABLED else annotations
        # Under another prefix it would still speak where ours is taken away.
        for each in others:
            target.pop(f"{each}/{key}", None)
        if value.strip():
            target[f"{prefix}/{key}"] = value
        else:
            target.pop(f"{prefix}/{key}", None)
    tried.upsert_owner(replace(owner, labels=labels, annotations=annotations))
    workload, before = tried.by_uid.get(owner.uid), known.by_uid.get(owner.uid)
    if workload is not None and before is not None and not workload.parsed.valid:
        workload.last_valid = before.last_valid
    return workload


def _scaled(
    owner: Owner, controllers: tuple[SupposedController, ...], replicas: int, notes: list[str]
) -> tuple[SupposedController, ...]:
    if owner.replicas is None and all(controller.owner.replicas is None for controller in controllers):
        raise ChangeError(f"{_title(owner)} does not say how many replicas it wants, so that it cannot be scaled")
    if not controllers:
        raise ChangeError(f"{_title(owner)} controls no pods")
    # The youngest takes the difference, the others what it cannot take.
    newest_first = sorted(controllers, key=lambda controller: (-controller.owner.created, controller.owner.name))
    wanted = sum(controller.owner.replicas or 0 for controller in controllers)
    left = replicas - (wanted if len(controllers) == 1 or owner.replicas is None else owner.replicas)
    if len(controllers) > 1:
        notes.append(f"{_title(owner)} is in the middle of a rollout, which is taken to stay where it is")
    sizes: dict[str, int] = {}
    for controller in newest_first:
        before = controller.owner.replicas or 0
        sizes[controller.owner.uid] = max(0, before + left)
        left += before - sizes[controller.owner.uid]
    return tuple(
        replace(controller, owner=replace(controller.owner, replicas=sizes[controller.owner.uid]))
        for controller in controllers
    )


def policy_of(controller: SupposedController) -> Policy | None:
    """The policy by which pods are steered; None for one that is not managed, or only watched."""
    workload = controller.workload
    return workload.policy if workload is not None and workload.policy.mode != "audit" else None
