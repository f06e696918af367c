"""Gated pods that a limit of their namespace keeps from their class: which other takes them, or how they wait."""

from collections.abc import Iterable

from msgspec import Struct

from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.placement.limits import limit_on, limits_told
from extender.core.policy.managed import Managed
from extender.core.policy.stand_ins import stand_ins
from extender.core.policy.workload import Workload
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState
from extender.core.state.waiting import Waiting


class Kept(Struct, frozen=True, gc=False):
    """A pod keeps its gate: a limit of its namespace keeps it from the class that is `wanted`; `text` says which.

    It is told once, when the pod begins to wait.
    """

    pod: PodId
    workload: Workload
    wanted: str
    text: str


class StandIn(Struct, frozen=True, gc=False):
    """The class that takes a pod; `why` says what keeps it from its own."""

    capacity_class: str
    why: str


class Stays(Struct, frozen=True, gc=False):
    """A pod keeps its gate: how it waits, and `why`. `closed` says that a class may stand in once it is open again."""

    waiting: Waiting
    why: str
    closed: bool


def within_limits(state: ClusterState, record: PodRecord, classes: Iterable[str]) -> list[str]:
    """Those of classes that no limit keeps a pod from."""
    return [name for name in classes if limit_on(state, record.namespace, record.uid, name) is None]


def keep(state: ClusterState, record: PodRecord, managed: Managed, wanted: str, now: float) -> StandIn | Stays:
    """What becomes of a pod that a limit keeps from the class that is `wanted`, at `now` (seconds since the epoch).

    Another class stands in once the pod has waited for `fallback-after`, which counts from when it was first kept.
    """
    workload, before, said = managed.workload, state.waiting.get(record.uid), state.autoscaling
    others = stand_ins(workload.policy, wanted)
    free = within_limits(state, record, others)
    (why,) = limits_told(state, record.namespace, record.uid, (wanted,))
    since = before.since if before is not None and before.capacity_class == wanted else now
    until = since + workload.policy.fallback_after
    if now >= until and free:
        demand = said.demand(record)
        for other in free:
            if said.closures.closed(other, demand, now, workload.uid, record.uid) is None:
                return StandIn(other, why)
    waiting = Waiting(
        record.uid,
        record.namespace,
        record.name,
        managed.revision.uid,
        wanted,
        Reason.LIMIT_REACHED,
        since,
        until if others and now < until else 0.0,
        limited=(wanted, *(name for name in others if name not in free)),
    )
    return Stays(waiting, why, now >= until and bool(free))
