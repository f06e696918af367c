"""Who may ask the API of `spotmix serve`: certificates, tokens of a real API server, and what a follower says."""

import ssl
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.api import LOOPBACK, stub
from support.certificates import Authority
from support.cluster import Cluster, policy
from support.pair import SHORT, opened_pair
from support.patience import eventually, stretched
from support.people import People

from extender.core.model.access import list_workloads, watch_decisions
from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane
from extender.sandbox.spotmix import SpotmixServe
from spotmix.placement.v1 import placement_pb2 as pb

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

Code = grpc.StatusCode
# Channels to one target share a connection, but for those with options of their own.
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


class ApiFiles:
    """Certificates of the server and of a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers, self.clients = Authority("servers"), Authority("clients")
        self.server = self.servers.issue(folder, "server", (LOOPBACK,))
        self.client = self.clients.issue(folder, "client")
        self.client_ca = self.clients.write(folder / "clients.pem")
        self.ca = self.servers.write(folder / "ca.pem")

    def credentials(self, *, shown: bool = True) -> grpc.ChannelCredentials:
        root = self.servers.write(self.folder / "ca.pem").read_bytes()
        pair = (self.client.key.read_bytes(), self.client.cert.read_bytes()) if shown else (None, None)
        return grpc.ssl_channel_credentials(root, *pair)

    def flags(self) -> Sequence[str]:
        return (
            *("--api-tls-cert", str(self.server.cert), "--api-tls-key", str(self.server.key)),
            *("--api-tls-client-ca", str(self.client_ca)),
            *("--metrics-tls-cert", str(self.server.cert), "--metrics-tls-key", str(self.server.key)),
        )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane(with_scheduler=False) as plane:
        yield plane


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(plane: ControlPlane) -> AsyncIterator[ApiClient]:
    async with await plane.connect() as client:
        yield client


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ApiFiles:
    return ApiFiles(tmp_path_factory.mktemp("certificates"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def serve(plane: ControlPlane, files: ApiFiles) -> AsyncIterator[SpotmixServe]:
    guards = ("--api-auth", "kubernetes", "--console-auth", "kubernetes", "--metrics-auth", "kubernetes")
    spotmix = SpotmixServe(plane, *files.flags(), *guards, ca=str(files.ca))
    try:
        await spotmix.start()
        yield spotmix
    finally:
        await spotmix.stop()


async def status(serve: SpotmixServe, credentials: grpc.ChannelCredentials, token: str = "", **request: str) -> str:
    """What becomes of a call on a new connection."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    async with grpc.aio.secure_channel(serve.api_target, credentials, OPTIONS) as channel:
        try:
            asked = pb.ListWorkloadsRequest(**request)  # type: ignore[arg-type]  # mypy takes them for all fields
            await stub(channel).ListWorkloads(asked, metadata=metadata, timeout=stretched(10))
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
    return "OK"


async def test_a_certificate_opens_the_connection_and_a_right_the_call(
    serve: SpotmixServe, files: ApiFiles, client: ApiClient
) -> None:
    people = People(client)
    await Cluster(client, "shop").create_namespace()
    token = await people.arrive("reader", list_workloads("shop"))
    shown = files.credentials()
    assert await status(serve, shown, token, namespace="shop") == "OK"
    assert (await status(serve, files.credentials(shown=False), token, namespace="shop")).startswith("UNAVAILABLE: ")
    refusal = await status(serve, shown, token)
    assert refusal.startswith('PERMISSION_DENIED: user "system:serviceaccount:default:reader" cannot list resource')
    assert (await status(serve, shown)).startswith("UNAUTHENTICATED: no token was given")
    assert (await status(serve, shown, "e30.e30.e30")).startswith("UNAUTHENTICATED: the API server does not accept")


async def test_health_needs_a_certificate_and_no_token(serve: SpotmixServe, files: ApiFiles) -> None:
    async with grpc.aio.secure_channel(serve.api_target, files.credentials(), OPTIONS) as channel:
        ask: Any = health_pb2_grpc.HealthStub(channel)
        answer = await ask.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def fetched(serve: SpotmixServe, files: ApiFiles, path: str, token: str = "") -> tuple[int, str]:
    """Status and text of an address of metrics and console, by TLS."""
    context = ssl.create_default_context(cafile=str(files.ca))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(serve.metrics_url + path, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_metrics_and_console_are_by_tls_and_for_those_who_may(
    serve: SpotmixServe, files: ApiFiles, client: ApiClient
) -> None:
    people = People(client)
    nobody = await people.arrive("nobody")
    prometheus = await people.arrive("prometheus")
    await people.may_get("prometheus", "/metrics")
    code, text = await fetched(serve, files, "/metrics", prometheus)
    assert (code, "spotmix_build_info" in text) == (200, True)
    assert await fetched(serve, files, "/metrics", nobody) == (
        403,
        'user "system:serviceaccount:default:nobody" cannot get path "/metrics"\n',
    )
    status, text = await fetched(serve, files, "/metrics")
    assert (status, text.startswith("no token was given")) == (401, True)
    assert (await fetched(serve, files, "/readyz"))[0] == 200
    status, page = await fetched(serve, files, "/console")
    assert (status, "Sign in" in page) == (401, True)
    plain = serve.metrics_url.replace("https:", "http:")
    with pytest.raises(aiohttp.ClientError):
        async with aiohttp.ClientSession() as session, session.get(f"{plain}/metrics"):
            pass


async def test_calls_of_nobody_shut_nobody_out(serve: SpotmixServe, files: ApiFiles, client: ApiClient) -> None:
    people = People(client)
    token, prometheus = await people.arrive("user", list_workloads()), await people.arrive("scraper")
    await people.may_get("scraper", "/metrics")
    shown = files.credentials()
    async with grpc.aio.secure_channel(serve.api_target, shown, OPTIONS) as channel:
        ask: Any = health_pb2_grpc.HealthStub(channel)
        watches = [ask.Watch(health_pb2.HealthCheckRequest()) for _ in range(130)]
        await eventually(lambda: refusals(watches), lambda count: count == 122, "all but eight are refused", 15)
        await eventually(lambda: status(serve, shown, token), lambda seen: seen == "OK", "others are served", 15)
        await eventually(
            lambda: fetched(serve, files, "/metrics", prometheus),
            lambda seen: 'spotmix_api_refused_total{calls="health-watch",limit="caller"} 122.0' in seen[1],
            "they are counted",
            15,
        )
        for watch in watches:
            watch.cancel()


async def refusals(calls: Sequence[Any]) -> int:
    return len([call for call in calls if call.done() and await call.code() is Code.RESOURCE_EXHAUSTED])


async def test_a_new_certificate_is_served_without_a_restart(
    serve: SpotmixServe, files: ApiFiles, client: ApiClient
) -> None:
    token = await People(client).arrive("patient", list_workloads())
    before = files.credentials()
    assert await status(serve, before, token) == "OK"
    async with grpc.aio.secure_channel(serve.api_target, before, OPTIONS) as channel:
        open_one = stub(channel)
        metadata = (("authorization", f"Bearer {token}"),)
        await open_one.ListWorkloads(pb.ListWorkloadsRequest(), metadata=metadata)
        files.servers = Authority("servers, anew")
        files.servers.issue(files.folder, "server", (LOOPBACK,))
        after = files.credentials()
        await eventually(lambda: status(serve, after, token), lambda seen: seen == "OK", "the new one is served", 20)
        assert (await status(serve, before, token)).startswith("UNAVAILABLE: ")
        await open_one.ListWorkloads(pb.ListWorkloadsRequest(), metadata=metadata)


async def test_the_end_lets_watchers_go(
    plane: ControlPlane, serve: SpotmixServe, files: ApiFiles, client: ApiClient
) -> None:
    token = await People(client).arrive("watcher", list_workloads(), watch_decisions())
    shown = files.credentials()
    assert await status(serve, shown, token) == "OK"
    async with grpc.aio.secure_channel(serve.api_target, shown, OPTIONS) as channel:
        metadata = (("authorization", f"Bearer {token}"),)
        watch = stub(channel).WatchDecisions(pb.WatchDecisionsRequest(), metadata=metadata)
        await watch.read()
        await serve.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch.read()
    assert caught.value.code() is Code.UNAVAILABLE
    assert "this replica is shutting down" in (caught.value.details() or "")
    assert '"stopped"' in serve.log_path.read_text()
    plane.check()


async def test_a_follower_answers_and_says_what_it_is() -> None:
    async with opened_pair(SHORT) as (pair, cluster):
        leader = await pair.leader()
        (follower,) = set(pair.replicas) - {leader}
        await cluster.deployment("web", 4, policy(spot_percentage=50))
        await eventually(lambda: cluster.split("web"), lambda seen: seen == {"spot": 2, "on-demand": 2}, "web is split")
        (pod, *_) = await cluster.pods("web")
        request = pb.ExplainPodRequest(namespace=cluster.namespace, name=pod["metadata"]["name"])
        for name, obstacle, known in ((leader, pb.REASON_UNSPECIFIED, 1), (follower, pb.REASON_NOT_LEADER, 0)):
            async with grpc.aio.insecure_channel(pair.replicas[name].api_target) as channel:
                api = stub(channel)
                answer = await eventually(
                    partial(api.ExplainPod, request), lambda seen: seen.pod.HasField("place"), "it is seen"
                )
                assert answer.pod.place.node == pod["spec"]["nodeName"]
                assert (answer.obstacle, len(answer.decisions)) == (obstacle, known)
                watch = api.WatchDecisions(pb.WatchDecisionsRequest(replay=10))
                assert (await watch.read()).obstacle == obstacle
                watch.cancel()
