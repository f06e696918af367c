"""What a pod's spec demands of where it runs, beside its requests.

Equal constraints are one shared object: the pods of a workload differ in their volumes' claims at most.
Source: `k8s.io/api/core/v1/types.go` of Kubernetes 1.36.
"""

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.selectors import LabelSelector, Requirement
from extender.core.model.taints import Toleration


class PodTerm(Struct, frozen=True, gc=False):
    """A required term of pod affinity or anti-affinity.

    It means the pods that `selector` selects (None selects none) in `namespaces` and in those whose labels
    `namespace_selector` selects; both empty mean the pod's own namespace.
    """

    topology_key: str
    selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None


class Spread(Struct, frozen=True, gc=False):
    """A topology spread constraint with `whenUnsatisfiable: DoNotSchedule`.

    `honor_affinity` and `honor_taints` are the node inclusion policies: whether nodes that the pod's node affinity
    and selector, or its tolerations, do not admit are left out of the count.
    """

    topology_key: str
    max_skew: int
    selector: LabelSelector | None = None
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


class HostPort(Struct, frozen=True, gc=False):
    """A port of the node that a pod takes; `ip` is empty for every address, `protocol` is TCP, UDP or SCTP."""

    port: int
    protocol: str = "TCP"
    ip: str = ""


class Constraints(Struct, frozen=True, gc=False):
    """What a pod demands of its node, beside requests.

    `node_terms` are the required node affinity: ORed, the requirements of a term ANDed; None asks for nothing.
    `claims` are the names of the PersistentVolumeClaims its volumes use, generic ephemeral volumes' included.
    `unmodelled` are the fields it has that may limit where it runs in ways that are not counted: see `modelled`.
    `node_selector` is sorted pairs. `match_label_keys` of spread constraints and pod terms are already part of their
    selectors.
    """

    node_selector: tuple[tuple[str, str], ...] = ()
    node_terms: tuple[tuple[Requirement, ...], ...] | None = None
    tolerations: tuple[Toleration, ...] = ()
    affinity: tuple[PodTerm, ...] = ()
    anti_affinity: tuple[PodTerm, ...] = ()
    spread: tuple[Spread, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    claims: tuple[str, ...] = ()
    unmodelled: tuple[str, ...] = ()

    @property
    def counted(self) -> "Constraints":
        """What of it is counted."""
        return replace(self, claims=(), unmodelled=()) if self.unmodelled else self

    @property
    def comparisons(self) -> int:
        """How many comparisons it may take to say whether a node meets them, 1 or more."""
        terms = sum(len(requirement.values) + 1 for term in self.node_terms or () for requirement in term)
        return 1 + len(self.node_selector) + terms + len(self.tolerations)


NO_CONSTRAINTS = Constraints()
