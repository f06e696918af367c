"""What Spotmix writes on pods, as its own code says, for nodes as these benchmarks have them."""

from functools import cache
from typing import Any

from bench.objects import CAPACITY_TYPE, gated_pod, running_pod
from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.constraints import NO_CONSTRAINTS
from extender.core.model.objects import NodePool
from extender.core.placement.written import ClassWriter
from extender.core.policy.rules import PolicyRules
from extender.core.state.census import Marks
from extender.core.state.events import Upsert
from extender.core.state.state import ClusterState
from extender.wire.podspec_v1 import node_selector_term


@cache
def class_spec(capacity_class: str, *, unlabelled: bool = False) -> dict[str, Any]:
    """What a pod's spec says once its class is written; `unlabelled`: there are on-demand nodes without any label."""
    offers: list[tuple[str, Marks]] = [
        (SPOT, ((CAPACITY_TYPE, "spot"),)),
        (ON_DEMAND, ((CAPACITY_TYPE, "on-demand"),)),
    ]
    if unlabelled:
        offers.append((ON_DEMAND, ()))
    state = ClusterState(PolicyRules())
    state.apply(Upsert(NodePool("uid", "pool", tuple(offers))), 0.0)
    requires = ClassWriter(state).requires(capacity_class, NO_CONSTRAINTS)
    assert requires is not None
    if requires.selector:
        return {"nodeSelector": dict(requires.selector)}
    terms = [node_selector_term(term) for term in requires.terms]
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    }


def written_pod(cpu: str, memory: str, capacity_class: str) -> dict[str, Any]:
    """A bound pod on which its class is written."""
    return _written(running_pod(cpu, memory), capacity_class)


def decided_pod(cpu: str, memory: str, capacity_class: str) -> dict[str, Any]:
    """A pod without a node on which its class is written, as a watch shows it."""
    return _written(gated_pod(cpu, memory), capacity_class)


def _written(pod: dict[str, Any], capacity_class: str) -> dict[str, Any]:
    pod["metadata"]["annotations"]["spotmix.io/class"] = capacity_class
    pod["spec"] |= class_spec(capacity_class)
    return pod
