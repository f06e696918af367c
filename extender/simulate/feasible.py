"""The scheduler's own filters: the nodes that pass for a pod, as many as it looks for.

Follows kube-scheduler 1.36: a sample of the nodes, in turn by zone, that starts where the last one ended
(`pkg/scheduler/schedule_one.go`). What is found out is kept until it may have changed.
"""

from collections.abc import Callable, Container
from itertools import chain, zip_longest

from extender.core.capacity.fit import admits, has_room
from extender.core.capacity.occupancy import Occupancy
from extender.core.capacity.topology import Check, Topology
from extender.core.capacity.volumes import is_near
from extender.core.model.constraints import Constraints
from extender.core.model.objects import Requests, Volume
from extender.core.state.records import NodeRecord
from extender.core.state.state import ClusterState
from extender.simulate.api import VirtualApi, VirtualPod

MIN_SAMPLE, MIN_PERCENT = 100, 5


def sample_size(nodes: int, percentage: int = 0) -> int:
    """How many feasible nodes are enough (`numFeasibleNodesToFind`)."""
    if nodes < MIN_SAMPLE or percentage >= 100:
        return nodes
    percent = percentage or max(MIN_PERCENT, 50 - nodes // 125)
    return max(MIN_SAMPLE, nodes * percent // 100)


class Feasible:
    """Finds the nodes that pass the scheduler's filters.

    Args:
        api: the cluster.
        state: the scheduler's cache.
        percentage: percentageOfNodesToScore, 0 for adaptive.
        refused: nodes on which no pod is accepted, for a reason that the extender does not see.
    """

    def __init__(self, api: VirtualApi, state: ClusterState, percentage: int, refused: Container[str]) -> None:
        self._api = api
        self._state = state
        self._percentage = percentage
        self._refused = refused
        self._names: list[str] | None = None
        self._next = 0
        self._version = 0
        self._admitted: dict[Constraints, dict[str, bool]] = {}
        self._hopeless: dict[tuple[Requests, Constraints], int] = {}

    def more_room(self) -> None:
        """What found no node may find one now."""
        self._version += 1

    def node_changed(self, name: str) -> None:
        """A node has come, or is another than it was."""
        self._names = None
        for admitted in self._admitted.values():
            admitted.pop(name, None)

    def node_gone(self) -> None:
        """A node has gone."""
        self._names = None
        self._admitted.clear()

    def passes(self, pod: VirtualPod) -> Callable[[NodeRecord], bool]:
        """The filters for a pod: requests, taints, selectors, volumes, and where other pods are."""
        requests, constraints = pod.template.requests, pod.constraints
        checks: list[Check] = []
        if self._minds_others(constraints):
            topology = Topology(self._state, Occupancy(self._state, frozenset()))
            record = self._state.pods[pod.uid]
            checks = [*topology.affinity(record), *topology.spread(record)]
        volumes = self._volumes(pod)
        admitted = self._admitted.setdefault(constraints, {})

        def fits(node: NodeRecord) -> bool:
            name = node.name
            known = admitted.get(name)
            if known is None:
                known = admitted[name] = admits(node, constraints) and name not in self._refused
            return (
                known
                and has_room(node, requests)
                and node.facts is not None
                and all(is_near(node.facts, volume) for volume in volumes)
                and all(check(node.facts.labels) for check in checks)
            )

        return fits

    def _volumes(self, pod: VirtualPod) -> list[Volume]:
        """The volumes of a pod's claims; a claim that has none gets one where the pod goes."""
        claims = (self._state.claims.get((pod.namespace, name)) for name in pod.template.constraints.claims)
        volumes = (self._state.volumes.get(claim.volume) for claim in claims if claim is not None)
        return [volume for volume in volumes if volume is not None]

    def _minds_others(self, constraints: Constraints) -> bool:
        """Whether it matters where other pods are."""
        return bool(constraints.affinity or constraints.anti_affinity or constraints.spread or self._state.repelling)

    def nodes(self, pod: VirtualPod) -> list[NodeRecord]:
        """The nodes that pass for a pod: as many as the scheduler is content with."""
        constraints = pod.constraints
        simple = not (constraints.claims or self._minds_others(constraints))
        key = (pod.template.requests, constraints)
        if simple and self._hopeless.get(key) == self._version:
            return []
        if self._names is None:
            self._names = self._order()
        names = self._names
        enough = sample_size(len(names), self._percentage)
        found: list[NodeRecord] = []
        looked = 0
        nodes, fits = self._state.nodes, self.passes(pod)
        for looked in range(1, len(names) + 1):
            record = nodes[names[(self._next + looked - 1) % len(names)]]
            if fits(record):
                found.append(record)
                if len(found) >= enough:
                    break
        self._next = (self._next + looked) % len(names) if names else 0
        if not found and simple:
            self._hopeless[key] = self._version
        return found

    def _order(self) -> list[str]:
        """The nodes' names, zone by zone in turn."""
        zones: dict[str, list[str]] = {}
        for name, node in self._api.nodes.items():
            zones.setdefault(node.zone, []).append(name)
        return [name for name in chain.from_iterable(zip_longest(*zones.values())) if name is not None]
