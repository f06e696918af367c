"""Whether a pod fits a node, as far as the node alone says.

Used to tell "no offered node has the class" from "the class has no room", and to choose a node to nominate: the
scheduler still runs all its own filters, so what is left out here (volumes, inter-pod terms) costs an attempt at most.
Sources: `pkg/scheduler/framework/plugins/{tainttoleration,nodeaffinity,noderesources}` of Kubernetes 1.36.
"""

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.constraints import NO_CONSTRAINTS, Constraints
from extender.core.model.objects import Node, Requests
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Taint
from extender.core.state.records import NodeRecord, PodRecord


class Needs(Struct, frozen=True, gc=False):
    """What a pod needs of a node."""

    requests: Requests = Requests()
    constraints: Constraints = NO_CONSTRAINTS


def needed(pod: PodRecord) -> Requests:
    """What a pod like `pod` needs of a node: not the extended resources that the scheduler is told to ignore.

    It is when `pod`, or another of its revision, is on a node that does not have the resource at all
    (`NodeResourcesFitArgs.ignoredResources`, `ignoredByScheduler` of an extender).
    """
    extended = pod.requests.extended
    if not extended:
        return pod.requests
    ignored: set[str] = set()
    for each in (pod, *pod.revision.pods) if pod.revision is not None else (pod,):
        facts = each.node.facts if each.node is not None else None
        # What it has by a claim says nothing of what others need.
        if facts is not None and not each.constraints.unmodelled:
            offered = {name for name, _ in facts.allocatable.extended}
            ignored.update(name for name, _ in each.requests.extended if _is_extended(name) and name not in offered)
    if not ignored:
        return pod.requests
    kept = tuple((name, amount) for name, amount in extended if name not in ignored)
    return replace(pod.requests, extended=kept)


def _is_extended(name: str) -> bool:
    """Whether a resource is one of those that Kubernetes itself knows nothing of (`IsExtendedResourceName`)."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def has_room(node: NodeRecord, asked: Requests, *, pods: int = 0, taken: Requests | None = None) -> bool:
    """Say whether a node has room for `asked` beside its pods, `pods` more of them and what those have `taken`."""
    facts = node.facts
    if facts is None or len(node.pods) + pods >= facts.max_pods:
        return False
    offer = facts.allocatable
    taken = taken or Requests()
    if (
        (asked.cpu and node.cpu + taken.cpu + asked.cpu > offer.cpu)
        or (asked.memory and node.memory + taken.memory + asked.memory > offer.memory)
        or (asked.ephemeral and node.ephemeral + taken.ephemeral + asked.ephemeral > offer.ephemeral)
    ):
        return False
    if asked.extended:
        offered, used, nominated = dict(offer.extended), node.extended or {}, dict(taken.extended)
        for name, amount in asked.extended:
            if used.get(name, 0) + nominated.get(name, 0) + amount > offered.get(name, 0):
                return False
    return True


def admits(node: NodeRecord, constraints: Constraints) -> bool:
    """Say whether a node's taints, labels and name admit a pod, whatever its room."""
    facts = node.facts
    if facts is None:
        return False
    if facts.unschedulable and not any(t.tolerates(_CORDONED) for t in constraints.tolerations):
        return False
    return tolerated(facts, constraints) and selected(facts, constraints)


_CORDONED = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


def tolerated(node: Node, constraints: Constraints) -> bool:
    """Say whether a pod tolerates all taints that keep pods off a node."""
    tolerations = constraints.tolerations
    return all(
        taint.effect == "PreferNoSchedule" or any(t.tolerates(taint) for t in tolerations) for taint in node.taints
    )


def selected(node: Node, constraints: Constraints) -> bool:
    """Say whether a node meets a pod's node selector and required node affinity."""
    labels = node.labels
    if any(labels.get(key) != value for key, value in constraints.node_selector):
        return False
    return meets(node, constraints.node_terms)


def meets(node: Node, terms: tuple[tuple[Requirement, ...], ...] | None) -> bool:
    """Say whether a node meets one of a node selector's terms; None asks for nothing, an empty term matches none."""
    return terms is None or any(term and all(r.matches(node.name, node.labels) for r in term) for term in terms)


def share(requests: Requests, offer: Requests) -> float:
    """The share of a node that a pod takes, 0 to 1."""
    return max(
        requests.cpu / offer.cpu if offer.cpu else 0.0,
        requests.memory / offer.memory if offer.memory else 0.0,
    )
