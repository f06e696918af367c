"""Whether an owner's status says that a rollout is under way, or not yet seen by the owner's controller.

Sources: `DeploymentComplete` in `pkg/controller/deployment/util`, `StatefulSetStatusViewer` of `kubectl`. A custom kind
is judged by the fields that it shares with them, where they are numbers: Argo's Rollout and OpenKruise's CloneSet count
`replicas` and `updatedReplicas` as a Deployment does.
"""

from typing import Any

from extender.wire.kube_v1 import OwnerSpec, OwnerStatus


def is_rolling(kind: str, generation: int, spec: OwnerSpec, status: OwnerStatus) -> bool:
    """Whether a rollout of an owner is under way or not yet seen by its controller.

    Args:
        kind: `Deployment` and `StatefulSet` for the built-in ones, whose absent numbers are 0.
        generation: `metadata.generation`, which rises with every change of the spec.
        spec: the owner's.
        status: the owner's.
    """
    absent = 0 if kind in ("Deployment", "StatefulSet") else None
    observed = _number(status.observed_generation, absent)
    if observed is not None and observed < generation:
        return True
    if kind == "StatefulSet":
        return status.update_revision != status.current_revision and not _rests_at_partition(spec, status)
    replicas, updated = _number(status.replicas, absent), _number(status.updated_replicas, absent)
    return replicas is not None and updated is not None and replicas != updated


def _number(value: Any, absent: int | None) -> int | None:
    if value is None:
        return absent
    return value if type(value) is int else None


def _rests_at_partition(spec: OwnerSpec, status: OwnerStatus) -> bool:
    """A StatefulSet updated down to its partition stays so until the partition is lowered."""
    rolling_update = spec.update_strategy.rolling_update if spec.update_strategy is not None else None
    partition = (rolling_update.partition or 0) if rolling_update is not None else 0
    replicas, updated = _number(spec.replicas, 1), _number(status.updated_replicas, 0)
    return partition > 0 and replicas is not None and updated is not None and updated >= replicas - partition
