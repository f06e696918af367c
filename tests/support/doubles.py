"""Objects of a cluster in a line each, and a world that is scheduled without a scheduler."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from extender.core.capacity.fit import Needs
from extender.core.model.constraints import Constraints
from extender.core.model.objects import (
    EMPTY,
    Announcement,
    Budget,
    Claim,
    Namespace,
    Node,
    NodeClaim,
    Object,
    Owner,
    OwnerRef,
    Pod,
    Requests,
    Volume,
)
from extender.core.model.policies import EVERYTHING, ClassWish, PlacementPolicy, PolicySpec
from extender.core.model.selectors import LabelSelector, Requirement
from extender.core.model.taints import Taint
from extender.core.placement.decide import Decision, PodView, apply_decision, decide
from extender.core.policy.managed import Managed
from extender.core.policy.policy import Policy
from extender.core.policy.rules import PolicyRules
from extender.core.policy.seats import TwoClassSeats
from extender.core.policy.workload import Workload
from extender.core.state.events import Gone, Upsert
from extender.core.state.outbox import Wake
from extender.core.state.state import ClusterState

ENABLED = {"spotmix.io/enabled": "true"}
RULES = PolicyRules()
SPOT, ON_DEMAND = "spot", "on-demand"
ROOM = Requests(cpu=64_000, memory=1 << 40, ephemeral=1 << 40)


def keys(**values: Any) -> dict[str, str]:
    """Annotations: `spot_percentage=70` is `spotmix.io/spot-percentage: "70"`."""
    return {f"spotmix.io/{key.replace('_', '-')}": str(value) for key, value in values.items()}


def make_node(name: str, capacity_class: str = SPOT, **fields: Any) -> Node:
    given: dict[str, Any] = {
        "uid": f"uid-{name}",
        "name": name,
        "capacity_class": capacity_class,
        "instance_type": "m.large",
        "zone": "a",
        "going_away": "",
        "unschedulable": False,
        "taints": (),
        "labels": EMPTY,
        "allocatable": ROOM,
        "max_pods": 1000,
        "interruptible": capacity_class == SPOT,
    }
    return Node(**{**given, **fields})


def make_pod(uid: str, owner: OwnerRef | None = None, node: str = "", **fields: Any) -> Pod:
    given: dict[str, Any] = {
        "uid": uid,
        "namespace": "shop",
        "name": uid,
        "node": node,
        "owner": owner,
        "terminating": False,
        "ended": False,
        "ready": bool(node),
        "unscheduled": False,
        "nominated": "",
        "cost": None,
        "created": 0.0,
        "requests": Requests(cpu=100),
    }
    return Pod(**{**given, **fields})


RESOURCES = {
    "Deployment": ("deployments.apps", "apps/v1"),
    "ReplicaSet": ("replicasets.apps", "apps/v1"),
    "StatefulSet": ("statefulsets.apps", "apps/v1"),
    "Job": ("jobs.batch", "batch/v1"),
    "CronJob": ("cronjobs.batch", "batch/v1"),
    "Rollout": ("rollouts.argoproj.io", "argoproj.io/v1alpha1"),
    "Database": ("databases.example.org", "example.org/v1"),
}


def make_owner(kind: str, name: str, replicas: int | None = None, **fields: Any) -> Owner:
    resource, api_version = RESOURCES[kind]
    given: dict[str, Any] = {
        "uid": f"uid-{kind}-{name}",
        "resource": resource,
        "api_version": api_version,
        "kind": kind,
        "namespace": "shop",
        "name": name,
        "owner": None,
        "labels": EMPTY,
        "annotations": EMPTY,
        "replicas": replicas,
    }
    return Owner(**{**given, **fields})


def selector(*expressions: Requirement, **labels: str) -> LabelSelector:
    """Selects by labels, `app="web"`, and by match expressions."""
    return LabelSelector(tuple(sorted(labels.items())), expressions)


def make_namespace(name: str = "shop", **fields: Any) -> Namespace:
    return Namespace(**{"uid": f"uid-{name}", "name": name, "labels": EMPTY, "annotations": EMPTY, **fields})


def make_policy(
    name: str, selects: LabelSelector = EVERYTHING, *, of_cluster: bool = False, **fields: Any
) -> PlacementPolicy:
    """A policy object; fields that it does not have itself are of its spec."""
    own = set(PlacementPolicy.__struct_fields__)
    given = {key: value for key, value in fields.items() if key in own}
    spec = PolicySpec(**{key: value for key, value in fields.items() if key not in own})
    namespace = "" if of_cluster else "shop"
    return PlacementPolicy(f"uid-{name}", namespace, name, generation=1, selector=selects, spec=spec, **given)


def shares(spot: int, floor: int = 0) -> dict[str, Any]:
    """The classes of a policy object: so many percent spot, above a floor of on-demand replicas."""
    return {"classes": (ClassWish(ON_DEMAND, 100 - spot, floor), ClassWish(SPOT, spot))}


def make_budget(name: str, selects: LabelSelector | None, allowed: int = 1, **fields: Any) -> Budget:
    given: dict[str, Any] = {
        "uid": f"uid-budget-{name}",
        "namespace": "shop",
        "name": name,
        "selector": selects,
        "allowed": allowed,
        "current": True,
    }
    return Budget(**{**given, **fields})


def make_claim(name: str, volume: str = "", **fields: Any) -> Claim:
    return Claim(**{"uid": f"uid-claim-{name}", "namespace": "shop", "name": name, "volume": volume, **fields})


def make_volume(name: str, *terms: Requirement, **fields: Any) -> Volume:
    """A volume that nodes must meet all of `terms` for; any node will do where there are none."""
    return Volume(**{"uid": f"uid-volume-{name}", "name": name, "terms": (terms,) if terms else None, **fields})


def two_classes(policy: Policy) -> TwoClassSeats:
    """The split of a policy that annotations say."""
    assert isinstance(policy.seats, TwoClassSeats)
    return policy.seats


def make_view(uid: str, owner: OwnerRef | None, needs: Needs | None = None, **fields: Any) -> PodView:
    given: dict[str, Any] = {
        "uid": uid,
        "namespace": "shop",
        "name": uid,
        "owner": owner,
        "nominated": "",
        "unscheduled_since": None,
        "needs": lambda: needs or Needs(Requests(cpu=100)),
    }
    return PodView(**{**given, **fields})


class World:
    """A cluster state with a clock, and shortcuts to change it and to schedule against it."""

    def __init__(self, rules: PolicyRules = RULES, ttl: float = 900.0) -> None:
        self.state = ClusterState(rules, ttl)
        self.now = 1000.0
        self._numbers = itertools.count()

    def up(self, *objects: Object) -> None:
        for thing in objects:
            self.state.apply(Upsert(thing), self.now)

    def gone(self, resource: str, uid: str) -> None:
        self.state.apply(Gone(resource, uid), self.now)

    def nodes(self, spot: int = 0, on_demand: int = 0, **fields: Any) -> list[str]:
        """Add nodes `spot-0` and so on; the names of all that were added."""
        made = [make_node(f"spot-{i}", SPOT, **fields) for i in range(spot)]
        made += [make_node(f"on-demand-{i}", ON_DEMAND, **fields) for i in range(on_demand)]
        self.up(*made)
        return [node.name for node in made]

    def deployment(self, name: str, replicas: int, labels: Mapping[str, str] | None = None, **policy: Any) -> OwnerRef:
        """Add an enabled Deployment with one ReplicaSet; the reference that its pods carry."""
        top = make_owner(
            "Deployment", name, replicas, labels=ENABLED if labels is None else labels, annotations=keys(**policy)
        )
        rs = make_owner("ReplicaSet", f"{name}-1", replicas, owner=top.ref)
        self.up(top, rs)
        return rs.ref

    def annotate(self, name: str, replicas: int, **policy: Any) -> None:
        self.up(make_owner("Deployment", name, replicas, labels=ENABLED, annotations=keys(**policy)))

    def workload(self, owner: OwnerRef) -> Workload:
        managed = self.state.workloads.resolve("shop", owner)
        assert isinstance(managed, Managed)
        return managed.workload

    def meet(self, view: PodView) -> None:
        """Have the watch deliver a pod, as it nearly always has when the scheduler asks about it."""
        if view.uid not in self.state.pods and not self.state.is_gone(view.uid):
            self.up(make_pod(view.uid, view.owner, name=view.name, namespace=view.namespace))

    def decide(self, view: PodView, offered: Sequence[str], limit: int = 0, *, met: bool = True) -> Decision:
        """Filter, as the extender does: the decision is applied at once. `met` says that the watch knows the pod."""
        if met:
            self.meet(view)
        owner = self.state.workloads.resolve(view.namespace, view.owner)
        decision = decide(self.state, view, owner, offered, self.now, limit)
        apply_decision(self.state, decision, self.now)
        return decision

    def place(self, owner: OwnerRef, offered: Sequence[str], **fields: Any) -> tuple[Pod, Decision]:
        """Decide on a new pod; the pod as it will be seen bound to the first node that passed, if one did."""
        uid = fields.pop("uid", f"pod-{next(self._numbers)}")
        met = fields.pop("met", True)
        decision = self.decide(make_view(uid, owner, **fields), offered, met=met)
        node = (decision.nodes or offered)[0] if decision.nodes is None or decision.nodes else ""
        return make_pod(uid, owner, node, name=fields.get("name", uid)), decision

    def split(self, owner: OwnerRef) -> dict[str, int]:
        """Seats filled by class, bound or reserved."""
        revision = self.state.revisions.get(owner.uid)
        if revision is None:
            return {}
        filled = Counter(revision.filled)
        filled.update(r.capacity_class for r in revision.reservations.values())
        return {name: count for name, count in filled.items() if count}

    def woken(self) -> set[str]:
        """The pods that effects asked to wake since the last call."""
        effects = self.state.outbox.take_effects()
        return {effect.pod for effect in effects if isinstance(effect, Wake)}


NO_SCHEDULE = Taint("dedicated", "db", "NoSchedule")


CAPACITY_TYPE = "karpenter.sh/capacity-type"


def written_pod(uid: str, owner: OwnerRef | None, capacity_class: str = SPOT, **fields: Any) -> Pod:
    """A pod that waits for a node of the class that is written on it, and has been looked at in vain."""
    asked = Constraints(node_selector=((CAPACITY_TYPE, capacity_class),))
    given: dict[str, Any] = {"written": capacity_class, "constraints": asked, "unscheduled": True, "pending": True}
    return make_pod(uid, owner, **{**given, **fields})


def make_node_claim(name: str, capacity_class: str = SPOT, **fields: Any) -> NodeClaim:
    """One that Karpenter has just made, for pods of half a CPU in all unless `asked` says otherwise."""
    given: dict[str, Any] = {
        "uid": f"uid-{name}",
        "name": name,
        "created": 1000.0,
        "capacity_class": capacity_class,
        "labels": {CAPACITY_TYPE: (capacity_class,)},
        "asked": Requests(cpu=500),
    }
    return NodeClaim(**{**given, **fields})


def announce(about: Pod | NodeClaim, *, coming: bool = False, **fields: Any) -> Announcement:
    """What an autoscaler said about a pod or a NodeClaim, at 1000 s."""
    given: dict[str, Any] = {
        "uid": f"event-{about.uid}",
        "about": about.uid,
        "namespace": about.namespace if isinstance(about, Pod) else "",
        "name": about.name,
        "coming": coming,
        "text": "scale-up" if coming else "no capacity",
        "at": 1000.0,
    }
    return Announcement(**{**given, **fields})
