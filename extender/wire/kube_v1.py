"""Kubernetes objects as partial Structs: only the fields a decision uses are decoded.

Lists may be null and quantities may be numbers: the API server's own output never is like that, what passes through
other people's hands may be.
"""

from collections.abc import Iterable
from datetime import datetime
from sys import intern
from typing import Any

from msgspec import Raw, Struct

from extender.core.objects import OwnerRef, Requests
from extender.core.quantity import parse_quantity
from extender.core.taints import Taint

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
Quantities = dict[str, str | int | float]


class OwnerReference(Struct, frozen=True, rename="camel", gc=False):
    """`metadata.ownerReferences[]`."""

    uid: str
    kind: str
    name: str
    api_version: str = ""
    controller: bool | None = None


class Identity(Struct, frozen=True, rename="camel"):
    """`metadata` without labels and annotations: a cluster's pods have many of them, and hardly any is used."""

    uid: str = ""
    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    owner_references: list[OwnerReference] | None = None

    def controller(self) -> OwnerRef | None:
        """The owner that controls the object, if any."""
        return controller_of(self.owner_references)

    def created(self) -> float:
        """Seconds since the epoch, 0 when absent."""
        return self.creation_timestamp.timestamp() if self.creation_timestamp else 0.0


def controller_of(references: Iterable[OwnerReference] | None) -> OwnerRef | None:
    """The one of an object's owners that controls it, if any."""
    for ref in references or ():
        if ref.controller:
            return OwnerRef(intern(ref.uid), intern(ref.api_version), intern(ref.kind), intern(ref.name))
    return None


class Metadata(Identity, frozen=True, rename="camel"):
    """`metadata`."""

    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Resources(Struct, frozen=True, gc=False):
    """`resources`."""

    requests: Quantities | None = None


class ContainerPort(
    Struct,
    frozen=True,
    gc=False,
    rename={"host_port": "hostPort", "container_port": "containerPort", "host_ip": "hostIP"},
):
    """`ports[]` of a container."""

    host_port: int | None = None
    container_port: int = 0
    protocol: str | None = None
    host_ip: str | None = None


class Container(Struct, frozen=True, rename="camel", gc=False):
    """A container or init container."""

    resources: Resources | None = None
    restart_policy: str | None = None
    ports: list[ContainerPort] | None = None


class Condition(Struct, frozen=True, gc=False):
    """A condition of a node or pod."""

    type: str = ""
    status: str = ""
    reason: str | None = None


class TimedCondition(Condition, frozen=True, rename="camel", gc=False):
    """A condition with the time of its last change."""

    last_transition_time: datetime | None = None


class PodSpec(Struct, frozen=True, rename="camel", gc=False):
    """What a pod asks for. `resources` at pod level override the sum of its containers (KEP-2837)."""

    node_name: str | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    overhead: Quantities | None = None
    resources: Resources | None = None


class RawTaint(Struct, frozen=True, gc=False):
    """`spec.taints[]`."""

    key: str = ""
    effect: str = ""
    value: str | None = None

    def taint(self) -> Taint:
        """The core type."""
        return Taint(self.key, self.value or "", self.effect)


class NodeSpec(Struct, frozen=True, gc=False):
    """What was configured for a node."""

    unschedulable: bool | None = None
    taints: list[RawTaint] | None = None


class NodeStatus(Struct, frozen=True, gc=False):
    """What a node offers."""

    allocatable: Quantities | None = None
    conditions: list[TimedCondition] | None = None


class RawNode(Struct, frozen=True):
    """A node."""

    metadata: Metadata
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Ordinals(Struct, frozen=True, gc=False):
    """`spec.ordinals` of a StatefulSet."""

    start: int | None = None


class RollingUpdate(Struct, frozen=True, gc=False):
    """`rollingUpdate` of a StatefulSet: pods of a lower ordinal keep the former revision."""

    partition: int | None = None


class UpdateStrategy(Struct, frozen=True, rename="camel", gc=False):
    """`updateStrategy` of a StatefulSet."""

    rolling_update: RollingUpdate | None = None


class OwnerSpec(Struct, frozen=True, rename="camel", gc=False):
    """What every kind of workload may say about its size. A custom kind may mean anything by `replicas`."""

    replicas: Any = None
    parallelism: int | None = None
    completions: int | None = None
    ordinals: Ordinals | None = None
    update_strategy: UpdateStrategy | None = None


class OwnerStatus(Struct, frozen=True, rename="camel", gc=False):
    """How far a workload is. A custom kind may mean anything by these names."""

    succeeded: Any = None
    observed_generation: Any = None
    replicas: Any = None
    updated_replicas: Any = None
    current_revision: Any = None
    update_revision: Any = None


class OwnerMetadata(Metadata, frozen=True, rename="camel"):
    """`metadata` of a workload object."""

    generation: int = 0


class RawOwner(Struct, frozen=True):
    """A workload object of any kind."""

    metadata: OwnerMetadata
    spec: OwnerSpec = OwnerSpec()
    status: OwnerStatus = OwnerStatus()


class RawCustomOwner(Struct, frozen=True):
    """A workload object of a kind that is not built in: `spec` and `status` may be anything."""

    metadata: OwnerMetadata
    spec: Raw = Raw()
    status: Raw = Raw()


class RawNamespace(Struct, frozen=True):
    """A namespace."""

    metadata: Metadata


class ListMeta(Struct, frozen=True, rename={"resource_version": "resourceVersion", "token": "continue"}):
    """`metadata` of a list."""

    resource_version: str = ""
    token: str = ""


_NONE = Requests()
_ZERO: dict[str, int] = {}


def _amounts(quantities: Quantities | None) -> dict[str, int]:
    """Resource name to amount: millicores for cpu, else units."""
    if not quantities:
        return _ZERO
    return {name: parse_quantity(str(q), 1000 if name == "cpu" else 1) for name, q in quantities.items()}


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


_interned: dict[Requests, Requests] = {}


def to_requests(amounts: dict[str, int]) -> Requests:
    """Amounts as an interned `Requests`: a cluster's pods ask for few different things."""
    if not amounts:
        return _NONE
    extended = tuple(
        sorted(
            (name, amount)
            for name, amount in amounts.items()
            if name not in ("cpu", "memory", "ephemeral-storage", "pods") and amount
        )
    )
    requests = Requests(amounts.get("cpu", 0), amounts.get("memory", 0), amounts.get("ephemeral-storage", 0), extended)
    if len(_interned) > 10_000:
        _interned.clear()
    return _interned.setdefault(requests, requests)


def allocatable(status: NodeStatus) -> tuple[Requests, int]:
    """What a node offers, and the most pods it takes."""
    amounts = _amounts(status.allocatable)
    return to_requests(amounts), amounts.get("pods", 0)


def pod_requests(spec: PodSpec) -> Requests:
    """What a pod asks for, as the scheduler counts it.

    The greater of the sum of containers and sidecars, and of each init container with the sidecars started before it,
    plus overhead; pod-level requests override (`k8s.io/component-helpers/resource/helpers.go`, `PodRequests`).

    Raises:
        ValueError: a quantity is none.
    """
    total: dict[str, int] = {}
    for container in spec.containers or ():
        if container.resources:
            _add(total, _amounts(container.resources.requests))
    if spec.init_containers:
        sidecars: dict[str, int] = {}
        peak: dict[str, int] = {}
        for container in spec.init_containers:
            asked = _amounts(container.resources.requests) if container.resources else _ZERO
            if container.restart_policy == "Always":
                _add(total, asked)
                _add(sidecars, asked)
                moment = dict(sidecars)
            else:
                moment = dict(sidecars)
                _add(moment, asked)
            for name, amount in moment.items():
                peak[name] = max(peak.get(name, 0), amount)
        for name, amount in peak.items():
            total[name] = max(total.get(name, 0), amount)
    if spec.resources and spec.resources.requests:
        total.update(_amounts(spec.resources.requests))
    if spec.overhead:
        _add(total, _amounts(spec.overhead))
    return to_requests(total)
