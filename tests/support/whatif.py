"""Clusters to suppose changes in, and what holds of every answer."""

from collections.abc import Sequence

import msgspec

from extender.core.answers.plan import WorkloadName
from extender.core.model.objects import OwnerRef, Requests
from extender.core.model.policies import PlacementPolicy
from extender.core.whatif.outlook import Change, Outlook, WhatIf
from extender.core.whatif.what_if import what_if
from support.doubles import World, make_node

WEB = WorkloadName("shop", "deploy", "web")


def nodes(world: World, capacity_class: str, *rooms: int, **fields: object) -> list[str]:
    """Nodes with room for so many pods of 100m each."""
    names = []
    for number, room in enumerate(rooms):
        name = f"{capacity_class}-{fields.get('zone', 'a')}-{number}"
        world.up(make_node(name, capacity_class, allocatable=Requests(cpu=100 * room), **fields))
        names.append(name)
    return names


def free(world: World, names: Sequence[str], cpu: int = 100) -> list[str]:
    """Those that a scheduler would offer."""
    return [
        name
        for name in names
        if (node := world.state.nodes[name]).facts is not None and node.cpu + cpu <= node.facts.allocatable.cpu
    ]


def fill(world: World, owner: OwnerRef, count: int, names: Sequence[str]) -> None:
    """Pods one by one, each decided on and bound as soon as it is made."""
    for _ in range(count):
        add(world, owner, names)


def add(world: World, owner: OwnerRef, names: Sequence[str]) -> None:
    number = len(world.state.pods)
    offered = free(world, names)
    pod, decision = world.place(owner, offered, uid=f"{owner.name}-{number}")
    bound = bool(decision.nodes if decision.nodes is not None else offered)
    world.up(msgspec.structs.replace(pod, node=pod.node if bound else "", created=float(number)))


def ask(world: World, change: Change, *policies: PlacementPolicy) -> WhatIf:
    before = frozen(world)
    seen = what_if(world.state, change, world.now, policies=policies)
    assert frozen(world) == before, "the state was changed"
    msgspec.json.encode(seen)
    check(seen)
    return seen


def frozen(world: World) -> object:
    state = world.state
    return (
        {name: (len(node.pods), node.cpu, node.facts) for name, node in state.nodes.items()},
        {uid: (pod.node.name if pod.node else "", pod.counted, pod.terminating) for uid, pod in state.pods.items()},
        {uid: (dict(each.filled), dict(each.reserved)) for uid, each in state.revisions.items()},
        {uid: (owner.replicas, owner.annotations) for uid, owner in state.workloads.owners.items()},
        {uid: each.parsed for uid, each in state.workloads.by_uid.items()},
        (dict(state.workloads.objects.by_uid), dict(state.workloads.assignments.of_workload)),
        set(state.unbound),
    )


def check(seen: WhatIf) -> None:
    """What holds of every answer."""
    for row in seen.workloads:
        for outlook in (row.before, row.after):
            assert sum(outlook.actual.values()) + sum(outlook.pending.values()) == outlook.replicas
            assert outlook.moves.needed == outlook.moves.possible + sum(outlook.moves.blocked.values())
            assert outlook.below_floor <= outlook.floor
            assert sum(outlook.eventual.values()) == sum(outlook.actual.values())
    for side, outlooks in (
        (seen.before, [row.before for row in seen.workloads]),
        (seen.after, [row.after for row in seen.workloads]),
    ):
        assert side.replicas == sum(each.replicas for each in outlooks)
        assert sum(side.actual.values()) == sum(sum(each.actual.values()) for each in outlooks)


def one(seen: WhatIf) -> tuple[Outlook, Outlook]:
    (row,) = seen.workloads
    return row.before, row.after


def some(counts: object) -> dict[str, int]:
    assert isinstance(counts, dict)
    return {str(name): count for name, count in counts.items() if count}
