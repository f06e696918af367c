"""Which of the node groups that an autoscaler could enlarge are the best for the pods that wait.

A group whose class is another than what is written on its pods makes no sense. Among groups of spot nodes those are
better whose pool was interrupted less of late, then those whose pool holds fewer pods of the workloads that wait. What
nothing is known of is neither better nor worse: the autoscaler's own means choose among all that are left.
"""

from collections import Counter
from collections.abc import Collection, Generator, Mapping, Sequence

from msgspec import Struct

from extender.core.model.classes import INSTANCE_TYPE_LABELS, ZONE_LABELS, ClassRules, first_label
from extender.core.state.records import Pool
from extender.core.state.state import ClusterState

STEP = 50
"""Revisions that are looked at between two pauses."""


class Wanting(Struct, frozen=True, gc=False):
    """Pods that wait: the UID of their controller, and the class that is written on them; each may be empty."""

    owner: str
    capacity_class: str


class NodeGroup(Struct, frozen=True, gc=False):
    """A node group that could be enlarged: the labels of its nodes, None if not known, and the pods it would take."""

    name: str
    labels: Mapping[str, str] | None
    pods: Collection[Wanting]


class _Place(Struct, frozen=True, gc=False):
    """Class and pool of a group's nodes; `pool` is None unless it is told whole."""

    capacity_class: str
    pool: Pool | None


def best_groups(
    state: ClusterState, rules: ClassRules, groups: Sequence[NodeGroup], now: float
) -> Generator[None, None, Sequence[NodeGroup]]:
    """The groups without those that are worse than others, in the order given; all of them where none is to be had.

    Args:
        state: the cluster.
        rules: how nodes are told apart.
        groups: what could be enlarged.
        now: seconds since the epoch.
    """
    places = {group.name: _place(rules, group.labels) for group in groups}
    fitting = [group for group in groups if _makes_sense(group, places[group.name])]
    if not fitting:
        return groups
    compared: dict[str, Pool] = {}
    for group in fitting:
        place = places[group.name]
        if place is not None and place.capacity_class in rules.interruptible and place.pool is not None:
            compared[group.name] = place.pool
    held: Counter[Pool] = Counter()
    owners = dict.fromkeys(pod.owner for group in fitting if group.name in compared for pod in group.pods)
    for number, owner in enumerate(owners):
        if number % STEP == 0:
            yield
        revision = state.revisions.get(owner)
        if revision is not None:
            held.update(revision.siblings.pools)
    ranks = {name: (_remembered(state, pool, now), held[pool]) for name, pool in compared.items()}
    best = min(ranks.values(), default=None)
    return [group for group in fitting if ranks.get(group.name, best) == best]


def _place(rules: ClassRules, labels: Mapping[str, str] | None) -> _Place | None:
    if not labels:
        return None
    pool = (first_label(labels, INSTANCE_TYPE_LABELS), first_label(labels, ZONE_LABELS))
    return _Place(rules.class_of(labels), pool if all(pool) else None)


def _makes_sense(group: NodeGroup, place: _Place | None) -> bool:
    return place is None or all(pod.capacity_class in ("", place.capacity_class) for pod in group.pods)


def _remembered(state: ClusterState, pool: Pool, now: float) -> int:
    """Interruptions of a pool in whole numbers: what is left of one after hours tells two pools apart no more."""
    return int(state.interruptions.of(pool, now) + 0.5)
