"""Scheduler configurations in ConfigMaps, as the real API server has them injected."""

import json
from typing import Any

import pytest
from support.cluster import Cluster, policy
from support.stage import Stage
from support.webhook import post_with_warnings

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

THIRD = "third"
CONFIGURATION = f"""\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
# Kept by whoever runs it.
profiles:
  - schedulerName: {THIRD}   # for workloads of the shop
"""


def config_map(name: str, data: dict[str, str], asks: str = "true") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"spotmix.io/inject-extender": asks}}, "data": data}


async def test_an_injected_configuration_starts_a_scheduler_that_asks_us(stage: Stage, cluster: Cluster) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
    other = "kind: Deployment\n"
    for name, asks in (("asking", "true"), ("silent", "false")):
        body = config_map(name, {"config.yaml": CONFIGURATION, "other.yaml": other}, asks)
        await stage.api.request("POST", path, body=body)
    silent = json.loads(await stage.api.request("GET", f"{path}/silent"))["data"]
    assert silent == {"config.yaml": CONFIGURATION, "other.yaml": other}
    data = json.loads(await stage.api.request("GET", f"{path}/asking"))["data"]
    assert data["other.yaml"] == other
    injected = data["config.yaml"]
    assert "# Kept by whoever runs it." in injected
    assert f"schedulerName: {THIRD}   # for workloads of the shop" in injected
    assert f"urlPrefix: {stage.spotmix.url}" in injected
    # Seen again, it has nothing left to change.
    touched = {"metadata": {"annotations": {"touched": "yes"}}}
    await stage.api.request("PATCH", f"{path}/asking", body=touched, content_type="application/merge-patch+json")
    assert json.loads(await stage.api.request("GET", f"{path}/asking"))["data"] == data
    await stage.plane.start_scheduler(THIRD, injected)
    rules = {**policy(spot_percentage=70, min_on_demand=1), **policy(scheduler_name=THIRD)}
    await cluster.deployment("web", 10, rules)
    await cluster.expect("web", spot=7, on_demand=3)
    assert {pod["spec"]["schedulerName"] for pod in await cluster.pods("web")} == {THIRD}


async def test_an_invalid_configuration_is_refused_with_the_line(stage: Stage, cluster: Cluster) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
    wrong = CONFIGURATION + "extenders: none\n"
    status, _, body = post_with_warnings(stage.plane, path, config_map("wrong", {"config.yaml": wrong}))
    assert status == 422
    message = json.loads(body)["message"]
    assert f"ConfigMap {cluster.namespace}/wrong: data['config.yaml']: line 6" in message
    assert "extenders" in message


async def test_what_there_is_no_time_for_passes_as_it_came(stage: Stage, cluster: Cluster) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
    data = dict.fromkeys(("one", "two"), CONFIGURATION + "# " + "x" * 200000)
    status, warnings, body = post_with_warnings(stage.plane, path, config_map("large", data))
    assert status == 201
    assert json.loads(body)["data"] == data
    assert f"ConfigMap {cluster.namespace}/large: its scheduler configurations have" in str(warnings)
    assert "the object is left as it is" in str(warnings)
