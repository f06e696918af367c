"""Policies as objects: a PlacementPolicy or ClusterPlacementPolicy as the watch delivers it, its status included."""

from collections.abc import Iterable

from msgspec import Struct

from extender.core.model.selectors import LabelSelector

GROUP, VERSION = "spotmix.io", "v1alpha1"
PLACEMENT_POLICIES = f"placementpolicies.{GROUP}"
CLUSTER_PLACEMENT_POLICIES = f"clusterplacementpolicies.{GROUP}"
EVERYTHING = LabelSelector()
_SHORT = {"PlacementPolicy": "pp", "ClusterPlacementPolicy": "cpp"}


def short_titles(titles: Iterable[str]) -> str:
    """Policy objects by their titles as kubectl takes them, `pp/web, cpp/all`; empty for none."""
    parts = (title.partition(" ") for title in titles)
    return ", ".join(f"{_SHORT.get(kind, kind)}/{name.rpartition('/')[2]}" for kind, _, name in parts)


class ClassWish(Struct, frozen=True, gc=False):
    """A class of `spec.classes`. `most` and `most_per_pool` are as written (`4`, `80%`), empty where nothing is.

    A `weight` of 0 is another than none: with a cap it has what is left, without a weight the first there are.
    """

    name: str
    weight: int | None = None
    base: int = 0
    most: str = ""
    most_per_pool: str = ""


class LimitWish(Struct, frozen=True, gc=False):
    """A limit of `spec.limits`; `most` is as written (`100`, `500m`)."""

    capacity_class: str
    resource: str
    most: str


class PolicySpec(Struct, frozen=True, gc=False):
    """The `spec` of a policy but for whom it is for, as written; texts are empty and numbers None where nothing is.

    `malformed` says what is wrong with its shape: then the rest is empty.
    """

    classes: tuple[ClassWish, ...] = ()
    count: str = "Workload"
    action: str = ""
    after: str = ""
    stand_ins: tuple[str, ...] = ()
    schedule: str = ""
    duration: str = ""
    timezone: str = ""
    moves_per_hour: int | None = None
    on_demand_after: int | None = None
    limits: tuple[LimitWish, ...] = ()
    mode: str = ""
    malformed: str = ""


class PolicyCondition(Struct, frozen=True, gc=False):
    """A condition of a status; `since` is its lastTransitionTime as written there."""

    type: str
    status: str
    reason: str
    message: str
    since: str = ""


class ClassCount(Struct, frozen=True, gc=False):
    """Replicas of a class: those that are to be there, and those that are."""

    name: str
    wanted: int
    actual: int


class RunCounts(Struct, frozen=True, gc=False):
    """The runs of a policy: pods that got a node, each counted once, by the class of that.

    `counts` are by class. Counted are all that were bound at `until` or before (seconds since the epoch), and `pods`,
    the UIDs of others, each with the second in which it was bound.
    """

    counts: tuple[tuple[str, int], ...] = ()
    until: int = -1
    pods: tuple[tuple[str, int], ...] = ()


class PolicyStatus(Struct, frozen=True, gc=False):
    """The `status` of a policy, as it is in the cluster or is to be; `generation` is that of the spec it is about.

    `runs` are None where they are not counted, `lost` the pods (UIDs) of each Job (UID) that interruptions took.
    """

    generation: int = 0
    conditions: tuple[PolicyCondition, ...] = ()
    workloads: int = 0
    replicas: int = 0
    classes: tuple[ClassCount, ...] = ()
    runs: RunCounts | None = None
    lost: tuple[tuple[str, tuple[str, ...]], ...] = ()


class PlacementPolicy(Struct, frozen=True, gc=False):
    """A policy; `namespace` is empty for a ClusterPlacementPolicy, and `namespaces` selects everything for the other.

    `selector` is over the labels of workloads. `created` is in seconds since the epoch. `version` is the object's
    resourceVersion.
    """

    uid: str
    namespace: str
    name: str
    created: float = 0.0
    generation: int = 0
    priority: int = 0
    selector: LabelSelector = EVERYTHING
    namespaces: LabelSelector = EVERYTHING
    spec: PolicySpec = PolicySpec()
    status: PolicyStatus = PolicyStatus()
    version: str = ""

    @property
    def resource(self) -> str:
        """The key of the watched resource that it came from."""
        return PLACEMENT_POLICIES if self.namespace else CLUSTER_PLACEMENT_POLICIES

    @property
    def kind(self) -> str:
        """PlacementPolicy or ClusterPlacementPolicy."""
        return "PlacementPolicy" if self.namespace else "ClusterPlacementPolicy"

    @property
    def title(self) -> str:
        """What people call it: `PlacementPolicy shop/web`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sorts those that match at one level: the one that wins first."""
        return -self.priority, self.created, self.name

    def same_but_status(self, other: "PlacementPolicy") -> bool:
        """Whether both say the same: a status is what we say about it."""
        return (self.generation, self.priority, self.selector, self.namespaces, self.spec) == (
            other.generation,
            other.priority,
            other.selector,
            other.namespaces,
            other.spec,
        )
