"""The server around the calls of the API: who may ask, health, reflection, its address, and its end."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.api import ApiBench, Guard, refused, stub, target
from support.console import at_split

from extender.core.model.access import (
    Attributes,
    get_plan,
    get_pod,
    get_workload,
    list_workloads,
    simulate,
    watch_decisions,
)
from extender.core.model.errors import ApiError, ConfigError
from extender.servers.grpc.server import SERVICE
from spotmix.placement.v1 import placement_pb2 as pb


@pytest.fixture
def bench() -> ApiBench:
    bench = ApiBench()
    bench.world.nodes(spot=2, on_demand=2)
    return bench


async def call_as(api: Any, rpc: str, request: Any, *metadata: tuple[str, str]) -> Any:
    return await getattr(api, rpc)(request, metadata=metadata)


W = pb.WorkloadName(namespace="shop", kind="deploy", name="w")
BEARER = ("authorization", f"Bearer {Guard.TOKEN}")


@pytest.mark.parametrize(
    ("rpc", "request_", "right"),
    [
        ("ListWorkloads", pb.ListWorkloadsRequest(), list_workloads()),
        ("ListWorkloads", pb.ListWorkloadsRequest(namespace="shop"), list_workloads("shop")),
        ("GetWorkload", pb.GetWorkloadRequest(namespace="shop", kind="deploy", name="w"), get_workload("shop", "w")),
        ("ExplainPod", pb.ExplainPodRequest(namespace="shop", name="w-0"), get_pod("shop", "w-0")),
        ("PlanDrift", pb.PlanDriftRequest(namespace="shop"), get_plan("shop")),
        ("Simulate", pb.SimulateRequest(change=pb.Change(workload=W, replicas=3)), simulate("shop")),
        (
            "Simulate",
            pb.SimulateRequest(
                change=pb.Change(workload=W, replicas=3, lost_pools=[pb.LostPool(capacity_class="spot")])
            ),
            simulate(),
        ),
    ],
)
async def test_a_right_opens_its_call(bench: ApiBench, rpc: str, request_: Any, right: Attributes) -> None:
    at_split(bench, "w")
    bench.access = guard = Guard()
    async with bench.served() as channel:
        api = stub(channel)
        for metadata in ((), (("authorization", "Bearer other"),), (("authorization", Guard.TOKEN),)):
            code, text = await refused(call_as(api, rpc, request_, *metadata))
            assert (code, text) == ("UNAUTHENTICATED", "the API server does not accept the token")
        code, text = await refused(call_as(api, rpc, request_, BEARER))
        assert (code, text) == ("PERMISSION_DENIED", f'user "ann" cannot {right}')
        guard.rights.add(right)
        await call_as(api, rpc, request_, BEARER)
        await call_as(api, rpc, request_, ("authorization", f"bearer {Guard.TOKEN}"))
        assert set(guard.asked) == {right}


async def test_nobody_is_let_in_while_nobody_can_be_asked(bench: ApiBench) -> None:
    bench.access = guard = Guard(get_plan())
    guard.away = ApiError("POST /tokenreviews: connection refused")
    async with bench.served() as channel:
        code, text = await refused(call_as(stub(channel), "PlanDrift", pb.PlanDriftRequest(), BEARER))
    expected = "it cannot be told whether you may: POST /tokenreviews: connection refused"
    assert (code, text) == ("UNAVAILABLE", expected)


async def test_health_and_reflection_need_no_token(bench: ApiBench) -> None:
    bench.access = Guard()
    async with bench.served() as channel:
        assert await health(channel) == health_pb2.HealthCheckResponse.SERVING


# Health, reflection, addresses


async def health(channel: grpc.aio.Channel, service: str = SERVICE) -> int:
    answer = await health_stub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    status: int = answer.status
    return status


def health_stub(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


async def test_health_follows_readiness(bench: ApiBench) -> None:
    bench.ready = False
    async with bench.served() as channel:
        watch = health_stub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await health(channel, "") == health_pb2.HealthCheckResponse.NOT_SERVING
        bench.ready = True
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert await health(channel, "") == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


async def test_reflection_tells_all(bench: ApiBench) -> None:
    server = bench.server()
    await server.start()

    def reflected() -> tuple[set[str], set[str]]:
        with grpc.insecure_channel(target(server)) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            service = DescriptorPool(database).FindServiceByName(SERVICE)
            return set(database.get_services()), {method.name for method in service.methods}

    services, methods = await asyncio.to_thread(reflected)
    await server.stop()
    assert {SERVICE, "grpc.health.v1.Health"} <= services
    assert methods == {"ListWorkloads", "GetWorkload", "ExplainPod", "PlanDrift", "Simulate", "WatchDecisions"}


async def test_an_address_that_is_taken_is_told(bench: ApiBench) -> None:
    first = bench.server()
    await first.start()
    second = bench.server()
    second._port = first.address[1]
    with pytest.raises(ConfigError, match=r"api.addr 127.0.0.1:\d+ cannot be listened on; choose another"):
        await second.start()
    await first.stop()


async def test_calls_in_flight_are_answered_at_the_end_and_watches_are_let_go(bench: ApiBench) -> None:
    bench.access = guard = Guard(list_workloads(), watch_decisions())
    server = bench.server()
    await server.start()
    async with grpc.aio.insecure_channel(target(server)) as channel:
        api = stub(channel)
        watch = api.WatchDecisions(pb.WatchDecisionsRequest(), metadata=(BEARER,))
        await watch.read()
        guard.open.clear()
        listing = asyncio.ensure_future(call_as(api, "ListWorkloads", pb.ListWorkloadsRequest(), BEARER))
        await guard.waits.wait()
        stopping = asyncio.ensure_future(server.stop())
        code, text = await refused(watch.read())
        assert (code, text) == ("UNAVAILABLE", "this replica is shutting down; ask again, another one will answer")
        assert not listing.done()
        guard.open.set()
        assert (await listing).total_size == 0
        await stopping
