"""Every kind of workload lands exactly on the split of its annotations, on a real kube-scheduler."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from support.cluster import ENABLED, Cluster, is_ready, pod_template, policy
from support.patience import eventually
from support.stage import Stage

from extender.core.model.reasons import Reason
from extender.wire.kube_v1 import DELETION_COST

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

HASH = "pod-template-hash"


async def test_deployment_lands_on_its_split(cluster: Cluster) -> None:
    await cluster.deployment("web", 10, policy(spot_percentage=70, min_on_demand=1))
    await cluster.expect("web", spot=7, on_demand=3)
    await cluster.ready("web", 10)


async def test_ten_deployments_at_once_are_each_exact(cluster: Cluster) -> None:
    percentages = {f"web-{n}": 10 * n + 5 for n in range(10)}
    await asyncio.gather(*(cluster.deployment(name, 20, policy(spot_percentage=p)) for name, p in percentages.items()))
    for name, percentage in percentages.items():
        spot = 20 * percentage // 100
        await cluster.expect(name, spot=spot, on_demand=20 - spot)


async def test_scaling_out_and_in_keeps_the_split(cluster: Cluster) -> None:
    await cluster.deployment("web", 5, policy(spot_percentage=70, min_on_demand=2))
    await cluster.expect("web", spot=3, on_demand=2)
    await cluster.scale("Deployment", "web", 15)
    await cluster.expect("web", spot=10, on_demand=5)
    await cluster.ready("web", 15)
    await cluster.seated("web", range(1, 16))
    await cluster.scale("Deployment", "web", 8)
    await cluster.expect("web", spot=5, on_demand=3)


async def test_rolling_update_is_exact_and_never_below_the_floor(cluster: Cluster) -> None:
    floor = 3
    await cluster.deployment(
        "web",
        12,
        policy(spot_percentage=70, min_on_demand=floor),
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
    )
    await cluster.expect("web", spot=8, on_demand=4)
    await cluster.ready("web", 12)
    await cluster.seated("web", range(1, 13))
    before = {pod["metadata"]["labels"][HASH] for pod in await cluster.pods("web")}
    template = pod_template({"app": "web", "version": "2"})
    await cluster.patch("Deployment", "web", {"spec": {"template": template}})
    classes = await cluster.classes()
    lowest = 12

    async def progress() -> dict[str, list[str]]:
        nonlocal lowest
        pods = await cluster.pods("web")
        held = [p for p in pods if classes.get(p["spec"].get("nodeName", "")) == "on-demand" and is_ready(p)]
        lowest = min(lowest, len(held))
        revisions: dict[str, list[str]] = {}
        for pod in pods:
            revisions.setdefault(pod["metadata"]["labels"][HASH], []).append(
                classes.get(pod["spec"].get("nodeName", ""), "pending")
            )
        return revisions

    def done(revisions: Mapping[str, list[str]]) -> bool:
        return len(revisions) == 1 and not before & set(revisions) and len(next(iter(revisions.values()))) == 12

    revisions = await eventually(progress, done, "rollout")
    new = next(iter(revisions.values()))
    assert (new.count("spot"), new.count("on-demand")) == (8, 4)
    assert lowest >= floor


async def test_statefulset_takes_the_seats_of_its_ordinals(cluster: Cluster) -> None:
    spec = {
        "replicas": 5,
        "serviceName": "db",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": "db"}},
        "template": pod_template({"app": "db"}),
    }
    await cluster.create("StatefulSet", "db", spec, policy(spot_percentage=60))
    await cluster.expect("db", spot=3, on_demand=2)
    by_name = await cluster.split("db", by=lambda pod: pod["metadata"]["name"])
    assert set(by_name) == {
        ("db-0", "on-demand"),
        ("db-1", "spot"),
        ("db-2", "on-demand"),
        ("db-3", "spot"),
        ("db-4", "spot"),
    }


async def test_job_splits_its_parallel_pods(cluster: Cluster) -> None:
    spec = {
        "parallelism": 10,
        "completions": 10,
        "template": pod_template({"app": "batch"}, restartPolicy="Never"),
    }
    await cluster.create("Job", "batch", spec, policy(spot_percentage=50))
    await cluster.expect("batch", spot=5, on_demand=5)


async def test_cronjob_hands_its_policy_to_its_jobs(stage: Stage, cluster: Cluster) -> None:
    template = pod_template({"app": "cron"}, restartPolicy="Never")
    job = {"spec": {"parallelism": 4, "template": template}}
    # Suspended, so that no run of its own comes between; a manual run is what kubectl create job --from does.
    spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": job}
    await cluster.create("CronJob", "cron", spec, policy(spot_percentage=50))
    owner = await cluster.get("CronJob", "cron")
    reference = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "cron", "uid": owner["metadata"]["uid"]}
    first = {**job["spec"], "parallelism": 0}
    await cluster.create("Job", "cron-0", first, labels={}, owner={**reference, "controller": True})

    async def watched() -> float | None:
        return stage.metric('spotmix_cache_synced{resource="cronjobs.batch"}')

    # A kind is followed from the first reference to it on.
    await eventually(watched, lambda value: value == 1.0, "CronJobs to be watched")
    await cluster.create("Job", "cron-1", job["spec"], labels={}, owner={**reference, "controller": True})
    await cluster.expect("cron", spot=2, on_demand=2)


async def test_a_kind_met_by_discovery_is_a_workload_too(stage: Stage, cluster: Cluster) -> None:
    spec: dict[str, Any] = {"replicas": 1, "selector": {"app": "rc"}, "template": pod_template({"app": "rc"})}
    await cluster.create("ReplicationController", "rc", spec, policy(spot_percentage=50))
    # A first pod may come before its owner's kind is watched; it is refused, and tried again.
    await cluster.ready("rc", 1)
    assert all(Reason.NOT_WATCHED.text in line for line in stage.scheduler_errors())
    await cluster.scale("ReplicationController", "rc", 6)
    await cluster.expect("rc", spot=3, on_demand=3)


async def costs_would_be_written(cluster: Cluster) -> None:
    """Wait until those of a workload are that came after all others."""
    await cluster.deployment("latest", 2, policy(spot_percentage=50))
    await cluster.ready("latest", 2)
    await cluster.seated("latest", (1, 2))


async def test_namespace_defaults_and_the_workloads_own_word(stage: Stage) -> None:
    async with stage.namespace(ENABLED, policy(spot_percentage=50, min_on_demand=1)) as cluster:
        await cluster.deployment("inherits", 6, labels={})
        await cluster.deployment("overrides", 6, policy(spot_percentage=100), labels={})
        await cluster.deployment("opts-out", 6, labels={"spotmix.io/enabled": "False"})
        await cluster.expect("inherits", spot=3, on_demand=3)
        await cluster.expect("overrides", spot=5, on_demand=1)
        await cluster.ready("opts-out", 6)
        await costs_would_be_written(cluster)
        annotations = [p["metadata"].get("annotations", {}) for p in await cluster.pods("opts-out")]
        assert not any(DELETION_COST in a for a in annotations)


async def test_floor_above_replicas_is_all_on_demand(cluster: Cluster) -> None:
    await cluster.deployment("web", 3, policy(spot_percentage=70, min_on_demand=5))
    await cluster.expect("web", on_demand=3)


async def test_nothing_and_everything_on_spot(cluster: Cluster) -> None:
    await cluster.deployment("none", 5, policy(spot_percentage=0))
    await cluster.deployment("all", 5, policy(spot_percentage="100%"))
    await cluster.deployment("unsaid", 5)
    await cluster.expect("none", on_demand=5)
    await cluster.expect("all", spot=5)
    await cluster.expect("unsaid", on_demand=5)


async def test_pool_cap_is_exact_in_a_burst(cluster: Cluster) -> None:
    await cluster.deployment("web", 12, policy(spot_percentage=100, max_per_pool=2))
    await cluster.expect("web", spot=12)
    body = await cluster.nodes()
    pools = {
        n["metadata"]["name"]: (
            n["metadata"]["labels"]["node.kubernetes.io/instance-type"],
            n["metadata"]["labels"]["topology.kubernetes.io/zone"],
        )
        for n in body
    }
    counts: dict[tuple[str, str], int] = {}
    for pod in await cluster.pods("web"):
        pool = pools[pod["spec"]["nodeName"]]
        counts[pool] = counts.get(pool, 0) + 1
    assert set(counts.values()) == {2}


async def test_invalid_annotation_holds_on_demand_and_says_so(stage: Stage, cluster: Cluster) -> None:
    await cluster.deployment("web", 4, policy(spot_percentage="seventy"))
    await cluster.expect("web", on_demand=4)

    async def told() -> list[Any]:
        # Its pods are told of it too.
        found = await cluster.events("PolicyInvalid")
        return [event for event in found if event["regarding"]["kind"] == "Deployment"]

    events = await eventually(told, bool, "an Event on the workload")
    assert events[0]["regarding"]["name"] == "web"
    for part in ("spotmix.io/spot-percentage", "'seventy'", "0 to 100", "on-demand"):
        assert part in events[0]["note"]
    series = (
        f'spotmix_policy_invalid{{key="spotmix.io/spot-percentage",kind="Deployment",'
        f'namespace="{cluster.namespace}",workload="web"}}'
    )

    async def value() -> float | None:
        return stage.metric(series)

    await eventually(value, lambda seen: seen == 1.0, "the series")
    await cluster.annotate("Deployment", "web", policy(spot_percentage=50))
    await eventually(value, lambda seen: seen is None, "the series to go")
    await cluster.scale("Deployment", "web", 8)
    await cluster.expect("web", spot=4, on_demand=4)


async def test_a_policy_that_turns_invalid_keeps_its_last_valid_one(cluster: Cluster) -> None:
    await cluster.deployment("web", 4, policy(spot_percentage=50))
    await cluster.expect("web", spot=2, on_demand=2)
    await cluster.annotate("Deployment", "web", policy(spot_percentage="half"))
    await eventually(lambda: cluster.events("PolicyInvalid"), bool, "an Event")
    await cluster.scale("Deployment", "web", 8)
    await cluster.expect("web", spot=4, on_demand=4)


async def test_unmanaged_pods_and_audit_are_left_alone(stage: Stage, cluster: Cluster) -> None:
    audited = 'spotmix_decisions_total{capacity_class="spot",outcome="passed",reason="audit",verb="filter"}'
    before = stage.metric(audited) or 0
    await cluster.deployment("plain", 10, labels={})
    await cluster.deployment("audited", 10, policy(spot_percentage=100, mode="audit"))
    await cluster.ready("plain", 10)
    await cluster.ready("audited", 10)
    await costs_would_be_written(cluster)
    for app in ("plain", "audited"):
        for pod in await cluster.pods(app):
            assert DELETION_COST not in pod["metadata"].get("annotations", {})
    assert (stage.metric(audited) or 0) - before == 10
    # Left to the stock scheduler, which spreads over the classes.
    assert set(await cluster.split("audited")) == {"spot", "on-demand"}
