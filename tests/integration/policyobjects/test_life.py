"""Policy objects over time: every level is edited while pods run, and the definitions go and come back."""

from typing import Any

import pytest
from integration.policyobjects.waiting import has, says, until_followed
from programs import ROOT, kubectl
from support.cluster import Cluster, is_ready, policy
from support.commands import SCRIPT, run
from support.objects import Objects
from support.patience import eventually
from support.policyobjects import cluster_policy, definitions, placement_policy, served, shares
from support.stage import Stage

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

TEAM = "example.com/team"
EXAMPLE = ROOT / "docs" / "how-to" / "examples" / "two-services"


@pytest.fixture(autouse=True)
async def followed(stage: Stage) -> None:
    await until_followed(stage)


async def test_every_level_is_edited_while_pods_run(stage: Stage, objects: Objects) -> None:
    spec = {"namespaceSelector": {"matchLabels": {TEAM: "a"}}, "classes": shares(100)}
    widest = cluster_policy("all-of-team-a", spec)
    await objects.apply(widest)
    async with stage.namespace({TEAM: "a"}, policy(max_moves_per_hour=1000)) as cluster:
        own = placement_policy("own", cluster.namespace, {"classes": shares(50)})
        space: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}

        async def decides(text: str, **split: int) -> None:
            """The drift loop moves what runs to the new split, and it is told who decides."""
            await cluster.expect("web", **split)
            given = ("deployment", "web", "-n", cluster.namespace, "--kubeconfig", str(stage.plane.kubeconfig))
            ran = await run(SCRIPT, "explain", *given)
            told = [line for line in ran.out.splitlines() if "spot-percentage" in line]
            assert text in "".join(told), ran.out + ran.err
            assert bool(told) == bool(text), "what nobody says is not told"

        async def of_namespace(**metadata: Any) -> None:
            await objects.patch(space, {"metadata": metadata})

        await cluster.deployment("web", 2)
        await decides("ClusterPlacementPolicy all-of-team-a spec.classes[].weight", spot=2)
        await of_namespace(annotations=policy(spot_percentage=0))
        await decides(f"Namespace {cluster.namespace}", on_demand=2)
        await objects.apply(own)
        await decides(f"PlacementPolicy {cluster.namespace}/own spec.classes[].weight", spot=1, on_demand=1)
        await says(objects, own, workloads=1, wanted="1/1", actual="1/1")
        await cluster.annotate("Deployment", "web", policy(spot_percentage=100))
        await decides(f"Deployment {cluster.namespace}/web", spot=2)
        # Both speak for it still: what they do not say, and it does.
        await says(objects, own, workloads=1, wanted="2/0", actual="2/0")
        await says(objects, widest, workloads=1, wanted="2/0", actual="2/0")
        await cluster.annotate("Deployment", "web", {"spotmix.io/spot-percentage": None})
        await decides(f"PlacementPolicy {cluster.namespace}/own spec.classes[].weight", spot=1, on_demand=1)
        await objects.delete(own)
        await decides(f"Namespace {cluster.namespace}", on_demand=2)
        await of_namespace(annotations={"spotmix.io/spot-percentage": None})
        await decides("ClusterPlacementPolicy all-of-team-a spec.classes[].weight", spot=2)
        # The namespace is another team's: the configuration is left, and the workload's own label opts it in.
        await of_namespace(labels={TEAM: "b"})
        await decides("", on_demand=2)
        await has(objects, widest, "Converged", "True", "NoWorkloads")
        await of_namespace(labels={TEAM: "a"})
        await decides("ClusterPlacementPolicy all-of-team-a spec.classes[].weight", spot=2)
        seen = await says(objects, widest, workloads=1, wanted="2/0", actual="2/0")
        assert seen["observedGeneration"] == 1
        told = [each for each in await cluster.events("MoveStarted") if each["regarding"]["kind"] == "Deployment"]
        assert told, "the workload is told of moves"
    await objects.delete(widest)


async def test_the_example_of_two_services(stage: Stage, objects: Objects) -> None:
    cluster = Cluster(stage.api, "two-services")
    ran = await run(kubectl(), "--kubeconfig", str(stage.plane.kubeconfig), "apply", "-k", str(EXAMPLE))
    assert ran.code == 0, ran.err

    async def settled() -> dict[Any, int]:
        if not all(map(is_ready, await cluster.pods())):
            return {}
        return await cluster.split("", by=lambda pod: pod["metadata"]["labels"]["app.kubernetes.io/name"])

    wanted = {(name, where): 1 for name in ("web", "api") for where in ("spot", "on-demand")}
    await eventually(settled, lambda seen: seen == wanted, "each service has one replica on each class, all Ready")
    thing = placement_policy("two-services", cluster.namespace, {})
    await says(objects, thing, workloads=2, replicas=4, wanted="2/2", actual="2/2")
    await cluster.delete()


async def test_definitions_go_and_come_back(stage: Stage, objects: Objects, cluster: Cluster) -> None:
    thing = placement_policy("web", cluster.namespace, {"classes": shares(100)})
    await objects.apply(thing)
    await cluster.deployment("web", 2)
    await cluster.deployment("own", 2, policy(spot_percentage=50))
    await cluster.expect("web", spot=2)
    await cluster.expect("own", spot=1, on_demand=1)
    process = stage.spotmix.pid
    for each in definitions():
        await objects.delete(each)
    # What their objects said is said no more: the configuration holds, and annotations do as ever.
    await cluster.expect("web", on_demand=2)
    await cluster.scale("Deployment", "own", 4)
    await cluster.expect("own", spot=2, on_demand=2)
    for each in definitions():
        await objects.gone(each)
    await objects.apply_all(definitions())
    await served(objects)
    await objects.apply(thing)
    await cluster.expect("web", seconds=120, spot=2)
    await says(objects, thing, workloads=2, wanted="4/2", actual="4/2")
    await until_followed(stage)
    assert stage.spotmix.pid == process
