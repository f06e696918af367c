"""The gRPC API of `spotmix serve` on a real control plane: what it tells is what is there."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.api import stub
from support.cluster import Cluster, policy
from support.patience import eventually, stretched, within
from support.stage import Stage, open_stage

from extender.sandbox import node_pool
from spotmix.placement.v1 import placement_pb2 as pb

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

SERVICE = "spotmix.placement.v1.PlacementService"
# Spot nodes are too small for what asks for two cores.
NODES = [*node_pool(2, capacity_class="spot", cpu="1"), *node_pool(2, capacity_class="on-demand", cpu="8")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with open_stage(NODES) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(stage: Stage) -> AsyncIterator[Cluster]:
    async with stage.namespace() as namespace:
        yield namespace


@pytest_asyncio.fixture(loop_scope="module")
async def channel(stage: Stage) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(stage.spotmix.api_target) as channel:
        yield channel


@pytest_asyncio.fixture(loop_scope="module")
async def api(channel: grpc.aio.Channel) -> Any:
    return stub(channel)


async def settled(cluster: Cluster, app: str, split: dict[str, int]) -> None:
    await eventually(lambda: cluster.split(app), lambda seen: seen == split, f"{app} is split")


async def explained(api: Any, request: pb.ExplainPodRequest) -> pb.ExplainPodResponse:
    """What is said of a pod; nothing while the service has not seen it."""
    try:
        answer: pb.ExplainPodResponse = await api.ExplainPod(request)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return pb.ExplainPodResponse()
    return answer


async def test_workloads_wanted_against_actual(api: Any, cluster: Cluster) -> None:
    await cluster.deployment("web", 4, policy(spot_percentage=50))
    await cluster.deployment("plain", 1, labels={})
    await settled(cluster, "web", {"spot": 2, "on-demand": 2})

    async def listed() -> pb.ListWorkloadsResponse:
        answer: pb.ListWorkloadsResponse = await api.ListWorkloads(pb.ListWorkloadsRequest(namespace=cluster.namespace))
        return answer

    answer = await eventually(listed, lambda seen: list(seen.overview.totals.actual.values()) == [2, 2], "it is seen")
    (row,) = answer.overview.workloads
    assert (row.kind, row.name, row.replicas, dict(row.wanted)) == ("Deployment", "web", 4, {"spot": 2, "on-demand": 2})
    assert (answer.total_size, answer.obstacle) == (1, pb.REASON_UNSPECIFIED)
    assert {(pool.capacity_class, pool.nodes) for pool in answer.overview.pools} == {("spot", 2), ("on-demand", 2)}


async def test_a_placed_pod_is_explained(api: Any, cluster: Cluster) -> None:
    await cluster.deployment("web", 2, policy(spot_percentage=50))
    await settled(cluster, "web", {"spot": 1, "on-demand": 1})
    classes = await cluster.classes()
    for pod in await cluster.pods("web"):
        name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
        request = pb.ExplainPodRequest(namespace=cluster.namespace, name=name)
        answer = await eventually(
            partial(explained, api, request), lambda seen: seen.pod.HasField("place"), "it is seen"
        )
        assert (answer.pod.place.node, answer.pod.place.capacity_class) == (node, classes[node])
        assert (answer.pod.workload.kind, answer.pod.workload.name) == ("Deployment", "web")
        assert answer.pod.seat.capacity_class == classes[node]
        assert {(each.capacity_class, each.target, each.filled) for each in answer.pod.seats} == {
            ("spot", 1, 1),
            ("on-demand", 1, 1),
        }
        assert [entry.given for entry in answer.decisions] == [classes[node]]
        assert answer.decisions[0].reason == pb.REASON_SEAT
        assert {score.node for score in answer.pod.scores} >= {node}


async def test_a_waiting_pod_is_explained(api: Any, cluster: Cluster) -> None:
    await cluster.deployment("large", 1, policy(spot_percentage=100, when_unsatisfiable="wait"), cpu="2")
    (pod,) = await eventually(lambda: cluster.pods("large"), lambda pods: len(pods) == 1, "there is a pod")
    request = pb.ExplainPodRequest(namespace=cluster.namespace, name=pod["metadata"]["name"])
    answer = await eventually(partial(explained, api, request), lambda seen: len(seen.decisions) > 0, "it was rejected")
    assert not answer.pod.HasField("place")
    assert answer.pod.outcome.wanted == "spot"
    assert (answer.pod.outcome.given, answer.pod.outcome.passing) == ("", 0)
    assert answer.decisions[0].passed == 0
    verdicts = {each.capacity_class: each for each in answer.pod.classes}
    assert [(group.reason, group.count) for group in verdicts["spot"].groups] == [(pb.REASON_FULL, 2)]
    assert [group.reason for group in verdicts["on-demand"].groups] == [pb.REASON_OTHER_CLASS]
    assert answer.pod.waits.reason == answer.decisions[0].reason


async def test_an_unmanaged_pod_is_explained(api: Any, cluster: Cluster) -> None:
    await cluster.deployment("plain", 1, labels={})
    (pod,) = await eventually(lambda: cluster.pods("plain"), lambda pods: len(pods) == 1, "there is a pod")
    request = pb.ExplainPodRequest(namespace=cluster.namespace, name=pod["metadata"]["name"])
    answer = await eventually(partial(explained, api, request), lambda seen: seen.HasField("pod"), "it is seen")
    assert answer.pod.unmanaged.reason == pb.REASON_NOT_OPTED_IN
    assert answer.pod.unmanaged.detail == f"Deployment {cluster.namespace}/plain"
    assert len(answer.decisions) == 0


async def test_decisions_arrive_as_pods_are_scheduled(api: Any, cluster: Cluster) -> None:
    mine = api.WatchDecisions(pb.WatchDecisionsRequest(namespace=cluster.namespace, workload="web", kind="deploy"))
    others = api.WatchDecisions(pb.WatchDecisionsRequest(namespace="nowhere"))
    for call in (mine, others):
        assert list((await call.read()).decisions) == []
    await cluster.deployment("web", 4, policy(spot_percentage=50))
    seen: dict[str, str] = {}
    async with within(30):
        while len(seen) < 4:
            message = await mine.read()
            assert message.lost == 0
            seen.update({entry.pod: entry.given for entry in message.decisions})
    await settled(cluster, "web", {"spot": 2, "on-demand": 2})
    classes = await cluster.classes()
    assert seen == {pod["metadata"]["name"]: classes[pod["spec"]["nodeName"]] for pod in await cluster.pods("web")}
    mine.cancel()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await others.read()
    again = api.WatchDecisions(pb.WatchDecisionsRequest(namespace=cluster.namespace, replay=3))
    assert len((await again.read()).decisions) == 3
    again.cancel()


async def test_a_workload_off_its_split_and_the_plan(api: Any, cluster: Cluster) -> None:
    await cluster.deployment("web", 4, policy(spot_percentage=0))
    await settled(cluster, "web", {"on-demand": 4})
    await cluster.annotate("Deployment", "web", policy(spot_percentage=50))
    request = pb.GetWorkloadRequest(namespace=cluster.namespace, kind="deployments", name="web")
    answer = await eventually(
        lambda: api.GetWorkload(request),
        lambda seen: [stay.why.reason for stay in seen.drift.stays] == [pb.REASON_YOUNG] * 2,
        "the policy is seen, and what keeps its pods",
    )
    assert answer.workload.row.surplus == 2
    assert len(answer.workload.pods) == len(answer.decisions) == 4
    plan = await eventually(
        lambda: api.PlanDrift(pb.PlanDriftRequest(namespace=cluster.namespace)),
        lambda seen: len(seen.report.stays) == 2,
        "the plan tells of it",
    )
    assert (plan.mode, [each.surplus for each in plan.report.off_target]) == ("on", [2])


async def test_a_what_if(api: Any, cluster: Cluster) -> None:
    await cluster.deployment("web", 4, policy(spot_percentage=50))
    await settled(cluster, "web", {"spot": 2, "on-demand": 2})
    web = pb.WorkloadName(namespace=cluster.namespace, kind="deploy", name="web")
    request = pb.SimulateRequest(change=pb.Change(workload=web, replicas=8, policy={"spot-percentage": "75"}))
    answer = await eventually(
        lambda: api.Simulate(request),
        lambda seen: sum(seen.what_if.before.actual.values()) == 4,
        "the workload is seen",
    )
    (row,) = answer.what_if.workloads
    assert (dict(row.before.wanted), dict(row.after.wanted)) == (
        {"spot": 2, "on-demand": 2},
        {"spot": 6, "on-demand": 2},
    )
    assert (row.made, dict(row.after.actual), dict(row.after.pending)) == (4, {"spot": 6, "on-demand": 2}, {})
    await settled(cluster, "web", {"spot": 2, "on-demand": 2})


async def test_a_generic_client_finds_its_way(stage: Stage, cluster: Cluster) -> None:
    """One that knows nothing of our proto file, as grpcurl does not."""

    def asked() -> tuple[int, str]:
        with grpc.insecure_channel(stage.spotmix.api_target) as channel:
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE))  # type: ignore[attr-defined]  # made by protoc
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            method = pool.FindServiceByName(SERVICE).methods_by_name["ExplainPod"]
            ask: Any = channel.unary_unary(
                f"/{SERVICE}/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            request = GetMessageClass(method.input_type)(namespace=cluster.namespace, name="nobody")
            with pytest.raises(grpc.RpcError) as caught:
                ask(request, timeout=stretched(10))
            return health.status, str(caught.value)

    status, text = await asyncio.to_thread(asked)
    assert status == health_pb2.HealthCheckResponse.SERVING
    assert f"there is no Pod {cluster.namespace}/nobody, or Spotmix does not know it" in text


async def test_calls_are_counted(stage: Stage, api: Any) -> None:
    name = 'spotmix_api_requests_total{code="OK",rpc="PlanDrift"}'
    before = stage.metric(name)
    assert before is not None
    await api.PlanDrift(pb.PlanDriftRequest())

    async def counted() -> float | None:
        return stage.metric(name)

    # A call is counted once it has ended, which its caller may hear before.
    await eventually(counted, lambda count: count == before + 1, "it is counted")
