"""`enforcement: auto` on a real control plane: what is seen decides, and an annotation overrides it at run time."""

import asyncio
import contextlib
import urllib.request
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.cluster import Cluster, policy
from support.patience import eventually, stretched
from support.stage import Stage
from test_gates import STOCK, stage, written  # noqa: F401 - the stage is shared

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

SEVENTY = policy(spot_percentage=70, min_on_demand=2)
DEFAULT = "default-scheduler"


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(stage: Stage) -> AsyncIterator[Cluster]:  # noqa: F811 - likewise
    async with stage.namespace() as namespace:
        yield namespace


async def modes(stage: Stage) -> str:  # noqa: F811 - likewise
    def read() -> str:
        with urllib.request.urlopen(f"{stage.spotmix.metrics_url}/readyz", timeout=stretched(5)) as answer:  # noqa: S310
            text: str = answer.read().decode()
            return text

    return await asyncio.to_thread(read)


async def expect_written(cluster: Cluster, app: str, *, written_on_them: bool) -> None:
    await cluster.expect(app, spot=7, on_demand=3)
    said = ["spotmix.io/class" in pod["metadata"].get("annotations", {}) for pod in await cluster.pods(app)]
    assert said == [written_on_them] * 10


async def test_by_scheduler_and_changed_at_run_time(stage: Stage, cluster: Cluster) -> None:  # noqa: F811 - likewise
    # The first pods of a scheduler that has not asked yet get their class written, whether it asks or not.
    for scheduler in (STOCK, DEFAULT):
        await cluster.deployment(f"first-{scheduler}", 10, SEVENTY, schedulerName=scheduler)
        await cluster.expect(f"first-{scheduler}", spot=7, on_demand=3)
    known = (f"affinity for pods of {STOCK}: the scheduler binds", f"extender for pods of {DEFAULT}: the scheduler asks")
    await eventually(lambda: modes(stage), lambda text: all(each in text for each in known), "what schedulers do")
    assert stage.metric(f'spotmix_enforcement{{enforcement="affinity",reason="scheduler-silent",scheduler="{STOCK}"}}') == 1
    await cluster.deployment("stock", 10, SEVENTY, schedulerName=STOCK)
    await cluster.deployment("web", 10, SEVENTY, schedulerName=DEFAULT)
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
