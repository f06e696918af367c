"""Calls of the API through a real channel: what they answer."""

import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from support.api import ApiBench, refused, stub
from support.console import at_split, off_target
from support.doubles import ENABLED, keys, make_node, make_owner, make_pod

from extender.core.answers.overview import Overview, overview
from extender.core.answers.plan import DriftReport, WorkloadName
from extender.core.answers.pod import PodExplanation, explain_pod
from extender.core.answers.scope import Scope
from extender.core.answers.workload import WorkloadExplanation, explain_owner
from extender.core.model.classes import SPOT
from extender.core.model.labelquery import read_selector
from extender.core.model.reasons import Reason
from extender.core.whatif.outlook import Change, WhatIf
from extender.core.whatif.what_if import what_if
from extender.wire.placement_v1 import from_message, to_message
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
    assert from_message(answer.overview, Overview) == overview(bench.world.state, bench.world.now, Scope("lab"))


async def test_workloads_and_plan_of_labels(bench: ApiBench, api: Any) -> None:
    at_split(bench, "fine")
    at_split(bench, "db", "lab", 6)
    off_target(bench)
    for owner in list(bench.world.state.workloads.owners.values()):
        bench.world.up(replace(owner, all_labels={"name": owner.name, "here": owner.namespace}))
    answer = await api.ListWorkloads(pb.ListWorkloadsRequest(label_selector="name in (db, fine)", page_size=1))
    scope = Scope(selector=read_selector("name in (db, fine)"))
    wanted = overview(bench.world.state, bench.world.now, scope)
    assert from_message(answer.overview, Overview).totals == wanted.totals
    assert (answer.total_size, answer.overview.totals.workloads, answer.selected) == (2, 2, True)
    answer = await api.ListWorkloads(pb.ListWorkloadsRequest(label_selector="here=lab", namespace="shop"))
    assert (answer.total_size, answer.selected) == (0, True)
    assert not (await api.ListWorkloads(pb.ListWorkloadsRequest())).selected
    everything = (await api.PlanDrift(pb.PlanDriftRequest())).report.off_target
    assert len(everything) == 1
    name = everything[0].workload.name
    for selector, count in ((f"name={name}", 1), (f"name!={name}", 0)):
        plan = await api.PlanDrift(pb.PlanDriftRequest(label_selector=selector))
        assert (len(plan.report.off_target), plan.selected) == (count, True)


async def test_a_selector_that_is_none(api: Any) -> None:
    for call, request in (
        (api.ListWorkloads, pb.ListWorkloadsRequest(label_selector="a in b")),
        (api.PlanDrift, pb.PlanDriftRequest(label_selector="a in b")),
    ):
        code, text = await refused(call(request))
        assert (code, text) == (
            "INVALID_ARGUMENT",
            "label_selector: label selector 'a in b': after 'a in' 'b' stands; ( and the values is expected",
        )
    code, text = await refused(api.PlanDrift(pb.PlanDriftRequest(label_selector="a" * 4097)))
    assert (code, text.endswith("is longer than 4096 characters; shorten it")) == ("INVALID_ARGUMENT", True)


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
    rs = bench.world.state.workloads.owners["uid-ReplicaSet-web-1"].ref
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
    jobs = [make_owner("Job", f"nightly-{number}", 1, owner=cron.ref) for number in range(2)]
    bench.world.up(cron, *jobs)
    for job in jobs:
        bench.decide(job.ref, f"{job.name}-x", "spot-0")
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


async def test_a_large_cluster_goes_through(bench: ApiBench, api: Any) -> None:
    bench.world.up(*(make_node(f"n{number}", SPOT) for number in range(50)))
    for number in range(1000):
        bench.world.deployment(f"w{number}", 2)
    answer = await api.ListWorkloads(pb.ListWorkloadsRequest(page_size=1000))
    assert len(answer.overview.workloads) == 1000
    assert answer.ByteSize() < 4 * 1024 * 1024
    assert msgspec.json.encode(from_message(answer.overview, Overview))
