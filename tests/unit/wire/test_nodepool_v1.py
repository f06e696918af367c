"""NodePools of Karpenter as the API server has them, and as nobody should write them."""

import json
from typing import Any

import pytest

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.errors import WireError
from extender.core.model.objects import NodePool
from extender.core.model.taints import Taint
from extender.wire.objects_v1 import Decoders

LABEL = "karpenter.sh/capacity-type"
SPOT, ON_DEMAND = ("spot", ((LABEL, "spot"),)), ("on-demand", ((LABEL, "on-demand"),))


def read(spec: Any, rules: ClassRules | None = None) -> NodePool:
    decoder = Decoders(rules or ClassRules(), ("spotmix.io",)).make(
        "nodepools.karpenter.sh", "karpenter.sh/v1", "NodePool"
    )
    found = decoder.one(json.dumps({"metadata": {"uid": "u", "name": "pool"}, "spec": spec}).encode())
    assert isinstance(found, NodePool)
    return found


def requiring(operator: str, *values: str, **template: Any) -> dict[str, Any]:
    return {
        "template": {
            "spec": {"requirements": [{"key": LABEL, "operator": operator, "values": list(values)}]},
            **template,
        }
    }


@pytest.mark.parametrize(
    ("spec", "offers"),
    [
        (None, (SPOT, ON_DEMAND)),
        ({"template": None}, (SPOT, ON_DEMAND)),
        (requiring("In", "spot"), (SPOT,)),
        (requiring("NotIn", "spot"), (ON_DEMAND,)),
        (requiring("Exists"), (SPOT, ON_DEMAND)),
        (requiring("In", "reserved", "spot"), (("on-demand", ((LABEL, "reserved"),)), SPOT)),
        (requiring("In"), ()),
    ],
)
def test_what_it_may_launch(spec: Any, offers: Any) -> None:
    assert read(spec).offers == offers


def test_labels_of_its_template_and_taints() -> None:
    rules = ClassRules(extra_rules=(ClassRule("tier", "spot", ("cheap",)),))
    spec = requiring("In", "on-demand", metadata={"labels": {"tier": "cheap", "other": "x", "odd": 1}})
    spec["template"]["spec"]["taints"] = [{"key": "tier", "value": "cheap", "effect": "NoSchedule"}]
    pool = read(spec, rules)
    assert pool.offers == (("spot", (("tier", "cheap"), (LABEL, "on-demand"))),)
    assert pool.taints == (Taint("tier", "cheap", "NoSchedule"),)


def test_a_huge_one_is_cut_and_a_wrong_one_is_told_of() -> None:
    many = [{"key": LABEL, "operator": "In", "values": [f"v{n}" for n in range(10_000)]}]
    assert len(read({"template": {"spec": {"requirements": many}}}).offers) == 50
    with pytest.raises(WireError, match="does not decode"):
        read({"template": {"spec": {"requirements": "all"}}})
