"""A snapshot of a real cluster goes on in virtual time as the cluster itself does."""

import json
from typing import Any

import pytest
from support.cluster import Cluster, pod_template, policy
from support.stage import Stage

from extender.core.policy.values import parse_duration
from extender.kube.client import ApiClient
from extender.settings import Settings
from extender.simulate.build import Built, build
from extender.simulate.scenario import Scenario
from extender.simulate.snapshot import parse_snapshot

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

LISTS = (
    ("Node", "/api/v1/nodes"),
    ("Pod", "/api/v1/pods"),
    ("Namespace", "/api/v1/namespaces"),
    ("Deployment", "/apis/apps/v1/deployments"),
    ("ReplicaSet", "/apis/apps/v1/replicasets"),
    ("StatefulSet", "/apis/apps/v1/statefulsets"),
    ("PodDisruptionBudget", "/apis/policy/v1/poddisruptionbudgets"),
)


async def snapshot(api: ApiClient) -> bytes:
    """What `kubectl get nodes,pods,... -A -o json` prints: a list of objects that say of what kind they are."""
    items: list[dict[str, Any]] = []
    for kind, path in LISTS:
        listed = json.loads(await api.request("GET", path))
        items += [{"apiVersion": listed["apiVersion"], "kind": kind, **item} for item in listed["items"]]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()


async def simulated(api: ApiClient) -> Built:
    settings = Settings()
    taken = parse_snapshot(await snapshot(api), "the cluster", settings.classes, settings.policy.prefixes)
    return build(Scenario(), settings, "the test", seed=1, snapshot=taken)


async def test_a_snapshot_goes_on_as_the_cluster_does(stage: Stage, cluster: Cluster) -> None:
    annotations = policy(spot_percentage=70, min_on_demand=2)
    await cluster.deployment("web", 6, annotations)
    ordered = {
        "replicas": 3,
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": pod_template({"app": "db"}),
    }
    await cluster.create("StatefulSet", "db", ordered, policy(spot_percentage=50))
    await cluster.expect("web", spot=4, on_demand=2)
    await cluster.expect("db", spot=1, on_demand=2)
    await cluster.ready("web", 6)
    await cluster.ready("db", 3)

    built = await simulated(stage.api)
    (web,), (db,) = (built.workloads[f"{cluster.namespace}/{name}"] for name in ("web", "db"))
    virtual = built.cluster
    assert built.notes == ()
    assert (virtual.split(web), virtual.split(db)) == ({"spot": 4, "on-demand": 2}, {"spot": 1, "on-demand": 2})
    before = set(virtual.api.pods)
    virtual.run(parse_duration("10m"))
    virtual.begin()
    virtual.run(parse_duration("1h"))
    assert set(virtual.api.pods) == before

    virtual.scale(web, 15)
    virtual.run(parse_duration("5m"))
    await cluster.scale("Deployment", "web", 15)
    await cluster.expect("web", spot=10, on_demand=5)
    assert virtual.split(web) == {"spot": 10, "on-demand": 5}
