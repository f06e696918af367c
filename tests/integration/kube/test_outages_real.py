"""The API server goes away, comes back with an older store or another CA: nothing is decided by what is not seen."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from support.cluster import pod_template, policy
from support.patience import eventually
from support.stage import Stage, begin_anew, open_stage

from extender.core.model.reasons import Reason
from extender.sandbox import ControlPlane
from extender.sandbox.credentials import PlaneCredentials

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as stage:
        yield stage


async def not_ready(stage: Stage) -> str:
    """Why it is not ready; empty when it is."""
    async with aiohttp.ClientSession() as session, session.get(f"{stage.spotmix.metrics_url}/readyz") as answer:
        return "" if answer.status == 200 else await answer.text()


async def ready(stage: Stage) -> None:
    await eventually(lambda: not_ready(stage), lambda fault: not fault, "it sees again")


async def filtered(stage: Stage, namespace: str) -> Any:
    """What filter says of a pod whose owner was made while nobody could see it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "new", "uid": "new", "controller": True}
    metadata = {"name": "new-1", "namespace": namespace, "uid": "new-1", "ownerReferences": [owner]}
    asked = {"Pod": {"metadata": metadata, "spec": {}}, "NodeNames": ["n1"]}
    async with aiohttp.ClientSession() as session, session.post(f"{stage.spotmix.url}/filter", json=asked) as answer:
        return await answer.json()


async def without_data(plane: ControlPlane) -> None:
    await plane.apiserver.stop(kill=True)
    await plane.etcd.stop()


async def with_data(plane: ControlPlane) -> None:
    await plane.etcd.start()
    await plane.apiserver.start()


async def test_workloads_made_right_after_an_outage_are_split_as_ever(stage: Stage) -> None:
    async with stage.namespace() as cluster:
        await stage.plane.apiserver.stop(kill=True)
        fault = await eventually(lambda: not_ready(stage), bool, "it says that it does not see")
        assert "pods: not watched" in fault
        assert await filtered(stage, "shop") == {"Error": Reason.NOT_WATCHED.text}
        assert await filtered(stage, "kube-system") == {"NodeNames": ["n1"]}
        # Long enough for a back-off to grow.
        await asyncio.sleep(5)
        await stage.plane.apiserver.start()
        for number in range(4):
            await cluster.deployment(f"web-{number}", 10, policy(spot_percentage=70))
        await begin_anew(stage.plane)
        for number in range(4):
            await cluster.expect(f"web-{number}", spot=7, on_demand=3)
        await ready(stage)


async def known_pods(stage: Stage) -> float | None:
    return await asyncio.to_thread(stage.metric, "spotmix_pods ")


async def make_pods(stage: Stage, namespace: str, names: range) -> None:
    spec: Mapping[str, Any] = pod_template({}, schedulerName="nobody")["spec"]
    for number in names:
        body = {"metadata": {"name": f"pod-{number}"}, "spec": spec}
        await stage.api.request("POST", f"/api/v1/namespaces/{namespace}/pods", body=body)


async def test_a_store_that_is_restored_is_taken_as_it_is_now(stage: Stage) -> None:
    plane, data = stage.plane, stage.plane.directory / "etcd"
    saved, process = plane.directory / "etcd-saved", stage.spotmix.pid
    await eventually(lambda: known_pods(stage), lambda count: count == 0, "no pods are left")
    async with stage.namespace() as cluster:
        await make_pods(stage, cluster.namespace, range(15))
        await without_data(plane)
        await asyncio.to_thread(shutil.copytree, data, saved)
        await with_data(plane)
        await make_pods(stage, cluster.namespace, range(15, 25))
        await eventually(lambda: known_pods(stage), lambda count: count == 25, "all pods are known")
        await without_data(plane)
        await asyncio.to_thread(shutil.rmtree, data)
        await asyncio.to_thread(saved.rename, data)
        await with_data(plane)
        await eventually(lambda: known_pods(stage), lambda count: count == 15, "what is no more is not known")
        await ready(stage)
        assert {pod["metadata"]["name"] for pod in await cluster.pods()} == {f"pod-{n}" for n in range(15)}
        assert stage.spotmix.pid == process
        await begin_anew(plane)


async def test_another_ca_is_trusted_once_the_kubeconfig_has_it(stage: Stage) -> None:
    plane = stage.plane
    kubeconfig = plane.directory / "spotmix.kubeconfig"
    folder = plane.directory / "new"
    folder.mkdir(mode=0o700)
    new = PlaneCredentials(folder)
    former = {name: (plane.directory / name).read_bytes() for name in ("ca.crt", "serving.crt", "serving.key")}
    # Clients are still those of the old one.
    (plane.directory / "ca.crt").write_bytes(former["ca.crt"] + new.ca_path.read_bytes())
    shutil.copy(new.serving_path, plane.directory / "serving.crt")
    shutil.copy(new.serving_key_path, plane.directory / "serving.key")
    await plane.apiserver.stop(kill=True)
    starting = asyncio.create_task(plane.apiserver.start())
    await eventually(
        lambda: not_ready(stage), lambda fault: "CERTIFICATE_VERIFY_FAILED" in fault, "it does not trust the new one"
    )
    new.write_kubeconfig(kubeconfig, plane.url, "spotmix", ("system:masters",))
    await ready(stage)
    # The others were given nothing new.
    for name, content in former.items():
        (plane.directory / name).write_bytes(content)
    plane.write_kubeconfig("spotmix", ("system:masters",))
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await plane.apiserver.restart(kill=True)
    await ready(stage)
    assert json.loads(await stage.api.request("GET", "/api/v1/namespaces"))["items"]
