"""How a capacity class is written on a pod, and what the pod demands without it."""

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.classes import ClassRules
from extender.core.model.constraints import Constraints
from extender.core.model.taints import Toleration
from extender.core.placement.requirement import ClassTerms, Term, class_requirement
from extender.core.placement.tolerations import SpotTolerations
from extender.core.policy.rules import PolicyRules
from extender.core.state.state import ClusterState


class Requires(Struct, frozen=True, gc=False):
    """What a pod says so that it runs on its class alone.

    `selector` is added to its node selector. `terms`, if there are any, take the place of its required node affinity:
    what it required before is in them. `tolerations` are what it has to tolerate besides: of spot taints that were not
    known when it was created. `guessed` says that nothing in the cluster shows which labels tell the class.
    """

    selector: tuple[tuple[str, str], ...] = ()
    terms: tuple[Term, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    guessed: bool = False

    def on(self, demands: Constraints) -> Constraints:
        """What a pod demands once this is written on it."""
        return replace(
            demands,
            node_selector=tuple(sorted((*demands.node_selector, *self.selector))),
            node_terms=self.terms or demands.node_terms,
            tolerations=(*demands.tolerations, *self.tolerations),
        )


class ClassWriter:
    """Says what is written on pods. What follows from nodes and rules alone is kept until they change.

    Args:
        state: the cluster.
    """

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._tolerations = SpotTolerations(state)
        self._found_by: tuple[PolicyRules, int] | None = None
        self._found: dict[tuple[str, bool], ClassTerms] = {}

    def requires(self, capacity_class: str, demands: Constraints) -> Requires | None:
        """What is written on a pod that demands this by itself, so that it runs on a class; None where nothing can be.

        A node selector where that can say it: a scheduler looks at it at less cost than at a node affinity.
        """
        found, own = self._terms(capacity_class, one_term=bool(demands.node_terms)), demands.node_terms
        if not found.terms or (own is not None and not any(own)):
            return None
        interruptible = capacity_class in self._state.workloads.rules.classes.interruptible
        tolerations = self._tolerations.missing(demands.tolerations) if interruptible else ()
        pair = found.pair
        if pair is not None and all(pair[0] != label for label, _ in demands.node_selector):
            return Requires((pair,), (), tolerations, found.guessed)
        if own is None:
            return Requires((), found.terms, tolerations, found.guessed)
        # An empty term matches no node: nothing may be added to it, or it would match some.
        terms = tuple((*term, *found.terms[0]) if term else () for term in own)
        return Requires((), terms, tolerations, found.guessed)

    def _terms(self, capacity_class: str, *, one_term: bool) -> ClassTerms:
        """Of the nodes as they are now; the same for all pods of a burst."""
        rules, census = self._state.workloads.rules, self._state.census
        if self._found_by != (rules, census.version):
            self._found_by = (rules, census.version)
            self._found.clear()
        key = (capacity_class, one_term)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = class_requirement(census, rules.classes, capacity_class, one_term=one_term)
        return found


def own_demands(rules: ClassRules, demands: Constraints) -> Constraints:
    """What a pod on which a class was written demands by itself: of class labels its owner said nothing."""
    labels = frozenset(rules.labels)
    selector = tuple(pair for pair in demands.node_selector if pair[0] not in labels)
    terms = demands.node_terms
    left = tuple(tuple(each for each in term if each.field or each.key not in labels) for term in terms or ())
    return replace(demands, node_selector=selector, node_terms=left if any(left) else None)
