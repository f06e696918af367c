"""How many nodes of each class and mark there are, and when that is news."""

import itertools
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import ON_DEMAND, SPOT, World, make_node

from extender.core.model.classes import ClassRules
from extender.core.model.objects import Node
from extender.core.model.taints import Taint

KARPENTER = (("karpenter.sh/capacity-type", "spot"),)
TAINT = Taint("cheap", "", "NoSchedule")


def fresh(world: World) -> tuple[dict[Any, int], dict[Any, int]]:
    """What a census counts, counted anew."""
    marks: dict[Any, int] = {}
    taints: dict[Any, int] = {}
    for nodes in world.state.placeable.values():
        for record in nodes.values():
            assert record.facts is not None
            key = (record.facts.capacity_class, record.facts.marks)
            marks[key] = marks.get(key, 0) + 1
            for taint in record.facts.taints if record.facts.capacity_class == SPOT else ():
                taints[taint] = taints.get(taint, 0) + 1
    return marks, taints


def nodes() -> st.SearchStrategy[Node]:
    return st.builds(
        make_node,
        st.sampled_from(["n1", "n2", "n3"]),
        st.sampled_from([SPOT, ON_DEMAND]),
        uid=st.sampled_from(["u1", "u2", "u3"]),
        marks=st.sampled_from([(), KARPENTER]),
        taints=st.sampled_from([(), (TAINT,)]),
        going_away=st.sampled_from(["", "", "deletionTimestamp"]),
    )


@given(st.lists(nodes() | st.sampled_from(["u1", "u2", "u3"]), max_size=40))
def test_it_counts_the_nodes_there_are(events: list[Node | str]) -> None:
    world = World()
    for event in events:
        if isinstance(event, str):
            world.gone("nodes", event)
        else:
            # A node's name and uid belong together.
            world.up(msgspec.structs.replace(event, uid=f"u{event.name[1]}"))
        assert (world.state.census._marks, world.state.census._taints) == fresh(world)


def test_its_version_tells_of_what_is_new_and_not_of_more_of_the_same() -> None:
    world = World()
    census = world.state.census
    seen = [census.version]
    for name, marks, taints in (
        ("n1", KARPENTER, (TAINT,)),
        ("n2", KARPENTER, (TAINT,)),
        ("n2", KARPENTER, ()),
        ("n1", KARPENTER, ()),
        ("n1", (), ()),
    ):
        world.up(make_node(name, SPOT, marks=marks, taints=taints))
        seen.append(census.version)
    assert [after > before for before, after in itertools.pairwise(seen)] == [True, False, False, True, True]


def test_rules_name_their_labels_once_and_in_order() -> None:
    labels = ClassRules().labels
    assert labels[:2] == ("spotmix.io/capacity-class", "karpenter.sh/capacity-type")
    assert len(labels) == len(set(labels))
