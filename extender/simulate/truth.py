"""The cluster without a lag: what the scheduler goes by, and what is measured."""

from msgspec.structs import replace

from extender.core.model.classes import ON_DEMAND
from extender.core.model.objects import Pod
from extender.core.policy.managed import Managed
from extender.core.policy.policy import Policy
from extender.core.policy.rules import PolicyRules
from extender.core.state.events import Continued, Event, Upsert
from extender.core.state.state import ClusterState
from extender.simulate.api import VirtualApi, VirtualPod, Watcher


class Truth(Watcher):
    """The cluster as it is now. It is told before all other watchers.

    Args:
        api: the cluster.
        rules: how policies are read.

    Attributes:
        state: the cluster as it is. Pods that the scheduler has just chosen a node for are on it already.
    """

    def __init__(self, api: VirtualApi, rules: PolicyRules) -> None:
        self._clock = api.clock
        self.state = ClusterState(rules)

    def pod(self, pod: VirtualPod, event: Event) -> None:
        """See `Watcher`."""
        if pod.written and isinstance(event, Upsert) and isinstance(event.object, Pod):
            # What was only asked for is no replica of its class.
            event = Upsert(replace(event.object, written=""))
        self.other(event)

    def other(self, event: Event) -> None:
        """See `Watcher`."""
        self.state.apply(event, self._clock.now)
        while self.state.workloads.is_behind:
            self.state.apply(Continued(), self._clock.now)
        self.state.outbox.clear()

    def managed(self, revision: str) -> Managed | None:
        """The workload of a revision (by UID), if it is managed."""
        owner = self.state.workloads.owners.get(revision)
        if owner is None:
            return None
        known = self.state.workloads.resolve(owner.namespace, owner.ref)
        return known if isinstance(known, Managed) else None


def least_on_demand(policy: Policy, replicas: int) -> int:
    """How many on-demand replicas an owner insists on at this size."""
    least = policy.seats.least(ON_DEMAND) if policy.fleet is None else policy.fleet.floor
    return min(replicas, least)
