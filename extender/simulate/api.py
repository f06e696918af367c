"""The API server of the virtual cluster: what there is, and who is told when it changes."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.constraints import NO_CONSTRAINTS, Constraints
from extender.core.model.objects import (
    EMPTY,
    Announcement,
    Budget,
    Claim,
    Namespace,
    Node,
    Owner,
    OwnerRef,
    Pod,
    Protection,
    Requests,
    Volume,
)
from extender.core.model.policies import PlacementPolicy
from extender.core.state.events import Event, Gone, Upsert
from extender.simulate.clock import Clock


class Cause(Enum):
    """Who ended a pod."""

    CONTROLLER = "controller"
    SPOTMIX = "spotmix"
    REPLACED = "replaced"
    NODE = "node"
    OWN = "own"


class PodTemplate(Struct, frozen=True):
    """What the pods of a workload are like.

    `start` is how long a pod takes from its binding to being ready, `stop` how long it takes to end, which its `grace`
    bounds (seconds). `run` is how long a Job's pod works before it succeeds; 0 is for ever. `gates` are the scheduling
    gates that a pod is created with.
    """

    requests: Requests = Requests()
    labels: "tuple[tuple[str, str], ...]" = ()
    constraints: Constraints = NO_CONSTRAINTS
    protection: Protection | None = None
    gates: tuple[str, ...] = ()
    start: float = 10.0
    stop: float = 5.0
    grace: float = 30.0
    run: float = 0.0


class VirtualPod(Struct, eq=False):
    """A pod as it really is.

    `created`, `ready_since` and `unscheduled_since` are in seconds since the epoch. `serving` is whether it works: it
    may be down before anybody has noticed. `cause` is who ended it. `gates` are the scheduling gates that it still has.
    Where its class was `written` it `demands` more of its node than its template.
    """

    uid: str
    namespace: str
    name: str
    owner: OwnerRef | None
    template: PodTemplate
    labels: Mapping[str, str]
    created: float
    node: str = ""
    running: bool = False
    ready: bool = False
    serving: bool = False
    ready_since: float = 0.0
    ended: bool = False
    terminating: bool = False
    due: float = 0.0
    unscheduled_since: float | None = None
    nominated: str = ""
    cost: str | None = None
    cause: Cause | None = None
    gates: tuple[str, ...] = ()
    written: str = ""
    demands: Constraints | None = None

    @property
    def constraints(self) -> Constraints:
        """What it demands of its node, its class included."""
        return self.demands or self.template.constraints

    @property
    def node_name(self) -> str:
        """As in `PodRecord`."""
        return self.node

    @property
    def owner_uid(self) -> str:
        """The UID of its controller; empty where it has none."""
        return self.owner.uid if self.owner is not None else ""

    @property
    def pending(self) -> bool:
        """Whether its phase is Pending."""
        return not (self.running or self.ended)

    def fact(self) -> Pod:
        """The pod as the watch shows it."""
        template = self.template
        return Pod(
            uid=self.uid,
            namespace=self.namespace,
            name=self.name,
            node=self.node,
            owner=self.owner,
            terminating=self.terminating,
            ended=self.ended,
            ready=self.ready,
            unscheduled=self.unscheduled_since is not None and not self.node,
            nominated=self.nominated,
            cost=self.cost,
            # The API server keeps whole seconds.
            created=float(int(self.created)),
            requests=template.requests,
            labels=self.labels,
            constraints=self.constraints,
            pending=self.pending,
            due=self.due,
            protection=template.protection,
            ready_after=int(self.ready_since) - int(self.created) if self.ready else 0,
            scheduler=None if self.gates else "",
            gates=self.gates,
            written=self.written,
        )


class Watcher:
    """Is told of changes, the moment they are made. A watcher that acts on one does so later, by the clock."""

    def pod(self, pod: VirtualPod, event: Event) -> None:
        """A pod was added, changed (Upsert) or removed (Gone)."""

    def other(self, event: Event) -> None:
        """Any other object was added, changed or removed."""


class VirtualApi:
    """Keeps the virtual objects and tells watchers of changes.

    Args:
        clock: virtual time.

    Attributes:
        admit: changes what the pods of an owner are like when one is created, as a mutating webhook does.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.nodes: dict[str, Node] = {}
        self.pods: dict[str, VirtualPod] = {}
        self.owners: dict[str, Owner] = {}
        self.budgets: dict[str, Budget] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.policies: dict[str, PlacementPolicy] = {}
        self.watchers: list[Watcher] = []
        self.admit: Callable[[str, OwnerRef, PodTemplate], PodTemplate] = lambda _namespace, _owner, template: template
        self._by_owner: dict[str, dict[str, VirtualPod]] = {}
        self._by_node: dict[str, dict[str, VirtualPod]] = {}
        self._by_name: dict[tuple[str, str], VirtualPod] = {}
        self._labels: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self._made = 0

    def new_uid(self, kind: str) -> str:
        """A UID that was not used yet."""
        self._made += 1
        return f"{kind}-{self._made:07d}"

    # Pods

    def pods_of(self, owner: str) -> Iterable[VirtualPod]:
        """The pods that an owner (by UID) controls, in the order of their creation."""
        return list(self._by_owner.get(owner, {}).values())

    def pods_on(self, node: str) -> Iterable[VirtualPod]:
        """The pods bound to a node."""
        return list(self._by_node.get(node, {}).values())

    def pod_named(self, namespace: str, name: str) -> VirtualPod | None:
        """The pod of a name."""
        return self._by_name.get((namespace, name))

    def create_pod(self, namespace: str, name: str, owner: OwnerRef | None, template: PodTemplate) -> VirtualPod:
        """Create a pod; it is given a name that begins with `name` when that ends with a dash."""
        uid = self.new_uid("pod")
        if owner is not None:
            template = self.admit(namespace, owner, template)
        if name.endswith("-"):
            name += uid.rpartition("-")[2]
        labels = self._labels.setdefault(template.labels, dict(template.labels))
        pod = VirtualPod(uid, namespace, name, owner, template, labels, self.clock.now, gates=template.gates)
        self.pods[uid] = pod
        self._by_owner.setdefault(pod.owner_uid, {})[uid] = pod
        self._by_name[namespace, name] = pod
        self.changed(pod)
        return pod

    def adopt_pod(self, pod: Pod, owner: OwnerRef, template: PodTemplate) -> VirtualPod:
        """Take over a pod as it is."""
        selector, terms = pod.constraints.node_selector, pod.constraints.node_terms
        found = VirtualPod(
            pod.uid,
            pod.namespace,
            pod.name,
            owner,
            template,
            pod.labels,
            pod.created,
            pod.node,
            running=not pod.pending,
            ready=pod.ready,
            serving=pod.ready,
            ready_since=pod.created + pod.ready_after,
            nominated=pod.nominated,
            cost=pod.cost,
            gates=pod.gates,
            written=pod.written,
            demands=replace(template.constraints, node_selector=selector, node_terms=terms),
        )
        self.pods[pod.uid] = found
        self._by_owner.setdefault(owner.uid, {})[pod.uid] = found
        self._by_name[pod.namespace, pod.name] = found
        if pod.node:
            self._by_node.setdefault(pod.node, {})[pod.uid] = found
        self.changed(found)
        return found

    def changed(self, pod: VirtualPod) -> None:
        """A pod's fields were written."""
        event = Upsert(pod.fact())
        for watcher in self.watchers:
            watcher.pod(pod, event)

    def bind(self, pod: VirtualPod, node: str) -> bool:
        """Bind a pod; False when it, or the node, is gone or the pod is bound already."""
        if pod.uid not in self.pods or pod.terminating or pod.node or node not in self.nodes:
            return False
        pod.node = node
        pod.nominated = ""
        self._by_node.setdefault(node, {})[pod.uid] = pod
        self.changed(pod)
        return True

    def delete_pod(self, pod: VirtualPod, cause: Cause) -> None:
        """Delete a pod gracefully; one that no kubelet has is gone at once."""
        if pod.uid not in self.pods or pod.terminating:
            return
        pod.cause = cause
        if not pod.node:
            self.remove_pod(pod)
            return
        pod.terminating = True
        pod.due = self.clock.now + pod.template.grace
        self.changed(pod)

    def remove_pod(self, pod: VirtualPod) -> None:
        """Remove a pod for good."""
        if self.pods.pop(pod.uid, None) is None:
            return
        pod.ready = pod.serving = False
        self._by_owner[pod.owner_uid].pop(pod.uid)
        if not self._by_owner[pod.owner_uid]:
            del self._by_owner[pod.owner_uid]
        if pod.node:
            self._by_node[pod.node].pop(pod.uid)
        if self._by_name.get((pod.namespace, pod.name)) is pod:
            del self._by_name[pod.namespace, pod.name]
        event = Gone("pods", pod.uid)
        for watcher in self.watchers:
            watcher.pod(pod, event)

    # Other objects

    def put(self, thing: Node | Owner | Namespace | Budget | Claim | Volume) -> None:
        """Create or replace an object."""
        if isinstance(thing, Node):
            self.nodes[thing.name] = thing
        elif isinstance(thing, Owner):
            self.owners[thing.uid] = thing
        elif isinstance(thing, Budget):
            self.budgets[thing.uid] = thing
        elif isinstance(thing, Namespace):
            self.namespaces[thing.name] = thing
        self._tell(Upsert(thing))

    def apply_policy(self, policy: PlacementPolicy) -> None:
        """Create a policy object, or change the spec of its namesake."""
        old = next((each for each in self.policies.values() if each.title == policy.title), None)
        if old is not None:
            there = replace(policy, uid=old.uid, created=old.created, generation=old.generation + 1)
        else:
            there = replace(policy, uid=f"policy {policy.title}", created=self.clock.now, generation=1)
        self.put_policy(there)

    def put_policy(self, policy: PlacementPolicy) -> None:
        """Have a policy object there as it is."""
        self.policies[policy.uid] = policy
        self._tell(Upsert(policy))

    def delete_policy(self, uid: str) -> None:
        """Delete a policy object."""
        policy = self.policies.pop(uid)
        self._tell(Gone(policy.resource, uid))

    def announce(self, said: Announcement) -> None:
        """An autoscaler says something about a pod, by an Event."""
        self._tell(Upsert(said))

    def remove_node(self, name: str) -> None:
        """Delete a node; its pods, which nobody runs any more, go with it."""
        node = self.nodes.pop(name, None)
        if node is None:
            return
        self._tell(Gone("nodes", node.uid))
        for pod in self.pods_on(name):
            pod.cause = pod.cause or Cause.NODE
            self.remove_pod(pod)
        self._by_node.pop(name, None)

    def remove_owner(self, uid: str) -> None:
        """Delete an owner that has no pods left."""
        owner = self.owners.pop(uid, None)
        if owner is not None:
            self._tell(Gone(owner.resource, uid))

    def edit_owner(self, uid: str, **fields: object) -> None:
        """Write fields of an owner, if any differs."""
        owner = self.owners[uid]
        if any(getattr(owner, name) != value for name, value in fields.items()):
            self.put(replace(owner, **fields))

    def _tell(self, event: Event) -> None:
        for watcher in self.watchers:
            watcher.other(event)


def make_owner(
    kind: str, namespace: str, name: str, uid: str, *, replicas: int | None, owner: OwnerRef | None = None
) -> Owner:
    """An owner without labels and annotations."""
    group = "batch" if kind == "Job" else "apps"
    return Owner(
        uid=uid,
        resource=f"{kind.lower()}s.{group}",
        api_version=f"{group}/v1",
        kind=kind,
        namespace=namespace,
        name=name,
        owner=owner,
        labels=EMPTY,
        annotations=EMPTY,
        replicas=replicas,
    )
