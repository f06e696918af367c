"""Three classes on a real control plane: exact in a burst, a rollout and at every size; what stands in goes back."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from support.cluster import RESERVED, TIER, Cluster, pod_template
from support.commands import SCRIPT, run
from support.objects import Objects
from support.patience import eventually
from support.policyobjects import placement_policy
from support.stage import Stage, metric_lines, standard_nodes

from extender.sandbox import create_nodes, node_pool
from extender.sandbox.nodes import terminate_node

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

WEB = {"tier": "web"}
SPEC: Mapping[str, Any] = {
    "selector": {"matchLabels": WEB},
    "classes": [
        {"name": RESERVED, "max": 4},
        {"name": "on-demand", "base": 2, "weight": 30},
        {"name": "spot", "weight": 70, "max": "80%", "maxPerPool": "25%"},
    ],
    "unsatisfiable": {"action": "Fallback", "to": [RESERVED, "on-demand"]},
    "moves": {"maxPerHour": 1000},
}


@pytest_asyncio.fixture(loop_scope="session")
async def reserved(stage: Stage) -> AsyncIterator[Stage]:
    """The stage with nodes of a third class: room for two revisions' seats, or for stand-ins."""
    nodes = node_pool(2, capacity_class="on-demand", prefix=RESERVED, platform="none", labels={TIER: RESERVED}, pods=4)
    await create_nodes(stage.api, nodes)
    yield stage
    await asyncio.gather(*(terminate_node(stage.api, node.name, marker=None) for node in nodes))


async def test_three_classes(reserved: Stage, objects: Objects, cluster: Cluster) -> None:
    thing = placement_policy("web", cluster.namespace, SPEC)
    await objects.apply(thing)

    async def status() -> dict[str, Any]:
        found: dict[str, Any] = (await objects.get(thing) or {}).get("status", {})
        return found

    async def shows(wanted: str, actual: str) -> dict[str, Any]:
        return await eventually(
            status, lambda seen: (seen.get("wanted"), seen.get("actual")) == (wanted, actual), f"{actual} of {wanted}"
        )

    await eventually(status, lambda seen: bool(seen.get("conditions")), "the policy is known")
    await cluster.deployment("web", 40, labels=WEB)
    await cluster.ready("web", 40)
    assert await cluster.split("web") == {RESERVED: 4, "on-demand": 11, "spot": 25}
    seen = await shows("4/11/25", "4/11/25")
    assert [each["name"] for each in seen["classes"]] == [RESERVED, "on-demand", "spot"]
    series = [line for line in metric_lines(reserved.spotmix) if line.startswith("spotmix_workload_replicas_actual{")]
    assert [line.rsplit(" ", 1)[1] for line in series if cluster.namespace in line and RESERVED in line] == ["4"]
    what = ("deployment", "web", "-n", cluster.namespace)
    ran = await run(SCRIPT, "explain", *what, "--server", reserved.spotmix.api_target)
    assert f"PlacementPolicy {cluster.namespace}/web spec.classes" in ran.out, ran.out + ran.err
    assert "4/4 reserved" in ran.out, ran.out
    await cluster.roll_out("web", pod_template({"app": "web"}, cpu="11m"))
    await cluster.expect("web", reserved=4, on_demand=11, spot=25)
    for size, split in ((5, (3, 2, 0)), (40, (4, 11, 25)), (11, (4, 3, 4))):
        await cluster.scale("Deployment", "web", size)
        await cluster.ready("web", size)
        await cluster.expect("web", **dict(zip((RESERVED, "on_demand", "spot"), split, strict=True)))
        await cluster.seated("web", range(1, size + 1))
    spot = [node for node in standard_nodes() if node.capacity_class == "spot"]
    await asyncio.gather(*(terminate_node(reserved.api, node.name, marker=None) for node in spot))
    try:
        # All that lost its spot node stands on reserved ones, beyond their seats.
        await cluster.expect("web", reserved=8, on_demand=3)
        await shows("4/3/4", "8/3/0")
    finally:
        await create_nodes(reserved.api, spot)
    await cluster.expect("web", seconds=120, reserved=4, on_demand=3, spot=4)
    await shows("4/3/4", "4/3/4")
