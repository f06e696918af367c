"""Where pods are once the moves planned so far are done: on their nodes, without those that leave, with those to come.

Pods that are to come are replacements of moved pods, and Pending pods on the node they are likely to get.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from extender.core.constraints import PodTerm
from extender.core.records import NodeRecord, PodLabels, PodRecord
from extender.core.selectors import LabelSelector
from extender.core.state import ClusterState

Located = tuple[PodRecord, NodeRecord]


class Whereabouts:
    """See the module.

    Args:
        state: the cluster.
        leaving: UIDs of pods that leave; whoever moves one adds it.
    """

    def __init__(self, state: ClusterState, leaving: AbstractSet[str]) -> None:
        self._state, self._leaving = state, leaving
        self._coming: dict[PodLabels, list[Located]] = {}
        self._repelling: list[Located] = []

    def settle(self, pod: PodRecord, node: NodeRecord) -> None:
        """A pod like `pod` is to come to a node."""
        if pod.labels is not None:
            self._coming.setdefault(pod.labels, []).append((pod, node))
        if pod.constraints.anti_affinity:
            self._repelling.append((pod, node))

    def of(self, group: PodLabels, without: PodRecord) -> Iterator[Located]:
        """The pods of a group that are on a node, save one."""
        for pod in group.pods:
            if pod.node is not None and pod is not without and pod.uid not in self._leaving:
                yield pod, pod.node
        yield from self._coming.get(group, ())

    def matching(self, pod: PodRecord, terms: Iterable[PodTerm]) -> Iterator[Located]:
        """The pods, other than `pod`, that all of its `terms` mean."""
        first, *rest = terms
        for namespace in self._namespaces(first, pod.namespace):
            if not all(self.covers(term, pod.namespace, namespace) for term in rest):
                continue
            for group in self._state.pod_labels(namespace):
                if all(_selects(term, group.labels) for term in (first, *rest)):
                    yield from self.of(group, pod)

    def selected(self, pod: PodRecord, selector: LabelSelector) -> Iterator[Located]:
        """The pods of `pod`'s namespace, other than it, that a selector means."""
        for group in self._state.pod_labels(pod.namespace):
            if selector.matches(group.labels):
                yield from self.of(group, pod)

    def repelled(self, pod: PodRecord) -> Iterator[tuple[str, NodeRecord]]:
        """The topology keys and nodes of pods whose required anti-affinity means `pod`."""
        for group in self._state.repelling.towards(pod.namespace):
            for term in group.terms:
                if self.means(term, group.namespace, pod):
                    for other in group.pods:
                        if other is not pod and other.node is not None and other.uid not in self._leaving:
                            yield term.topology_key, other.node
        for other, node in self._repelling:
            for term in other.constraints.anti_affinity:
                if self.means(term, other.namespace, pod):
                    yield term.topology_key, node

    def means(self, term: PodTerm, owner: str, pod: PodRecord) -> bool:
        """Whether a term of a pod in namespace `owner` means `pod`."""
        return pod.labels is not None and self.covers(term, owner, pod.namespace) and _selects(term, pod.labels.labels)

    def covers(self, term: PodTerm, owner: str, namespace: str) -> bool:
        """Whether a term of a pod in namespace `owner` means pods of another namespace, or the same."""
        if not term.namespaces and term.namespace_selector is None:
            return namespace == owner
        return namespace in term.namespaces or (
            term.namespace_selector is not None
            and term.namespace_selector.matches(self._state.namespace_labels(namespace))
        )

    def _namespaces(self, term: PodTerm, owner: str) -> Iterable[str]:
        if not term.namespaces and term.namespace_selector is None:
            return (owner,)
        known = self._state.workloads.namespaces if term.namespace_selector is not None else ()
        return sorted({*term.namespaces, *(name for name in known if self.covers(term, owner, name))})


def _selects(term: PodTerm, labels: Mapping[str, str]) -> bool:
    return term.selector is not None and term.selector.matches(labels)
