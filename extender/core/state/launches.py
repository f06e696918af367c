"""NodeClaims of Karpenter: nodes that are coming, which pods they may be for, and what they prove once they came."""

from collections.abc import Hashable

from msgspec import Struct

from extender.core.model.objects import NodeClaim, Requests
from extender.core.model.selectors import Requirement
from extender.core.state.closures import Demand, size_of
from extender.core.state.records import PodRecord

ARRIVED = 30.0
"""How long the scheduler may take to place pods on a node that has come (seconds)."""


class Launch(Struct, eq=False):
    """A NodeClaim that is to become a node; `ready_at` is when it was seen to have, 0 before (seconds)."""

    claim: NodeClaim
    ready_at: float = 0.0

    def is_open(self, now: float, startup: float) -> bool:
        """Whether pods may wait for it."""
        claim = self.claim
        if claim.going:
            return False
        return now - self.ready_at < ARRIVED if self.ready_at else now - claim.created < startup


class LaunchRoom:
    """What is left of a node that is coming."""

    def __init__(self, claim: NodeClaim) -> None:
        room = claim.offered if claim.offered.cpu or claim.offered.memory else claim.asked
        self.cpu, self.memory, self.extended = room.cpu, room.memory, dict(room.extended)

    def take(self, asked: Requests) -> bool:
        """Take what a pod asks for; say whether it was there."""
        more = dict(asked.extended)
        if asked.cpu > self.cpu or asked.memory > max(self.memory, 0):
            return False
        if any(amount > self.extended.get(name, 0) for name, amount in more.items()):
            return False
        self.cpu -= asked.cpu
        self.memory -= asked.memory
        for name, amount in more.items():
            self.extended[name] -= amount
        return True


def may_be_for(claim: NodeClaim, pod: PodRecord) -> bool:
    """Whether a NodeClaim may have been made for a pod, among others: its node will have all that the pod requires."""
    asked = pod.constraints
    if not all(claim.labels.get(key) == (value,) for key, value in asked.node_selector):
        return False
    if asked.node_terms is not None and not any(
        term and all(_meets(claim, each) for each in term) for term in asked.node_terms
    ):
        return False
    return all(
        taint.effect == "PreferNoSchedule" or any(each.tolerates(taint) for each in asked.tolerations)
        for taint in claim.taints
    )


def is_proof(claim: NodeClaim, demand: Demand) -> bool:
    """Whether the node of a NodeClaim proves that one of its class can be had for a demand."""
    return demand.size <= size_of(claim.offered) and all(_gives(claim, item) for item in demand.narrow)


def _meets(claim: NodeClaim, requirement: Requirement) -> bool:
    """Whether any node that comes of a NodeClaim meets a requirement."""
    if requirement.field:
        return False
    values = claim.labels.get(requirement.key)
    if values is None:
        return requirement.matches("", {})
    return all(requirement.matches("", {requirement.key: value}) for value in values)


def _gives(claim: NodeClaim, item: Hashable) -> bool:
    """Whether a node of a NodeClaim proves that one demand can be met; what is not about labels is."""
    return not isinstance(item, Requirement) or _meets(claim, item)
