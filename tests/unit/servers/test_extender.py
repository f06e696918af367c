"""What the extender answers to filter and prioritize, and what it refuses to decide."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import World, make_namespace, make_node, make_owner, make_pod
from support.doubles_servers import Bench, Observer, run_virtually

from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.core.placement.controller import PlacementController
from extender.core.policy.managed import Missing
from extender.core.state.events import Upsert
from extender.core.state.intake import Intake
from extender.servers.extender import Extender
from extender.servers.owners import EARLY, AwaitedOwners, AwaitedPods


@pytest.fixture
def bench() -> Bench:
    return Bench()


def request(owner: OwnerRef | None, offered: list[str], uid: str = "p", namespace: str = "shop") -> bytes:
    metadata: dict[str, Any] = {"name": uid, "namespace": namespace, "uid": uid}
    if owner is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": owner.api_version,
                "kind": owner.kind,
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
            }
        ]
    return json.dumps({"Pod": {"metadata": metadata, "spec": {}, "status": {}}, "NodeNames": offered}).encode()


async def ask(bench: Bench, verb: str, body: bytes) -> Any:
    return json.loads(await getattr(bench.extender, verb)(body))


async def test_filter_and_prioritize_agree_on_the_class(bench: Bench) -> None:
    offered = bench.world.nodes(spot=2, on_demand=2)
    owner = bench.world.deployment("web", 2, spot_percentage=50)
    answers = [await ask(bench, "filter", request(owner, offered, uid)) for uid in ("p1", "p2")]
    assert answers == [{"NodeNames": ["on-demand-0", "on-demand-1"]}, {"NodeNames": ["spot-0", "spot-1"]}]
    scores = await ask(bench, "prioritize", request(owner, offered, "p2"))
    assert {entry["Host"] for entry in scores} == {"spot-0", "spot-1"}
    # A pod that filter was not asked about is scored by the next free seat.
    scores = await ask(bench, "prioritize", request(owner, offered, "p3"))
    assert {entry["Host"] for entry in scores} == {"on-demand-0", "on-demand-1"}
    assert [uid for uid, _ in bench.observer.decisions] == ["p1", "p2"]
    assert bench.observer.scores == [(Reason.SEAT, "spot"), (Reason.SEAT, "on-demand")]


async def test_a_rejection_names_every_node_with_constant_text(bench: Bench) -> None:
    offered = bench.world.nodes(on_demand=2)
    owner = bench.world.deployment("web", 1, spot_percentage=100, when_unsatisfiable="wait")
    assert await ask(bench, "filter", request(owner, offered)) == {
        "NodeNames": [],
        "FailedAndUnresolvableNodes": dict.fromkeys(offered, Reason.WAIT_CLASS.text),
    }


async def test_unmanaged_pods_get_their_nodes_back(bench: Bench) -> None:
    offered = ["n1", "n2"]
    for owner, namespace in (
        (None, "shop"),
        (OwnerRef("ds", "apps/v1", "DaemonSet", "agent"), "shop"),
        (OwnerRef("rs", "apps/v1", "ReplicaSet", "dns"), "kube-system"),
    ):
        bench.obstacle = Reason.NOT_SYNCED
        assert await ask(bench, "filter", request(owner, offered, namespace=namespace)) == {"NodeNames": offered}
        assert await ask(bench, "prioritize", request(owner, offered, namespace=namespace)) == []
    assert [decision.reason for _, decision in bench.observer.decisions] == [Reason.UNMANAGED] * 3
    assert bench.observer.scores == [(Reason.UNMANAGED, "")] * 3


@pytest.mark.parametrize("known", [True, False])
async def test_nothing_is_decided_while_the_cluster_is_not_seen(bench: Bench, known: bool) -> None:
    offered = bench.world.nodes(spot=2, on_demand=2)
    owner = bench.world.deployment("web", 2, spot_percentage=50)
    if not known:
        owner = OwnerRef("new", "apps/v1", "ReplicaSet", "new")
    bench.world.up(make_pod("p", owner))
    bench.blind = True
    assert await ask(bench, "filter", request(owner, offered)) == {"Error": Reason.NOT_WATCHED.text}
    assert bench.observer.refusals == [("filter", Reason.NOT_WATCHED)]
    assert bench.observer.decisions == []
    assert bench.world.state.reserved == 0
    bench.blind = False
    assert (await ask(bench, "filter", request(owner, offered)))["NodeNames"] == ["on-demand-0", "on-demand-1"]
    assert bench.world.state.reserved == 1


async def test_who_is_known_to_be_no_business_of_ours_passes_all_the_same(bench: Bench) -> None:
    offered = bench.world.nodes(spot=1, on_demand=1)
    plain = make_owner("ReplicaSet", "plain")
    bench.world.up(plain)
    bench.blind = True
    for owner, namespace in (
        (None, "shop"),
        (plain.ref, "shop"),
        (OwnerRef("ds", "apps/v1", "DaemonSet", "agent"), "shop"),
        (OwnerRef("new", "apps/v1", "ReplicaSet", "dns"), "kube-system"),
    ):
        assert await ask(bench, "filter", request(owner, offered, namespace=namespace)) == {"NodeNames": offered}


@pytest.mark.parametrize("obstacle", [Reason.NOT_SYNCED, Reason.NOT_LEADER, Reason.TAKING_OVER])
async def test_what_must_not_be_decided_is_not_guessed(bench: Bench, obstacle: Reason) -> None:
    offered = bench.world.nodes(spot=1)
    owner = bench.world.deployment("web", 1, spot_percentage=100)
    bench.obstacle = obstacle
    assert await ask(bench, "filter", request(owner, offered)) == {"Error": obstacle.text}
    assert await ask(bench, "prioritize", request(owner, offered)) == []
    assert bench.world.split(owner) == {}
    assert bench.observer.faults == [("filter", obstacle.text)]
    assert bench.observer.refusals == [("filter", obstacle), ("prioritize", obstacle)]
    bench.obstacle = None
    assert await ask(bench, "filter", request(owner, offered)) == {"NodeNames": offered}


async def test_a_follower_knows_whom_nobody_manages(bench: Bench) -> None:
    offered = bench.world.nodes(spot=1)
    owner = bench.world.deployment("web", 1, labels={})
    bench.obstacle = Reason.NOT_LEADER
    assert await ask(bench, "filter", request(owner, offered)) == {"NodeNames": offered}
    bench.obstacle = Reason.NOT_SYNCED
    assert await ask(bench, "filter", request(owner, offered)) == {"Error": Reason.NOT_SYNCED.text}


async def test_leadership_lost_while_an_owner_is_waited_for_is_seen(bench: Bench) -> None:
    offered = bench.world.nodes(spot=1)

    class Slow:
        async def arrival(self, missing: Missing) -> bool:  # noqa: ARG002 - the port's signature
            bench.obstacle = Reason.NOT_LEADER
            return False

    state = bench.world.state
    placement = PlacementController(state, 0)
    bench.extender = Extender(placement, Slow(), bench.observer, lambda: bench.obstacle, lambda: 0.0)
    owner = OwnerRef("rs", "apps/v1", "ReplicaSet", "web-1")
    assert await ask(bench, "filter", request(owner, offered)) == {"Error": Reason.NOT_LEADER.text}


async def test_audit_changes_nothing(bench: Bench) -> None:
    offered = bench.world.nodes(spot=1, on_demand=1)
    owner = bench.world.deployment("web", 1, spot_percentage=100, mode="audit")
    assert await ask(bench, "filter", request(owner, offered)) == {"NodeNames": offered}
    assert await ask(bench, "prioritize", request(owner, offered)) == []


async def test_a_pod_of_an_owner_that_stays_away_is_held_on_demand(bench: Bench) -> None:
    offered = bench.world.nodes(spot=1, on_demand=1)
    owner = OwnerRef("rs", "apps/v1", "ReplicaSet", "web-1")
    assert await ask(bench, "filter", request(owner, offered)) == {"NodeNames": ["on-demand-0"]}
    assert bench.observer.decisions[0][1].reason is Reason.OWNER_UNKNOWN
    assert bench.owners.asked == 1
    assert await ask(bench, "prioritize", request(owner, offered)) == []


def test_an_owner_that_comes_in_time_is_waited_for() -> None:
    async def main() -> None:
        world, observer = World(), Observer()
        loop = asyncio.get_running_loop()
        gate = AwaitedOwners(lambda _ref: None, 0.1, loop.time)
        extender = Extender(PlacementController(world.state, 0), gate, observer, lambda: None, lambda: 0.0)
        offered = world.nodes(spot=1, on_demand=1)
        labels, policy = {"spotmix.io/enabled": "true"}, {"spotmix.io/spot-percentage": "100"}
        top = make_owner("Deployment", "web", 1, labels=labels, annotations=policy)
        rs = make_owner("ReplicaSet", "web-1", 1, owner=top.ref)

        def arrive(index: int) -> None:
            world.up((rs, top)[index])
            gate.arrived((rs, top)[index].uid)

        loop.call_later(0.05, arrive, 0)
        loop.call_later(0.12, arrive, 1)
        answer = json.loads(await extender.filter(request(rs.ref, offered)))
        assert answer == {"NodeNames": ["spot-0"]}
        assert loop.time() == pytest.approx(0.12)

    run_virtually(main)


def patient(world: World) -> tuple[Extender, Intake]:
    """An extender that waits for pods and owners, and what takes in those that come."""
    loop = asyncio.get_running_loop()
    early, placement = AwaitedPods(EARLY, loop.time), PlacementController(world.state, 0)
    gate = AwaitedOwners(lambda _ref: None, 0.1, loop.time)
    extender = Extender(placement, gate, Observer(), lambda: None, lambda: 0.0, early=early.wait)
    return extender, Intake(world.state, [placement.observe, early.observe], [placement.observe])


def test_a_pod_is_waited_for_whose_owner_is_known_by_its_pods_alone() -> None:
    async def main() -> None:
        world, loop = World(), asyncio.get_running_loop()
        extender, intake = patient(world)
        offered = world.nodes(spot=1, on_demand=1)
        labels, policy = {"spotmix.io/enabled": "true"}, {"spotmix.io/spot-percentage": "100"}
        world.up(make_namespace("shop", labels=labels, annotations=policy), make_pod("driver", None))
        owner = OwnerRef("driver", "v1", "Pod", "driver")
        loop.call_later(0.01, intake.take, Upsert(make_pod("exec", owner)), 0.0)
        assert json.loads(await extender.filter(request(owner, offered, "exec"))) == {"NodeNames": ["spot-0"]}
        assert loop.time() == pytest.approx(0.01)

    run_virtually(main)


def test_a_pod_is_waited_for_where_others_that_nobody_knows_hold_seats() -> None:
    async def main() -> None:
        world, loop = World(), asyncio.get_running_loop()
        extender, intake = patient(world)
        offered = world.nodes(spot=1, on_demand=1)
        owner = world.deployment("web", 4, spot_percentage=50)

        async def ask(uid: str) -> str:
            return str(json.loads(await extender.filter(request(owner, offered, uid)))["NodeNames"][0])

        # The first is not waited for, others that do not come are, and only once.
        assert await ask("forged-1") == "on-demand-0"
        assert loop.time() == 0.0
        assert await ask("forged-2") == "spot-0"
        assert loop.time() == pytest.approx(EARLY)
        assert await ask("forged-2") == "spot-0"
        assert loop.time() == pytest.approx(EARLY)
        # A pod that comes in time is decided on as if there were no others.
        for uid, node in (("a", "on-demand-0"), ("b", "spot-0")):
            loop.call_later(0.01, intake.take, Upsert(make_pod(uid, owner)), 0.0)
            assert await ask(uid) == node
        assert loop.time() == pytest.approx(EARLY + 0.02)

    run_virtually(main)


@given(st.binary(max_size=50))
def test_bad_requests_are_answered(body: bytes) -> None:
    async def main() -> None:
        bench = Bench()
        assert set(await ask(bench, "filter", body)) == {"Error"}
        assert await ask(bench, "prioritize", body) == []
        assert [verb for verb, _ in bench.observer.faults] == ["filter", "prioritize"]

    run_virtually(main)


async def test_a_request_under_the_uid_of_another_pod_is_an_error(bench: Bench) -> None:
    offered = bench.world.nodes(spot=1)
    owner = bench.world.deployment("web", 1, spot_percentage=100)
    body = request(owner, offered)
    uid = json.loads(body)["Pod"]["metadata"]["uid"]
    bench.world.up(make_pod(uid, owner, name="victim"))
    assert "uid under another name" in (await ask(bench, "filter", body))["Error"]
    assert await ask(bench, "prioritize", body) == []
    assert bench.world.split(owner) == {}
    assert bench.observer.decisions == []


async def test_faults_found_late_are_answered_too(bench: Bench) -> None:
    bench.world.nodes(on_demand=1)
    bench.world.up(*(make_node(f"n{number}") for number in range(3)))
    owner = bench.world.deployment("web", 1, spot_percentage=100)
    body = json.loads(request(owner, [f"on-demand-{number}" for number in range(100)]))
    body["Pod"]["spec"] = {"containers": 5}
    answer = await ask(bench, "filter", json.dumps(body).encode())
    assert "Pod.spec does not decode" in answer["Error"]
    body["NodeNames"] = [1]
    assert "NodeNames does not decode" in (await ask(bench, "filter", json.dumps(body).encode()))["Error"]
    assert await ask(bench, "prioritize", json.dumps(body).encode()) == []


async def test_going_away_nodes_score_nothing(bench: Bench) -> None:
    offered = bench.world.nodes(spot=2)
    bench.world.up(make_node("spot-1", going_away="taint"))
    owner = bench.world.deployment("web", 1, spot_percentage=100)
    assert [entry["Host"] for entry in await ask(bench, "prioritize", request(owner, offered))] == ["spot-0"]
