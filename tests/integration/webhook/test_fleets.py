"""`count: Policy` by the class that is written on gated pods: one ratio for many small workloads."""

from functools import partial
from typing import Any

import pytest
from support.cluster import Cluster, pod_template, policy
from support.objects import Objects
from support.patience import eventually
from support.policyobjects import define, placement_policy, served, shares
from support.stage import Stage

from extender.sandbox import bulk

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

WEB = {"tier": "web"}
SURGE = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
WRITTEN = policy(enforcement="affinity")


async def test_forty_gated_workloads_of_one_replica(stage: Stage, cluster: Cluster) -> None:
    objects = Objects(stage.api)
    await define(objects)
    await served(objects)
    spec = {"selector": {"matchLabels": WEB}, "count": "Policy", "classes": shares(70)}
    thing = placement_policy("web", cluster.namespace, spec)
    await objects.apply(thing)

    async def status() -> dict[str, Any]:
        return dict((await objects.get(thing) or {}).get("status", {}))

    await eventually(status, bool, "the policy is read", 90)
    names = [f"w-{number:02}" for number in range(40)]
    await bulk(names, lambda name: cluster.deployment(name, 1, WRITTEN, labels=WEB, strategy=SURGE))
    await cluster.expect("", spot=28, on_demand=12)
    written = [pod["metadata"]["annotations"]["spotmix.io/class"] for pod in await cluster.pods()]
    assert (written.count("spot"), written.count("on-demand")) == (28, 12)
    await bulk(
        names[:10], lambda name: cluster.roll_out(name, pod_template({"app": name, "version": "2"}), seconds=120)
    )
    await cluster.scale("Deployment", "w-20", 5)
    await cluster.expect("", spot=30, on_demand=14)
    await eventually(partial(status), lambda seen: seen["actual"] == "30/14", "the status follows")
