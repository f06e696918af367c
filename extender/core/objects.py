"""The cluster's objects, reduced to what a decision needs.

Immutable facts as the watch delivers them. `extender.wire` makes them from bytes; `extender.core.state` keeps
its own compact records of them.
"""

from collections.abc import Mapping

from msgspec import Struct

EMPTY: Mapping[str, str] = {}


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


class Taint(Struct, frozen=True, gc=False):
    """A node taint; `effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


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

    `going_away` is the marker that says so (a taint key, a condition, `deletionTimestamp`), or empty. `marks` are the
    labels, with their values, that class rules ask about, in the rules' order.
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


class Pod(Struct, frozen=True, gc=False):
    """A pod as the watch sees it.

    `ended` is true for Succeeded and Failed. `cost` is the value of the pod-deletion-cost annotation, or None.
    `created` is in seconds since the epoch. `unscheduled` is true while PodScheduled is False.
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


class Owner(Struct, frozen=True, gc=False):
    """An object that controls pods, or controls such an object.

    `labels` and `annotations` hold only the keys under our prefixes. `replicas` is what the spec asks for: replicas,
    a Job's parallelism bounded by what is left to complete; None where the kind has no such field.
    `first_ordinal` is a StatefulSet's `spec.ordinals.start`. `resource` is the key of the watched resource it came from
    (`replicasets.apps`).
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

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return group_of(self.api_version)


class Namespace(Struct, frozen=True, gc=False):
    """A namespace with its labels and annotations under our prefixes."""

    uid: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


Object = Node | Pod | Owner | Namespace
