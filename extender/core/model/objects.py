"""The cluster's objects, reduced to what a decision needs.

Immutable facts as the watch delivers them. `extender.wire` makes them from bytes; `extender.core.state.state` keeps
its own compact records of them.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.constraints import NO_CONSTRAINTS, Constraints
from extender.core.model.policies import PlacementPolicy
from extender.core.model.selectors import LabelSelector, Requirement
from extender.core.model.taints import Taint

# A plain empty dict would be copied into every Struct that has it as a default.
EMPTY: Mapping[str, str] = MappingProxyType({})


def group_of(api_version: str) -> str:
    """The group of an `apiVersion` as objects write it: `apps` of `apps/v1`, empty for `v1`."""
    return api_version.rpartition("/")[0]


class OwnerRef(Struct, frozen=True, gc=False):
    """The controlling ownerReference of an object.

    `api_version` is as written there (`apps/v1`), `kind` the CamelCase kind.
    """

    uid: str
    api_version: str
    kind: str
    name: str

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return group_of(self.api_version)

    def is_a(self, group: str, kind: str) -> bool:
        """Whether it is of a kind."""
        return self.kind == kind and self.group == group

    def within(self, namespace: str) -> "OwnerRef":
        """It as the owner of its pods in one of several namespaces, with a UID of its own.

        Only objects of cluster-scoped kinds control pods in several. Whoever names another one from elsewhere is apart
        from its own pods by that.
        """
        return replace(self, uid=f"{self.uid}/{namespace}")


class PodId(Struct, frozen=True, gc=False):
    """One pod, and no namesake of it."""

    namespace: str
    name: str
    uid: str


class Requests(Struct, frozen=True, gc=False):
    """What a pod asks of a node, or what a node offers.

    `cpu` in millicores, `memory` and `ephemeral` in bytes, `extended` as sorted (name, amount) pairs.
    """

    cpu: int = 0
    memory: int = 0
    ephemeral: int = 0
    extended: tuple[tuple[str, int], ...] = ()


class Node(Struct, frozen=True):
    """A node: its capacity class, where it is, what it offers, and whether it is going away.

    `going_away` is the marker that says so (a taint key, a condition, `deletionTimestamp`), or empty. `marks` are
    the labels, with their values, that class rules ask about, in the rules' order. `ready` is the Ready condition,
    True while there is none; `since` is when that was last changed, else when the node was created (seconds since
    the epoch). It is `starting` as long as it has never been Ready. `interruptible` says that its platform may take
    it back, as spot nodes; `reclaimed`, that it is about to; `interrupted`, that both are so and nobody else drains
    it. `doubt` is what speaks against its class, for people, or empty; so is `autoscaler`, what its labels say of
    one. `provider` is a key of `PROVIDERS`, or empty.
    """

    uid: str
    name: str
    capacity_class: str
    instance_type: str
    zone: str
    going_away: str
    unschedulable: bool
    taints: tuple[Taint, ...]
    labels: Mapping[str, str]
    allocatable: Requests
    max_pods: int
    marks: tuple[tuple[str, str], ...] = ()
    ready: bool = True
    since: float = 0.0
    starting: bool = False
    interrupted: bool = False
    reclaimed: bool = False
    doubt: str = ""
    autoscaler: str = ""
    provider: str = ""
    interruptible: bool = False


class Notice(Struct, frozen=True, gc=False):
    """An Event that says a node is interrupted: `name` and `about` are the node's name and UID as the Event has them.

    `at` is when (seconds since the epoch). `deliberate` Events are posted too where a node is given back on purpose. A
    `void` one says nothing of the kind. `uid` is that of the Event.
    """

    uid: str
    about: str
    name: str
    at: float
    deliberate: bool = False
    void: bool = False


class Protection(Struct, frozen=True, gc=False):
    """An annotation that forbids to move a pod: its key and value.

    `until` is when it ends (seconds since the epoch), None for never. One that is `malformed` protects all the same.
    """

    key: str
    value: str
    until: float | None = None
    malformed: bool = False

    def holds(self, now: float) -> bool:
        """Whether it protects at `now`."""
        return self.until is None or now < self.until


class OptOut(Struct, frozen=True, gc=False):
    """What an annotation says that forbids to move pods: `lasts` are seconds from a pod's creation, None is for ever.

    One that is `malformed` protects all the same.
    """

    key: str
    value: str
    lasts: float | None = None
    malformed: bool = False

    def of_pod(self, created: float) -> Protection:
        """What it means for a pod that was created then (seconds since the epoch)."""
        return Protection(self.key, self.value, None if self.lasts is None else created + self.lasts, self.malformed)


class Pod(Struct, frozen=True, gc=False):
    """A pod as the watch sees it.

    `ended` is true for Succeeded and Failed. `cost` is the value of the pod-deletion-cost annotation, or None.
    `created` is in seconds since the epoch. `unscheduled` is true while PodScheduled is False because a scheduler
    found no node, `pending` while the phase is Pending. `due` is the deletionTimestamp: when the pod should be
    gone, its grace period included (seconds since the epoch; 0 when it is not terminating). `ready_after` is how
    many seconds after its creation a `ready` pod became so. `scheduler` is the name of the one that places it, None
    while its scheduling `gates` keep all from it. `written` is the capacity class that Spotmix wrote on it, empty
    while it wrote none. `bound` is when it got its node (seconds since the epoch; 0 where it has none). `failed` is
    true once it Failed, `disrupted` once something that is no fault of its own ends it: its node goes, or is drained.
    Equal `labels` and `constraints` are shared objects.
    """

    uid: str
    namespace: str
    name: str
    node: str
    owner: OwnerRef | None
    terminating: bool
    ended: bool
    ready: bool
    unscheduled: bool
    nominated: str
    cost: str | None
    created: float
    requests: Requests
    labels: Mapping[str, str] = EMPTY
    constraints: Constraints = NO_CONSTRAINTS
    pending: bool = False
    due: float = 0.0
    protection: Protection | None = None
    ready_after: int = 0
    scheduler: str | None = ""
    gates: tuple[str, ...] = ()
    written: str = ""
    bound: float = 0.0
    failed: bool = False
    disrupted: bool = False


class Owner(Struct, frozen=True, gc=False):
    """An object that controls pods, or controls such an object.

    `labels` and `annotations` hold only the keys under our prefixes; `all_labels` are for selectors, and left out of a
    Deployment's ReplicaSets. `replicas` is how many it asks for: its size, what a Job's controller still wants; None
    where nobody says. `first_ordinal` is a StatefulSet's `spec.ordinals.start`.
    `resource` is the key of the watched resource it came from (`replicasets.apps`).
    `rolling` is true while its status says that a rollout is under way or not yet seen, `resting` while one is stopped
    half-way. `created` is in seconds since the epoch. `tail` is true of a Job that makes fewer pods than it began with,
    so that chance says which are left. `revision` is the number that a rollout gave a ReplicaSet, the higher the newer;
    0 where none did.
    """

    uid: str
    resource: str
    api_version: str
    kind: str
    namespace: str
    name: str
    owner: OwnerRef | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    replicas: int | None = None
    first_ordinal: int = 0
    rolling: bool = False
    created: float = 0.0
    resting: bool = False
    tail: bool = False
    all_labels: Mapping[str, str] = EMPTY
    revision: int = 0

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return group_of(self.api_version)

    @property
    def ref(self) -> OwnerRef:
        """The reference that what it controls carries."""
        return OwnerRef(self.uid, self.api_version, self.kind, self.name)


class Namespace(Struct, frozen=True, gc=False):
    """A namespace with its labels and annotations under our prefixes; `all_labels` are for namespace selectors."""

    uid: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    all_labels: Mapping[str, str] = EMPTY


MAX_DISRUPTED = 2000
"""How many evictions a budget may have under way that its controller has not confirmed (`MaxDisruptedPodSize`)."""


class Budget(Struct, frozen=True, gc=False):
    """A PodDisruptionBudget.

    `selector` None selects nothing. `allowed` is status.disruptionsAllowed. `current` is false while the status is of
    an older generation than the spec, or was never written. `always_allow_unhealthy` is the AlwaysAllow
    unhealthyPodEvictionPolicy; `healthy` says that as many pods are healthy as it asks for, one at least: by the other
    policy it does not guard pods that are not ready then. `overfull` says that more than `MAX_DISRUPTED` evictions are
    not confirmed yet.
    """

    uid: str
    namespace: str
    name: str
    selector: LabelSelector | None
    allowed: int
    current: bool
    always_allow_unhealthy: bool = False
    healthy: bool = False
    overfull: bool = False

    @property
    def guards_unready(self) -> bool:
        """Whether it guards a pod that is not ready, too."""
        return not self.always_allow_unhealthy and not self.healthy


class Claim(Struct, frozen=True, gc=False):
    """A PersistentVolumeClaim; `volume` is the PersistentVolume it is bound to.

    That is empty while it is unbound, and once the claim is being deleted or has lost its volume: no new pod gets it
    then. `one_pod` says that one pod alone may use it (ReadWriteOncePod).
    """

    uid: str
    namespace: str
    name: str
    volume: str
    one_pod: bool = False


class Volume(Struct, frozen=True, gc=False):
    """A PersistentVolume; `terms` are its required node affinity as in `Constraints.node_terms`.

    `zones` are labels that say where it is, each with the values of which a node has to have one. `driver` and `handle`
    name it to its CSI driver, empty when it has none; `one_node` says that it is attached to one node at a time.
    `unmodelled` is one whose place is told by its driver in other ways.
    """

    uid: str
    name: str
    terms: tuple[tuple[Requirement, ...], ...] | None = None
    zones: tuple[tuple[str, frozenset[str]], ...] = ()
    driver: str = ""
    handle: str = ""
    one_node: bool = False
    unmodelled: bool = False


class AttachLimits(Struct, frozen=True, gc=False):
    """A CSINode: how many volumes of each CSI driver can be attached to the node `name`, where there is a limit."""

    uid: str
    name: str
    limits: Mapping[str, int]


class NodeClaim(Struct, frozen=True, gc=False):
    """A node that Karpenter launches, before and while there is one.

    `capacity_class` is the one that its node will be of, empty while it may be of several. `labels` are the values that
    each label of the node may have. `asked` is what the pods need that it is launched for, `offered` what the node will
    have, empty until it is launched. `registered` says that there is a node, `node` its name; `ready` that pods may be
    placed on it; `going` that it is being deleted. `created` is in seconds since the epoch.
    """

    uid: str
    name: str
    created: float
    capacity_class: str
    labels: Mapping[str, tuple[str, ...]]
    taints: tuple[Taint, ...] = ()
    asked: Requests = Requests()
    offered: Requests = Requests()
    node: str = ""
    launched: bool = False
    registered: bool = False
    ready: bool = False
    going: bool = False


class Announcement(Struct, frozen=True, gc=False):
    """What an autoscaler said, by an Event, about a pod or a NodeClaim; `about` is its UID, `uid` the Event's.

    `namespace` and `name` are of what it is about; a NodeClaim has no namespace. `coming` says that a node comes for
    the pod, else there will be none; `text` is the reason, in one line. `claim` is the NodeClaim that comes, where one
    is named. `at` is when it was said, for the last time (seconds since the epoch). It is `void` when it is somebody
    else's that only looks like one.
    """

    uid: str
    about: str
    namespace: str
    name: str
    coming: bool
    text: str
    at: float
    claim: str = ""
    void: bool = False


class NodePool(Struct, frozen=True, gc=False):
    """A NodePool of Karpenter: which nodes it may launch.

    `offers` are their capacity classes, each with its `marks` as of `Node`; `taints` are those of all of them.
    """

    uid: str
    name: str
    offers: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    taints: tuple[Taint, ...] = ()


Object = (
    Node
    | Pod
    | Owner
    | Namespace
    | Budget
    | Claim
    | Volume
    | AttachLimits
    | NodeClaim
    | NodePool
    | Announcement
    | Notice
    | PlacementPolicy
)
