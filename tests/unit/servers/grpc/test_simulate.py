"""Simulate through a real channel: what it answers, what it refuses, and who may ask."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.api import ApiBench, Guard, refused, stub
from support.doubles import make_node, make_pod

from extender.core.answers.plan import WorkloadName
from extender.core.model.access import simulate
from extender.core.model.reasons import Reason
from extender.core.whatif.outlook import Change, LostPool, WhatIf
from extender.core.whatif.what_if import what_if
from extender.wire.placement_v1 import from_message, to_message
from extender.wire.placementpolicy_v1 import read_policy
from spotmix.placement.v1 import placement_pb2 as pb

WEB = WorkloadName("shop", "deploy", "web")


@pytest.fixture
def bench() -> ApiBench:
    bench = ApiBench()
    bench.world.nodes(spot=1, on_demand=1)
    for name in ("web", "cart"):
        owner = bench.world.deployment(name, 4, spot_percentage=50)
        bench.world.up(*(make_pod(f"{name}-{n}", owner, "spot-0" if n % 2 else "on-demand-0") for n in range(4)))
    return bench


@pytest.fixture
async def api(bench: ApiBench) -> AsyncIterator[Any]:
    async with bench.served() as channel:
        yield stub(channel)


def asking(change: Change, limit: int = 0) -> pb.SimulateRequest:
    return pb.SimulateRequest(change=to_message(change), workload_limit=limit)


@pytest.mark.parametrize(
    "change",
    [
        Change(WEB, 8),
        Change(WEB, 0),
        Change(WEB, policy={"spot": "80%", "min-on-demand": "2"}),
        Change(WEB, policy={"spot": "lots"}),
        Change(lost_pools=(LostPool("spot"),)),
        Change(WEB, 6, {"max-spot": "1"}, (LostPool("", "m.large", "a"),), {"spot": 0.3, "on-demand": 1.0}),
    ],
)
async def test_what_is_answered_is_what_the_core_says(bench: ApiBench, api: Any, change: Change) -> None:
    answer = await api.Simulate(asking(change))
    assert from_message(answer.what_if, WhatIf) == what_if(bench.world.state, change, bench.world.now)
    assert (answer.total_size, answer.obstacle) == (len(answer.what_if.workloads), 0)
    assert bench.observed == [("Simulate", "OK")]


WEB_POLICY = (
    '{"apiVersion": "spotmix.io/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "web", "namespace": "shop"},'
    ' "spec": {"classes": [{"name": "spot", "weight": 80}, {"name": "on-demand", "weight": 20}]}}'
)
CLUSTER_POLICY = WEB_POLICY.replace("Placement", "ClusterPlacement").replace(', "namespace": "shop"', "")


def trying(*policies: str) -> pb.SimulateRequest:
    return pb.SimulateRequest(policy_objects=policies)


async def test_policy_objects_are_tried(bench: ApiBench, api: Any) -> None:
    answer = await api.Simulate(trying(WEB_POLICY, CLUSTER_POLICY))
    policies = [read_policy(each.encode()) for each in (WEB_POLICY, CLUSTER_POLICY)]
    expected = what_if(bench.world.state, Change(), bench.world.now, policies=policies)
    assert from_message(answer.what_if, WhatIf) == expected
    assert [each.after for each in answer.what_if.policies] == [2, 2]


async def test_no_more_workloads_than_asked_for(api: Any) -> None:
    answer = await api.Simulate(asking(Change(lost_pools=(LostPool("spot"),)), 1))
    assert (len(answer.what_if.workloads), answer.total_size, answer.what_if.before.replicas) == (1, 2, 8)


@pytest.mark.parametrize(
    ("request_", "code", "says"),
    [
        (pb.SimulateRequest(), "INVALID_ARGUMENT", "nothing is changed"),
        (asking(Change(replicas=2)), "INVALID_ARGUMENT", "name one"),
        (asking(Change(WEB, -1)), "INVALID_ARGUMENT", "replicas is -1; write a whole number from 0"),
        (asking(Change(WEB, policy={"spot-percent": "1"})), "INVALID_ARGUMENT", "did you mean spot-percentage?"),
        (asking(Change(WEB, policy={"x" * 300: "1"})), "INVALID_ARGUMENT", "longer than 253"),
        (asking(Change(WEB, policy={f"k{n}": "1" for n in range(101)})), "INVALID_ARGUMENT", "send at most 100"),
        (asking(Change(WEB, 1, prices={"spot": float("nan")})), "INVALID_ARGUMENT", "is no price"),
        (asking(Change(WEB, 1, prices={"spot": -1.0})), "INVALID_ARGUMENT", "not negative"),
        (asking(Change(lost_pools=(LostPool(),))), "INVALID_ARGUMENT", "name one of them"),
        (asking(Change(WEB, 1), 10_001), "INVALID_ARGUMENT", "workload_limit=10001 is not between 0 and 10000"),
        (asking(Change(WorkloadName("shop", "", "web"), 1)), "INVALID_ARGUMENT", "say which change.workload.kind"),
        (asking(Change(WorkloadName("shop", "sts", "web"), 1)), "NOT_FOUND", "there is no sts shop/web, or Spotmix"),
        (trying("{"), "INVALID_ARGUMENT", "policy_objects: is no policy object"),
        (
            trying('{"metadata": {}}'),
            "INVALID_ARGUMENT",
            "send PlacementPolicy or ClusterPlacementPolicy of spotmix.io",
        ),
        (trying(WEB_POLICY.replace("shop", "")), "INVALID_ARGUMENT", "a PlacementPolicy has both"),
        (
            trying(WEB_POLICY.replace("80", '"80"')),
            "INVALID_ARGUMENT",
            "shop/web: spec does not decode: Expected `int",
        ),
        (trying(WEB_POLICY, WEB_POLICY), "INVALID_ARGUMENT", "'PlacementPolicy shop/web' is there twice"),
        (trying(*(WEB_POLICY for _ in range(101))), "INVALID_ARGUMENT", "send at most 100"),
        (trying(WEB_POLICY.replace("spot", "spot" * 20_000)), "INVALID_ARGUMENT", "is longer than 65536 characters"),
        (trying(WEB_POLICY.replace('"web"', f'"{"w" * 300}"')), "INVALID_ARGUMENT", "longer than 253"),
        # Of namesakes elsewhere nothing is said: whoever asks may be confined to one namespace.
        (asking(Change(WorkloadName("lab", "deploy", "web"), 1)), "NOT_FOUND", "lab/web, or Spotmix does not know it"),
        (asking(Change(lost_pools=(LostPool("gpu"),))), "NOT_FOUND", "there are on-demand/m.large/a, spot/m.large/a"),
    ],
)
async def test_what_is_refused(api: Any, request_: pb.SimulateRequest, code: str, says: str) -> None:
    seen, text = await refused(api.Simulate(request_))
    assert seen == code
    assert says in text


async def test_who_may_ask(bench: ApiBench) -> None:
    guard = bench.access = Guard(simulate("shop"))
    async with bench.served() as channel:
        asked = stub(channel)
        token = (("authorization", f"Bearer {Guard.TOKEN}"),)
        assert (await asked.Simulate(asking(Change(WEB, 8)), metadata=token)).total_size == 1
        for change in (Change(lost_pools=(LostPool("spot"),)), Change(WEB, 8, lost_pools=(LostPool("spot"),))):
            # Both tell of workloads in all namespaces.
            code, text = await refused(asked.Simulate(asking(change), metadata=token))
            assert (code, "in all namespaces" in text) == ("PERMISSION_DENIED", True)
        assert (await asked.Simulate(trying(WEB_POLICY), metadata=token)).total_size == 2
        both = pb.SimulateRequest(change=to_message(Change(WEB, 8)), policy_objects=[WEB_POLICY])
        assert (await asked.Simulate(both, metadata=token)).total_size == 2
        elsewhere = WEB_POLICY.replace("shop", "lab")
        for policies in ((CLUSTER_POLICY,), (WEB_POLICY, elsewhere)):
            code, text = await refused(asked.Simulate(trying(*policies), metadata=token))
            assert (code, "in all namespaces" in text) == ("PERMISSION_DENIED", True)
        code, text = await refused(asked.Simulate(trying(elsewhere), metadata=token))
        assert (code, 'in the namespace "lab"' in text) == ("PERMISSION_DENIED", True), text
        assert (await refused(asked.Simulate(asking(Change(WEB, 8)))))[0] == "UNAUTHENTICATED"
    assert guard.asked[-1] == simulate("shop")


async def test_others_get_their_turn_while_it_is_made(bench: ApiBench, api: Any) -> None:
    world = bench.world
    world.up(make_node("big", "spot", max_pods=100_000))
    for number in range(300):
        owner = world.deployment(f"w{number}", 3, spot_percentage=100)
        world.up(*(make_pod(f"w{number}-{n}", owner, "big") for n in range(3)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    answer = await api.Simulate(asking(Change(lost_pools=(LostPool("spot"),)), 1000))
    counting.cancel()
    assert len(answer.what_if.workloads) == 302
    assert turns > 300


async def test_a_replica_that_does_not_decide_says_so(bench: ApiBench, api: Any) -> None:
    bench.obstacle = Reason.NOT_LEADER
    assert (await api.Simulate(asking(Change(WEB, 8)))).obstacle == pb.REASON_NOT_LEADER
