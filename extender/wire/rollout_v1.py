"""How far an owner's rollout is, by its status: under way, done, or at rest between two revisions.

At rest is one that its owner has stopped half-way: a partition, a pause, OnDelete, a canary step, an abort. It stays so
for as long as people like, so that it is no reason to leave its pods where they are.

Sources: `DeploymentComplete` in `pkg/controller/deployment/util`, `StatefulSetStatusViewer` of `kubectl`; of OpenKruise
`CloneSet` and `StatefulSet` of `apps.kruise.io`, of Argo `Rollout`. A custom kind is judged by the fields that it
shares with these, where they are of the same type.
"""

from math import ceil
from typing import Any

from msgspec import Struct

from extender.wire.kube_v1 import OwnerSpec, OwnerStatus


class RolloutProgress(Struct, frozen=True, gc=False):
    """`rolling` while a rollout is under way or not yet seen by its controller, `resting` while it is stopped."""

    rolling: bool = False
    resting: bool = False


_UNDER_WAY, _RESTS, _DONE = RolloutProgress(rolling=True), RolloutProgress(resting=True), RolloutProgress()


def progress_of(kind: str, generation: int, spec: OwnerSpec, status: OwnerStatus) -> RolloutProgress:
    """How far the rollout of an owner is.

    Args:
        kind: `Deployment` and `StatefulSet` for the built-in ones, whose absent numbers are 0.
        generation: `metadata.generation`, which rises with every change of the spec.
        spec: the owner's.
        status: the owner's.
    """
    absent = 0 if kind in ("Deployment", "StatefulSet") else None
    observed = _number(status.observed_generation, absent)
    if observed is not None and observed < generation:
        return _UNDER_WAY
    if _is_whole(kind, status, absent):
        return _DONE
    return _RESTS if _is_stopped(spec, status) else _UNDER_WAY


def _is_whole(kind: str, status: OwnerStatus, absent: int | None) -> bool:
    if kind == "StatefulSet":
        return bool(status.update_revision == status.current_revision)
    replicas, updated = _number(status.replicas, absent), _number(status.updated_replicas, absent)
    return replicas is None or updated is None or replicas == updated


def _is_stopped(spec: OwnerSpec, status: OwnerStatus) -> bool:
    strategy = spec.update_strategy if isinstance(spec.update_strategy, dict) else {}
    rolling = strategy.get("rollingUpdate")
    rolling = rolling if isinstance(rolling, dict) else {}
    if True in (spec.paused, strategy.get("paused"), rolling.get("paused"), status.controller_pause):
        return True
    if strategy.get("type") == "OnDelete" or (isinstance(status.pause_conditions, list) and status.pause_conditions):
        return True
    updated = _number(status.updated_replicas, 0)
    if updated is None:
        return False
    if status.abort is True:
        return updated == 0
    partition = rolling.get("partition") or strategy.get("partition")
    if not partition:
        return False
    expected = _number(status.expected_updated_replicas, None)
    if expected is None:
        replicas = _number(spec.replicas, 1)
        kept = _share(partition, replicas) if replicas is not None else None
        expected = replicas - kept if replicas is not None and kept is not None else None
    return expected is not None and updated >= expected


def _share(partition: Any, replicas: int) -> int | None:
    """The replicas that keep the former revision: a number, or percent of them, rounded up."""
    if type(partition) is int:
        return partition
    digits = partition.removesuffix("%") if isinstance(partition, str) and partition.endswith("%") else ""
    return ceil(int(digits) * replicas / 100) if digits.isascii() and digits.isdigit() and len(digits) <= 3 else None


def _number(value: Any, absent: int | None) -> int | None:
    if value is None:
        return absent
    return value if type(value) is int else None
