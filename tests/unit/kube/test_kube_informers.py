"""Discovery, and the feed that keeps all reflectors running."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from unit.kube.fake_api import (
    FakeApi,
    FakeResource,
    Fault,
    Store,
    ThingDecoder,
    VirtualTime,
    thing,
    write_kubeconfig,
)

from extender.core.model.errors import ApiError
from extender.core.model.objects import OwnerRef
from extender.core.state.events import Event
from extender.kube.client import ApiClient
from extender.kube.discovery import (
    FORBIDDEN_SECONDS,
    MAX_MISSES,
    TRANSIENT_PATIENCE,
    TRANSIENT_SECONDS,
    UNAVAILABLE_SECONDS,
    Discovery,
    NotWatchable,
)
from extender.kube.informers import SEEN_SECONDS, ClusterFeed, FeedOptions
from extender.kube.resources import AUTOSCALING, BUILT_IN, DRIFT_ONLY, PODS, ApiResource
from extender.kube.seams import Timing
from extender.wire.watch import Decoder, Page

FOLLOWED = (*BUILT_IN, *DRIFT_ONLY)
ROLLOUTS = ApiResource(
    "rollouts.argoproj.io", "/apis/argoproj.io/v1alpha1/rollouts", "argoproj.io", "v1alpha1", "Rollout"
)
OF_ROLLOUTS = [("argoproj.io", "Rollout")]
OF_SETS = [("apps", "ReplicaSet"), ("apps", "Deployment")]
ROLLOUT = OwnerRef("uid-r", "argoproj.io/v1alpha1", "Rollout", "r")


def document(api: FakeApi, path: str, body: Any) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return body.response() if isinstance(body, Fault) else web.json_response(body)

    api.handlers[path] = handler


def group(name: str, *versions: str) -> dict[str, Any]:
    listed = [{"version": version} for version in versions]
    return {"name": name, "preferredVersion": listed[0], "versions": listed}


def serve_rollouts(api: FakeApi, version: str = "v1alpha1") -> FakeResource:
    kinds = [
        {"name": "rollouts/scale", "kind": "Rollout", "verbs": ["list", "watch"]},
        {"name": "rollouts", "kind": "Rollout", "verbs": ["get", "list", "watch"]},
        {"name": "templates", "kind": "Template", "verbs": ["get"]},
    ]
    document(api, f"/apis/argoproj.io/{version}", {"resources": kinds})
    document(api, "/apis", {"groups": [group("argoproj.io", version)]})
    return api.resource(f"/apis/argoproj.io/{version}/rollouts")


@asynccontextmanager
async def client_of(api: FakeApi, tmp_path: Path) -> AsyncIterator[ApiClient]:
    async with await ApiClient.connect(write_kubeconfig(tmp_path / "config", api.url)) as client:
        yield client


class InformedWorld:
    """A feed on a fake server whose resources hold one thing each."""

    def __init__(self, api: FakeApi, client: ApiClient, time: VirtualTime) -> None:
        self.client = client
        self.store = Store()
        self.reports: list[tuple[str, str]] = []
        self.unavailable: list[tuple[str, str, str]] = []
        self.told = asyncio.Event()
        self.order: list[str] = []
        self.resources = {resource.key: api.resource(resource.path) for resource in FOLLOWED}
        for key, resource in self.resources.items():
            resource.items = [thing(key)]
        timing = Timing(clock=lambda: time.now, sleep=self.sleep, uniform=lambda _low, high: high)
        self.time = time
        self.gate = asyncio.Event()
        self.gate.set()
        self.feed = ClusterFeed(
            client,
            self.decoder_for,
            self.sink,
            lambda key, text: self.reports.append((key, text)),
            on_unavailable=self.on_unavailable,
            timing=timing,
        )

    def decoder_for(self, _resource: ApiResource) -> Decoder:
        return ThingDecoder()

    def sink(self, event: Event) -> None:
        self.order.append(type(event).__name__ + str(getattr(event, "resource", "")))
        self.store(event)

    def on_unavailable(self, group: str, kind: str, why: str) -> None:
        self.unavailable.append((group, kind, why))
        self.told.set()

    async def sleep(self, seconds: float) -> None:
        await self.gate.wait()
        await self.time.sleep(seconds)

    async def synced(self) -> None:
        async with asyncio.timeout(10):
            await self.feed.wait_synced()


@pytest.fixture
async def world(api: FakeApi, tmp_path: Path, time: VirtualTime) -> AsyncIterator[InformedWorld]:
    async with client_of(api, tmp_path) as client:
        world = InformedWorld(api, client, time)
        try:
            yield world
        finally:
            await world.feed.stop()


async def test_a_kind_is_found_once(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    serve_rollouts(api)
    async with client_of(api, tmp_path) as client:
        discovery = Discovery(client, timing=time.timing())
        found = await asyncio.gather(*(discovery.find("argoproj.io/v1alpha1", "Rollout") for _ in range(5)))
        assert set(found) == {ROLLOUTS}
        assert ROLLOUTS.api_version == "argoproj.io/v1alpha1"
        assert [path for _, path, *_ in api.seen] == ["/apis", "/apis/argoproj.io/v1alpha1", ROLLOUTS.path]
        assert await discovery.find("v1", "Pod") == PODS
        assert PODS.api_version == "v1"


async def test_another_served_version_will_do(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    serve_rollouts(api, "v1")
    async with client_of(api, tmp_path) as client:
        found = await Discovery(client, timing=time.timing()).find("argoproj.io/v1alpha1", "Rollout")
        assert isinstance(found, ApiResource)
        assert (found.key, found.path) == ("rollouts.argoproj.io", "/apis/argoproj.io/v1/rollouts")


async def test_a_core_kind_is_found(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    verbs = ["list", "watch"]
    resources = [{"name": "replicationcontrollers", "kind": "ReplicationController", "verbs": verbs}]
    document(api, "/api/v1", {"resources": resources})
    api.resource("/api/v1/replicationcontrollers")
    async with client_of(api, tmp_path) as client:
        discovery = Discovery(client, timing=time.timing())
        found = await discovery.find("v1", "ReplicationController")
        assert isinstance(found, ApiResource)
        assert found.key == "replicationcontrollers"
        missing = await discovery.find("v1", "Nothing")
        assert isinstance(missing, NotWatchable)
        assert missing.why == "no such kind in the core API"


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ({"resources": []}, "Rollout", ("no such kind in API group 'argoproj.io'", UNAVAILABLE_SECONDS)),
        ({"resources": None}, "Rollout", ("no such kind", UNAVAILABLE_SECONDS)),
        (
            {"resources": [{"name": "templates", "kind": "Template", "verbs": ["get"]}]},
            "Template",
            ("no such kind", UNAVAILABLE_SECONDS),
        ),
        (Fault(404), "Rollout", ("no such kind", UNAVAILABLE_SECONDS)),
        (Fault(403, "Forbidden"), "Rollout", ("Forbidden", FORBIDDEN_SECONDS)),
        (Fault(503), "Rollout", ("503", TRANSIENT_SECONDS)),
        (Fault(429, headers={"Retry-After": "40"}), "Rollout", ("429", 40.0)),
        ([1], "Rollout", ("does not decode", TRANSIENT_SECONDS)),
    ],
)
async def test_a_failure_is_typed_cached_and_tried_again_in_time(
    world: InformedWorld, api: FakeApi, body: Any, kind: str, expected: tuple[str, float]
) -> None:
    why, seconds = expected
    time = world.time
    document(api, "/apis/argoproj.io/v1alpha1", body)
    document(api, "/apis", {"groups": [group("argoproj.io", "v1alpha1")]})
    discovery = Discovery(world.client, timing=time.timing())
    found = await discovery.find("argoproj.io/v1alpha1", kind)
    assert isinstance(found, NotWatchable)
    assert why in found.why
    assert found.retry_at == time.now + seconds
    before = len(api.seen)
    time.now += seconds - 1
    assert await discovery.find("argoproj.io/v1alpha1", kind) is found
    assert len(api.seen) == before
    serve_rollouts(api)
    time.now += 1
    await discovery.find("argoproj.io/v1alpha1", "Rollout")
    assert len(api.seen) > before


async def test_a_kind_we_may_not_list_is_not_watchable(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    serve_rollouts(api).list_faults.append(Fault(403, "Forbidden"))
    async with client_of(api, tmp_path) as client:
        found = await Discovery(client, timing=time.timing()).find("argoproj.io/v1alpha1", "Rollout")
        assert isinstance(found, NotWatchable)


async def test_invented_kinds_cannot_fill_the_memory(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    async with client_of(api, tmp_path) as client:
        serve_rollouts(api)
        discovery = Discovery(client, timing=time.timing())
        for number in range(2 * MAX_MISSES):
            group = "argoproj.io" if number % 2 else f"invented-{number}.example"
            found = await discovery.find(f"{group}/v{number % 7}", f"Thing{number}")
            assert isinstance(found, NotWatchable)
            assert found.missing
        assert await discovery.find("argoproj.io/v1alpha1", "Rollout") == ROLLOUTS
        assert len(discovery._missing) == MAX_MISSES
        # What the server serves was asked for, not what was invented.
        assert [path for _, path, *_ in api.seen] == ["/apis", "/apis/argoproj.io/v1alpha1", ROLLOUTS.path]


async def test_pods_are_listed_last(world: InformedWorld) -> None:
    world.resources["jobs.batch"].list_faults += [Fault(500), Fault(500)]
    world.feed.start()
    await world.synced()
    listed = world.order.index("Listedpods")
    assert {f"Listed{resource.key}" for resource in BUILT_IN} <= set(world.order[: listed + 1])
    health = world.feed.health()
    assert set(health) == {resource.key for resource in FOLLOWED}
    assert all(health[resource.key].synced for resource in BUILT_IN)
    assert health["jobs.batch"].failures == 2


async def listed(world: InformedWorld, *resources: ApiResource) -> None:
    async with asyncio.timeout(10):
        for resource in resources:
            await world.feed._drift_only[resource.key].synced.wait()


async def test_pods_are_placed_although_what_moving_them_needs_is_forbidden(world: InformedWorld) -> None:
    world.gate.clear()
    for resource in DRIFT_ONLY:
        world.resources[resource.key].list_faults += [Fault(403)]
    world.feed.start()
    await world.synced()
    async with asyncio.timeout(10):
        while len(world.reports) < len(DRIFT_ONLY):  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0)
    assert world.feed.faults(60.0) == []
    assert not any(world.feed.health()[resource.key].synced for resource in DRIFT_ONLY)
    # It heals once it is allowed.
    world.gate.set()
    await listed(world, *DRIFT_ONLY)


async def test_a_met_kind_is_followed_once(api: FakeApi, world: InformedWorld) -> None:
    rollouts = serve_rollouts(api)
    rollouts.items = [thing("rollout")]
    world.feed.start()
    await world.synced()
    for _ in range(3):
        world.feed.ensure(ROLLOUT)
    world.feed.ensure(OwnerRef("uid", "apps/v1", "ReplicaSet", "known"))
    await world.store.until("rollout")  # a list of another resource drops what the store knew
    async with asyncio.timeout(10):
        await rollouts.hanging.wait()
    assert len(rollouts.watches) == 1
    assert world.feed.health()["rollouts.argoproj.io"].synced


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Secret"),
        ("v1", "ConfigMap"),
        ("v1", "Event"),
        ("v1", "ServiceAccount"),
        ("v1", "Invented"),
        ("v2", "Secret"),
        ("apps/v1", "ControllerRevision"),
        ("coordination.k8s.io/v1", "Lease"),
        ("events.k8s.io/v1", "Event"),
        ("discovery.k8s.io/v1", "EndpointSlice"),
        ("certificates.k8s.io/v1", "CertificateSigningRequest"),
        ("policy/v1", "PodDisruptionBudget"),
    ],
)
async def test_what_is_no_workload_is_neither_followed_nor_waited_for(
    api: FakeApi, world: InformedWorld, api_version: str, kind: str
) -> None:
    owner = OwnerRef("uid", api_version, kind, "x")
    for _ in range(2):
        world.feed.ensure(owner)
    assert world.unavailable == [(owner.group, kind, "it is no workload")]
    assert not world.feed._tasks
    assert api.seen == []


async def test_a_pod_that_controls_others_is_known_as_what_it_is(api: FakeApi, world: InformedWorld) -> None:
    world.feed.ensure(OwnerRef("uid", "v1", "Pod", "driver"))
    assert (world.unavailable, api.seen) == ([], [])


async def test_a_kind_that_does_not_exist_is_reported_and_followed_once_it_does(
    api: FakeApi, world: InformedWorld
) -> None:
    world.gate.clear()
    world.feed.ensure(ROLLOUT)
    async with asyncio.timeout(10):
        await world.told.wait()
        assert world.unavailable[0][:2] == ("argoproj.io", "Rollout")
        assert "no such kind" in world.unavailable[0][2]
        rollouts = serve_rollouts(api)
        world.gate.set()
        await rollouts.hanging.wait()
    assert UNAVAILABLE_SECONDS in world.time.slept


async def test_a_kind_that_is_uninstalled_is_given_up_and_its_objects_are_gone(
    api: FakeApi, world: InformedWorld
) -> None:
    rollouts = serve_rollouts(api)
    rollouts.items = [thing("rollout")]
    rollouts.watch_scripts.append(Fault(410))
    world.gate.clear()
    world.feed.ensure(ROLLOUT)
    await world.store.until("rollout")
    # The watch expires, and until it is followed up the kind is uninstalled.
    served = dict(api.handlers)
    async with asyncio.timeout(10):
        while not rollouts.watches:  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0)
        api.handlers.clear()
        world.gate.set()
        await world.told.wait()
    assert world.store.names == {}
    assert TRANSIENT_SECONDS in world.time.slept, "not believed at once"
    # Its pods go by what is left, and nobody else is held up.
    assert OF_ROLLOUTS[0] not in world.feed._by_kind
    api.handlers.update(served)
    await world.store.until("rollout")


async def test_a_kind_that_fails_for_a_moment_loses_nothing(api: FakeApi, world: InformedWorld) -> None:
    rollouts = serve_rollouts(api)
    rollouts.items = [thing("rollout")]
    # Discovery probes, the reflector lists, its watch expires, and the second list fails.
    rollouts.list_faults += [None, None, Fault(404)]
    rollouts.watch_scripts.append(Fault(410))
    world.feed.ensure(ROLLOUT)
    async with asyncio.timeout(10):
        await rollouts.hanging.wait()
    assert world.unavailable == []
    assert set(world.store.names.values()) == {"rollout"}
    assert not world.feed._by_kind[OF_ROLLOUTS[0]].blind(world.time.now, 60.0)


async def test_invented_kinds_shut_no_real_one_out(api: FakeApi, world: InformedWorld) -> None:
    rollouts = serve_rollouts(api)
    rollouts.items = [thing("rollout")]
    world.gate.clear()
    for number in range(2 * MAX_MISSES):
        world.feed.ensure(OwnerRef("uid", f"invented-{number}.example/v1", "Thing", "x"))
        world.feed.ensure(OwnerRef("uid", "v1", f"Thing{number}", "x"))
    async with asyncio.timeout(10):
        while len(world.unavailable) < 4 * MAX_MISSES:
            await world.told.wait()
            world.told.clear()
    world.feed.ensure(ROLLOUT)
    await world.store.until("rollout")
    assert len(world.feed._misses) == MAX_MISSES
    # What is forgotten here is forgotten by whoever was told: no more are kept there.
    assert world.order.count("Forgotten") == 3 * MAX_MISSES
    kinds = {kind for _, kind in world.feed._kinds}
    assert "Rollout" in kinds
    assert not any(kind.startswith("Thing") for kind in kinds)


SIZES = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/databases.example.org"


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (
            {"scale": {"specReplicasPath": ".spec.instances", "statusReplicasPath": ".status.instances"}},
            ".spec.instances",
        ),
        ({"scale": {"specReplicasPath": ".spec.replicas"}}, ""),
        ({"status": {}}, ""),
        (None, ""),
        (Fault(403), ""),
        (Fault(404), ""),
    ],
)
async def test_where_a_kind_says_its_size(
    api: FakeApi, tmp_path: Path, time: VirtualTime, definition: Any, expected: str
) -> None:
    document(api, "/apis", {"groups": [group("example.org", "v1")]})
    verbs = ["get", "list", "watch"]
    kinds = [
        {"name": "databases", "kind": "Database", "verbs": verbs},
        {"name": "databases/scale", "kind": "Scale", "verbs": ["get"]},
        {"name": "tables", "kind": "Table", "verbs": verbs},
    ]
    document(api, "/apis/example.org/v1", {"resources": kinds})
    versions = [{"name": "v0"}, {"name": "v1", "subresources": definition}]
    document(api, SIZES, definition if isinstance(definition, Fault) else {"spec": {"versions": versions}})
    api.resource("/apis/example.org/v1/databases")
    api.resource("/apis/example.org/v1/tables")
    async with client_of(api, tmp_path) as client:
        discovery = Discovery(client, timing=time.timing())
        found = await discovery.find("example.org/v1", "Database")
        assert isinstance(found, ApiResource)
        assert (found.key, found.size_path) == ("databases.example.org", expected)
        asked = len(api.seen)
        found = await discovery.find("example.org/v1", "Table")
        assert isinstance(found, ApiResource)
        assert found.size_path == ""
        # Who has no scale subresource says its size by no other name.
        assert len(api.seen) == asked + 1


async def test_of_a_kind_of_kubernetes_itself_no_definition_is_asked_for(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    kinds = [
        {"name": "replicationcontrollers", "kind": "ReplicationController", "verbs": ["get", "list", "watch"]},
        {"name": "replicationcontrollers/scale", "kind": "Scale", "verbs": ["get"]},
    ]
    document(api, "/api/v1", {"resources": kinds})
    api.resource("/api/v1/replicationcontrollers")
    async with client_of(api, tmp_path) as client:
        found = await Discovery(client, timing=time.timing()).find("v1", "ReplicationController")
    assert isinstance(found, ApiResource)
    assert found.size_path == ""
    assert not [request for request in api.seen if "customresourcedefinitions" in str(request)]


async def test_a_crash_is_reported_and_made_good(world: InformedWorld) -> None:
    class Faulty(ThingDecoder):
        crashes = 2

        def page(self, data: bytes) -> Page:
            if Faulty.crashes:
                Faulty.crashes -= 1
                raise ZeroDivisionError
            return super().page(data)

    world.feed._built_in["nodes"]._decoder = Faulty()
    world.feed.start()
    await world.synced()
    assert [key for key, _ in world.reports] == ["nodes", "nodes"]
    assert "ZeroDivisionError" in world.reports[0][1]
    # The first restarts wait one and two seconds at most.
    assert {1.0, 2.0} <= set(world.time.slept)


async def test_stop_ends_every_watch(world: InformedWorld) -> None:
    before = asyncio.all_tasks()
    world.feed.start()
    await world.synced()
    await world.feed.stop()
    assert not [task for task in asyncio.all_tasks() - before if task.get_name().startswith("follow")]


async def test_who_follows_sees(api: FakeApi, world: InformedWorld) -> None:
    rollouts = serve_rollouts(api)
    assert world.feed.blind(OF_SETS, 60.0)
    world.feed.start()
    await world.synced()
    assert not world.feed.blind(OF_SETS, 60.0)
    assert world.feed.blind(OF_ROLLOUTS, 60.0), "nobody looks for them yet"
    world.feed.ensure(ROLLOUT)
    async with asyncio.timeout(10):
        await rollouts.hanging.wait()
    assert not world.feed.blind([*OF_SETS, *OF_ROLLOUTS], 60.0)
    assert world.feed.sees_all(60.0)
    world.time.now += 61.0
    assert world.feed.blind((), 60.0)
    assert not world.feed.sees_all(60.0)


async def test_what_was_seen_is_seen_for_a_moment(world: InformedWorld) -> None:
    assert not world.feed.sees_all(60.0)
    world.feed.start()
    await world.synced()
    assert world.feed.sees_all(60.0)
    world.feed._built_in["jobs.batch"]._failed(ApiError("cut"))
    world.time.now += SEEN_SECONDS
    assert not world.feed.sees_all(60.0)
    world.feed._built_in["jobs.batch"]._opened()
    assert world.feed.sees_all(60.0)


@pytest.mark.parametrize("down", ["pods", "nodes", "namespaces"])
async def test_without_pods_nodes_or_namespaces_nothing_is_seen(world: InformedWorld, down: str) -> None:
    world.feed.start()
    await world.synced()
    world.feed._built_in[down]._failed(ApiError("cut"))
    assert world.feed.blind((), 60.0)
    assert world.feed.faults(60.0) == [f"{down}: not watched (cut)"]


async def test_what_is_not_seen_of_one_kind_is_a_matter_of_its_owners(api: FakeApi, world: InformedWorld) -> None:
    rollouts = serve_rollouts(api)
    world.feed.start()
    await world.synced()
    world.feed.ensure(ROLLOUT)
    async with asyncio.timeout(10):
        await rollouts.hanging.wait()
    world.feed._built_in["jobs.batch"]._failed(ApiError("cut"))
    assert not world.feed.blind([*OF_SETS, *OF_ROLLOUTS], 60.0)
    assert world.feed.blind([("batch", "Job")], 60.0)
    assert world.feed.faults(60.0) == ["jobs.batch: not watched (cut)"]
    world.feed._built_in["jobs.batch"]._opened()
    # One tenant's kind that cannot be listed any more makes nobody else wait.
    world.feed._met["rollouts.argoproj.io"]._failed(ApiError("its conversion webhook is gone"))
    assert world.feed.blind(OF_ROLLOUTS, 60.0)
    assert not world.feed.blind(OF_SETS, 60.0)
    assert world.feed.faults(60.0) == []


async def test_a_kind_that_cannot_be_asked_about_is_waited_for(api: FakeApi, world: InformedWorld) -> None:
    """For a minute its pods wait, for nobody knows; then it counts as one that cannot be followed."""
    document(api, "/apis", Fault(503))
    begun = world.time.now
    world.feed.ensure(ROLLOUT)
    async with asyncio.timeout(10):
        await world.told.wait()
    assert TRANSIENT_PATIENCE <= world.time.now - begun <= TRANSIENT_PATIENCE + TRANSIENT_SECONDS
    assert "503" in world.unavailable[0][2]
    assert world.feed.blind(OF_ROLLOUTS, 60.0)


@pytest.mark.parametrize("fault", [Fault(404), Fault(403, "Forbidden")], ids=["not served", "denied"])
async def test_what_autoscalers_say_is_done_without_where_it_is_not_to_be_had(
    api: FakeApi, tmp_path: Path, fault: Fault
) -> None:
    for resource in BUILT_IN:
        api.resource(resource.path).items = [thing(resource.key)]
    document(api, AUTOSCALING[0].path, fault)
    absent: list[str] = []
    told = asyncio.Event()

    def tell(key: str, _why: str) -> None:
        absent.append(key)
        told.set()

    reports: list[str] = []
    options = FeedOptions(drift_only=(), autoscaling=AUTOSCALING[:1], absent=tell)
    async with client_of(api, tmp_path) as client:
        feed = ClusterFeed(
            client, lambda _resource: ThingDecoder(), Store(), lambda key, _text: reports.append(key), options=options
        )
        feed.start()
        async with asyncio.timeout(10):
            await feed.wait_synced()
            await told.wait()
        assert (absent, reports, AUTOSCALING[0].key in feed.health()) == ([AUTOSCALING[0].key], [], False)
        await feed.stop()
