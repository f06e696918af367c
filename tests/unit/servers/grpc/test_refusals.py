"""Calls of the API through a real channel: what they refuse, and how they end."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.api import ApiBench, refused, stub
from support.console import at_split
from support.doubles import make_pod

from extender.core.model.reasons import Reason
from spotmix.placement.v1 import placement_pb2 as pb


@pytest.fixture
def bench() -> ApiBench:
    bench = ApiBench()
    bench.world.nodes(spot=2, on_demand=2)
    return bench


@pytest.fixture
async def api(bench: ApiBench) -> AsyncIterator[Any]:
    async with bench.served() as channel:
        yield stub(channel)


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


async def test_a_request_that_is_too_large_is_refused(api: Any) -> None:
    request = pb.ListWorkloadsRequest(query="x" * 300_000)
    assert (await refused(api.ListWorkloads(request)))[0] == "RESOURCE_EXHAUSTED"
