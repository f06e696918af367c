"""Leader election on a real API server."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.patience import eventually, within

from extender.core.model.errors import ApiError
from extender.kube.client import ApiClient
from extender.kube.lease import Elector, LeaseLock
from extender.kube.ownpod import LEADER_LABEL, TERM_ANNOTATION, OwnPod
from extender.sandbox import ControlPlane

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
PODS = "/api/v1/namespaces/default/pods"
SHORT = {"duration": 2.0, "renew_deadline": 1.5, "retry_period": 0.3}
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class ElectedReplica:
    """An elector; `term` is set while it leads."""

    def __init__(self, client: ApiClient, lease: str, identity: str, **times: float) -> None:
        self.term = asyncio.Event()
        self.reports: list[str] = []
        lock = LeaseLock("default", lease, identity, **times)
        self.elector = Elector(client, lock, lambda _name, text: self.reports.append(text))
        self.task = asyncio.create_task(self.elector.run(self._lead))

    async def _lead(self) -> None:
        self.term.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.term.clear()

    async def leads(self, seconds: float) -> None:
        async with within(seconds):
            await self.term.wait()

    async def kill(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@contextlib.asynccontextmanager
async def two(client: ApiClient, lease: str, **times: float) -> AsyncIterator[tuple[ElectedReplica, ElectedReplica]]:
    replicas = [ElectedReplica(client, lease, "one", **times)]
    await replicas[0].leads(5)
    replicas.append(ElectedReplica(client, lease, "two", **times))
    try:
        yield replicas[0], replicas[1]
    finally:
        for replica in replicas:
            await replica.kill()


async def lease(client: ApiClient, name: str) -> Any:
    return json.loads(await client.request("GET", f"{LEASES}/{name}"))["spec"]


async def test_a_killed_leader_is_followed_with_the_default_times(client: ApiClient) -> None:
    async with two(client, "defaults") as (one, other):
        first = await lease(client, "defaults")
        assert (first["holderIdentity"], first["leaseDurationSeconds"]) == ("one", 15)
        assert MICRO_TIME.fullmatch(first["acquireTime"])
        assert MICRO_TIME.fullmatch(first["renewTime"])
        await one.kill()
        await other.leads(20)
        spec = await lease(client, "defaults")
        assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("two", 1)
        assert other.elector.former == "one"
        assert other.reports == []


async def test_a_clean_release_hands_over_before_anything_runs_out(client: ApiClient) -> None:
    # Nothing but the watch can tell in time: the next attempt would come in ten minutes.
    async with two(client, "released", duration=1500.0, renew_deadline=1200.0, retry_period=600.0) as (one, other):
        await one.kill()
        await one.elector.release()
        await other.leads(30)
        spec = await lease(client, "released")
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("two", 1500, 1)


async def test_a_lease_of_nulls_and_a_deleted_one(client: ApiClient) -> None:
    body = {"metadata": {"name": "nulls", "labels": {"kept": "yes"}}, "spec": None}
    await client.request("POST", LEASES, body=body)
    async with two(client, "nulls") as (one, other):
        found = json.loads(await client.request("GET", f"{LEASES}/nulls"))
        assert found["metadata"]["labels"] == {"kept": "yes"}
        assert found["spec"]["holderIdentity"] == "one"

        async def seen_by_other() -> str:
            return other.elector.holder

        # Who never saw the Lease cannot know that somebody holds it.
        await eventually(seen_by_other, lambda name: name == "one", "the other to see who holds it")
        await client.request("DELETE", f"{LEASES}/nulls")

        async def holder() -> str:
            try:
                return str((await lease(client, "nulls"))["holderIdentity"])
            except ApiError as error:
                return str(error.status)

        await eventually(holder, lambda name: name == "one", "the holder to make it again")
        assert one.term.is_set()
        assert not other.term.is_set()


async def test_an_api_server_that_restarts_leaves_one_leader(plane: ControlPlane, client: ApiClient) -> None:
    async with two(client, "restart", **SHORT) as replicas:
        await plane.apiserver.restart()

        async def leaders() -> int:
            return sum(replica.term.is_set() for replica in replicas)

        await eventually(leaders, lambda count: count == 1, "one leader")
        spec = await lease(client, "restart")
        assert [r.elector.holder for r in replicas if r.elector.leader] == [spec["holderIdentity"]]


async def test_the_own_pod_says_who_leads(client: ApiClient) -> None:
    container = {"name": "c", "image": "none"}
    for name in ("new", "old"):
        # As a crash left it.
        metadata = {"name": name, "labels": {LEADER_LABEL: "true"}}
        await client.request("POST", PODS, body={"metadata": metadata, "spec": {"containers": [container]}})

    async def label(name: str) -> str:
        pod = json.loads(await client.request("GET", f"{PODS}/{name}"))
        return str(pod["metadata"]["labels"].get(LEADER_LABEL))

    reports: list[str] = []
    own = OwnPod(client, "default", "new", lambda _name, text: reports.append(text))
    task = asyncio.create_task(own.run())
    try:
        await own.written(10)
        assert await label("new") == "false"
        before = json.loads(await client.request("GET", f"{PODS}/new"))["metadata"]["resourceVersion"]
        version = await own.begin_term("2026-01-01T00:00:00.000000Z")
        assert int(version) > int(before)
        await own.depose("old")
        await own.depose("never-was")
        own.leads(leads=True)
        await own.written(10)
        assert (await label("new"), await label("old")) == ("true", "false")
        pod = json.loads(await client.request("GET", f"{PODS}/new"))
        assert pod["metadata"]["annotations"] == {TERM_ANNOTATION: "2026-01-01T00:00:00.000000Z"}
        assert reports == []
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for name in ("new", "old"):
            await client.request("DELETE", f"{PODS}/{name}", params={"gracePeriodSeconds": "0"})


async def test_a_pod_that_is_not_there_is_tolerated(client: ApiClient) -> None:
    reports: list[str] = []
    own = OwnPod(client, "default", "later", lambda _name, text: reports.append(text))
    task = asyncio.create_task(own.run())
    try:
        own.leads(leads=True)

        async def told() -> int:
            return len(reports)

        await eventually(told, bool, "a report")
        assert "404" in reports[0]
        body = {"metadata": {"name": "later"}, "spec": {"containers": [{"name": "c", "image": "none"}]}}
        await client.request("POST", PODS, body=body)
        await own.written(60)
        pod = json.loads(await client.request("GET", f"{PODS}/later"))
        assert pod["metadata"]["labels"] == {LEADER_LABEL: "true"}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.request("DELETE", f"{PODS}/later", params={"gracePeriodSeconds": "0"})
