"""Watched pods: bytes to the core's `Pod`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from sys import intern
from typing import Any

import msgspec
from msgspec import Raw, Struct

from extender.core.model.objects import EMPTY, Pod, Protection
from extender.core.policy.keys import CLASS
from extender.core.policy.protection import CAST_AI, OCEAN, OLDER, opt_out_keys, pod_protection
from extender.wire.constraints_v1 import WatchedSpec, to_constraints
from extender.wire.interning import Interned
from extender.wire.kube_v1 import DELETION_COST, Identity, controller_of
from extender.wire.requests_v1 import ABSENT, ContainerStatus, pod_requests, running_requests


class PodMetadata(Identity, frozen=True, rename="camel", gc=False):
    """`metadata` of a pod."""

    labels: Raw = ABSENT
    annotations: Raw = ABSENT


class PodCondition(Struct, frozen=True, rename="camel", gc=False):
    """A condition of a pod."""

    type: str = ""
    status: str = ""
    reason: str | None = None
    last_transition_time: datetime | None = None


class PodStatus(Struct, frozen=True, rename="camel", gc=False):
    """How a pod is: in the order of the API, in which fields are found fastest."""

    phase: str | None = None
    conditions: list[PodCondition] | None = None
    nominated_node_name: str | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    container_statuses: list[ContainerStatus] | None = None
    extended_resource_claim_status: Raw = ABSENT
    allocated_resources: Raw = ABSENT
    resources: Raw = ABSENT


class RawPod(Struct, frozen=True, gc=False):
    """A pod."""

    metadata: PodMetadata
    spec: WatchedSpec = WatchedSpec()
    status: PodStatus = PodStatus()


_labels = msgspec.json.Decoder(dict[str, str] | None)
_Labels = tuple[Mapping[str, str], tuple[tuple[str, str], ...]]
_interned: Interned[bytes, _Labels] = Interned()


def _shared_labels(raw: bytes) -> _Labels:
    """Labels, and those of them that may forbid to move a pod; decoded once for all pods that have the same."""
    found = _interned.get(raw)
    if found is None:
        labels = _labels.decode(raw) if raw else None
        shared = {intern(key): intern(value) for key, value in labels.items()} if labels else EMPTY
        found = _interned.put(raw, (shared, tuple((key, shared[key]) for key in (CAST_AI, OCEAN) if key in shared)))
    return found


_moments: Interned[float, float] = Interned(1024)


def _moment(seconds: float) -> float:
    """The time that others have too: of one second are most pods that a controller makes at a time."""
    return _moments.get(seconds) or _moments.put(seconds, seconds)


class PodReader:
    """Makes pods of what was decoded.

    Args:
        prefixes: of our keys, without the slash.
    """

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self._opt_outs = (*opt_out_keys(prefixes), OLDER, CAST_AI)
        fields = tuple(f"opt_out_{n}" for n in range(len(self._opt_outs)))
        self._said = attrgetter(*fields)
        # The few annotations that are used, of many: the prefixes are known only now.
        names = ("cost", "written", *fields)
        annotations = msgspec.defstruct(
            "PodAnnotations",
            [(name, str | None, None) for name in names],
            frozen=True,
            gc=False,
            rename=dict(zip(names, (DELETION_COST, f"{prefixes[0]}/{CLASS}", *self._opt_outs), strict=True)),
        )
        self._nothing_said = self._said(annotations())
        self._annotations: msgspec.json.Decoder[Any] = msgspec.json.Decoder(annotations | None)

    def read(self, raw: RawPod) -> Pod:
        """The core's view of a pod.

        Raises:
            ValueError: a part of it does not decode.
        """
        meta, status = raw.metadata, raw.status
        made, due = meta.creation_timestamp, meta.deletion_timestamp
        created = _moment(made.timestamp()) if made is not None else 0.0
        ready = unscheduled = infeasible = disrupted = False
        ready_after = 0
        bound = created if raw.spec.node_name else 0.0
        for condition in status.conditions or ():
            kind = condition.type
            if kind == "Ready":
                ready = condition.status == "True"
                since = condition.last_transition_time
                if ready and since is not None:
                    ready_after = int(since.timestamp() - created)
            elif kind == "PodScheduled":
                # Nor has a scheduler looked at a pod with a gate.
                unscheduled = condition.status == "False" and condition.reason != "SchedulingGated"
                if bound and condition.status == "True" and condition.last_transition_time is not None:
                    bound = condition.last_transition_time.timestamp()
            elif kind == "DisruptionTarget":
                # Room was made for a pod of a higher priority: that happens on any node.
                disrupted = condition.status == "True" and condition.reason != "PreemptionByScheduler"
            elif kind == "PodResizePending":
                infeasible = condition.reason == "Infeasible"
        raw_labels = bytes(meta.labels)
        labels, labelled = _interned.get(raw_labels) or _shared_labels(raw_labels)
        cost, written, protection = self._read_annotations(meta.annotations, labelled, created)
        gates = raw.spec.scheduling_gates
        return Pod(
            uid=meta.uid,
            namespace=meta.namespace,
            name=meta.name,
            node=raw.spec.node_name or "",
            owner=controller_of(meta.owner_references),
            terminating=due is not None,
            ended=status.phase in ("Succeeded", "Failed"),
            ready=ready,
            unscheduled=unscheduled,
            nominated=status.nominated_node_name or "",
            cost=cost,
            created=created,
            requests=(
                pod_requests(raw.spec)
                if status.container_statuses is None
                else running_requests(raw.spec, status, infeasible=infeasible)
            ),
            labels=labels,
            constraints=to_constraints(
                raw.spec, meta.name, labels, raw_labels, claimed=status.extended_resource_claim_status is not ABSENT
            ),
            pending=status.phase == "Pending",
            due=due.timestamp() if due is not None else 0.0,
            protection=protection,
            ready_after=ready_after,
            scheduler=intern(raw.spec.scheduler_name) if not gates else None,
            gates=tuple([intern(gate.name) for gate in gates]) if gates else (),
            written=written,
            bound=bound,
            failed=status.phase == "Failed",
            disrupted=disrupted,
        )

    def _read_annotations(
        self, raw: Raw, labelled: Sequence[tuple[str, str]], created: float
    ) -> tuple[str | None, str, Protection | None]:
        """The deletion cost, the class that was written on the pod, and what forbids to move it."""
        annotations = self._annotations.decode(raw) if raw is not ABSENT else None
        if annotations is None:
            return None, "", pod_protection(labelled, created) if labelled else None
        # Every workload gives its pods the same few costs.
        cost = intern(annotations.cost) if annotations.cost is not None else None
        written = intern(annotations.written) if annotations.written else ""
        said = self._said(annotations)
        if said == self._nothing_said:
            return cost, written, pod_protection(labelled, created) if labelled else None
        opt_outs = [(key, value) for key, value in zip(self._opt_outs, said, strict=True) if value is not None]
        return cost, written, pod_protection((*opt_outs, *labelled), created)
