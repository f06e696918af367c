"""What a pod demands of where other pods are, and they of it: pod affinity, anti-affinity and topology spread.

Required terms and DoNotSchedule constraints only. Sources: `interpodaffinity/filtering.go` and
`podtopologyspread/{common,filtering}.go` in `pkg/scheduler/framework/plugins` of Kubernetes 1.36.
"""

from collections.abc import Callable, Container, Mapping

from extender.core.capacity.fit import selected, tolerated
from extender.core.capacity.occupancy import Occupancy
from extender.core.model.constraints import Constraints, PodTerm, Spread
from extender.core.state.records import NodeRecord, PodRecord
from extender.core.state.state import ClusterState

Check = Callable[[Mapping[str, str]], bool]
"""Takes a node's labels; says whether a pod may be there."""


class Topology:
    """Makes the checks of each pod. What depends on nodes alone is kept for the whole plan.

    Nodes that are `lost` (names) are taken to be gone.
    """

    def __init__(self, state: ClusterState, occupancy: Occupancy, lost: Container[str] = ()) -> None:
        self._state, self._occupancy, self._lost = state, occupancy, lost
        self._domains: dict[object, Mapping[str, str]] = {}

    def affinity(self, pod: PodRecord) -> list[Check]:
        """The checks of pod affinity and anti-affinity, none for a pod that nobody minds."""
        checks: list[Check] = []
        required = pod.constraints.affinity
        if required:
            checks.append(self._required(pod, required))
        forbidden: dict[str, set[str]] = {}
        for term in pod.constraints.anti_affinity:
            for _, node in self._occupancy.matching(pod, (term,)):
                _add(forbidden, term.topology_key, node)
        for key, node in self._occupancy.repelled(pod):
            _add(forbidden, key, node)
        if forbidden:
            checks.append(lambda labels: not any(labels.get(key) in values for key, values in forbidden.items()))
        return checks

    def _required(self, pod: PodRecord, terms: tuple[PodTerm, ...]) -> Check:
        company: dict[str, set[str]] = {}
        for _, node in self._occupancy.matching(pod, terms):
            for term in terms:
                _add(company, term.topology_key, node)
        # The first of a group that asks for its own company may go anywhere.
        first = not company and all(self._occupancy.means(term, pod.namespace, pod) for term in terms)
        keys = {term.topology_key for term in terms}

        def check(labels: Mapping[str, str]) -> bool:
            return all(key in labels and (first or labels[key] in company.get(key, ())) for key in keys)

        return check

    def spread(self, pod: PodRecord) -> list[Check]:
        """The checks of the topology spread constraints."""
        return [self._spread(pod, constraint) for constraint in pod.constraints.spread]

    def _spread(self, pod: PodRecord, constraint: Spread) -> Check:
        eligible = self._eligible(pod.constraints, constraint)
        counts = dict.fromkeys(eligible.values(), 0)
        selector, itself = constraint.selector, 0
        if selector is not None:
            itself = int(pod.labels is not None and selector.matches(pod.labels.labels))
            for other, node in self._occupancy.selected(pod, selector):
                domain = eligible.get(node.name)
                if domain is not None and not (other.terminating and other.node is node):
                    counts[domain] += 1
        least = min(counts.values()) if counts and len(counts) >= constraint.min_domains else 0
        most = constraint.max_skew + least - itself
        key = constraint.topology_key
        return lambda labels: key in labels and counts.get(labels[key], 0) <= most

    def _eligible(self, constraints: Constraints, constraint: Spread) -> Mapping[str, str]:
        """The domain of each node, by name, that counts for a constraint of a pod."""
        keys = tuple(sorted({each.topology_key for each in constraints.spread}))
        selects = (constraints.node_selector, constraints.node_terms) if constraint.honor_affinity else None
        tolerations = constraints.tolerations if constraint.honor_taints else None
        question = (constraint.topology_key, keys, selects, tolerations)
        known = self._domains.get(question)
        if known is None:
            known = self._domains[question] = {
                name: node.facts.labels[constraint.topology_key]
                for name, node in self._state.nodes.items()
                if node.facts is not None
                and name not in self._lost
                and all(key in node.facts.labels for key in keys)
                and (selects is None or selected(node.facts, constraints))
                and (tolerations is None or tolerated(node.facts, constraints))
            }
        return known


def _add(domains: dict[str, set[str]], key: str, node: NodeRecord) -> None:
    value = node.facts.labels.get(key) if node.facts is not None else None
    if value is not None:
        domains.setdefault(key, set()).add(value)
