"""A cluster as `kubectl get nodes,pods,... -A -o json` prints it, to begin a simulation with.

What DaemonSets and pods without a controller take is taken off their node's offer: they are part of the node. A pool's
new nodes are like the first one that there is. Pods that terminate or have ended are left out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.classes import ClassRules
from extender.core.model.constraints import Constraints
from extender.core.model.errors import WireError
from extender.core.model.objects import Budget, Claim, Namespace, Node, Object, Owner, OwnerRef, Pod, Requests, Volume
from extender.core.model.policies import CLUSTER_PLACEMENT_POLICIES, PLACEMENT_POLICIES, PlacementPolicy
from extender.core.placement.written import own_demands
from extender.core.policy.owners import NEVER_MANAGED
from extender.core.state.events import Unavailable
from extender.core.state.state import BUDGETS, CLAIMS, CSI_NODES, VOLUMES
from extender.simulate.api import PodTemplate
from extender.simulate.budgets import BudgetSpec, parse_amount
from extender.simulate.cluster import Cluster
from extender.simulate.machines import PoolSpec
from extender.wire.kube_v1 import RawNode
from extender.wire.objects_v1 import Decoders, to_node

PoolKey = tuple[str, str, str]
RESOURCES = {
    "Node": "nodes",
    "Pod": "pods",
    "Namespace": "namespaces",
    "PodDisruptionBudget": BUDGETS,
    "PersistentVolumeClaim": CLAIMS,
    "PersistentVolume": VOLUMES,
    "CSINode": CSI_NODES,
    "PlacementPolicy": PLACEMENT_POLICIES,
    "ClusterPlacementPolicy": CLUSTER_PLACEMENT_POLICIES,
}
AFTER = 300.0
"""Seconds from the creation of the youngest pod to the beginning of the simulation."""


class _Item(Struct, frozen=True, rename="camel"):
    kind: str = ""
    api_version: str = ""


class _List(Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


class _BudgetSpec(Struct, frozen=True, rename="camel"):
    min_available: int | str | None = None
    max_unavailable: int | str | None = None


class _Budget(Struct, frozen=True):
    spec: _BudgetSpec = _BudgetSpec()


class Snapshot(Struct, frozen=True):
    """A cluster as it was at `taken` (seconds since the epoch); see the module.

    Attributes:
        pools: by capacity class, instance type and zone.
        nodes: of each of these.
        namespaces, storage, owners, pods: as the core sees them; `pods` have a controller.
        budgets: with what they ask for.
        workloads: UIDs of the top owners, by name and by `namespace/name`.
        unknown: owners' kinds, with their group, that the snapshot does not hold.
        notes: what its reader should know.
        classes: how nodes are told apart.
        policies: policy objects.
    """

    taken: float
    pools: Mapping[PoolKey, PoolSpec]
    nodes: Mapping[PoolKey, Sequence[RawNode]]
    namespaces: Sequence[Namespace]
    storage: Sequence[Claim | Volume]
    owners: Sequence[Owner]
    pods: Sequence[Pod]
    budgets: Sequence[tuple[Budget, BudgetSpec]]
    workloads: Mapping[str, tuple[str, ...]]
    unknown: Sequence[tuple[str, str]]
    notes: tuple[str, ...]
    classes: ClassRules = ClassRules()
    policies: Sequence[PlacementPolicy] = ()

    def adopt(self, cluster: Cluster) -> None:
        """Bring the cluster to where this one was."""
        for group, kind in self.unknown:
            cluster.tell(Unavailable(group, kind))
        for thing in (*self.namespaces, *self.storage):
            cluster.api.put(thing)
        for policy in self.policies:
            cluster.api.put_policy(policy)
        # A scenario may call a pool otherwise.
        pools = {key_of(pool.sample()): pool for pool in cluster.pools.values()}
        for key, nodes in self.nodes.items():
            for raw in nodes:
                pools[key].adopt(raw)
        self._adopt_owners(cluster)
        for pod in self.pods:
            if pod.owner is not None:
                cluster.adopt_pod(pod, pod.owner)
        for budget, spec in self.budgets:
            cluster.budgets.add(budget, spec)

    def _own(self, pod: Pod) -> Constraints:
        """What the template of a pod demands: without the class that was written on it."""
        return own_demands(self.classes, pod.constraints) if pod.written else pod.constraints

    def _adopt_owners(self, cluster: Cluster) -> None:
        youngest: dict[str, Pod] = {}
        for pod in self.pods:
            uid = pod.owner.uid if pod.owner is not None else ""
            if uid not in youngest or pod.created > youngest[uid].created:
                youngest[uid] = pod
        revisions = []
        for owner in self.owners:
            sample = youngest.get(owner.uid)
            if owner.kind == "ReplicaSet" and owner.owner is not None and sample is None:
                # An old revision, kept for a way back.
                continue
            template = PodTemplate()
            if sample is not None:
                labels = tuple(sorted(sample.labels.items()))
                template = PodTemplate(sample.requests, labels, self._own(sample), sample.protection)
                revisions.append((sample.created, owner))
            if owner.kind != "Deployment":
                cluster.controllers.templates[owner.uid] = template
            # A rollout that is under way is found by its ReplicaSets.
            cluster.api.put(replace(owner, rolling=False))
        for _, owner in sorted(revisions, key=lambda each: (each[0], each[1].uid)):
            if owner.kind == "ReplicaSet" and owner.owner is not None:
                cluster.controllers.adopt(owner)


def parse_snapshot(data: bytes, origin: str, classes: ClassRules, prefixes: tuple[str, ...]) -> Snapshot:
    """Read a snapshot.

    Args:
        data: a v1 List, as JSON.
        origin: what errors call it, such as the file's name.
        classes: how nodes are told apart.
        prefixes: of our labels and annotations.

    Raises:
        WireError: it is none, or an object in it is of a bad shape.
    """
    try:
        items = msgspec.json.decode(data, type=_List).items or ()
        kinds = [(msgspec.json.decode(raw, type=_Item), raw) for raw in items]
    except msgspec.DecodeError as error:
        fix = "give what `kubectl get nodes,pods,... -A -o json` prints"
        raise WireError(f"{origin}: is no list of Kubernetes objects: {error}; {fix}") from error
    reader = _Reader(origin, classes, prefixes)
    by_kind: dict[tuple[str, str], list[msgspec.Raw]] = {}
    for item, raw in kinds:
        by_kind.setdefault((item.api_version, item.kind), []).append(raw)
    for (api_version, kind), raws in by_kind.items():
        reader.read(api_version, kind, raws)
    return reader.snapshot()


class _Reader:
    """Collects what a snapshot consists of."""

    def __init__(self, origin: str, classes: ClassRules, prefixes: tuple[str, ...]) -> None:
        self.origin = origin
        self.classes = classes
        self.decoders = Decoders(classes, prefixes)
        self.raw_nodes: list[RawNode] = []
        self.namespaces: list[Namespace] = []
        self.storage: list[Claim | Volume] = []
        self.owners: dict[str, Owner] = {}
        self.pods: list[Pod] = []
        self.budgets: list[tuple[Budget, BudgetSpec]] = []
        self.policies: list[PlacementPolicy] = []

    def read(self, api_version: str, kind: str, raws: Sequence[msgspec.Raw]) -> None:
        """Take in the objects of a kind."""
        group = api_version.rpartition("/")[0]
        key = RESOURCES.get(kind) or f"{kind.lower()}s" + (f".{group}" if group else "")
        page = b'{"items":[' + b",".join(bytes(raw) for raw in raws) + b"]}"
        try:
            if kind == "Node":
                self.raw_nodes += [msgspec.json.decode(raw, type=RawNode) for raw in raws]
                return
            objects = self.decoders.make(key, api_version, kind).page(page).objects
            specs = [msgspec.json.decode(raw, type=_Budget).spec for raw in raws] if key == BUDGETS else []
        except (WireError, ValueError) as error:
            raise WireError(f"{self.origin}: {kind}: {error}") from error
        for number, thing in enumerate(objects):
            self._take(thing, specs[number] if isinstance(thing, Budget) else None)

    def _take(self, thing: Object, spec: _BudgetSpec | None) -> None:
        if isinstance(thing, Pod):
            if not (thing.ended or thing.terminating):
                self.pods.append(thing)
        elif isinstance(thing, Namespace):
            self.namespaces.append(thing)
        elif isinstance(thing, Owner):
            if thing.kind not in NEVER_MANAGED:
                self.owners[thing.uid] = thing
        elif isinstance(thing, PlacementPolicy):
            self.policies.append(thing)
        elif isinstance(thing, Claim | Volume):
            self.storage.append(thing)
        elif isinstance(thing, Budget) and spec is not None:
            self.budgets.append(
                (thing, BudgetSpec(parse_amount(spec.min_available), parse_amount(spec.max_unavailable)))
            )

    def snapshot(self) -> Snapshot:
        """All of it."""
        fixed = [pod for pod in self.pods if pod.owner is None or pod.owner.kind in NEVER_MANAGED]
        pods = [pod for pod in self.pods if pod.owner is not None and pod.owner.kind not in NEVER_MANAGED]
        for ref in {pod.owner: None for pod in pods if pod.owner is not None and pod.owner.uid not in self.owners}:
            # Its kind is not in the snapshot: as many pods as there are is what it wants.
            self.owners[ref.uid] = self._stand_in(ref, [pod for pod in pods if pod.owner == ref])
        pools, nodes = self._pools(fixed)
        unknown = {
            (owner.owner.group, owner.owner.kind): None
            for owner in self.owners.values()
            if owner.owner is not None and owner.owner.uid not in self.owners
        }
        workloads: dict[str, tuple[str, ...]] = {}
        for owner in self.owners.values():
            if owner.owner is None or owner.owner.uid not in self.owners:
                for name in (owner.name, f"{owner.namespace}/{owner.name}"):
                    workloads[name] = (*workloads.get(name, ()), owner.uid)
        return Snapshot(
            taken=max((pod.created for pod in self.pods), default=0.0) + AFTER,
            pools=pools,
            nodes=nodes,
            namespaces=self.namespaces,
            storage=self.storage,
            owners=list(self.owners.values()),
            pods=pods,
            budgets=self.budgets,
            workloads=workloads,
            unknown=list(unknown),
            notes=tuple(
                f"{kind}s are not in the snapshot: what they control goes by its own annotations; "
                f"add {kind.lower()}s to the kubectl command"
                for _, kind in unknown
            ),
            classes=self.classes,
            policies=self.policies,
        )

    def _stand_in(self, ref: OwnerRef, pods: Sequence[Pod]) -> Owner:
        key = f"{ref.kind.lower()}s" + (f".{ref.group}" if ref.group else "")
        return Owner(ref.uid, key, ref.api_version, ref.kind, pods[0].namespace, ref.name, None, {}, {}, len(pods))

    def _pools(self, fixed: Iterable[Pod]) -> tuple[dict[PoolKey, PoolSpec], dict[PoolKey, list[RawNode]]]:
        taken: dict[str, list[Pod]] = {}
        for pod in fixed:
            if pod.node:
                taken.setdefault(pod.node, []).append(pod)
        pools: dict[PoolKey, PoolSpec] = {}
        nodes: dict[PoolKey, list[RawNode]] = {}
        for raw in self.raw_nodes:
            try:
                node = to_node(raw, self.classes, self.classes.labels)
            except ValueError as error:
                raise WireError(f"{self.origin}: Node {raw.metadata.name}: {error}") from error
            key = key_of(node)
            here = taken.get(node.name, ())
            daemons = [pod for pod in here if pod.owner is not None]
            if key not in pools:
                name = "-".join(part for part in key if part)
                left = _left(node.allocatable, node.max_pods, daemons)
                taints = tuple(raw.spec.taints or ())
                pools[key] = PoolSpec(name, dict(node.labels), left, 0, taints=taints)
            pools[key] = replace(pools[key], size=pools[key].size + 1)
            status = replace(raw.status, allocatable=_left(node.allocatable, node.max_pods, here))
            nodes.setdefault(key, []).append(replace(raw, status=status))
        return pools, nodes


def key_of(node: Node) -> PoolKey:
    """What tells a node's pool."""
    return (node.capacity_class, node.instance_type, node.zone)


def _left(offer: Requests, max_pods: int, pods: Sequence[Pod]) -> dict[str, str | int | float]:
    """What is left of a node's offer beside some pods."""
    extended: Counter[str] = Counter(dict(offer.extended))
    for pod in pods:
        extended.subtract(dict(pod.requests.extended))
    return {
        "cpu": f"{offer.cpu - sum(pod.requests.cpu for pod in pods)}m",
        "memory": offer.memory - sum(pod.requests.memory for pod in pods),
        "ephemeral-storage": offer.ephemeral - sum(pod.requests.ephemeral for pod in pods),
        "pods": max_pods - len(pods),
        **extended,
    }
