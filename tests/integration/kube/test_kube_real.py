"""The Kubernetes layer on a real control plane."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import pytest_asyncio
from support.objects import Objects
from support.patience import within
from support.rights import bind

from extender.core.model.errors import ApiError
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import Namespace, Object, OwnerRef, PodId
from extender.core.state.events import Event, Gone, Listed, Upsert
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.kube.discovery import Discovery, NotWatchable
from extender.kube.informers import ClusterFeed, FeedOptions
from extender.kube.patches import PodPatches
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.kube.resources import BUILT_IN, DRIFT_ONLY, PODS, ApiResource
from extender.sandbox import ControlPlane
from extender.wire.kube_v1 import DELETION_COST
from extender.wire.watch import Page, WatchEvent

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

PODS_PATH = "/api/v1/namespaces/default/pods"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "scope": "Namespaced",
        "names": {"plural": "rollouts", "singular": "rollout", "kind": "Rollout"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


class NameDecoder:
    """Decodes whatever has a name."""

    def page(self, data: bytes) -> Page:
        decoded = json.loads(data)
        objects: list[Object] = [self._named(item["metadata"]) for item in decoded["items"]]
        return Page(objects, decoded["metadata"]["resourceVersion"], decoded["metadata"].get("continue", ""))

    def change(self, line: bytes) -> WatchEvent:
        decoded = json.loads(line)
        if decoded["type"] == "ERROR":
            return WatchEvent("ERROR", None, "", decoded["object"]["code"], decoded["object"]["message"])
        meta = decoded["object"]["metadata"]
        known = None if decoded["type"] == "BOOKMARK" else self._named(meta)
        return WatchEvent(decoded["type"], known, meta["resourceVersion"])

    def _named(self, meta: Mapping[str, Any]) -> Namespace:
        return Namespace(meta["uid"], meta["name"], {}, {})


class Seen:
    """The names a feed knows, and a way to wait for them."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.listed: list[str] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Upsert):
            self.names[event.object.uid] = event.object.name
        elif isinstance(event, Gone):
            self.names.pop(event.uid, None)
        elif isinstance(event, Listed):
            self.listed.append(event.resource)
        self._changed.set()

    async def until(self, done: Callable[[set[str]], bool], seconds: float = 30.0) -> None:
        async with within(seconds):
            while not done(set(self.names.values())):
                self._changed.clear()
                await self._changed.wait()


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    }


async def create_pod(client: ApiClient, name: str) -> PodId:
    created = json.loads(await client.request("POST", PODS_PATH, body=pod(name)))
    return PodId("default", name, created["metadata"]["uid"])


async def test_the_feed_follows_a_cluster_through_a_restart_of_its_api_server(
    plane: ControlPlane, client: ApiClient
) -> None:
    seen = Seen()
    feed = ClusterFeed(client, lambda _resource: NameDecoder(), seen, print)
    feed.start()
    try:
        async with within(20):
            await feed.wait_synced()
        built_in = {resource.key for resource in BUILT_IN}
        assert [key for key in seen.listed if key in built_in][-1] == "pods"
        assert built_in <= set(seen.listed) <= built_in | {resource.key for resource in DRIFT_ONLY}
        assert "kube-system" in seen.names.values()
        await create_pod(client, "before")
        await seen.until(lambda names: "before" in names)
        await plane.apiserver.restart()
        await create_pod(client, "after")
        await client.request("DELETE", f"{PODS_PATH}/before", params={"gracePeriodSeconds": "0"})
        await seen.until(lambda names: "after" in names and "before" not in names)
        health = feed.health()["pods"]
        # A server that has just started has no history: it may answer the resumed watch with 410.
        assert health.relists <= 1
        assert health.failures >= 1
        assert health.last_error == ""
    finally:
        await feed.stop()
        await client.request("DELETE", f"{PODS_PATH}/after", params={"gracePeriodSeconds": "0"})


async def test_the_feed_catches_up_with_a_version_of_now(client: ApiClient) -> None:
    seen = Seen()
    feed = ClusterFeed(client, lambda _resource: NameDecoder(), seen, print)
    feed.start()
    try:
        async with within(30):
            await feed.wait_synced()
            # A pod tells at once; when nothing happens, a list does.
            await create_pod(client, "marker")
            version = json.loads(await client.request("GET", f"{PODS_PATH}/marker"))["metadata"]["resourceVersion"]
            await feed.catch_up(version, 20)
            assert "marker" in seen.names.values()
            relists = feed.health()["pods"].relists
            await client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": "later"}})
            await feed.catch_up(await feed.fresh_version(), 0.1)
            assert feed.health()["pods"].relists == relists + 1
    finally:
        await feed.stop()
        await client.request("DELETE", f"{PODS_PATH}/marker", params={"gracePeriodSeconds": "0"})


async def test_a_custom_owner_is_discovered_followed_and_given_up(client: ApiClient) -> None:
    seen = Seen()
    told: asyncio.Future[tuple[str, str, str]] = asyncio.get_running_loop().create_future()
    feed = ClusterFeed(
        client,
        lambda _resource: NameDecoder(),
        seen,
        lambda _key, _text: None,
        on_unavailable=lambda *what: told.set_result(what),
        options=FeedOptions(built_in=(), drift_only=()),
    )
    discovery = Discovery(client)
    assert isinstance(await discovery.find("argoproj.io/v1alpha1", "Rollout"), NotWatchable)
    controllers = await discovery.find("v1", "ReplicationController")
    assert isinstance(controllers, ApiResource)
    assert controllers.path == "/api/v1/replicationcontrollers"
    for resource in (*BUILT_IN, *DRIFT_ONLY):
        assert await Discovery(client)._ask(resource.group, resource.version, resource.kind) == resource
    await client.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body=CRD)
    path = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts"
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "r"}}
    async with within(30):
        # The kind is served a moment after it was created.
        while True:
            with contextlib.suppress(ApiError):
                await client.request("POST", path, body=rollout)
                break
    try:
        feed.ensure(OwnerRef("u", "argoproj.io/v1alpha1", "Rollout", "r"))
        await seen.until(lambda names: "r" in names)
        assert feed.health()["rollouts.argoproj.io"].synced
        await client.request("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rollouts.argoproj.io")
        await seen.until(lambda names: "r" not in names)
        async with within(30):
            assert (await told)[:2] == ("argoproj.io", "Rollout")
    finally:
        await feed.stop()


async def test_refusals_name_what_was_refused(client: ApiClient) -> None:
    namespaces = json.loads(await client.request("GET", "/api/v1/namespaces", params={"limit": "1"}))
    assert namespaces["metadata"]["continue"]
    with pytest.raises(ApiError) as caught:
        await client.request("GET", "/api/v1/namespaces", params={"limit": "1", "continue": "bm9uZQ"})
    assert caught.value.status in {400, 410}
    with pytest.raises(ApiError) as caught:
        await client.request("POST", PODS_PATH, body={"kind": "Pod"})
    assert caught.value.status in {400, 422}
    assert "POST /api/v1/namespaces/default/pods: " in str(caught.value)


async def test_patches_hit_only_the_pod_they_mean(client: ApiClient) -> None:
    patches = PodPatches(client)
    key = await create_pod(client, "patched")
    namesake = PodId("default", "patched", "00000000-0000-0000-0000-000000000000")
    gone = PodId("default", "absent", key.uid)
    for other in (namesake, gone):
        assert not await patches.annotate(other, {"spotmix.io/x": "1"})
        assert not await patches.nominate(other, "n1")
        assert not await patches.set_deletion_cost(other, 5)
    assert await patches.annotate(key, {"spotmix.io/x": "1", "spotmix.io/y": "2"})
    assert await patches.annotate(key, {"spotmix.io/y": None})
    assert await patches.set_deletion_cost(key, -7)
    assert await patches.nominate(key, "node-1")
    patched = json.loads(await client.request("GET", f"{PODS_PATH}/patched"))
    assert patched["metadata"]["annotations"] == {"spotmix.io/x": "1", DELETION_COST: "-7"}
    assert patched["status"]["nominatedNodeName"] == "node-1"
    managers = {entry["manager"] for entry in patched["metadata"]["managedFields"]}
    assert {"spotmix", "spotmix-seat"} <= managers
    await client.request("DELETE", f"{PODS_PATH}/patched", params={"gracePeriodSeconds": "0"})


class Costs:
    """A pod, our patches on it, and somebody else who writes its cost."""

    def __init__(self, client: ApiClient, key: PodId) -> None:
        self.client = client
        self.key = key
        self.path = f"{PODS_PATH}/{key.name}"
        self.outcomes: list[tuple[str, str]] = []
        self.patches = PodPatches(client, lambda _pod, *outcome: self.outcomes.append(outcome))

    async def send(self, cost: int | None) -> tuple[str, str]:
        """What became of a cost of ours."""
        await self.patches.set_deletion_cost(self.key, cost)
        return self.outcomes[-1]

    async def theirs(self, cost: str | None) -> None:
        """What `kubectl annotate` does."""
        await self.client.request(
            "PATCH",
            self.path,
            params={"fieldManager": "kubectl-annotate"},
            body={"metadata": {"annotations": {DELETION_COST: cost}}},
            content_type=MERGE_PATCH,
        )

    async def read(self) -> tuple[str | None, set[tuple[str, str]]]:
        """The cost, and who owns it."""
        metadata = json.loads(await self.client.request("GET", self.path))["metadata"]
        owners = {
            (entry["manager"], entry["operation"])
            for entry in metadata["managedFields"]
            if DELETION_COST in json.dumps(entry["fieldsV1"])
        }
        return metadata.get("annotations", {}).get(DELETION_COST), owners


@pytest_asyncio.fixture(loop_scope="session")
async def costs(client: ApiClient) -> AsyncIterator[Costs]:
    made = Costs(client, await create_pod(client, "seated"))
    yield made
    with contextlib.suppress(ApiError):
        await client.request("DELETE", made.path, params={"gracePeriodSeconds": "0"})


OURS = {("spotmix-seat", "Apply")}
THEIRS = {("kubectl-annotate", "Update")}


async def test_our_own_cost_is_changed_and_taken_back(costs: Costs) -> None:
    for cost in (999_999, 999_999, 999_998):
        assert await costs.send(cost) == ("written", "")
        assert await costs.read() == (str(cost), OURS)
    # Who starts anew knows nothing of what it wrote.
    restarted = Costs(costs.client, costs.key)
    assert await restarted.send(999_990) == ("written", "")
    assert await costs.send(None) == ("removed", "")
    assert await costs.read() == (None, set())
    assert await costs.send(None) == ("removed", "")


async def test_a_cost_that_somebody_set_since_stays(costs: Costs) -> None:
    await costs.send(999_999)
    # It looks like ours, and we have not read it.
    await costs.theirs("999990")
    assert await costs.send(999_998) == ("foreign", '"kubectl-annotate"')
    assert await costs.read() == ("999990", THEIRS)
    assert await costs.send(None) == ("foreign", "")
    assert await costs.read() == ("999990", THEIRS)
    await costs.theirs(None)
    assert await costs.send(999_997) == ("written", "")
    assert await costs.read() == ("999997", OURS)


async def test_a_cost_that_the_pod_was_made_with_stays(client: ApiClient) -> None:
    metadata = {"name": "templated", "annotations": {DELETION_COST: "999990"}}
    body = {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}], "schedulerName": "nobody"}}
    answer = await client.request("POST", PODS_PATH, params={"fieldManager": "controller"}, body=body)
    costs = Costs(client, PodId("default", "templated", json.loads(answer)["metadata"]["uid"]))
    assert await costs.send(999_999) == ("foreign", '"controller"')
    assert await costs.read() == ("999990", {("controller", "Update")})
    await client.request("DELETE", costs.path, params={"gracePeriodSeconds": "0"})


async def test_a_pod_that_is_gone_is_not_made_anew_by_a_cost(client: ApiClient, plane: ControlPlane) -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}
    await bind(Objects(client), "patcher", [rule], {"kind": "User", "name": "patcher"})
    async with await ApiClient.connect(str(plane.write_kubeconfig("patcher"))) as patcher:
        key = await create_pod(client, "leaves")
        every, patch_only = Costs(client, key), Costs(patcher, key)
        assert await patch_only.send(5) == ("written", "")
        await client.request("DELETE", every.path, params={"gracePeriodSeconds": "0"})
        for costs, cost in itertools.product((every, patch_only), (7, None)):
            assert await costs.send(cost) == ("gone", "")
        with pytest.raises(ApiError, match="not found"):
            await client.request("GET", every.path)
        await create_pod(client, "leaves")
        for costs, cost in itertools.product((every, patch_only), (7, None)):
            assert await costs.send(cost) == ("gone", "")
        assert (await every.read())[0] is None
    await client.request("DELETE", every.path, params={"gracePeriodSeconds": "0"})


async def test_events_are_accepted(client: ApiClient) -> None:
    reports: list[str] = []
    recorder = EventRecorder(client, lambda _name, text: reports.append(text))
    recorder.start()
    node = await client.request(
        "POST", "/api/v1/nodes", body={"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}
    )
    uid = json.loads(node)["metadata"]["uid"]
    recorder.emit(Regarding("Node", "v1", "", "n1", uid), EventReason.MOVE_STUCK, "Watching", "x" * 5000)
    recorder.emit(Regarding("Pod", "v1", "default", "web", "u"), EventReason.MOVED, "Placing", "On spot.")
    assert await recorder.drain(20) == 0
    assert reports == []
    events = json.loads(await client.request("GET", "/apis/events.k8s.io/v1/namespaces/default/events"))
    ours = [event for event in events["items"] if event["reportingController"] == "spotmix.io/extender"]
    assert {event["reason"] for event in ours} == {"MoveStuck", "Moved"}
    await client.request("DELETE", "/api/v1/nodes/n1")


async def test_a_user_without_rights_is_told_so(plane: ControlPlane) -> None:
    kubeconfig = plane.write_kubeconfig("nobody", groups=("nobodies",))
    async with await ApiClient.connect(str(kubeconfig)) as client:
        with pytest.raises(ApiError, match="403 Forbidden: nodes is forbidden") as caught:
            await client.request("GET", "/api/v1/nodes")
        assert caught.value.reason == "Forbidden"
        found = await Discovery(client).find("v1", "Secret")
        assert isinstance(found, NotWatchable)
        assert "403" in found.why


async def test_merge_patch_of_a_namespace(client: ApiClient) -> None:
    body = {"metadata": {"labels": {"spotmix.io/enabled": "true"}}}
    answer = await client.request("PATCH", "/api/v1/namespaces/default", body=body, content_type=MERGE_PATCH)
    assert json.loads(answer)["metadata"]["labels"]["spotmix.io/enabled"] == "true"
    assert PODS.path == "/api/v1/pods"
