"""Where pods are once the moves planned so far are done: on their nodes, without those that leave, with those to come.

Pods that are to come are replacements of moved pods, and Pending pods on the node they are likely to get.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain

from msgspec import Struct

from extender.core.model.constraints import PodTerm
from extender.core.model.selectors import LabelSelector
from extender.core.state.records import NodeRecord, PodLabels, PodRecord
from extender.core.state.state import ClusterState

Located = tuple[PodRecord, NodeRecord]


class _Repellers(Struct, eq=False):
    """Where pods are to come that keep others off: those of a namespace with the same `terms`."""

    namespace: str
    terms: tuple[PodTerm, ...]
    nodes: list[NodeRecord]


class Occupancy:
    """Answers which pods will be near a node, for affinity, anti-affinity and spreading.

    Args:
        state: the cluster.
        leaving: UIDs of pods that leave; whoever moves one adds it.
    """

    def __init__(self, state: ClusterState, leaving: AbstractSet[str]) -> None:
        self._state, self._leaving = state, leaving
        self._coming: dict[PodLabels, list[Located]] = {}
        self._repelling: dict[str, dict[int, _Repellers]] = {}
        self._abroad: dict[int, _Repellers] = {}
        self._chosen: dict[tuple[str, LabelSelector], list[PodLabels]] = {}

    def expect(self, pod: PodRecord, node: NodeRecord) -> None:
        """A pod like `pod` is to come to a node."""
        if pod.labels is not None:
            self._coming.setdefault(pod.labels, []).append((pod, node))
        terms = pod.constraints.anti_affinity
        if terms:
            # In groups as in `Repelling`: whoever comes later is asked about each of these, not about each pod.
            groups = self._repelling.setdefault(pod.namespace, {})
            group = groups.get(id(terms))
            if group is None:
                group = groups[id(terms)] = _Repellers(pod.namespace, terms, [])
                if any(term.namespaces or term.namespace_selector is not None for term in terms):
                    self._abroad[id(terms)] = group
            group.nodes.append(node)

    def of(self, group: PodLabels, without: PodRecord) -> Iterator[Located]:
        """The pods of a group that are on a node, save one."""
        for pod in group.pods:
            if pod.node is not None and pod.uid != without.uid and pod.uid not in self._leaving:
                yield pod, pod.node
        yield from self._coming.get(group, ())

    def matching(self, pod: PodRecord, terms: Iterable[PodTerm]) -> Iterator[Located]:
        """The pods, other than `pod`, that all of its `terms` mean."""
        first, *rest = terms
        for namespace in self._namespaces(first, pod.namespace):
            if not all(self.covers(term, pod.namespace, namespace) for term in rest):
                continue
            for group in self._selected(namespace, first.selector):
                if all(_selects(term, group.labels) for term in rest):
                    yield from self.of(group, pod)

    def selected(self, pod: PodRecord, selector: LabelSelector) -> Iterator[Located]:
        """The pods of `pod`'s namespace, other than it, that a selector means."""
        for group in self._selected(pod.namespace, selector):
            yield from self.of(group, pod)

    def _selected(self, namespace: str, selector: LabelSelector | None) -> Iterable[PodLabels]:
        """The groups of a namespace that a selector means: what labels there are does not change within a plan."""
        if selector is None:
            return ()
        known = self._chosen.get((namespace, selector))
        if known is None:
            groups = self._state.pod_labels(namespace)
            known = self._chosen[namespace, selector] = [each for each in groups if selector.matches(each.labels)]
        return known

    def repelled(self, pod: PodRecord) -> Iterator[tuple[str, NodeRecord]]:
        """The topology keys and nodes of pods whose required anti-affinity means `pod`."""
        for group in self._state.repelling.towards(pod.namespace):
            for term in group.terms:
                if self.means(term, group.namespace, pod):
                    for other in group.pods:
                        if other.uid != pod.uid and other.node is not None and other.uid not in self._leaving:
                            yield term.topology_key, other.node
        here = self._repelling.get(pod.namespace, {})
        abroad = (coming for coming in self._abroad.values() if coming.namespace != pod.namespace)
        for coming in chain(here.values(), abroad):
            for term in coming.terms:
                if self.means(term, coming.namespace, pod):
                    for node in coming.nodes:
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
