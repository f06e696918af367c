"""What a page about the cluster, and one about a workload, say."""

import msgspec
import pytest
from support.doubles import (
    ENABLED,
    World,
    keys,
    make_namespace,
    make_node,
    make_owner,
    make_pod,
    make_policy,
    selector,
    shares,
)

from extender.core.answers.overview import Condition, Overview, WorkloadRow, narrowed, overview
from extender.core.answers.scope import Scope
from extender.core.answers.workload import WorkloadExplanation, explain_owner
from extender.core.model.labelquery import read_selector
from extender.core.model.objects import OwnerRef, Requests
from extender.core.model.reasons import Reason
from extender.core.policy.apportionment import ApportionedSeats, ClassShare
from extender.core.policy.policy import ParsedPolicy, Policy


@pytest.fixture
def world() -> World:
    return World()


def bound(world: World, owner: OwnerRef, *nodes: str) -> None:
    for number, node in enumerate(nodes):
        world.up(make_pod(f"{owner.name}-{number}", owner, node, created=float(number)))


def look(world: World) -> Overview:
    seen = overview(world.state, world.now)
    assert msgspec.json.decode(msgspec.json.encode(seen))["at"] == world.now
    return seen


def rows(world: World) -> dict[str, WorkloadRow]:
    return {row.name: row for row in look(world).workloads}


def explain(world: World, uid: str) -> WorkloadExplanation:
    explained = explain_owner(world.state, world.state.workloads.owners[uid], world.now)
    msgspec.json.encode(explained)
    return explained


def test_an_empty_cluster() -> None:
    seen = look(World())
    assert (seen.workloads, seen.pools, seen.totals.workloads, seen.totals.replicas) == ((), (), 0, 0)
    assert seen.totals.wanted == {"spot": 0, "on-demand": 0}
    assert set(seen.totals.conditions.values()) == {0}


def test_the_policy_objects_that_speak_for_a_workload_are_named(world: World) -> None:
    world.up(make_policy("web", selector(tier="web"), **shares(50)), make_policy("all", of_cluster=True, mode="Audit"))
    world.up(make_owner("Deployment", "web", 2, all_labels={"tier": "web"}), make_owner("Deployment", "api", 2))
    world.deployment("own", 2, labels={"spotmix.io/enabled": "false"})
    assert {name: row.policies for name, row in rows(world).items()} == {
        "web": ("PlacementPolicy shop/web", "ClusterPlacementPolicy all"),
        "api": ("ClusterPlacementPolicy all",),
    }


def test_wanted_and_actual_and_each_condition_alone(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    bound(world, world.deployment("fine", 2, spot_percentage=50), "on-demand-0", "spot-0")
    bound(world, world.deployment("off", 2, spot_percentage=50), "on-demand-0", "on-demand-0")
    bound(world, world.deployment("floor", 2, spot_percentage=50, min_on_demand=1), "spot-0", "spot-0")
    bound(world, world.deployment("held", 1, spot_percentage="all"), "on-demand-0")
    bound(world, world.deployment("kept", 1, spot_percentage=100), "spot-0")
    world.annotate("kept", 1, spot_percentage="all")
    bound(world, world.deployment("young", 2), "on-demand-0")
    waits = world.deployment("waits", 1)
    world.up(make_pod("w", waits))
    found = rows(world)
    assert {name: row.conditions for name, row in found.items()} == {
        "fine": (),
        "off": (Condition.OFF_TARGET,),
        "floor": (Condition.FLOOR_BREACHED, Condition.OFF_TARGET),
        "held": (Condition.HELD_ON_DEMAND,),
        "kept": (Condition.POLICY_INVALID,),
        "young": (Condition.INCOMPLETE,),
        "waits": (Condition.WAITING,),
    }
    assert list(found) == ["floor", "held", "kept", "off", "waits", "young", "fine"]
    off = found["off"]
    assert (off.replicas, off.wanted, off.actual) == (2, {"spot": 1, "on-demand": 1}, {"spot": 0, "on-demand": 2})
    assert (off.surplus, off.missing, off.below_floor, off.pending, off.problems) == (1, 0, 0, 0, 0)
    assert (found["held"].policy, found["kept"].policy, found["held"].problems) == ("held-on-demand", "last-valid", 1)
    totals = look(world).totals
    assert (totals.workloads, totals.replicas, totals.surplus, totals.pending) == (7, 11, 2, 1)
    assert totals.wanted == {"spot": 4, "on-demand": 7}
    assert totals.actual == {"spot": 4, "on-demand": 5}
    assert totals.conditions == {**dict.fromkeys(Condition, 1), Condition.OFF_TARGET: 2}


def test_those_further_off_come_first(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    bound(world, world.deployment("b-little", 10, spot_percentage=10), *("on-demand-0",) * 10)
    bound(world, world.deployment("c-much", 2, spot_percentage=100), "on-demand-0", "on-demand-0")
    bound(world, world.deployment("a-little", 10, spot_percentage=10), *("on-demand-0",) * 10)
    assert list(rows(world)) == ["c-much", "a-little", "b-little"]


def test_what_a_service_holds_is_shown(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 2, spot_percentage=50, when_unsatisfiable="wait")
    for uid in ("a", "b"):
        world.up(make_pod(uid, owner))
        world.place(owner, offered, uid=uid)
    row = rows(world)["web"]
    assert row.reserved == {"on-demand": 1, "spot": 1}
    assert row.waiting == {Reason.WAIT_CLASS: 1}
    assert (row.pending, row.missing, row.conditions) == (2, 2, (Condition.WAITING,))


def test_namespaces_modes_and_unmanaged_workloads(world: World) -> None:
    world.deployment("plain", 3, labels={})
    world.deployment("watched", 1, mode="audit")
    world.up(make_namespace("lab", labels=ENABLED))
    world.up(make_owner("StatefulSet", "db", 2, namespace="lab"))
    assert set(rows(world)) == {"watched", "db"}
    assert look(world).totals.audited == 1
    lab = overview(world.state, world.now, Scope("lab"))
    assert [(row.namespace, row.kind, row.name) for row in lab.workloads] == [("lab", "StatefulSet", "db")]
    assert lab.totals.workloads == 1
    whole = look(world)
    assert narrowed(whole, [row for row in whole.workloads if row.namespace == "lab"]) == lab


def test_workloads_by_their_labels(world: World) -> None:
    for number, tier in enumerate(("web", "web", "db")):
        world.up(make_owner("StatefulSet", f"{tier}-{number}", 1, labels=ENABLED, all_labels={"tier": tier}))
    nightly = make_owner("CronJob", "nightly", labels=ENABLED, all_labels={"tier": "batch"})
    job = make_owner("Job", "nightly-1", 1, owner=nightly.ref)
    world.up(nightly, job, make_pod("p", job.ref))

    def of(selector: str, namespace: str = "") -> set[str]:
        scope = Scope(namespace, read_selector(selector))
        return {row.name for row in overview(world.state, world.now, scope).workloads}

    assert of("tier=web") == {"web-0", "web-1"}
    assert of("tier=web", "lab") == set()
    assert of("tier notin (web)") == {"db-2", "nightly"}
    assert of("tier=batch") == {"nightly"}
    assert of("tier!=batch") == {"web-0", "web-1", "db-2"}
    assert of("") == set(rows(world))


def test_a_cron_jobs_jobs_go_by_its_name(world: World) -> None:
    world.nodes(spot=1)
    cron = make_owner("CronJob", "nightly", labels=ENABLED, annotations=keys(spot_percentage=100))
    jobs = [make_owner("Job", f"nightly-{number}", 1, owner=cron.ref) for number in range(2)]
    world.up(cron, *jobs)
    bound(world, jobs[0].ref, "spot-0")
    world.up(make_pod("p", jobs[1].ref))
    (row,) = look(world).workloads
    assert (row.kind, row.name, row.replicas, row.actual["spot"], row.pending) == ("CronJob", "nightly", 2, 1, 1)
    explained = explain(world, cron.uid)
    assert explained.row == row
    assert [pod.name for pod in explained.pods] == ["p", "nightly-0-0"]
    assert [each.revision.name for each in explained.revisions] == ["nightly-0", "nightly-1"]


def test_pools_by_class_with_what_goes_on_there(world: World) -> None:
    world.nodes(on_demand=1)
    world.up(make_node("spot-0"), make_node("spot-1", ready=False), make_node("spot-2", zone="b", unschedulable=True))
    world.up(make_pod("p", None, "spot-0"))
    world.up(make_node("spot-1", going_away="taint", reclaimed=True, ready=False))
    found = [
        (p.capacity_class, p.zone, p.nodes, p.going_away, p.cordoned, p.not_ready, p.pods) for p in look(world).pools
    ]
    assert found == [
        ("on-demand", "a", 1, 0, 0, 0, 0),
        ("spot", "a", 2, 1, 0, 1, 1),
        ("spot", "b", 1, 0, 1, 0, 0),
    ]
    assert [(pool.interruptions, pool.interrupted) for pool in look(world).pools] == [(0.0, 0), (1.0, 1), (0.0, 0)]
    assert look(world).totals.nodes == {"on-demand": 1, "spot": 2}


def test_a_class_that_no_policy_names_is_told(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    world.up(make_node("reserved-0", "reserved"))
    owner = world.deployment("web", 2, spot_percentage=50)
    assert [pool.capacity_class for pool in look(world).pools if pool.unnamed] == ["reserved"]
    world.workload(owner).parsed = ParsedPolicy(Policy(ApportionedSeats((ClassShare("reserved", cap=1),))))
    assert not any(pool.unnamed for pool in look(world).pools)
    world.workload(owner).parsed = ParsedPolicy(Policy(fallback_to=("reserved",)))
    assert not any(pool.unnamed for pool in look(world).pools)


def test_a_rollout_shows_each_revision(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    old = world.deployment("web", 2, spot_percentage=50)
    bound(world, old, "on-demand-0", "spot-0")
    top = world.state.workloads.owners["uid-Deployment-web"]
    new = make_owner("ReplicaSet", "web-2", 2, owner=top.ref, created=5.0)
    world.up(new, make_owner("ReplicaSet", "web-0", 0, owner=top.ref))
    bound(world, new.ref, "on-demand-0", "on-demand-0")
    explained = explain(world, "uid-Deployment-web")
    assert [
        (each.revision.name, each.replicas, [(s.target, s.filled) for s in each.seats], each.surplus)
        for each in explained.revisions
    ] == [("web-2", 2, [(1, 2), (1, 0)], 1), ("web-1", 2, [(1, 1), (1, 1)], 0)]
    assert explained.row is not None
    assert (explained.row.replicas, explained.row.surplus) == (4, 1)
    assert [(pod.name, pod.seat, pod.surplus) for pod in explained.pods] == [
        ("web-1-0", 1, False),
        ("web-2-0", 1, False),
        ("web-1-1", 2, False),
        ("web-2-1", 3, True),
    ]
    assert {each.key for each in explained.settings} >= {"spot-percentage", "mode"}
    # A revision speaks for its workload.
    assert explain(world, "uid-ReplicaSet-web-1") == explained


def test_pods_without_a_node_say_why(world: World) -> None:
    world.nodes(on_demand=1)
    world.up(make_node("small", allocatable=Requests(cpu=1)))
    owner = world.deployment("web", 3, spot_percentage=100, when_unsatisfiable="wait")
    for number, uid in enumerate("abc"):
        world.up(make_pod(uid, owner, created=float(number)))
    world.place(owner, ["on-demand-0"], uid="c")
    found = {
        pod.name: (pod.node, pod.seat, pod.reason, pod.wanted) for pod in explain(world, "uid-Deployment-web").pods
    }
    assert found == dict.fromkeys("abc", ("", None, Reason.WAIT_CLASS, "spot"))


def test_stateful_pods_without_a_node_each_want_the_class_of_their_ordinal(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    owner = make_owner("StatefulSet", "db", 4, labels=ENABLED, annotations=keys(spot_percentage=50))
    world.up(owner, *(make_pod(f"db-{number}", owner.ref, created=number) for number in range(4)))
    explained = explain(world, owner.uid)
    assert [(pod.name, pod.reason, pod.wanted) for pod in explained.pods] == [
        ("db-0", Reason.ORDINAL, "on-demand"),
        ("db-1", Reason.ORDINAL, "spot"),
        ("db-2", Reason.ORDINAL, "on-demand"),
        ("db-3", Reason.ORDINAL, "spot"),
    ]


def test_pods_that_hold_no_seat_are_told_apart(world: World) -> None:
    world.nodes(spot=2)
    owner = world.deployment("web", 3, spot_percentage=100)
    bound(world, owner, "spot-0", "spot-1")
    world.up(make_pod("ends", owner, "spot-0", terminating=True), make_node("spot-1", going_away="taint"))
    found = [(p.name, p.seat, p.terminating, p.going_away) for p in explain(world, "uid-Deployment-web").pods]
    assert found == [("web-1-0", 1, False, ""), ("web-1-1", None, False, "taint"), ("ends", None, True, "")]


def test_a_workload_that_nobody_manages(world: World) -> None:
    world.deployment("plain", 1, labels={})
    explained = explain(world, "uid-Deployment-plain")
    assert explained.unmanaged is not None
    assert explained.unmanaged.reason is Reason.NOT_OPTED_IN
    assert (explained.row, explained.pods) == (None, ())
    orphan = make_owner("ReplicaSet", "orphan", 1, owner=OwnerRef("x", "example.org/v1", "Widget", "w"))
    world.up(orphan)
    unknown = explain(world, orphan.uid)
    assert unknown.unmanaged is not None
    assert (unknown.unmanaged.reason, unknown.unmanaged.detail) == (Reason.OWNER_UNREADABLE, "Widget w")


def test_advice_is_among_the_problems(world: World) -> None:
    world.deployment("tiny", 2, spot_percentage=40)
    (problem,) = explain(world, "uid-Deployment-tiny").problems
    assert problem.warning
    assert problem.fault == "gives no spot replica below 3 replicas"
