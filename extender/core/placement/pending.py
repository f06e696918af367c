"""Pods whose class does not come: gives them up, so that what replaces them is decided as a stand-in.

A pod with its class on it cannot be given another. So one that no node comes for is deleted, and its owner makes it
anew, with a gate. It is waited for while an autoscaler works on it, for as long as a node may take; it is given up
when the autoscaler refuses, else when it has waited for as long as its policy says. What was learned holds for a
while: see `core.state.closures`.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from extender.core.model.control import NEVER
from extender.core.model.objects import Announcement, NodeClaim, Pod, PodId
from extender.core.placement.limits import limit_on
from extender.core.policy.managed import Managed
from extender.core.policy.provenance import key_as_written
from extender.core.policy.stand_ins import stand_ins
from extender.core.policy.workload import Workload
from extender.core.state.autoscaling import NODE_CLAIMS
from extender.core.state.events import Event, Gone, Upsert
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState

Why = Literal["refused", "closed", "timeout"]
Outcome = Literal["replaced", "changed", "gone", "failed"]
"""What became of a pod that was given up: `changed` is one that is to be looked at anew."""

RATE = 10
"""Pods that are given up in a second at most."""

POLL = 1.0
"""How often is looked at pods that wait (seconds)."""

HEARD = 15.0
"""How long an autoscaler may take to say what it does about a pod (seconds)."""

AGAIN = 10.0
"""After how long a pod is tried again that could not be deleted (seconds)."""

CAME = 30.0
"""How long the scheduler may take to place pods on a node that has become Ready (seconds)."""

_RECREATE = frozenset({("apps", "ReplicaSet"), ("apps", "StatefulSet"), ("", "ReplicationController")})
_NEVER = frozenset({("batch", "Job"), ("", "Pod")})


class Replace(Struct, frozen=True, gc=False):
    """Delete a pod that never had a node: it waits in vain for one of `capacity_class`; `text` says why, for people."""

    pod: PodId
    workload: Workload
    capacity_class: str
    stand_in: str
    why: Why
    text: str


class PendingController:
    """Says which pods are to be replaced. A `Controller`; `done` is told what became of each.

    Args:
        state: the cluster; a class that a pod waited for in vain is closed in it.
        startup: how long a node may take to come (seconds).
        replaces: whether pods are replaced at all.

    Attributes:
        next_at: see `Controller`.
    """

    def __init__(self, state: ClusterState, startup: float, *, replaces: bool = True) -> None:
        self.next_at = NEVER
        self._state, self._startup, self._replaces = state, startup, replaces
        self._since: dict[str, float] = {}
        self._again: dict[str, float] = {}
        self._given: list[float] = []

    def go_by(self, startup: float, now: float, *, replaces: bool) -> None:
        """Go by other settings from now on; arguments as of the class."""
        unnoted = replaces and not self._replaces
        self._startup, self._replaces = startup, replaces
        if unnoted:
            self.take_over(now)

    def observe(self, event: Event, now: float) -> None:
        """Something was taken into the state."""
        if not self._state.decided or not self._replaces:
            return
        if isinstance(event, Upsert) and isinstance(event.object, Pod):
            if event.object.unscheduled and event.object.uid in self._state.decided:
                self._since.setdefault(event.object.uid, now)
                self.next_at = min(self.next_at, now + POLL)
        elif self._since and (
            event.resource == NODE_CLAIMS
            if isinstance(event, Gone)
            else isinstance(event, Upsert) and isinstance(event.object, Announcement | NodeClaim)
        ):
            self.next_at = min(self.next_at, now)

    def rule_of(self, workload: Workload) -> str:
        """What lets others stand in for a class, as it is written."""
        value = workload.policy.when_unsatisfiable
        return key_as_written(self._state.workloads, workload, "when-unsatisfiable", value)

    def take_over(self, now: float) -> None:
        """This replica leads from now on. What it has not seen itself it waits for anew."""
        self._again.clear()
        for uid in self._state.decided:
            if self._state.was_refused(uid):
                self._since.setdefault(uid, now)
        self.next_at = now

    def due(self, now: float) -> Sequence[Replace]:
        """The pods to replace now (seconds since the epoch)."""
        decided = self._state.decided
        self._since = {uid: at for uid, at in self._since.items() if uid in decided}
        self._again = {uid: at for uid, at in self._again.items() if uid in decided}
        self.next_at = now + POLL if self._since else NEVER
        self._given = [at for at in self._given if 0.0 <= now - at < 1.0]
        found: list[Replace] = []
        for uid in list(self._since) if self._replaces else ():
            if len(self._given) >= RATE:
                break
            record = decided[uid]
            action = self._judge(record, now) if now >= self._again.get(uid, 0.0) else None
            if action is not None:
                self._again[uid] = NEVER
                self._given.append(now)
                found.append(action)
        return found

    def done(self, action: Replace, outcome: Outcome, now: float) -> None:
        """What became of one."""
        if outcome in ("changed", "failed"):
            self._again[action.pod.uid] = now + (AGAIN if outcome == "failed" else POLL)

    def _managed(self, record: PodRecord) -> Managed | None:
        owner = record.revision.owner if record.revision is not None else None
        managed = self._state.workloads.resolve(record.namespace, owner)
        return managed if isinstance(managed, Managed) and managed.workload.policy.mode != "audit" else None

    def _judge(self, record: PodRecord, now: float) -> Replace | None:
        managed = self._managed(record)
        if managed is None or record.terminating or not recreates(managed) or not self._state.was_refused(record.uid):
            return None
        workload, wanted = managed.workload, record.written
        said, demand = self._state.autoscaling, self._state.autoscaling.demand(record)
        closure = said.closures.closed(wanted, demand, now, workload.uid, record.uid)
        if closure is not None and record.created > closure.since and record.uid not in said.closures.through:
            # We have not given it a class that was closed: it came with it, and the next would as well.
            return None
        stand_in = next(
            (
                each
                for each in stand_ins(workload.policy, wanted)
                if said.closures.closed(each, demand, now, workload.uid, record.uid) is None
                and limit_on(self._state, record.namespace, record.uid, each) is None
            ),
            "",
        )
        given_up = self._given_up(record, workload, now) if stand_in else None
        if given_up is None:
            return None
        why, text = given_up
        # Of what one pod met, nothing follows for others than those of its workload.
        said.closures.close(wanted, demand, now, text, workload.uid)
        return Replace(record.id, workload, wanted, stand_in, why, text)

    def _given_up(self, record: PodRecord, workload: Workload, now: float) -> tuple[Why, str] | None:
        """Why a pod is waited for no longer, if it is not."""
        said, uid = self._state.autoscaling, record.uid
        waited = now - self._since[uid]
        coming = said.coming(uid, now)
        if coming and waited < self._startup:
            return None
        refused = said.refused(uid)
        if refused and not coming:
            return "refused", refused
        closure = said.closures.closed(record.written, said.demand(record), now, workload.uid, uid)
        if closure is not None and not coming and uid not in said.closures.through:
            return "closed", closure.reason
        patience = self._startup if coming else workload.policy.written_after
        if said.seen or self._state.autoscalers:
            patience = max(patience, HEARD)
        if waited < patience or self._just_came(record, now):
            return None
        return "timeout", f"no node of its class took it for {waited:.0f} s"

    def _just_came(self, record: PodRecord, now: float) -> bool:
        nodes = self._state.placeable.get(record.written, {}).values()
        return any(now - node.steady_since < CAME for node in nodes)


def recreates(managed: Managed) -> bool:
    """Whether the owner of a pod makes another in its place, and does not count its end as a failure.

    A kind of somebody else's does where it has a size; what has none may be a run of something.
    """
    kind = (managed.revision.group, managed.revision.kind)
    return kind in _RECREATE or (kind not in _NEVER and managed.revision.replicas is not None)


def is_as_judged(seen: Pod, action: Replace) -> bool:
    """Whether a pod, as the API server has it now, is still one to replace: it has no node, and none is nominated."""
    return (
        seen.uid == action.pod.uid
        and not (seen.node or seen.nominated or seen.terminating or seen.ended or seen.gates)
        and seen.unscheduled
        and seen.written == action.capacity_class
    )
