"""Kubernetes objects as partial Structs: only the fields a decision uses are decoded.

Lists may be null: the API server's own output never is like that, what passes through other people's hands may be.
"""

from collections.abc import Iterable
from datetime import datetime
from sys import intern
from typing import Any

from msgspec import Raw, Struct, convert, field

from extender.core.model.objects import OwnerRef, Requests
from extender.core.model.taints import Taint
from extender.wire.requests_v1 import Quantities, amounts, to_requests

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


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
            return OwnerRef(ref.uid, intern(ref.api_version), intern(ref.kind), ref.name)
    return None


class Metadata(Identity, frozen=True, rename="camel"):
    """`metadata`."""

    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class RawCondition(Struct, frozen=True, gc=False):
    """A condition of a node or pod."""

    type: str = ""
    status: str = ""
    reason: str | None = None


class TimedCondition(RawCondition, frozen=True, rename="camel", gc=False):
    """A condition with the time of its last change."""

    last_transition_time: datetime | None = None


class RawTaint(Struct, frozen=True, gc=False):
    """`spec.taints[]`."""

    key: str = ""
    effect: str = ""
    value: str | None = None

    def taint(self) -> Taint:
        """The core type."""
        return Taint(self.key, self.value or "", self.effect)


class NodeSpec(Struct, frozen=True, rename="camel", gc=False):
    """What was configured for a node."""

    unschedulable: bool | None = None
    taints: list[RawTaint] | None = None
    provider_id: str | None = field(default=None, name="providerID")


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


class OwnerSpec(Struct, frozen=True, rename="camel", gc=False):
    """What every kind of workload may say about its size and rollouts. A custom kind may mean anything by most of it.

    `parallelism`, `completions`, `suspend` and `managed_by` are a Job's, `ordinals` a StatefulSet's.
    """

    replicas: Any = None
    parallelism: int | None = None
    completions: int | None = None
    suspend: bool | None = None
    managed_by: str | None = None
    ordinals: Ordinals | None = None
    paused: Any = None
    update_strategy: Any = None


class CustomSpec(Struct, frozen=True, rename="camel", gc=False):
    """What is taken of an object whose spec means something else by one of the other names."""

    replicas: Any = None
    paused: Any = None
    update_strategy: Any = None


class OwnerStatus(Struct, frozen=True, rename="camel", gc=False):
    """How far a workload is. A custom kind may mean anything by these names."""

    conditions: Any = None
    succeeded: Any = None
    failed_indexes: Any = None
    observed_generation: Any = None
    replicas: Any = None
    updated_replicas: Any = None
    expected_updated_replicas: Any = None
    current_revision: Any = None
    update_revision: Any = None
    pause_conditions: Any = None
    controller_pause: Any = None
    abort: Any = None

    def job_conditions(self) -> list[RawCondition]:
        """The conditions, as a Job has them.

        Raises:
            msgspec.ValidationError: they are of another shape.
        """
        return convert(self.conditions or [], list[RawCondition])


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


def allocatable(status: NodeStatus) -> tuple[Requests, int]:
    """What a node offers, and the most pods it takes."""
    offered = amounts(status.allocatable)
    return to_requests(offered, zeros=True), offered.get("pods", 0)
