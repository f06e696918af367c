"""Which surplus pods would be moved if a node had room for them: in their name an autoscaler can be asked for one.

All that keeps a pod but the room still holds: nothing is asked for in the name of a pod that could not be moved then,
unless it waits for no more than its workload's own moves in flight.
"""

from collections.abc import Iterator

from msgspec import Struct

from extender.core.capacity.room import Room
from extender.core.drift.excess import Excess, destinations
from extender.core.drift.guards import Case, back_off, pod_refusal, share_refusal
from extender.core.drift.ledger import Ledger
from extender.core.drift.moves import Wish
from extender.core.drift.replacement import Replacements
from extender.core.model.reasons import Reason
from extender.core.scalein.removal_order import eviction_order
from extender.core.state.records import NodeRecord, PodRecord

CURABLE = frozenset(
    (
        *(Reason.NO_NODE, Reason.DWELL, Reason.NOT_ADMITTED, Reason.NO_ROOM),
        *(Reason.VOLUME, Reason.HOST_PORT, Reason.AFFINITY, Reason.SPREAD),
    )
)
"""Reasons for which there is no node that a new one may take away."""

_OWN_MOVES = (Reason.IN_FLIGHT, Reason.UNAVAILABLE)


class Unplaced(Struct, frozen=True, eq=False):
    """Pods of an excess that stay, and could be moved by all but room; the first are to be moved first."""

    case: Case
    excess: Excess
    pods: tuple[PodRecord, ...]


def unplaced(case: Case, excess: Excess, left: int, ledger: Ledger) -> Unplaced | None:
    """At most `left` of the pods of an excess, less those that the plan moves; None where there are none."""
    policy, availability = case.policy, case.availability
    if not case.brought or policy.mode == "audit" or not case.rules.placeholder_limit:
        return None
    moving = availability.in_flight > availability.away
    refusal = share_refusal(case)
    if refusal is not None and not (moving and refusal.reason in _OWN_MOVES):
        return None
    count = min(left, policy.max_moves_per_hour - availability.moved)
    pods: list[PodRecord] = []
    for pod in eviction_order(excess.pods):
        if len(pods) >= count:
            break
        if pod.uid in ledger.leaving or pod_refusal(pod, case) is not None:
            continue
        budget = ledger.budget_refusal(pod)
        if budget is None or (moving and budget.reason is Reason.BUDGET):
            pods.append(pod)
    return Unplaced(case, excess, tuple(pods)) if pods else None


def wishes_of(each: Unplaced, room: Room, replacements: Replacements) -> Iterator[Wish]:
    """The pods that no node has room for. What the others will take is deducted from the room."""
    drift, source = each.case.drift, each.excess.source
    # What all workloads of a fleet wish for together is no more than it wants.
    wanting = dict(drift.wanting) if drift.shared is None else drift.wanting
    for pod in each.pods:
        for destination in destinations(wanting, each.excess):
            if back_off(each.case, source, destination) is not None:
                continue
            like = replacements.of(pod, destination)
            found = room.find(like, destination, drift.group)
            if isinstance(found, NodeRecord):
                room.occupy(like, found, drift.revision)
            elif found.reason in CURABLE:
                yield Wish(pod.id, drift.subject, destination)
            else:
                continue
            if not each.excess.destination:
                wanting[destination] -= 1
            break
