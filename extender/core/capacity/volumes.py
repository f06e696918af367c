"""On which nodes the volumes of a pod can be used: where they are, who uses them already, and how many a node attaches.

Sources: `volumebinding`, `volumezone`, `volumerestrictions` and `nodevolumelimits` in
`pkg/scheduler/framework/plugins` of Kubernetes 1.36; `IsMultiAttachAllowed` in `pkg/controller/volume/attachdetach`.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from msgspec import Struct

from extender.core.capacity.fit import meets
from extender.core.capacity.stock import Stock
from extender.core.model.objects import Claim, Node, Volume
from extender.core.state.records import NodeRecord, PodRecord
from extender.core.state.state import ClusterState

_GA = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
ZONE_LABELS = (*_GA, *_GA.values())
"""The labels of a volume that say where it is, and of nodes."""


class Bound(Struct, frozen=True):
    """A claim of a pod, its volume, and the other pods on nodes that use the claim."""

    claim: Claim
    volume: Volume
    users: tuple[PodRecord, ...]


class Volumes:
    """Answers for pods whose volumes are bound.

    Args:
        state: the cluster.
        leaving: UIDs of pods that leave; whoever moves one adds it.
        stock: says which pods will be on a node.
    """

    def __init__(self, state: ClusterState, leaving: AbstractSet[str], stock: Stock) -> None:
        self._state, self._leaving, self._stock = state, leaving, stock
        self._users: dict[str, dict[str, list[PodRecord]]] = {}

    def of(self, pod: PodRecord) -> list[Bound] | str:
        """The volumes of a pod; or the claim whose volume is not there, or may be anywhere by what is counted.

        A claim without a volume gets one where its pod goes, but where that can be is not known here.
        """
        found: list[Bound] = []
        for name in pod.constraints.claims:
            claim = self._state.claims.get((pod.namespace, name))
            volume = self._state.volumes.get(claim.volume) if claim is not None and claim.volume else None
            if claim is None or volume is None or volume.unmodelled:
                return name
            if volume.driver and not self._state.knows_attach_limits:
                return name
            others = self._users_of(pod.namespace).get(name, ())
            users = tuple(each for each in others if each.uid != pod.uid and each.uid not in self._leaving)
            found.append(Bound(claim, volume, users))
        return found

    def _users_of(self, namespace: str) -> dict[str, list[PodRecord]]:
        users = self._users.get(namespace)
        if users is None:
            users = self._users[namespace] = {}
            for group in self._state.pod_labels(namespace):
                for pod in group.pods:
                    for claim in pod.constraints.claims if pod.node is not None else ():
                        users.setdefault(claim, []).append(pod)
        return users

    def lacks(self, bound: Iterable[Bound], node: NodeRecord) -> str:
        """The claim whose volume cannot be used on a node, empty when all can."""
        facts = node.facts
        if facts is None:
            return "unknown"
        new: dict[tuple[str, str], str] = {}
        for each in bound:
            volume = each.volume
            if not is_near(facts, volume):
                return each.claim.name
            if each.users and (
                each.claim.one_pod
                or (volume.driver and volume.one_node and any(user.node is not node for user in each.users))
            ):
                return each.claim.name
            if volume.driver:
                new[volume.driver, volume.handle] = each.claim.name
        return self._too_many(new, node)

    def _too_many(self, new: dict[tuple[str, str], str], node: NodeRecord) -> str:
        """The claim whose volume is one more than a node attaches, empty when none is."""
        limits = self._state.attach_limits.get(node.name)
        if limits is None or not any(driver in limits.limits for driver, _ in new):
            return ""
        attached = {volume for pod in self._stock.pods(node) for volume in self._attached(pod)}
        left = {
            driver: limit - sum(other == driver for other, _ in attached) for driver, limit in limits.limits.items()
        }
        for volume, claim in new.items():
            if volume not in attached and volume[0] in left:
                left[volume[0]] -= 1
                if left[volume[0]] < 0:
                    return claim
        return ""

    def _attached(self, pod: PodRecord) -> Iterator[tuple[str, str]]:
        for name in pod.constraints.claims:
            claim = self._state.claims.get((pod.namespace, name))
            volume = self._state.volumes.get(claim.volume) if claim is not None else None
            if volume is not None and volume.driver:
                yield volume.driver, volume.handle


def is_near(node: Node, volume: Volume) -> bool:
    """Whether a node is where a volume can be used, by its node affinity and its labels."""
    return meets(node, volume.terms) and _in_zone(node, volume)


def _in_zone(node: Node, volume: Volume) -> bool:
    """Whether a node is where the labels of a volume say; one that says nothing of where it is is anywhere."""
    if not volume.zones or not any(label in node.labels for label in ZONE_LABELS):
        return True
    return all(node.labels.get(label, node.labels.get(_GA.get(label, label))) in where for label, where in volume.zones)
