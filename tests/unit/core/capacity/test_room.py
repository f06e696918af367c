"""Which nodes have room for a pod: each constraint, and which reason is given when none fits."""

from collections.abc import Sequence
from typing import Any

import pytest
from support.doubles import (
    ON_DEMAND,
    SPOT,
    make_claim,
    make_namespace,
    make_node,
    make_pod,
    make_volume,
    selector,
)
from support.drifting import DRIFT_RULES, DriftWorld, zonal

from extender.core.capacity.room import LEAST_LOOKS, LOOKS, Room
from extender.core.model.constraints import NO_CONSTRAINTS, Constraints, HostPort, PodTerm, Spread
from extender.core.model.objects import Requests
from extender.core.model.reasons import Reason, Refusal
from extender.core.model.selectors import LabelSelector, Requirement
from extender.core.model.taints import Taint, Toleration
from extender.core.state.records import NodeRecord

ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
WEB = {"app": "web"}
IN_A = Requirement(ZONE, "In", ("a",))


@pytest.fixture
def world() -> DriftWorld:
    """Two spot nodes in zone a, one in zone b, and an on-demand node that the pod `web` is on."""
    made = DriftWorld()
    made.up(zonal("spot-a1", SPOT, "a"), zonal("spot-a2", SPOT, "a"), zonal("spot-b1", SPOT, "b"))
    made.up(zonal("old", ON_DEMAND, "a"))
    return made


def put(world: DriftWorld, name: str, node: str, demands: Constraints = NO_CONSTRAINTS, **fields: Any) -> None:
    world.up(make_pod(name, node=node, **{"labels": WEB, "constraints": demands, **fields}))


def room(world: DriftWorld, leaving: Sequence[str] = ()) -> Room:
    return Room(world.state, set(leaving), world.now, dwell=DRIFT_RULES.dwell)


def fitting(world: DriftWorld, demands: Constraints = NO_CONSTRAINTS, **fields: Any) -> set[str]:
    """The spot nodes that have room for the pod `web`, which leaves the node `old`."""
    put(world, "web", "old", demands, **fields)
    pod, checks = world.state.pods["web"], room(world)
    return {name for name, node in world.state.placeable[SPOT].items() if checks.fits(pod, node)}


def reason(world: DriftWorld, demands: Constraints = NO_CONSTRAINTS, **fields: Any) -> Reason:
    """Why none has."""
    put(world, "web", "old", demands, **fields)
    found = room(world).find(world.state.pods["web"], SPOT)
    assert isinstance(found, Refusal)
    return found.reason


def test_it_takes_the_node_with_most_cpu_to_spare(world: DriftWorld) -> None:
    put(world, "web", "old", requests=Requests(cpu=1000))
    put(world, "busy", "spot-a1", requests=Requests(cpu=500))
    left, pod = room(world), world.state.pods["web"]
    chosen = []
    for _ in range(4):
        node = left.find(pod, SPOT)
        assert isinstance(node, NodeRecord)
        left.occupy(pod, node)
        chosen.append(node.name)
    assert chosen == ["spot-a2", "spot-b1", "spot-a1", "spot-a2"]


@pytest.mark.parametrize(
    "asked",
    [
        Requests(cpu=64_001),
        Requests(memory=(1 << 40) + 1),
        Requests(ephemeral=(1 << 40) + 1),
        Requests(extended=(("gpu", 1),)),
    ],
)
def test_what_it_requests_has_to_be_there(world: DriftWorld, asked: Requests) -> None:
    assert reason(world, requests=asked) is Reason.NO_ROOM


def test_what_is_to_come_is_deducted(world: DriftWorld) -> None:
    gpus = Requests(cpu=100, extended=(("gpu", 1),))
    world.up(zonal("spot-a1", SPOT, "a", allocatable=Requests(cpu=1000, extended=(("gpu", 2),))))
    put(world, "web", "old", requests=gpus)
    left, pod = room(world), world.state.pods["web"]
    for _ in range(2):
        node = left.find(pod, SPOT)
        assert isinstance(node, NodeRecord)
        left.occupy(pod, node)
    assert left.find(pod, SPOT) == Refusal(Reason.NO_ROOM)


def test_nodes_that_cannot_take_pods_are_not_there(world: DriftWorld) -> None:
    world.up(
        make_node("spot-a1", ready=False),
        make_node("spot-a2", unschedulable=True),
        make_node("spot-b1", going_away="x"),
    )
    assert reason(world) is Reason.NO_NODE


def test_taints_selectors_and_node_affinity(world: DriftWorld) -> None:
    world.up(zonal("spot-a1", SPOT, "a", taints=(Taint("spot", "", "NoSchedule"),)))
    assert fitting(world) == {"spot-a2", "spot-b1"}
    assert fitting(world, Constraints(tolerations=(Toleration("spot", "Exists"),))) == {"spot-a1", "spot-a2", "spot-b1"}
    assert fitting(world, Constraints(node_selector=((ZONE, "b"),))) == {"spot-b1"}
    assert fitting(world, Constraints(node_terms=((IN_A,),))) == {"spot-a2"}
    assert reason(world, Constraints(node_selector=(("disk", "fast"),))) is Reason.NOT_ADMITTED
    # The nodes that would admit it are full.
    assert reason(world, Constraints(node_terms=((IN_A,),)), requests=Requests(cpu=65_000)) is Reason.NO_ROOM
    nowhere = Constraints(node_selector=(("disk", "fast"),))
    assert reason(world, nowhere, requests=Requests(cpu=65_000)) is Reason.NOT_ADMITTED


def test_volumes(world: DriftWorld) -> None:
    world.up(make_claim("data", "disk"), make_volume("disk", IN_A), make_claim("logs", "nfs"), make_volume("nfs"))
    assert fitting(world, Constraints(claims=("data", "logs"))) == {"spot-a1", "spot-a2"}
    assert fitting(world, Constraints(claims=("logs",))) == {"spot-a1", "spot-a2", "spot-b1"}
    assert reason(world, Constraints(claims=("logs", "unknown"))) is Reason.VOLUME


@pytest.mark.parametrize(
    ("port", "taken"),
    [
        (HostPort(80), True),
        (HostPort(80, "UDP"), False),
        (HostPort(81), False),
        (HostPort(80, "TCP", "10.0.0.1"), True),
        (HostPort(80, "TCP", "0.0.0.0"), True),
    ],
)
def test_host_ports(world: DriftWorld, port: HostPort, taken: bool) -> None:
    for name in ("spot-a1", "spot-a2", "spot-b1"):
        put(world, f"proxy-{name}", name, Constraints(host_ports=(HostPort(80),)))
    demands = Constraints(host_ports=(port,))
    assert bool(fitting(world, demands)) is not taken
    if taken:
        assert reason(world, demands) is Reason.HOST_PORT


def test_host_ports_of_different_addresses_do_not_clash(world: DriftWorld) -> None:
    put(world, "proxy", "spot-a1", Constraints(host_ports=(HostPort(80, "TCP", "10.0.0.1"),)))
    assert "spot-a1" in fitting(world, Constraints(host_ports=(HostPort(80, "TCP", "10.0.0.2"),)))


def test_a_host_port_is_taken_by_what_is_to_come(world: DriftWorld) -> None:
    put(world, "web", "old", Constraints(host_ports=(HostPort(80),)))
    left, pod = room(world), world.state.pods["web"]
    for _ in range(3):
        node = left.find(pod, SPOT)
        assert isinstance(node, NodeRecord)
        left.occupy(pod, node)
    assert left.find(pod, SPOT) == Refusal(Reason.HOST_PORT)


def apart(key: str = HOSTNAME, chosen: LabelSelector | None = None, **fields: Any) -> Constraints:
    return Constraints(anti_affinity=(PodTerm(key, chosen or selector(app="web"), **fields),))


def together(key: str = ZONE, chosen: LabelSelector | None = None, **fields: Any) -> Constraints:
    return Constraints(affinity=(PodTerm(key, chosen or selector(app="db"), **fields),))


def test_what_leaves_is_for_others(world: DriftWorld) -> None:
    """Requests, an extended resource, the place of a pod, and a host port."""
    big = Requests(cpu=4000, memory=1 << 30, extended=(("gpu", 1),))
    node = make_node("full", SPOT, allocatable=big, max_pods=1)
    port = Constraints(host_ports=(HostPort(80),))
    world.up(node)
    put(world, "there", "full", port, requests=big)
    put(world, "web", "old", port, requests=big)
    left, full = room(world), world.state.nodes["full"]
    there, web = world.state.pods["there"], world.state.pods["web"]
    assert not left.fits(web, full)
    left.stock.leave(there, full)
    assert left.fits(web, full)
    assert left.stock.spare_cpu(full) == 4000
    left.occupy(web, full)
    assert not left.fits(web, full)


def test_lost_nodes_are_not_there(world: DriftWorld) -> None:
    put(world, "web", "old")
    for number, node in enumerate(("spot-a1", "spot-a2", "spot-a1")):
        put(world, f"web-{number}", node)
    pod = world.state.pods["web"]
    spread = Constraints(spread=(Spread(ZONE, 1, LabelSelector((("app", "web"),))),))
    put(world, "web", "old", spread)
    found = room(world).find(pod, SPOT)
    assert isinstance(found, NodeRecord)
    assert found.name == "spot-b1"
    # Without zone b its pods need not be balanced with anything.
    found = Room(world.state, set(), world.now, dwell=DRIFT_RULES.dwell, lost={"spot-b1"}).find(pod, SPOT)
    assert isinstance(found, NodeRecord)
    assert found.name == "spot-a2"
    every = {"spot-a1", "spot-a2", "spot-b1"}
    found = Room(world.state, set(), world.now, dwell=DRIFT_RULES.dwell, lost=every).find(pod, SPOT)
    assert isinstance(found, Refusal)


def test_its_own_anti_affinity(world: DriftWorld) -> None:
    put(world, "other", "spot-a1")
    assert fitting(world, apart()) == {"spot-a2", "spot-b1"}
    assert fitting(world, apart(ZONE)) == {"spot-b1"}
    assert fitting(world, apart(chosen=selector(app="db"))) == {"spot-a1", "spot-a2", "spot-b1"}
    # Its own old place counts no more.
    world.gone("pods", "other")
    assert fitting(world, apart(ZONE)) == {"spot-a1", "spot-a2", "spot-b1"}


def test_anti_affinity_of_the_pods_that_are_there(world: DriftWorld) -> None:
    put(world, "other", "spot-a1", apart(ZONE), labels={"app": "shy"})
    assert fitting(world) == {"spot-b1"}
    # A term means pods of its own namespace, of those it names, and of those it selects.
    for fields, means in (
        ({}, False),
        ({"namespaces": ("shop",)}, True),
        ({"namespaces": ("bank",)}, False),
        ({"namespace_selector": LabelSelector((("team", "web"),))}, True),
        ({"namespace_selector": LabelSelector((("team", "db"),))}, False),
        ({"namespace_selector": LabelSelector()}, True),
    ):
        world.up(make_namespace("shop", all_labels={"team": "web"}))
        put(world, "other", "spot-a1", apart(ZONE, **fields), namespace="bank")
        world.gone("pods", "other")
        put(world, f"abroad-{fields}", "spot-a1", apart(ZONE, **fields), namespace="bank")
        assert fitting(world) == ({"spot-b1"} if means else {"spot-a1", "spot-a2", "spot-b1"}), fields
        world.gone("pods", f"abroad-{fields}")


def test_a_selector_that_is_not_there_means_no_pod(world: DriftWorld) -> None:
    put(world, "other", "spot-a1")
    demands = Constraints(anti_affinity=(PodTerm(HOSTNAME, None),))
    assert fitting(world, demands) == {"spot-a1", "spot-a2", "spot-b1"}


def test_a_pod_that_is_to_come_repels_and_is_repelled(world: DriftWorld) -> None:
    put(world, "web", "old", apart(ZONE))
    left, pod = room(world), world.state.pods["web"]
    node = left.find(pod, SPOT)
    assert isinstance(node, NodeRecord)
    left.occupy(pod, node)
    put(world, "second", "old")
    other = left.find(world.state.pods["second"], SPOT)
    assert isinstance(other, NodeRecord)
    assert {node.pool[1], other.pool[1]} == {"a", "b"}


def test_a_pod_that_leaves_repels_no_more(world: DriftWorld) -> None:
    put(world, "other", "spot-a1", apart(ZONE))
    put(world, "web", "old")
    pod, node = world.state.pods["web"], world.state.nodes["spot-a2"]
    assert not room(world).fits(pod, node)
    assert room(world, ["other"]).fits(pod, node)


def test_required_affinity(world: DriftWorld) -> None:
    assert reason(world, together()) is Reason.AFFINITY
    put(world, "db", "spot-a1", labels={"app": "db"})
    assert fitting(world, together()) == {"spot-a1", "spot-a2"}
    assert fitting(world, together(HOSTNAME)) == {"spot-a1"}
    assert reason(world, together("rack")) is Reason.AFFINITY
    # Every term has to be met by the same pods.
    both = Constraints(affinity=(PodTerm(ZONE, selector(app="db")), PodTerm(ZONE, selector(tier="fast"))))
    assert reason(world, both) is Reason.AFFINITY
    put(world, "db-fast", "spot-b1", labels={"app": "db", "tier": "fast"})
    assert fitting(world, both) == {"spot-b1"}


def test_the_first_that_asks_for_its_own_company_may_go_anywhere(world: DriftWorld) -> None:
    alone = together(chosen=selector(app="web"))
    assert fitting(world, alone) == {"spot-a1", "spot-a2", "spot-b1"}
    assert reason(world, together("rack", selector(app="web"))) is Reason.AFFINITY
    put(world, "second", "spot-b1")
    assert fitting(world, alone) == {"spot-b1"}


def test_affinity_holds_for_every_key(world: DriftWorld) -> None:
    put(world, "db", "spot-a1", labels={"app": "db"})
    both = Constraints(affinity=(*together().affinity, *together(HOSTNAME).affinity))
    assert fitting(world, together()) == {"spot-a1", "spot-a2"}
    assert fitting(world, both) == {"spot-a1"}


def test_affinity_to_pods_of_other_namespaces(world: DriftWorld) -> None:
    world.up(make_namespace("bank", all_labels={"team": "db"}))
    put(world, "db", "spot-b1", labels={"app": "db"}, namespace="bank")
    assert reason(world, together()) is Reason.AFFINITY
    assert fitting(world, together(namespaces=("bank",))) == {"spot-b1"}
    assert fitting(world, together(namespace_selector=LabelSelector((("team", "db"),)))) == {"spot-b1"}


def spread(key: str = ZONE, skew: int = 1, **fields: Any) -> Constraints:
    return Constraints(spread=(Spread(key, skew, selector(app="web"), **fields),))


def test_spread_leaves_the_old_place_out(world: DriftWorld) -> None:
    # Zone a holds the pod itself, zone b nothing.
    assert fitting(world, spread()) == {"spot-a1", "spot-a2", "spot-b1"}
    put(world, "second", "spot-a1")
    assert fitting(world, spread()) == {"spot-b1"}
    assert fitting(world, spread(skew=2)) == {"spot-a1", "spot-a2", "spot-b1"}
    put(world, "third", "spot-b1", terminating=True)
    assert fitting(world, spread()) == {"spot-b1"}
    put(world, "fourth", "spot-b1")
    assert fitting(world, spread()) == {"spot-a1", "spot-a2", "spot-b1"}
    assert reason(world, spread("rack")) is Reason.SPREAD


def test_spread_leaves_nodes_out_that_are_not_known_yet(world: DriftWorld) -> None:
    put(world, "second", "to-come")
    assert fitting(world, spread()) == {"spot-a1", "spot-a2", "spot-b1"}


def test_spread_over_fewer_domains_than_there_have_to_be(world: DriftWorld) -> None:
    put(world, "second", "spot-a1")
    put(world, "third", "spot-b1")
    assert fitting(world, spread(min_domains=2)) == {"spot-a1", "spot-a2", "spot-b1"}
    assert reason(world, spread(min_domains=3)) is Reason.SPREAD


def test_spread_leaves_nodes_out_that_the_pod_cannot_be_on(world: DriftWorld) -> None:
    world.up(zonal("empty", ON_DEMAND, "c", taints=(Taint("dedicated", "", "NoSchedule"),)))
    put(world, "second", "spot-a1")
    put(world, "third", "spot-b1")
    # Zone c is empty, and would have to be filled first.
    assert reason(world, spread()) is Reason.SPREAD
    assert fitting(world, spread(honor_taints=True)) == {"spot-a1", "spot-a2", "spot-b1"}
    in_a_or_b = Constraints(node_terms=((Requirement(ZONE, "In", ("a", "b")),),), spread=spread().spread)
    assert fitting(world, in_a_or_b) == {"spot-a1", "spot-a2", "spot-b1"}
    everywhere = Constraints(node_terms=in_a_or_b.node_terms, spread=spread(honor_affinity=False).spread)
    assert reason(world, everywhere) is Reason.SPREAD


def test_every_spread_constraint_counts_nodes_with_all_the_keys(world: DriftWorld) -> None:
    world.up(make_node("no-host", ON_DEMAND, labels={ZONE: "c"}))
    put(world, "second", "spot-a1")
    put(world, "third", "spot-b1")
    both = Constraints(spread=(*spread().spread, *spread(HOSTNAME).spread))
    # Zone c does not count, for it has no node with a host name; on a host there may be one.
    assert fitting(world, both) == {"spot-a2"}


def test_the_reason_is_that_of_the_node_that_came_furthest(world: DriftWorld) -> None:
    world.up(
        zonal("spot-a1", SPOT, "a", max_pods=0), zonal("spot-a2", SPOT, "a", taints=(Taint("x", "", "NoExecute"),))
    )
    assert fitting(world) == {"spot-b1"}
    assert reason(world, Constraints(claims=("unknown",))) is Reason.VOLUME
    assert reason(world, Constraints(node_terms=((IN_A,),))) is Reason.NO_ROOM


def test_a_workload_that_searches_in_vain_does_not_use_up_the_plan() -> None:
    world = DriftWorld()
    names = [f"spot-{number}" for number in range(LEAST_LOOKS + 20)]
    world.up(zonal("old", ON_DEMAND, "a"), *(zonal(name, SPOT, "b") for name in names))
    for name in names[1:]:
        put(world, f"shy-{name}", name, apart(chosen=selector(app="web")), labels={})
    put(world, "web", "old")
    found = []
    for _ in range(4):
        left = room(world)
        left.expect(LOOKS)
        found.append(left.find(world.state.pods["web"], SPOT))
        # What is over is over for the pods that are alike, too.
        put(world, "twin", "old")
        assert left.find(world.state.pods["twin"], SPOT) == found[-1]
        world.now += 1.0
    nodes = [each.name for each in found if isinstance(each, NodeRecord)]
    assert set(nodes) == {"spot-0"}
    assert {each for each in found if isinstance(each, Refusal)} <= {Refusal(Reason.LATER)}
    world.up(zonal("spot-0", SPOT, "b", unschedulable=True))
    left = room(world)
    assert left.find(world.state.pods["web"], SPOT) == Refusal(Reason.AFFINITY)


def test_pool_cap() -> None:
    world = DriftWorld()
    world.nodes(on_demand=1)
    world.up(zonal("spot-a", SPOT, "a"), zonal("spot-b", SPOT, "b"))
    world.drifted(on_demand=8, spot=2, nodes={SPOT: "spot-a"}, policy={"max_per_pool": 2})
    assert [move.target for move in world.plan().moves] == ["spot-b"]
    world.pods(world.workload_owner("web"), 2, "spot-b", start=0)
    world.now += 600.0
    assert world.plan().moves[0].target == "spot-b"
    world.up(zonal("spot-b", SPOT, "a"))
    assert world.reasons() == [Reason.STAY_POOL_FULL]
