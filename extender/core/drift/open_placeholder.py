"""A placeholder that is there, or asked for: whether it proves room, whether that is taken, and why it is to go."""

from msgspec import Struct

from extender.core.drift.moves import Wish
from extender.core.drift.placeholder import Ending
from extender.core.drift.proofs import Shut
from extender.core.drift.rules import DriftRules
from extender.core.state.closures import Demand
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState

GIVES_WAY = 5.0
"""Seconds that a scheduler has to make a placeholder give way to a pod that it has refused (preemption).

Only then is it deleted here: kube-scheduler 1.37 leaves a pod alone for five minutes if another deletes its victim in
the moment between its decision and its own request (`pkg/scheduler/framework/preemption/executor.go`).
"""


class OpenPlaceholder(Struct, eq=False):
    """A placeholder that is there, or asked for since `at`.

    `uid` is empty until it is made, `seen` once the watch has delivered it, `proven` once it has run, and `gone` once
    it is not there any more. `spent` is the UID of the pod that it makes room for: `gated` where a gate let that go,
    and then refused by a scheduler since `refused`; else `evicted` once that is known. `ending` is why it is to go, and
    `detail` says more; `deleting` while that is asked for, and `again` from when on it may be asked again.
    """

    name: str
    wish: Wish
    demand: Demand
    at: float
    uid: str = ""
    seen: bool = False
    proven: bool = False
    gone: bool = False
    spent: str = ""
    gated: bool = False
    refused: float = 0.0
    evicted: bool = False
    ending: Ending | None = None
    detail: str = ""
    deleting: bool = False
    again: float = 0.0

    @property
    def shut(self) -> Shut:
        """What cannot be had where it is in vain."""
        return self.wish.capacity_class, self.demand

    @property
    def free(self) -> bool:
        """Whether its room is promised to nobody."""
        return not self.spent and self.ending is None

    @property
    def to_delete(self) -> bool:
        """Whether it is to go, and may be there."""
        return self.ending is not None and (bool(self.uid) or self.ending is Ending.LOST)

    def end(self, ending: Ending, detail: str = "") -> None:
        """It is to go; the first reason stands."""
        if self.ending is None:
            self.ending, self.detail = ending, detail


def running(state: ClusterState, each: OpenPlaceholder) -> PodRecord | None:
    """The pod of a placeholder that runs on a Ready node of its class; None where it does not."""
    record = state.pods.get(each.uid)
    facts = record.node.facts if record is not None and record.node is not None else None
    if record is None or facts is None or record.pending or record.terminating:
        return None
    there = facts.ready and not facts.unschedulable and not facts.going_away
    return record if there and facts.capacity_class == each.wish.capacity_class else None


def look_at(state: ClusterState, rules: DriftRules, each: OpenPlaceholder, now: float) -> None:
    """Take in how a placeholder fares: whether it runs, is gone, or is to go."""
    if not each.uid or each.ending is not None:
        return
    record = state.pods.get(each.uid)
    each.seen |= record is not None or state.is_gone(each.uid)
    if each.seen and (record is None or record.terminating):
        each.gone = record is None
        each.end(Ending.USED if each.spent else Ending.LOST)
        return
    runs = running(state, each) is not None
    each.proven |= runs
    if each.spent:
        if _is_served(state, each, now):
            each.end(Ending.USED)
        return
    refused = state.autoscaling.refused(each.uid) if record is not None and record.node is None else ""
    if refused:
        each.end(Ending.REFUSED, refused)
    elif now - each.at > rules.node_startup:
        where = record.node_name if record is not None else ""
        detail = f"it is on node {where} and does not run there" if where and not runs else ""
        each.end(Ending.UNUSED if each.proven else Ending.TIMED_OUT, detail)


def _is_served(state: ClusterState, each: OpenPlaceholder, now: float) -> bool:
    """Whether what a placeholder makes room for is about to come, or has.

    A replacement would have it give way: but that takes the scheduler two attempts, a second apart. So it goes when the
    controller is about to make the replacement; any pod may have had its room before, too. A pod that a gate let go
    may be looked at any moment: for that the scheduler has it give way.
    """
    pod, revision = state.pods.get(each.spent), state.revisions.get(each.wish.place[0])
    if each.gated:
        if pod is None or pod.node is not None:
            return True
        if pod.gates or not state.was_refused(pod.uid):
            return False
        each.refused = each.refused or now
        return now - each.refused >= GIVES_WAY
    if pod is None or revision is None:
        return True
    # A StatefulSet's pod is replaced once it has ended.
    return revision.owner.kind != "StatefulSet" and (each.evicted or pod.terminating)
