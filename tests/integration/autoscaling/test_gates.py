"""Classes that are written on gated pods: exact with a scheduler that asks no extender, and with one that does."""

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.cluster import Cluster, pod_template, policy
from support.commands import SCRIPT, run
from support.gates import GATE, OTHER, decided, gated_twice, let_go
from support.patience import eventually, stretched
from support.stage import Stage, standard_nodes
from support.webhook import open_hooked_stage

from extender.core.state.schedulers import DEFAULT_SCHEDULER
from extender.sandbox.controlplane import ADMIN_GROUP

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

STOCK = "stock"
LABEL = "karpenter.sh/capacity-type"
SEVENTY = policy(spot_percentage=70, min_on_demand=2, enforcement="affinity")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A stage with one scheduler more, which has never heard of Spotmix."""
    async with open_hooked_stage(tmp_path_factory.mktemp("gates"), standard_nodes()) as opened:
        await opened.plane.start_scheduler(STOCK)
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(stage: Stage) -> AsyncIterator[Cluster]:
    async with stage.namespace() as namespace:
        yield namespace


async def written(cluster: Cluster, app: str) -> dict[str, int]:
    """Pods by the class that is written on them; each is on a node of that class."""
    classes = await cluster.classes()
    counts: dict[str, int] = {}
    for pod in await cluster.pods(app):
        said = pod["metadata"].get("annotations", {}).get("spotmix.io/class", "none")
        assert classes[pod["spec"]["nodeName"]] == said, pod["metadata"]["name"]
        assert "schedulingGates" not in pod["spec"]
        counts[said] = counts.get(said, 0) + 1
    return counts


async def held(cluster: Cluster, names: Sequence[str], replicas: int) -> None:
    """Deployments whose pods all have our gate, behind that of another."""
    await asyncio.gather(
        *(cluster.deployment(name, replicas, SEVENTY, schedulerName=STOCK, schedulingGates=[OTHER]) for name in names)
    )
    for name in names:
        await gated_twice(cluster, name, replicas)


@pytest.mark.parametrize("scheduler", [STOCK, "default-scheduler"])
async def test_a_burst_is_exact(cluster: Cluster, scheduler: str) -> None:
    names = [f"web-{number}" for number in range(5)]
    await asyncio.gather(*(cluster.deployment(name, 10, SEVENTY, schedulerName=scheduler) for name in names))
    for name in names:
        await cluster.expect(name, spot=7, on_demand=3)
        assert await written(cluster, name) == {"spot": 7, "on-demand": 3}


async def test_a_rollout_and_a_walk_through_sizes_are_exact(cluster: Cluster) -> None:
    await cluster.deployment("web", 10, SEVENTY, schedulerName=STOCK)
    await cluster.expect("web", spot=7, on_demand=3)
    await cluster.roll_out("web", {"metadata": {"annotations": {"v": "2"}}})
    await cluster.expect("web", spot=7, on_demand=3)
    for size, spot in ((25, 17), (6, 4), (14, 9), (3, 1)):
        await cluster.scale("Deployment", "web", size)
        await cluster.expect("web", spot=spot, on_demand=size - spot)
        await cluster.ready("web", size)
        await cluster.seated("web", range(1, size + 1))


async def test_a_stateful_set_takes_seats_by_ordinal(cluster: Cluster) -> None:
    spec = {
        "replicas": 6,
        "serviceName": "db",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": "db"}},
        "template": pod_template({"app": "db"}, schedulerName=STOCK),
    }
    await cluster.create("StatefulSet", "db", spec, policy(spot_percentage=50, enforcement="affinity"))
    await cluster.expect("db", spot=3, on_demand=3)
    on = await cluster.split("db", lambda pod: pod["metadata"]["name"].rpartition("-")[2])
    assert {ordinal for ordinal, where in on if where == "spot"} == {"1", "3", "5"}


AFFINITIES: dict[str, dict[str, Any]] = {
    "two-terms": {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]},
            {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b"]}]},
        ]
    },
    "a-field": {
        "nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["spot-0"]}]},
        ]
    },
}


async def test_what_if_says_what_comes(stage: Stage, cluster: Cluster, tmp_path: Path) -> None:
    await cluster.deployment("web", 10, SEVENTY, schedulerName=STOCK)
    await cluster.expect("web", spot=7, on_demand=3)
    kubeconfig = str(stage.plane.write_kubeconfig("admin", (ADMIN_GROUP,), tmp_path / "admin"))
    asked = ("what-if", "deploy/web", "-n", cluster.namespace, "-o", "json")
    for size, now in ((23, 10), (5, 23)):
        for who in (("--local",), ("--server", stage.spotmix.api_target)):
            said = await run(SCRIPT, *asked, "--replicas", str(size), *who, KUBECONFIG=kubeconfig)
            assert (said.code, said.err) == (0, "")
            (row,) = json.loads(said.out)["workloads"]
            assert (row["before"]["actual"], row["after"]["pending"]) == (await cluster.split("web"), {})
            # Scale-in goes by the costs.
            await cluster.seated("web", range(1, now + 1))
        await cluster.scale("Deployment", "web", size)
        actual = row["after"]["actual"]
        await cluster.expect("web", spot=actual["spot"], on_demand=actual["on-demand"])


@contextlib.asynccontextmanager
async def unlabelled_node(stage: Stage, cluster: Cluster) -> AsyncIterator[None]:
    """A node that no label tells the class of, so that the value of a label does not say all of on-demand."""

    async def known() -> float:
        return stage.metric('spotmix_nodes{capacity_class="on-demand"}') or 0.0

    before = await known()
    body = {"metadata": {"name": "bare", "labels": {"app": "none"}}, "spec": {"unschedulable": True}}
    await cluster.api.request("POST", "/api/v1/nodes", body=body)
    try:
        await eventually(known, lambda count: count > before, "Spotmix has seen the node")
        yield
    finally:
        await cluster.api.request("DELETE", "/api/v1/nodes/bare")


@pytest.mark.parametrize("name", AFFINITIES)
@pytest.mark.parametrize("labelled", [True, False])
async def test_what_a_pod_requires_itself_stays(stage: Stage, cluster: Cluster, name: str, labelled: bool) -> None:
    required = AFFINITIES[name]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    selectors = [{LABEL: "spot"}] * 7 + [{LABEL: "on-demand"} if labelled else None] * 3
    async with contextlib.nullcontext() if labelled else unlabelled_node(stage, cluster):
        await cluster.deployment("web", 10, SEVENTY, schedulerName=STOCK, affinity=affinity)
        await cluster.expect("web", spot=7, on_demand=3)
    found = [pod["spec"].get("nodeSelector") for pod in await cluster.pods("web")]
    assert sorted(found, key=str) == sorted(selectors, key=str)
    for pod in await cluster.pods("web"):
        terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        for before, after in zip(required["nodeSelectorTerms"], terms["nodeSelectorTerms"], strict=True):
            for key, expressions in before.items():
                assert after[key][: len(expressions)] == expressions


async def test_gates_of_others_come_first(stage: Stage, cluster: Cluster, tmp_path: Path) -> None:
    await held(cluster, ["web"], 4)
    name = (await cluster.pods("web"))[0]["metadata"]["name"]
    kubeconfig = str(stage.plane.write_kubeconfig("admin", (ADMIN_GROUP,), tmp_path / "admin"))
    for who in (("--local",), ("--server", stage.spotmix.api_target)):
        said = await run(SCRIPT, "explain", f"pod/{name}", "-n", cluster.namespace, *who, KUBECONFIG=kubeconfig)
        assert f"by {OTHER['name']}, {GATE}: no scheduler and no autoscaler sees it" in said.out
        assert "gated, its seat is" in said.out
    await let_go(cluster)
    await cluster.expect("web", spot=2, on_demand=2)


async def test_whoever_names_a_class_is_left_alone(cluster: Cluster) -> None:
    await cluster.deployment(
        "web", 3, SEVENTY, schedulerName=STOCK, nodeSelector={"karpenter.sh/capacity-type": "on-demand"}
    )
    await cluster.expect("web", on_demand=3)
    assert all("spotmix.io/class" not in pod["metadata"].get("annotations", {}) for pod in await cluster.pods("web"))


async def test_spotmix_away_leaves_no_pod_behind(stage: Stage, cluster: Cluster) -> None:
    await stage.spotmix.stop(kill=True)
    await cluster.deployment("web", 10, SEVENTY, schedulerName=STOCK)
    await cluster.ready("web", 10)
    await stage.spotmix.start()
    await cluster.deployment("late", 10, SEVENTY, schedulerName=STOCK)
    await cluster.expect("late", spot=7, on_demand=3)


async def test_spotmix_is_killed_in_a_burst(stage: Stage, cluster: Cluster) -> None:
    """What was decided is on the pods: the next one goes on from there. Pods that come meanwhile are not gated."""
    names = [f"web-{number}" for number in range(5)]
    await asyncio.gather(*(cluster.deployment(name, 20, SEVENTY, schedulerName=STOCK) for name in names))

    await eventually(lambda: decided(cluster), lambda count: count >= 20, "some pods are decided")
    await stage.spotmix.restart(kill=True)
    for name in names:
        await cluster.ready(name, 20)
    assert not any(pod["spec"].get("schedulingGates") for pod in await cluster.pods())
    # As soon as it is back, what is created is exact.
    await cluster.deployment("late", 10, SEVENTY, schedulerName=STOCK)
    await cluster.expect("late", spot=7, on_demand=3)


async def test_a_burst_with_spotmix_away_before_during_and_after_it(stage: Stage, cluster: Cluster) -> None:
    """What was gated is exact, whoever is there when; what was not runs."""
    await stage.spotmix.stop(kill=True)
    await cluster.deployment("before", 20, SEVENTY, schedulerName=STOCK)
    await cluster.ready("before", 20)
    await stage.spotmix.start()
    burst = [f"web-{number}" for number in range(5)]
    await held(cluster, burst, 20)
    for name in burst[:2]:
        await let_go(cluster, name)
    await eventually(lambda: decided(cluster), lambda count: count >= 5, "some pods are decided")
    await stage.spotmix.stop(kill=True)
    for name in burst[2:]:
        await let_go(cluster, name)
    await cluster.deployment("during", 20, SEVENTY, schedulerName=STOCK)
    await cluster.ready("during", 20)
    assert await decided(cluster) < 100
    await stage.spotmix.start()
    await eventually(lambda: decided(cluster), lambda count: count == 100, "all that were gated are decided")
    await stage.spotmix.stop(kill=True)
    for name in burst:
        await cluster.expect(name, spot=14, on_demand=6)
        await cluster.ready(name, 20)
        assert await written(cluster, name) == {"spot": 14, "on-demand": 6}
    await stage.spotmix.start()


async def test_what_others_held_is_exact_when_they_let_it_go_at_once(cluster: Cluster) -> None:
    names = [f"web-{number}" for number in range(10)]
    await held(cluster, names, 10)
    await let_go(cluster)
    for name in names:
        await cluster.expect(name, spot=7, on_demand=3)
        assert await written(cluster, name) == {"spot": 7, "on-demand": 3}


async def test_pods_that_were_never_gated_count_beside_those_that_are(stage: Stage, cluster: Cluster) -> None:
    """Those that came while Spotmix was away, and those of a workload that went by the extender before."""
    half, asked = policy(spot_percentage=50, enforcement="affinity"), policy(spot_percentage=50, enforcement="extender")
    await stage.spotmix.stop(kill=True)
    await cluster.deployment("away", 6, half, schedulerName=STOCK)
    await cluster.ready("away", 6)
    await stage.spotmix.start()
    await cluster.deployment("asked", 6, asked, schedulerName=STOCK)
    await cluster.ready("asked", 6)
    await cluster.annotate("Deployment", "asked", half)
    for name in ("away", "asked"):
        before = await cluster.split(name)
        await cluster.scale("Deployment", name, 12)
        await cluster.expect(name, spot=6, on_demand=6)
        new = [pod for pod in await cluster.pods(name) if "spotmix.io/class" in pod["metadata"].get("annotations", {})]
        assert len(new) == 6, before
        # The next revision has none but gated ones.
        await cluster.roll_out(name, {"metadata": {"annotations": {"v": "2"}}})
        await cluster.expect(name, spot=6, on_demand=6)


async def test_the_api_server_restarts_in_a_burst(stage: Stage, cluster: Cluster) -> None:
    names = [f"web-{number}" for number in range(5)]
    await asyncio.gather(*(cluster.deployment(name, 20, SEVENTY, schedulerName=STOCK) for name in names))

    await eventually(lambda: decided(cluster), lambda count: count >= 20, "some pods are decided")
    await stage.plane.apiserver.restart()
    for name in names:
        await cluster.ready(name, 20, 120)
    assert not any(pod["spec"].get("schedulingGates") for pod in await cluster.pods())


async def test_a_term_that_matches_nothing_keeps_no_pod_gated(cluster: Cluster) -> None:
    zone = {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}
    required = {"nodeSelectorTerms": [{}, zone]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    await cluster.deployment("web", 4, SEVENTY, schedulerName=STOCK, affinity=affinity)
    await cluster.expect("web", spot=2, on_demand=2)
    assert await written(cluster, "web") == {"spot": 2, "on-demand": 2}


async def test_a_workload_that_goes_while_it_is_gated_leaves_nothing(cluster: Cluster) -> None:
    await held(cluster, ["web"], 4)
    await cluster.api.request("DELETE", cluster.path("Deployment", "web"), params={"propagationPolicy": "Background"})
    await eventually(lambda: cluster.pods("web"), lambda pods: not pods, "the pods are gone")
    await cluster.deployment("web", 4, SEVENTY, schedulerName=STOCK)
    await cluster.expect("web", spot=2, on_demand=2)


async def test_gates_are_released_where_nobody_does(stage: Stage, cluster: Cluster, tmp_path: Path) -> None:
    """A pod that was gated by a Spotmix which is gone for good is let go by a command."""
    spec = pod_template({"app": "left"})["spec"] | {"schedulerName": STOCK, "schedulingGates": [{"name": GATE}]}
    path = f"/api/v1/namespaces/{cluster.namespace}/pods"
    await stage.spotmix.stop()
    try:
        await cluster.api.request(
            "POST", path, body={"metadata": {"name": "left", "labels": {"app": "left"}}, "spec": spec}
        )
        kubeconfig = str(stage.plane.write_kubeconfig("admin", (ADMIN_GROUP,), tmp_path / "admin"))
        tried = await run(SCRIPT, "release-gates", "--dry-run", KUBECONFIG=kubeconfig)
        assert (tried.code, tried.out) == (0, f"pod/{cluster.namespace}/left (dry run)\n")
        assert await cluster.split("left") == {"pending": 1}
        done = await run(SCRIPT, "release-gates", KUBECONFIG=kubeconfig)
        assert (done.code, done.out) == (0, f"pod/{cluster.namespace}/left\n")
        await cluster.ready("left", 1)
    finally:
        await stage.spotmix.start()


AUTO = policy(spot_percentage=70, min_on_demand=2)


async def modes(stage: Stage) -> str:
    def read() -> str:
        with urllib.request.urlopen(f"{stage.spotmix.metrics_url}/readyz", timeout=stretched(5)) as answer:  # noqa: S310
            text: str = answer.read().decode()
            return text

    return await asyncio.to_thread(read)


async def expect_written(cluster: Cluster, app: str, *, written_on_them: bool) -> None:
    await cluster.expect(app, spot=7, on_demand=3)
    said = ["spotmix.io/class" in pod["metadata"].get("annotations", {}) for pod in await cluster.pods(app)]
    assert said == [written_on_them] * 10


async def test_by_scheduler_and_changed_at_run_time(stage: Stage, cluster: Cluster) -> None:
    # The first pods of a scheduler that has not asked yet get their class written, whether it asks or not.
    for scheduler in (STOCK, DEFAULT_SCHEDULER):
        await cluster.deployment(f"first-{scheduler}", 10, AUTO, schedulerName=scheduler)
        await cluster.expect(f"first-{scheduler}", spot=7, on_demand=3)
    known = (
        f"affinity for pods of {STOCK}: the scheduler binds",
        f"extender for pods of {DEFAULT_SCHEDULER}: the scheduler asks",
    )
    await eventually(lambda: modes(stage), lambda text: all(each in text for each in known), "what schedulers do")
    assert (
        stage.metric(f'spotmix_enforcement{{enforcement="affinity",reason="scheduler-silent",scheduler="{STOCK}"}}')
        == 1
    )
    await cluster.deployment("stock", 10, AUTO, schedulerName=STOCK)
    await cluster.deployment("web", 10, AUTO, schedulerName=DEFAULT_SCHEDULER)
    await expect_written(cluster, "stock", written_on_them=True)
    await expect_written(cluster, "web", written_on_them=False)
    before = {pod["metadata"]["uid"] for pod in await cluster.pods("web")}
    await cluster.annotate("Deployment", "web", {"spotmix.io/enforcement": "affinity"})
    await cluster.scale("Deployment", "web", 14)
    await cluster.expect("web", spot=9, on_demand=5)
    new = [pod for pod in await cluster.pods("web") if pod["metadata"]["uid"] not in before]
    assert len(new) == 4
    assert all("spotmix.io/class" in pod["metadata"]["annotations"] for pod in new)
    assert before < {pod["metadata"]["uid"] for pod in await cluster.pods("web")}
