"""Policy objects at work: whom they speak for, what beats what, what is told on them, and what becomes of changes."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from integration.policyobjects.waiting import conditions, has, says, until_followed
from support.cluster import Cluster, policy
from support.commands import SCRIPT, run
from support.objects import Objects
from support.patience import eventually
from support.policyobjects import cluster_policy, placement_policy, shares
from support.stage import Stage

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

WEB = {"tier": "web"}
FOR_WEB = {"selector": {"matchLabels": WEB}}


@pytest.fixture(autouse=True)
async def followed(stage: Stage) -> None:
    await until_followed(stage)


async def test_it_speaks_for_whom_it_selects_and_tells_how_they_are(objects: Objects, cluster: Cluster) -> None:
    thing = placement_policy("web", cluster.namespace, {**FOR_WEB, "classes": shares(70, base=4)})
    await objects.apply(thing)
    await cluster.deployment("a", 10, labels=WEB)
    await cluster.deployment("b", 5, labels=WEB)
    await cluster.deployment("out", 4, labels={**WEB, "spotmix.io/enabled": "false"})
    await cluster.deployment("other", 4, labels={"tier": "db"})
    await cluster.expect("a", spot=6, on_demand=4)
    await cluster.expect("b", spot=1, on_demand=4)
    seen = await says(objects, thing, workloads=2, replicas=15, wanted="7/8", actual="7/8")
    assert conditions(seen) == {
        "Accepted": ("True", "Accepted"),
        "Converged": ("True", "Converged"),
        "Degraded": ("False", "Healthy"),
    }
    assert seen["classes"] == [
        {"name": "spot", "wanted": 7, "actual": 7},
        {"name": "on-demand", "wanted": 8, "actual": 8},
    ]


async def test_each_key_is_from_the_most_specific_level(stage: Stage, objects: Objects) -> None:
    widest = cluster_policy("widest", {"classes": shares(20, base=1, max=3), "mode": "Enforce"})
    async with stage.namespace(annotations=policy(spot_percentage=40, min_on_demand=2)) as cluster:
        widest["spec"]["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}}
        await objects.apply(widest)
        own = placement_policy("own", cluster.namespace, {**FOR_WEB, "classes": shares(60)})
        await objects.apply(own)
        # The configuration's default, the cluster's cap, the Namespace's floor, the policy's share.
        await cluster.deployment("by-policy", 10, labels=WEB)
        await cluster.deployment("by-namespace", 10, labels={})
        await cluster.deployment("by-itself", 10, policy(spot_percentage=90, max_spot=9), labels=WEB)
        await cluster.expect("by-policy", spot=3, on_demand=7)
        await cluster.expect("by-namespace", spot=3, on_demand=7)
        await cluster.expect("by-itself", spot=8, on_demand=2)
        kubeconfig = str(stage.plane.kubeconfig)
        what = ("deployment", "by-policy", "-n", cluster.namespace)
        ran = await run(SCRIPT, "explain", *what, "--kubeconfig", kubeconfig)
        text = ran.out + ran.err
        assert f"PlacementPolicy {cluster.namespace}/own spec.classes[].weight" in text, text
        assert "ClusterPlacementPolicy widest spec.classes[1].max" in text, text
        await objects.delete(own)
        await cluster.deployment("later", 5, labels=WEB)
        await cluster.expect("later", spot=2, on_demand=3)
        await objects.delete(widest)


async def test_what_if_foretells_what_comes(stage: Stage, objects: Objects, cluster: Cluster, tmp_path: Path) -> None:
    await objects.apply(placement_policy("old", cluster.namespace, {**FOR_WEB, "priority": 1, "classes": shares(50)}))
    await cluster.deployment("spoken", 4, labels=WEB)
    await cluster.deployment("free", 4, labels={})
    await cluster.expect("spoken", spot=2, on_demand=2)
    file = tmp_path / "policy.json"
    tried = placement_policy("new", cluster.namespace, {"classes": shares(100)})
    file.write_text(json.dumps(tried))

    async def foretold(*where: str) -> dict[str, Any]:
        who = ("-n", cluster.namespace, "--kubeconfig", str(stage.plane.kubeconfig), *where, "-o", "json")
        ran = await run(SCRIPT, "what-if", "--policy", str(file), *who)
        assert ran.code == 0, ran.err
        answer: dict[str, Any] = json.loads(ran.out)
        return answer

    answer = await foretold("--local")
    (policy,) = answer["policies"]
    assert (policy["after"], policy["lost"], policy["losses"][0]["name"]) == (1, 1, "spoken")
    (row,) = answer["workloads"]
    assert (row["name"], row["policiesAfter"]) == ("free", [f"PlacementPolicy {cluster.namespace}/new"])
    asked = await foretold("--server", stage.spotmix.api_target)
    assert asked["policies"] == answer["policies"]
    assert asked["workloads"][0]["after"]["wanted"] == row["after"]["wanted"]
    await objects.apply(tried)
    # The drift loop does what was foretold.
    await cluster.expect("free", **{key.replace("-", "_"): n for key, n in row["after"]["wanted"].items() if n})
    await cluster.expect("spoken", spot=2, on_demand=2)


async def test_of_two_the_higher_priority_speaks_and_the_other_is_told(objects: Objects, cluster: Cluster) -> None:
    first = placement_policy("first", cluster.namespace, {"classes": shares(50)})
    await objects.apply(first)
    await cluster.deployment("web", 4, labels=WEB)
    await cluster.expect("web", spot=2, on_demand=2)
    second = placement_policy("second", cluster.namespace, {**FOR_WEB, "priority": 1, "classes": shares(100)})
    await objects.apply(second)
    # What runs is moved by the drift loop.
    await cluster.expect("web", spot=4, seconds=120)
    await says(objects, second, workloads=1, actual="4/0")
    seen = await says(objects, first, workloads=0)
    told = next(each["message"] for each in seen["conditions"] if each["type"] == "Accepted")
    assert f"Deployment {cluster.namespace}/web by PlacementPolicy {cluster.namespace}/second" in told
    # A selector that is edited loses its workload.
    second["spec"]["selector"] = {"matchLabels": {"tier": "other"}}
    await objects.apply(second)
    await says(objects, first, workloads=1, wanted="2/2")
    await has(objects, second, "Converged", "True", "NoWorkloads")
    await objects.delete(second)
    await objects.delete(first)
    await cluster.scale("Deployment", "web", 6)

    async def unmanaged() -> bool:
        pods = await cluster.pods("web")
        return len(pods) == 6 and not any(
            "pod-deletion-cost" in str(pod["metadata"].get("annotations")) for pod in pods
        )

    await eventually(unmanaged, bool, "the workload is nobody's, and its costs are taken back")


async def test_a_class_that_no_rule_knows_is_told(objects: Objects, cluster: Cluster) -> None:
    classes = [{"name": "gold", "max": 4}, *shares(70)]
    thing = placement_policy("three", cluster.namespace, {"classes": classes})
    await objects.apply(thing)
    await cluster.deployment("web", 3, labels=WEB)
    seen = await has(objects, thing, "Accepted", "False", "InvalidValue")
    told = next(each["message"] for each in seen["conditions"] if each["type"] == "Accepted")
    assert "names gold, a class that no rule of the cluster knows; write one of on-demand, reserved, spot, or" in told
    await cluster.expect("web", on_demand=3)
    thing["spec"]["classes"] = shares(70)
    await objects.apply(thing)
    await says(objects, thing, workloads=1, wanted="2/1")


async def test_a_value_that_the_schema_cannot_judge_is_told(objects: Objects, cluster: Cluster) -> None:
    moves = {"schedule": "0 2 31 2 *", "duration": "4h", "timeZone": "Europe/Nowhere"}
    thing = placement_policy("odd", cluster.namespace, {"classes": shares(50), "moves": moves})
    await objects.apply(thing)
    await cluster.deployment("web", 4, labels=WEB)
    # Its split is kept, as with annotations.
    await cluster.expect("web", spot=2, on_demand=2)
    seen = await has(objects, thing, "Accepted", "False", "InvalidValue")
    told = next(each["message"] for each in seen["conditions"] if each["type"] == "Accepted")
    assert "spec.moves.timeZone='Europe/Nowhere' names no known time zone; write an IANA name" in told
    await has(objects, thing, "Degraded", "True", "PolicyInvalid")
    found = await eventually(partial(cluster.events, "PolicyInvalid"), bool, "an Event of the workload")
    assert "PlacementPolicy" in found[0]["note"]
