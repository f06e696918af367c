"""Which node groups are the best for the pods that wait."""

from collections.abc import Collection, Mapping

import pytest
from support.doubles import World, make_node, make_pod

from extender.core.model.classes import ClassRules
from extender.core.placement.node_groups import NodeGroup, Wanting, best_groups
from extender.core.state.events import Gone

RULES = ClassRules()


def labels(capacity_class: str, instance_type: str = "m.large", zone: str = "a") -> dict[str, str]:
    named = {
        "karpenter.sh/capacity-type": capacity_class,
        "node.kubernetes.io/instance-type": instance_type,
        "topology.kubernetes.io/zone": zone,
    }
    return {key: value for key, value in named.items() if value}


def group(name: str, said: Mapping[str, str] | None, *pods: Wanting) -> NodeGroup:
    return NodeGroup(name, said, pods)


def best(world: World, *groups: NodeGroup) -> Collection[str]:
    steps = best_groups(world.state, RULES, groups, world.now)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return [each.name for each in end.value]


def interrupt(world: World, name: str, **fields: str) -> None:
    """A spot node vanishes."""
    world.up(make_node(name, **fields))
    world.state.apply(Gone("nodes", f"uid-{name}"), world.now)


@pytest.fixture
def world() -> World:
    return World()


def test_groups_of_which_nothing_speaks_against_any_stay_in_order(world: World) -> None:
    assert best(world) == []
    spot = [group(f"g{number}", labels("spot", zone=zone)) for number, zone in enumerate("bac")]
    assert best(world, *spot) == ["g0", "g1", "g2"]


def test_a_class_that_is_not_written_on_the_pods_makes_no_sense(world: World) -> None:
    for wanted, expected in (("spot", ["s"]), ("on-demand", ["o"]), ("", ["o", "s"])):
        pods = (Wanting("w", wanted), Wanting("w", ""))
        assert best(world, group("o", labels("on-demand"), *pods), group("s", labels("spot"), *pods)) == expected


def test_where_no_group_makes_sense_all_stay(world: World) -> None:
    pod = Wanting("w", "spot")
    assert best(world, group("a", labels("on-demand"), pod), group("b", labels("on-demand"), pod)) == ["a", "b"]


def test_pools_interrupted_less_of_late_are_better(world: World) -> None:
    groups = [group(zone, labels("spot", zone=zone)) for zone in "abc"]
    interrupt(world, "n1", zone="a")
    assert best(world, *groups) == ["b", "c"]
    interrupt(world, "n2", zone="b")
    interrupt(world, "n3", zone="c")
    interrupt(world, "n4", zone="c")
    assert best(world, *groups) == ["a", "b"]
    # What is hours old tells them apart no more.
    world.now += 3 * 3600
    assert best(world, *groups) == ["a", "b", "c"]


def test_then_pools_with_fewer_pods_of_the_workloads_that_wait(world: World) -> None:
    waits, other = world.deployment("web", 4, spot_percentage=100), world.deployment("db", 4, spot_percentage=100)
    world.up(*(make_node(zone, zone=zone) for zone in "abc"))
    world.up(make_pod("p1", waits, "a"), make_pod("p2", waits, "a"), make_pod("p3", waits, "b"))
    world.up(make_pod("p4", other, "c"), make_pod("p5", other, "c"), make_pod("p6", other, "c"))
    groups = [group(zone, labels("spot", zone=zone), Wanting(waits.uid, "spot")) for zone in "abc"]
    assert best(world, *groups) == ["c"]
    # Interruptions count first.
    interrupt(world, "n1", zone="c")
    assert best(world, *groups) == ["b"]
    both = [group(each.name, each.labels, *each.pods, Wanting(other.uid, "spot")) for each in groups[:1]]
    assert best(world, *both, *groups[1:2]) == ["b"]


def test_what_nothing_is_known_of_is_neither_better_nor_worse(world: World) -> None:
    interrupt(world, "n1")
    unknown = [
        group("no node", None),
        group("no labels", {}),
        group("no zone", labels("spot", zone="")),
        group("no type", labels("spot", instance_type="")),
        group("on-demand", labels("on-demand")),
    ]
    names = [each.name for each in unknown]
    assert best(world, group("bad", labels("spot")), *unknown) == ["bad", *names]
    assert best(world, group("bad", labels("spot")), *unknown, group("good", labels("spot", zone="b"))) == [
        *names,
        "good",
    ]


def test_many_workloads_are_looked_at_in_steps(world: World) -> None:
    pods = [Wanting(f"w{number}", "spot") for number in range(1000)]
    steps = best_groups(world.state, RULES, [group("g", labels("spot"), *pods)], world.now)
    assert sum(1 for _ in steps) == 20
