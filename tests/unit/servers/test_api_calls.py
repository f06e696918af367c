"""Calls of the API through a real channel: what they answer, and what they refuse."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
import msgspec
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.api import ApiBench, Guard, stub, target
from support.doubles import ENABLED, keys, make_node, make_owner, make_pod, ref

from extender.core.access import Attributes, get_plan, get_pod, get_workload, list_workloads, simulate, watch_decisions
from extender.core.classes import SPOT
from extender.core.detail import WorkloadExplanation, explain_owner
from extender.core.drift.report import DriftReport, WorkloadName
from extender.core.errors import ApiError, ConfigError
from extender.core.explain import PodExplanation, explain_pod
from extender.core.outlook import Change, WhatIf
from extender.core.overview import Overview, overview
from extender.core.reasons import Reason
from extender.core.whatif import what_if
from extender.rpc.convert import from_message, to_message
from extender.servers.rpc.server import SERVICE
from spotmix.placement.v1 import placement_pb2 as pb


@pytest.fixture
def bench() -> ApiBench:
    bench = ApiBench()
    bench.world.nodes(spot=2, on_demand=2)
    return bench


@pytest.fixture
async def channel(bench: ApiBench) -> AsyncIterator[grpc.aio.Channel]:
    async with bench.served() as channel:
        yield channel


@pytest.fixture
def api(channel: grpc.aio.Channel) -> Any:
    return stub(channel)


def at_split(bench: ApiBench, name: str, namespace: str = "shop", replicas: int = 2) -> None:
    top = make_owner(
        "Deployment", name, replicas, namespace=namespace, labels=ENABLED, annotations=keys(spot_percentage=50)
    )
    rs = make_owner("ReplicaSet", f"{name}-1", replicas, namespace=namespace, owner=ref(top))
    bench.world.up(top, rs)
    for number in range(replicas):
        node = "spot-0" if number % 2 else "on-demand-0"
        bench.world.up(make_pod(f"{name}-{number}", ref(rs), node, namespace=namespace))


def off_target(bench: ApiBench, name: str = "web", replicas: int = 4) -> None:
    owner = bench.world.deployment(name, replicas, spot_percentage=50)
    bench.world.up(*(make_pod(f"{name}-{n}", owner, "on-demand-0") for n in range(replicas)))


async def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details() or ""


# What is answered


async def test_workloads_are_what_status_shows(bench: ApiBench, api: Any) -> None:
    at_split(bench, "fine")
    off_target(bench)
    answer = await api.ListWorkloads(pb.ListWorkloadsRequest())
    assert from_message(answer.overview, Overview) == overview(bench.world.state, bench.world.now)
    assert (answer.next_page_token, answer.total_size, answer.obstacle) == ("", 2, 0)
    assert bench.observed == [("ListWorkloads", "OK")]


async def test_workloads_of_a_namespace_have_their_own_sums(bench: ApiBench, api: Any) -> None:
    at_split(bench, "fine")
    at_split(bench, "db", "lab", 6)
    answer = await api.ListWorkloads(pb.ListWorkloadsRequest(namespace="lab"))
    assert from_message(answer.overview, Overview) == overview(bench.world.state, bench.world.now, {"lab"})


async def test_workloads_in_pages(bench: ApiBench, api: Any) -> None:
    for number in range(7):
        at_split(bench, f"w{number}")
    request = pb.ListWorkloadsRequest(order=pb.WORKLOAD_ORDER_NAME, page_size=3)
    seen: list[list[str]] = []
    while not seen or request.page_token:
        answer = await api.ListWorkloads(request)
        assert answer.total_size == answer.overview.totals.workloads == 7
        seen.append([row.name for row in answer.overview.workloads])
        request.page_token = answer.next_page_token
    assert seen == [["w0", "w1", "w2"], ["w3", "w4", "w5"], ["w6"]]


async def test_a_page_token_belongs_to_its_request(bench: ApiBench, api: Any) -> None:
    for number in range(3):
        at_split(bench, f"w{number}")
    token = (await api.ListWorkloads(pb.ListWorkloadsRequest(page_size=1))).next_page_token
    code, text = await refused(api.ListWorkloads(pb.ListWorkloadsRequest(page_size=2, page_token=token)))
    assert code == "INVALID_ARGUMENT"
    assert re.search(r"page_token='.*' is of another request; leave all other fields as they were", text)
    code, text = await refused(api.ListWorkloads(pb.ListWorkloadsRequest(page_token="x")))  # noqa: S106 - it opens nothing
    assert (code, text) == (
        "INVALID_ARGUMENT",
        "page_token='x' is none; send next_page_token of the answer before",
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pb.ListWorkloadsRequest(), ["web", "big", "fine"]),
        (pb.ListWorkloadsRequest(order=pb.WORKLOAD_ORDER_WORST_FIRST), ["web", "big", "fine"]),
        (pb.ListWorkloadsRequest(order=pb.WORKLOAD_ORDER_NAME), ["big", "fine", "web"]),
        (pb.ListWorkloadsRequest(order=pb.WORKLOAD_ORDER_REPLICAS), ["big", "web", "fine"]),
        (pb.ListWorkloadsRequest(order=pb.WORKLOAD_ORDER_SURPLUS), ["web", "big", "fine"]),
        (pb.ListWorkloadsRequest(conditions=[pb.CONDITION_OFF_TARGET]), ["web"]),
        (pb.ListWorkloadsRequest(query="DEPLOY shop fi"), ["fine"]),
        (pb.ListWorkloadsRequest(query="nothing"), []),
    ],
)
async def test_workloads_as_asked_for(
    bench: ApiBench, api: Any, request_: pb.ListWorkloadsRequest, expected: list[str]
) -> None:
    at_split(bench, "fine")
    at_split(bench, "big", replicas=8)
    off_target(bench)
    answer = await api.ListWorkloads(request_)
    assert [row.name for row in answer.overview.workloads] == expected
    assert answer.overview.totals.workloads == 3


async def test_a_workload_with_its_decisions_and_its_plan(bench: ApiBench, api: Any) -> None:
    off_target(bench)
    rs = ref(bench.world.state.workloads.owners["uid-ReplicaSet-web-1"])
    for number in range(3):
        bench.decide(rs, f"new-{number}", "spot-0", "on-demand-0")
    answer = await api.GetWorkload(pb.GetWorkloadRequest(namespace="shop", kind="deploy", name="web", decision_limit=2))
    owner = bench.world.state.workloads.owners["uid-Deployment-web"]
    expected = explain_owner(bench.world.state, owner, bench.world.now)
    assert from_message(answer.workload, WorkloadExplanation) == expected
    assert [entry.pod for entry in answer.decisions] == ["new-2", "new-1"]
    told = from_message(answer.drift, DriftReport)
    assert {stay.workload.name for stay in told.stays} | {move.workload.name for move in told.moves} == {"web"}
    assert [each.surplus for each in told.off_target] == [2]


async def test_a_cron_job_stands_for_its_jobs(bench: ApiBench, api: Any) -> None:
    cron = make_owner("CronJob", "nightly", labels=ENABLED, annotations=keys(spot_percentage=100))
    jobs = [make_owner("Job", f"nightly-{number}", 1, owner=ref(cron)) for number in range(2)]
    bench.world.up(cron, *jobs)
    for job in jobs:
        bench.decide(ref(job), f"{job.name}-x", "spot-0")
    answer = await api.GetWorkload(pb.GetWorkloadRequest(namespace="shop", kind="CronJob", name="nightly"))
    assert answer.workload.row.replicas == 2
    assert [entry.pod for entry in answer.decisions] == ["nightly-1-x", "nightly-0-x"]


async def test_a_pod_is_explained_and_its_decisions_told(bench: ApiBench, api: Any) -> None:
    owner = bench.world.deployment("web", 2, spot_percentage=50)
    bench.decide(owner, "a", "spot-0", "on-demand-0")
    bench.world.up(make_pod("a", owner, "on-demand-0"))
    answer = await api.ExplainPod(pb.ExplainPodRequest(namespace="shop", name="a"))
    record = bench.world.state.pods["a"]
    assert from_message(answer.pod, PodExplanation) == explain_pod(bench.world.state, record, bench.world.now)
    assert [(entry.wanted, entry.given, entry.reason) for entry in answer.decisions] == [
        ("on-demand", "on-demand", pb.REASON_SEAT)
    ]


async def test_a_pod_that_nobody_manages(bench: ApiBench, api: Any) -> None:
    bench.world.up(make_pod("alone", None, "spot-0"))
    answer = await api.ExplainPod(pb.ExplainPodRequest(namespace="shop", name="alone"))
    assert answer.pod.unmanaged.reason == pb.REASON_NO_CONTROLLER
    assert not answer.pod.HasField("outcome")


async def test_a_plan(bench: ApiBench, api: Any) -> None:
    off_target(bench)
    answer = await api.PlanDrift(pb.PlanDriftRequest())
    assert (answer.off, answer.mode) == (1, "on")
    assert len(answer.report.moves) + len(answer.report.stays) == 2
    bench.paused = Reason.MEMORY
    answer = await api.PlanDrift(pb.PlanDriftRequest(namespace="elsewhere"))
    assert (len(answer.report.stays), answer.report.paused.reason) == (0, pb.REASON_MEMORY)


async def test_a_what_if(bench: ApiBench, api: Any) -> None:
    off_target(bench)
    change = Change(WorkloadName("shop", "deploy", "web"), 6, {"spot-percentage": "100"}, prices={"spot": 0.25})
    answer = await api.Simulate(pb.SimulateRequest(change=to_message(change)))
    expected = what_if(bench.world.state, change, bench.world.now, bench.sources.drifting.rules)
    assert from_message(answer.what_if, WhatIf) == expected
    (row,) = answer.what_if.workloads
    assert (row.before.replicas, row.after.replicas, dict(row.after.wanted)) == (4, 6, {"spot": 6, "on-demand": 0})
    assert answer.obstacle == 0


async def test_a_what_if_of_a_lost_pool(bench: ApiBench, api: Any) -> None:
    at_split(bench, "web")
    change = pb.Change(lost_pools=[pb.LostPool(capacity_class="spot")])
    answer = await api.Simulate(pb.SimulateRequest(change=change))
    assert [(row.name, row.lost, row.made) for row in answer.what_if.workloads] == [("web", 1, 1)]
    assert dict(answer.what_if.nodes_after) == {"spot": 0, "on-demand": 2}
    assert not answer.what_if.after.HasField("cost")


# What is refused


@pytest.mark.parametrize(
    ("rpc", "request_", "text"),
    [
        ("GetWorkload", pb.GetWorkloadRequest(kind="deploy", name="a"), "namespace='' is empty; say which namespace"),
        ("GetWorkload", pb.GetWorkloadRequest(namespace="a", name="a"), "kind='' is empty; say which kind"),
        ("ExplainPod", pb.ExplainPodRequest(namespace="a"), "name='' is empty; say which name"),
        (
            "ExplainPod",
            pb.ExplainPodRequest(namespace="a", name="b", decision_limit=-1),
            "decision_limit=-1 is not between 0 and 1000; leave it out for 20, or send at most 1000",
        ),
        (
            "ListWorkloads",
            pb.ListWorkloadsRequest(page_size=5000),
            "page_size=5000 is not between 0 and 1000; leave it out for 100, or send at most 1000",
        ),
        (
            "ListWorkloads",
            pb.ListWorkloadsRequest(query="x" * 300),
            f"query='{'x' * 20}…' is longer than 253 characters; shorten it",
        ),
        (
            "ListWorkloads",
            pb.ListWorkloadsRequest(conditions=[0]),  # type: ignore[list-item]  # that is the point
            "conditions=0 is no condition; use one of Condition, or leave it out",
        ),
        (
            "Simulate",
            pb.SimulateRequest(change=pb.Change(workload=pb.WorkloadName(name="web", kind="deploy"))),
            "change.workload.namespace='' is empty; say which change.workload.namespace",
        ),
        ("Simulate", pb.SimulateRequest(), "nothing is changed: give replicas, a policy, or a pool to lose"),
        (
            "Simulate",
            pb.SimulateRequest(change=pb.Change(lost_pools=[pb.LostPool(zone="a")] * 101)),
            "change.lost_pools='101 values' are too many; send at most 100",
        ),
        (
            "ListWorkloads",
            pb.ListWorkloadsRequest(order=99),  # type: ignore[arg-type]  # that is the point
            "order=99 is no order; use one of WorkloadOrder",
        ),
    ],
)
async def test_a_wrong_field_is_named(api: Any, rpc: str, request_: Any, text: str) -> None:
    assert await refused(getattr(api, rpc)(request_)) == ("INVALID_ARGUMENT", text)


async def test_what_is_not_there_is_named(api: Any) -> None:
    code, text = await refused(api.ExplainPod(pb.ExplainPodRequest(namespace="shop", name="nobody")))
    assert (code, text) == ("NOT_FOUND", "there is no Pod shop/nobody, or Spotmix does not know it")
    code, text = await refused(api.GetWorkload(pb.GetWorkloadRequest(namespace="shop", kind="sts", name="db")))
    assert (code, text) == ("NOT_FOUND", "there is no sts shop/db, or Spotmix does not know it")
    web = pb.WorkloadName(namespace="lab", kind="deploy", name="web")
    code, text = await refused(api.Simulate(pb.SimulateRequest(change=pb.Change(workload=web, replicas=3))))
    assert (code, text) == ("NOT_FOUND", "there is no deploy lab/web, or Spotmix does not know it")
    change = pb.Change(lost_pools=[pb.LostPool(zone="z")])
    code, text = await refused(api.Simulate(pb.SimulateRequest(change=change)))
    assert code == "NOT_FOUND"
    assert "no node is of pool" in text


async def test_nothing_is_told_before_the_state_is_complete(bench: ApiBench, api: Any) -> None:
    bench.obstacle = Reason.NOT_SYNCED
    expected = ("UNAVAILABLE", "spotmix: cluster state is not synced yet")
    assert await refused(api.ListWorkloads(pb.ListWorkloadsRequest())) == expected
    assert await refused(api.PlanDrift(pb.PlanDriftRequest())) == expected
    assert await refused(api.WatchDecisions(pb.WatchDecisionsRequest()).read()) == expected


async def test_a_follower_answers_and_says_what_it_is(bench: ApiBench, api: Any) -> None:
    at_split(bench, "fine")
    bench.obstacle = Reason.NOT_LEADER
    answer = await api.ListWorkloads(pb.ListWorkloadsRequest())
    assert (len(answer.overview.workloads), answer.obstacle) == (1, pb.REASON_NOT_LEADER)


async def test_a_fault_ends_its_call_alone(bench: ApiBench, api: Any) -> None:
    bench.world.up(make_pod("alone", None, "spot-0"))
    bench.log.of_pod = None  # type: ignore[method-assign,assignment]  # a bug of ours, whatever it is
    code, text = await refused(api.ExplainPod(pb.ExplainPodRequest(namespace="shop", name="alone")))
    assert code == "INTERNAL"
    assert text.startswith("this call met a fault, and nothing else did: TypeError: ")
    assert [source for source, _ in bench.reports] == ["api"]
    assert (await api.ListWorkloads(pb.ListWorkloadsRequest())).total_size == 0
    assert bench.observed == [("ExplainPod", "INTERNAL"), ("ListWorkloads", "OK")]


async def test_a_call_whose_caller_has_left_is_dropped(bench: ApiBench, api: Any) -> None:
    call = api.WatchDecisions(pb.WatchDecisionsRequest())
    await call.read()
    assert len(bench.watches) == 1
    call.cancel()
    await bench.ended.wait()
    assert bench.observed == [("WatchDecisions", "CANCELLED")]
    assert len(bench.watches) == 0


async def test_a_deadline_is_kept(bench: ApiBench, api: Any) -> None:
    call = api.WatchDecisions(pb.WatchDecisionsRequest(), timeout=0.05)
    await call.read()
    assert (await refused(call.read()))[0] == "DEADLINE_EXCEEDED"
    await bench.ended.wait()
    assert bench.observed == [("WatchDecisions", "CANCELLED")]
    assert len(bench.watches) == 0


async def test_more_calls_than_may_be_are_refused(bench: ApiBench) -> None:
    async with bench.served(most=1) as channel:
        api = stub(channel)
        call = api.WatchDecisions(pb.WatchDecisionsRequest())
        await call.read()
        assert (await refused(api.ListWorkloads(pb.ListWorkloadsRequest())))[0] == "RESOURCE_EXHAUSTED"
        call.cancel()


async def test_a_request_that_is_too_large_is_refused(api: Any) -> None:
    request = pb.ListWorkloadsRequest(query="x" * 300_000)
    assert (await refused(api.ListWorkloads(request)))[0] == "RESOURCE_EXHAUSTED"


# Who may ask


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


async def test_a_large_cluster_goes_through(bench: ApiBench, api: Any) -> None:
    bench.world.up(*(make_node(f"n{number}", SPOT) for number in range(50)))
    for number in range(1000):
        bench.world.deployment(f"w{number}", 2)
    answer = await api.ListWorkloads(pb.ListWorkloadsRequest(page_size=1000))
    assert len(answer.overview.workloads) == 1000
    assert answer.ByteSize() < 4 * 1024 * 1024
    assert msgspec.json.encode(from_message(answer.overview, Overview))
