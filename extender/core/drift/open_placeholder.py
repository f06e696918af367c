"""A placeholder that is there, or asked for: whether it proves room, whether that is taken, and why it is to go."""

from msgspec import Struct

from extender.core.drift.moves import Wish
from extender.core.drift.placeholder import Ending
from extender.core.drift.proofs import Shut
from extender.core.drift.rules import DriftRules
from extender.core.state.closures import Demand
from extender.core.state.records import NodeRecord, PodRecord
from extender.core.state.state import ClusterState


class OpenPlaceholder(Struct, eq=False):
    """A placeholder that is there, or asked for since `at`.

    `uid` is empty until it is made, `seen` once the watch has delivered it, `proven` once it has run, and `gone` once
    it is not there any more. `spent` is the UID of the pod that it makes room for, and that pod is `evicted` once that
    is known. `ending` is why it is to go, and `detail` says more; `deleting` while that is asked for, and `again` from
    when on it may be asked again.
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
    if record is None or record.node is None or record.pending or record.terminating:
        return None
    return record if takes_pods(record.node, each.wish.capacity_class) else None


def takes_pods(node: NodeRecord, capacity_class: str) -> bool:
    """Whether a node of a class is there, and pods may come."""
    facts = node.facts
    if facts is None or facts.unschedulable or facts.going_away:
        return False
    return facts.ready and facts.capacity_class == capacity_class


def makes_way(state: ClusterState, each: OpenPlaceholder) -> bool:
    """Whether a placeholder has a node, and is about to be deleted."""
    record = state.pods.get(each.uid)
    if record is None or record.node is None:
        return False
    return each.ending is not None or bool(each.spent and _is_served(state, each))


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
        if _is_served(state, each):
            each.end(Ending.USED)
        return
    refused = state.autoscaling.refused(each.uid) if record is not None and record.node is None else ""
    if refused:
        each.end(Ending.REFUSED, refused)
    elif now - each.at > rules.node_startup:
        where = record.node_name if record is not None else ""
        detail = f"it is on node {where} and does not run there" if where and not runs else ""
        each.end(Ending.UNUSED if each.proven else Ending.TIMED_OUT, detail)


def _is_served(state: ClusterState, each: OpenPlaceholder) -> bool:
    """Whether what a placeholder makes room for is about to come, or has.

    A replacement would have it give way: but that takes the scheduler two attempts, a second apart. So it goes when the
    controller is about to make the replacement; any pod may have had its room before, too.
    """
    pod, revision = state.pods.get(each.spent), state.revisions.get(each.wish.place[0])
    if pod is None or revision is None:
        return True
    # A StatefulSet's pod is replaced once it has ended.
    return revision.owner.kind != "StatefulSet" and (each.evicted or pod.terminating)
