"""Pods as the real API server has them mutated, and where they come to run."""

import json
from typing import Any

import pytest
from support.cluster import ENABLED, Cluster, pod_template, policy
from support.patience import eventually
from support.stage import Stage
from support.webhook import SECOND, added, schedulers

from extender.core.placement.tolerations import SPOT_TOLERATIONS

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

BY_SECOND = policy(scheduler_name=SECOND)


def preferred(pod: dict[str, Any]) -> list[dict[str, Any]]:
    terms = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    found: list[dict[str, Any]] = terms.get("preferredDuringSchedulingIgnoredDuringExecution", [])
    return found


async def test_a_deployment_is_placed_by_the_scheduler_it_names_and_exact(cluster: Cluster) -> None:
    await cluster.deployment("web", 10, {**policy(spot_percentage=70, min_on_demand=1), **BY_SECOND})
    await cluster.expect("web", spot=7, on_demand=3)
    await cluster.ready("web", 10)
    assert await schedulers(cluster, "web") == ({SECOND}, {SECOND})
    for pod in await cluster.pods("web"):
        assert added(pod) == {t.key for t in SPOT_TOLERATIONS}
        (term,) = preferred(pod)
        (expression,) = term["preference"]["matchExpressions"]
        assert (term["weight"], expression["key"]) == (50, "karpenter.sh/capacity-type")
        assert expression["values"] in (["spot"], ["on-demand"])


async def test_a_namespace_names_the_scheduler_of_its_statefulsets(stage: Stage) -> None:
    async with stage.namespace(ENABLED, {**policy(spot_percentage=60), **BY_SECOND}) as cluster:
        spec = {
            "replicas": 5,
            "serviceName": "db",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "db"}},
            "template": pod_template({"app": "db"}),
        }
        await cluster.create("StatefulSet", "db", spec, labels={})
        await cluster.expect("db", spot=3, on_demand=2)
        assert await schedulers(cluster, "db") == ({SECOND}, {SECOND})
        # An ordinal's seat is known from the start, so each pod prefers its own class.
        classes = await cluster.classes()
        for pod in await cluster.pods("db"):
            assert preferred(pod)[0]["preference"]["matchExpressions"][0]["values"] == [
                classes[pod["spec"]["nodeName"]]
            ]


async def test_what_is_not_managed_passes_untouched(cluster: Cluster) -> None:
    await cluster.deployment("plain", 2, BY_SECOND, labels={})
    await cluster.deployment("audited", 2, {**policy(spot_percentage=50, mode="audit"), **BY_SECOND})
    await cluster.deployment("floor", 2, policy())
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": pod_template({"app": "agent"})}
    await cluster.create("DaemonSet", "agent", spec)
    for app, count in (("plain", 2), ("audited", 2), ("floor", 2), ("agent", len(await cluster.nodes()))):
        await cluster.ready(app, count)
        for pod in await cluster.pods(app):
            assert pod["spec"]["schedulerName"] == "default-scheduler"
            assert added(pod) == set()
            if app in ("plain", "audited"):
                assert "affinity" not in pod["spec"]


async def test_a_dry_run_shows_what_a_pod_gets_and_changes_nothing(stage: Stage, cluster: Cluster) -> None:
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": pod_template({"app": "web"})}
    await cluster.create("ReplicaSet", "web", spec, policy(spot_percentage=100))
    owner = await cluster.get("ReplicaSet", "web")
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": owner["metadata"]["uid"]}
    body = pod_template({"app": "web"})
    body["metadata"] |= {"generateName": "web-", "ownerReferences": [{**reference, "controller": True}]}
    path = f"/api/v1/namespaces/{cluster.namespace}/pods"
    held = 'spotmix_reservations{capacity_class="spot"}'
    reserved = stage.metric(held)

    async def tried() -> set[str]:
        # A dry run waits for no owner, so the first may come too early.
        return added(json.loads(await cluster.api.request("POST", path, params={"dryRun": "All"}, body=body)))

    await eventually(tried, bool, "tolerations in a dry run")
    assert await cluster.pods("web") == []
    assert (stage.metric(held) or 0) <= (reserved or 0)


async def test_without_the_webhook_pods_are_created_as_they_are_and_end_right(stage: Stage) -> None:
    async with stage.namespace() as cluster:
        await stage.spotmix.stop()
        await cluster.deployment("web", 10, policy(spot_percentage=70, scheduler_name=SECOND))
        await cluster.expect("web", pending=10)
        for pod in await cluster.pods("web"):
            assert (pod["spec"]["schedulerName"], added(pod)) == ("default-scheduler", set())
            assert "affinity" not in pod["spec"]
        await stage.spotmix.start()
        await cluster.expect("web", spot=7, on_demand=3)
