"""Nodes that are decoded under other class rules than before."""

import msgspec

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.objects import Node
from extender.wire.objects_v1 import Decoders

NODE = msgspec.json.encode({"metadata": {"name": "n", "uid": "u", "labels": {"market": "cheap"}}})


def test_decoders_that_were_made_go_by_other_rules() -> None:
    decoders = Decoders(ClassRules(), ("spotmix.io",))
    made = decoders.make("nodes", "v1", "Node")
    before = made.one(NODE)
    decoders.go_by(ClassRules(extra_rules=(ClassRule("market", "spot", ("cheap",)),)))
    after = made.one(NODE)
    assert isinstance(before, Node)
    assert isinstance(after, Node)
    assert (before.capacity_class, after.capacity_class) == ("on-demand", "spot")
    assert after.marks == (("market", "cheap"),)
