"""The rules by which cluster-autoscaler sees pods, in our own words: which it helps, and with which node groups.

From `core/podlistprocessor` (filter_out_expendable, filter_out_schedulable) and `core/scaleup` of its source. Of the
scheduler's filters those count that a class has to do with: taints, node affinity, requests. No extender is asked.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from extender.core.capacity.fit import admits
from extender.core.model.objects import Node, Pod
from extender.core.state.records import NodeRecord

EXPENDABLE = -10
"""Pods of a lower priority are not helped."""


class Waiting(Struct, frozen=True):
    """A pod as the autoscaler lists it; `pod` has what our state knows of it."""

    pod: Pod
    priority: int = 0


def helped(pods: Iterable[Waiting], nodes: Sequence[Node]) -> list[Waiting]:
    """The pods that need a node that is not there, after those that fit somewhere have been put there."""
    free = {node.name: node.allocatable.cpu for node in nodes}
    left: list[Waiting] = []
    candidates = []
    for waiting in pods:
        pod = waiting.pod
        # The scheduler writes another reason while there are gates, so that such pods are not listed.
        if pod.node or pod.gates or not pod.unscheduled or waiting.priority < EXPENDABLE:
            continue
        if pod.nominated in free:
            # It is taken for granted that it will be there.
            free[pod.nominated] -= pod.requests.cpu
            continue
        candidates.append(waiting)
    for waiting in sorted(candidates, key=lambda each: -each.priority):
        where = next((n.name for n in nodes if _fits(waiting.pod, n, free[n.name])), None)
        if where is None:
            left.append(waiting)
        else:
            free[where] -= waiting.pod.requests.cpu
    return left


def options(pod: Pod, groups: Mapping[str, Node]) -> set[str]:
    """The node groups that would help a pod, by their templates."""
    return {name for name, template in groups.items() if _fits(pod, template, template.allocatable.cpu)}


def _fits(pod: Pod, node: Node, cpu: int) -> bool:
    return pod.requests.cpu <= cpu and admits(NodeRecord(node.name, replace(node), []), pod.constraints)
