"""A fault that one workload meets is its own alone, and told: plans, decisions, scores, costs, pages and metrics."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from support.api import ApiBench, refused, stub
from support.console import ConsoleBench
from support.doubles import ON_DEMAND, SPOT, World, make_node, make_pod, two_classes
from support.doubles_kube import KubeClient, StoredObjects
from support.doubles_servers import Bench
from support.drifting import DriftWorld

from extender.cli.explain import _explained
from extender.core.answers.overview import FAULT, overview
from extender.core.drift.preview import Knowledge, preview
from extender.core.model.errors import WorkloadFaultError
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.core.model.steps import run_steps
from extender.core.placement.controller import PlacementController
from extender.core.policy import workloads as policies
from extender.core.policy.policy import ParsedPolicy, Policy, parse_policy
from extender.core.policy.seats import TwoClassSeats
from extender.core.scalein.controller import SeatController, Unseated, WriteCosts
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.runtime.scrape import Scrapes
from extender.runtime.workloadfaults import DOING, WorkloadFaults
from extender.runtime.writers import Writers
from extender.settings import Settings
from extender.telemetry.metrics import STEPS, Metrics
from spotmix.placement.v1 import placement_pb2 as pb


class Broken(TwoClassSeats, frozen=True, gc=False):
    """Seats that nobody can reckon with."""

    def spot(self, replicas: int) -> int:  # noqa: ARG002 - as it is declared
        raise OverflowError("date value out of range")

    def seat_of(self, capacity_class: str, rank: int) -> int | None:  # noqa: ARG002 - as it is declared
        raise OverflowError("date value out of range")


ERROR = "OverflowError('date value out of range')"
ALWAYS = Policy(TwoClassSeats(50), disruption_schedule="0 0 * * *", disruption_duration=99_999_999 * 3600.0)


def break_it(world: World, owner: OwnerRef, policy: Policy | None = None) -> None:
    world.workload(owner).parsed = ParsedPolicy(policy or Policy(Broken(50)))


@pytest.mark.parametrize("policy", [None, ALWAYS])
def test_a_plan_goes_on_with_the_others(policy: Policy | None) -> None:
    world = DriftWorld()
    world.nodes(spot=2, on_demand=2)
    for name in ("a", "broken", "z"):
        world.drifted(name)
    break_it(world, world.workload_owner("broken"), policy)
    for plan in (world.plan(), run_steps(preview(world.state, Knowledge(world.history, world.rules), world.now))):
        assert [move.workload.name for move in plan.moves] == ["a", "z"]
        (fault,) = plan.faults
        assert fault.workload.name == "broken"
        assert "Error(" in fault.text
        assert {stay.reason for stay in plan.stays} <= {Reason.FAULT}


def test_pods_leave_a_lost_node_though_anothers_cannot() -> None:
    world = DriftWorld()
    world.nodes(spot=2, on_demand=2)
    for name in ("a", "broken", "z"):
        world.drifted(name, on_demand=1, spot=1, nodes={SPOT: "spot-1"})
    world.up(make_node("spot-1", going_away="taint", interrupted=True, reclaimed=True))
    break_it(world, world.workload_owner("broken"))
    plan = world.plan()
    assert [(move.workload.name, move.reason) for move in plan.moves] == [
        ("a", Reason.INTERRUPTED),
        ("z", Reason.INTERRUPTED),
    ]
    assert {fault.workload.name for fault in plan.faults} == {"broken"}


async def test_a_decision_and_a_score_are_refused_for_it_alone() -> None:
    bench = Bench()
    offered = bench.world.nodes(spot=1, on_demand=1)
    well, broken = (bench.world.deployment(name, 2, spot_percentage=50) for name in ("well", "broken"))
    break_it(bench.world, broken)

    def body(owner: OwnerRef, uid: str) -> bytes:
        reference = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
        metadata = {
            "name": uid,
            "namespace": "shop",
            "uid": uid,
            "ownerReferences": [{**reference, "controller": True}],
        }
        return json.dumps({"Pod": {"metadata": metadata, "spec": {}, "status": {}}, "NodeNames": offered}).encode()

    for verb in ("filter", "prioritize"):
        with pytest.raises(OverflowError):
            await getattr(bench.extender, verb)(body(broken, "b"))
        assert json.loads(await getattr(bench.extender, verb)(body(well, "w")))
    assert bench.observer.broken == [("b", "broken", ERROR)] * 2


async def test_gated_pods_of_the_others_are_decided() -> None:
    world, objects, metrics = World(), StoredObjects(), Metrics()
    client: Any = KubeClient(objects)
    world.nodes(spot=1, on_demand=1)
    owners = [world.deployment(name, 2, spot_percentage=50, enforcement="affinity") for name in ("a", "broken", "z")]
    break_it(world, owners[1])
    for owner in owners:
        world.up(make_pod(owner.name, owner, gates=("spotmix.io/placement",)))
    writers = Writers(Settings(), client, PlacementController(world.state, 0), metrics, lambda *_: None, lambda: True)
    releases = writers.gates.due(world.now)
    assert [(each.pod.name, each.capacity_class, each.fault) for each in releases] == [
        ("a-1", "on-demand", ""),
        ("broken-1", "", ERROR),
        ("z-1", "on-demand", ""),
    ]
    writers.start()
    for release in releases:
        writers._release(release)
    await writers.drain()
    events = [body for path, body in objects.stored.items() if "/events/" in path]
    assert sorted((event["regarding"]["kind"], event["reason"]) for event in events) == [
        ("Deployment", "SpotmixFault"),
        ("Pod", "SpotmixFault"),
    ]
    assert metrics.registry.get_sample_value("spotmix_workload_faults_total", {"step": "decision"}) == 1


def test_costs_are_written_for_the_others() -> None:
    world = World()
    world.nodes(spot=1, on_demand=1)
    owners = [world.deployment(name, 2, spot_percentage=50) for name in ("a", "broken", "z")]
    seats = SeatController(world.state, 1.0)
    for owner in owners:
        world.up(*(make_pod(f"{owner.name}-{node}", owner, node) for node in ("spot-0", "on-demand-0")))
    break_it(world, owners[1])
    seats.observe(0.0)
    actions = seats.due(10.0)
    assert [each.workload.name for each in actions if isinstance(each, WriteCosts) and each.workload] == ["a", "z"]
    assert [(each.workload.name, each.error) for each in actions if isinstance(each, Unseated)] == [("broken", ERROR)]


async def test_pages_and_metrics_show_the_others() -> None:
    bench = ConsoleBench()
    world = bench.world
    world.nodes(spot=1, on_demand=1)
    for name in ("a", "broken", "z"):
        owner = world.deployment(name, 2, spot_percentage=50)
        world.up(*(make_pod(f"{name}-{node}", owner, node) for node in ("spot-0", "on-demand-0")))
    break_it(world, OwnerRef("uid-ReplicaSet-broken-1", "apps/v1", "ReplicaSet", "broken-1"))
    seen = {row.name: row for row in overview(world.state, world.now).workloads}
    assert (seen["broken"].policy, seen["a"].actual) == (FAULT, {SPOT: 1, ON_DEMAND: 1})
    for path, status in (
        ("/console", 200),
        ("/console/plan", 200),
        ("/console/nodes", 200),
        ("/console/workloads/shop/Deployment/a", 200),
        ("/console/workloads/shop/Deployment/broken", 500),
        ("/console/pods/shop/a-spot-0", 200),
        ("/console/pods/shop/broken-spot-0", 500),
    ):
        assert (await bench.get(path)).status == status, path
    assert bench.met == [("broken", ERROR)] * 2
    page = await bench.get("/console/workloads/shop/ReplicaSet/broken-1")
    assert "Deployment shop/broken cannot be shown" in page.text
    assert "Event SpotmixFault" in page.text
    assert bench.reports == []
    told: list[tuple[str, str]] = []
    scrapes = Scrapes(
        world.state, Metrics(), lambda: (), 100, lambda workload, error: told.append((workload.name, error))
    )
    parts, _ = await scrapes.render()
    text = b"".join(parts).decode()
    assert told == [("broken", ERROR)]
    assert 'workload="z"' in text
    assert 'workload="broken"' not in text


async def test_calls_tell_of_a_workload_that_cannot_be_shown() -> None:
    bench = ApiBench()
    bench.world.nodes(spot=1)
    for name in ("a", "broken"):
        owner = bench.world.deployment(name, 2, spot_percentage=50)
        bench.world.up(make_pod(f"{name}-0", owner, "spot-0"))
    break_it(bench.world, OwnerRef("uid-ReplicaSet-broken-1", "apps/v1", "ReplicaSet", "broken-1"))
    async with bench.served() as channel:
        api = stub(channel)
        for call in (
            api.GetWorkload(pb.GetWorkloadRequest(namespace="shop", kind="deploy", name="broken")),
            api.ExplainPod(pb.ExplainPodRequest(namespace="shop", name="broken-0")),
        ):
            code, text = await refused(call)
            assert code == "INTERNAL"
            assert text.startswith("Deployment shop/broken cannot be shown")
        await api.GetWorkload(pb.GetWorkloadRequest(namespace="shop", kind="deploy", name="a"))
    assert bench.met == [("broken", ERROR)] * 2


def test_the_command_names_a_workload_that_cannot_be_shown() -> None:
    world = World()
    owner = world.deployment("broken", 2, spot_percentage=50)
    world.up(make_pod("broken-0", owner))
    break_it(world, owner)
    seen = SimpleNamespace(state=world.state, now=world.now, namespace="shop")
    for kind, name in (("pod", "broken-0"), ("deploy", "broken")):
        with pytest.raises(WorkloadFaultError, match="Deployment shop/broken cannot be shown"):
            _explained(seen, kind, name)  # type: ignore[arg-type]  # what it asks of it


def test_a_policy_that_breaks_its_reader_holds_its_own_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(layers: Any, prefixes: Any, classes: Any) -> ParsedPolicy:
        if "broken" in layers[0].source:
            raise OverflowError("date value out of range")
        return parse_policy(layers, prefixes, classes)

    monkeypatch.setattr(policies, "parse_policy", parse)
    world = World()
    well, broken = (world.workload(world.deployment(name, 2, spot_percentage=50)) for name in ("well", "broken"))
    assert (two_classes(well.policy).percentage, broken.policy, broken.held) == (50, Policy(), True)
    assert ERROR in broken.parsed.problems[0].text


async def test_a_fault_is_told_by_event_and_metric() -> None:
    objects, metrics = StoredObjects(), Metrics()
    recorder = EventRecorder(KubeClient(objects), lambda *_: None)
    recorder.start()
    faults = WorkloadFaults(recorder, metrics, lambda: True)
    about = Regarding("Deployment", "apps/v1", "shop", "web", "uid")
    for step in STEPS:
        faults.met(step, about, ERROR)
    faults.met("plan", about, ERROR)
    await recorder.drain(5.0)
    events = [body for path, body in objects.stored.items() if "/events/" in path]
    assert {event["reason"] for event in events} == {EventReason.WORKLOAD_FAULT.value}
    assert len(events) == len(STEPS)
    assert ERROR in events[0]["note"]
    assert metrics.registry.get_sample_value("spotmix_workload_faults_total", {"step": "plan"}) == 2
    assert set(STEPS) == set(DOING)
    await asyncio.sleep(0)
