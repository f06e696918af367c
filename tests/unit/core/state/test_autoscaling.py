"""What autoscalers say becomes: which pods a node is coming for, and which classes are closed for whom."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import CAPACITY_TYPE, World, announce, make_node, make_node_claim, make_pod, written_pod

from extender.core.model.constraints import Constraints
from extender.core.model.objects import NodeClaim, OwnerRef, Pod, Requests
from extender.core.model.selectors import Requirement
from extender.core.state.autoscaling import MOST_KEPT, MOST_SAID, NODE_CLAIMS, Autoscaling
from extender.core.state.events import Gone, Listed
from extender.core.state.launches import ARRIVED

ZONE = "topology.kubernetes.io/zone"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def said(world: World) -> Autoscaling:
    return world.state.autoscaling


@pytest.fixture
def owner(world: World) -> OwnerRef:
    return world.deployment("web", 10, spot_percentage=100, enforcement="affinity")


def in_zone(zone: str, capacity_class: str = "spot") -> Constraints:
    wanted = Requirement(CAPACITY_TYPE, "In", (capacity_class,)), Requirement(ZONE, "In", (zone,))
    return Constraints(node_terms=(wanted,))


def refuse(world: World, claim: NodeClaim, *, event_first: bool = True) -> None:
    """Karpenter has no capacity for a NodeClaim, and deletes it."""
    if event_first:
        world.up(announce(claim))
    world.up(replace(claim, going=True))
    world.gone(NODE_CLAIMS, claim.uid)
    if not event_first:
        world.up(announce(claim))


def closed(world: World, pod: Pod, capacity_class: str = "spot", scope: str = "") -> bool:
    said, record = world.state.autoscaling, world.state.pods[pod.uid]
    return said.closures.closed(capacity_class, said.demand(record), world.now, scope) is not None


# What comes


def test_a_pod_that_is_nominated_waits_for_its_node_claim(world: World, said: Autoscaling, owner: OwnerRef) -> None:
    pod, claim = written_pod("p", owner), make_node_claim("spot-x", labels={})
    world.up(pod, claim, announce(pod, coming=True, claim="spot-x"))
    assert said.coming("p", world.now) == "nodeclaim/spot-x"
    assert said.coming("p", world.now + 598.0)
    # Its node is to be there within 600 s.
    assert said.coming("p", world.now + 600.0) == ""
    world.gone(NODE_CLAIMS, claim.uid)
    assert said.coming("p", world.now) == ""


def test_a_scale_up_is_waited_for_and_a_later_refusal_ends_that(
    world: World, said: Autoscaling, owner: OwnerRef
) -> None:
    pod = written_pod("p", owner)
    world.up(pod, announce(pod, coming=True))
    assert (said.coming("p", 1599.0), said.coming("p", 1600.0)) == ("scale-up", "")
    world.up(announce(pod, at=999.0))
    assert said.refused("p") == ""
    world.up(announce(pod, at=1001.0))
    assert (said.coming("p", 1001.0), said.refused("p")) == ("", "no capacity")


def test_karpenter_names_the_node_claim_of_few_pods_of_a_burst(
    world: World, said: Autoscaling, owner: OwnerRef
) -> None:
    pods = [written_pod(f"p{n}", owner) for n in range(7)]
    other = written_pod("od", owner, "on-demand")
    world.up(*pods, other, make_node_claim("spot-x"))
    # While nothing speaks against it, all of them: how they were packed is not known.
    assert [said.coming(pod.uid, world.now) for pod in pods] == ["nodeclaim/spot-x"] * 7
    assert said.coming("od", world.now) == ""


@pytest.mark.parametrize(
    ("claim", "constraints", "may"),
    [
        ({}, in_zone("a"), False),
        ({"labels": {CAPACITY_TYPE: ("spot",), ZONE: ("a",)}}, in_zone("a"), True),
        ({"labels": {CAPACITY_TYPE: ("spot",), ZONE: ("a", "b")}}, in_zone("a"), False),
        ({"labels": {CAPACITY_TYPE: ("spot", "on-demand")}}, in_zone("a"), False),
        ({}, Constraints(node_selector=(("disk", "ssd"),)), False),
        ({"labels": {"disk": ("ssd",)}}, Constraints(node_selector=(("disk", "ssd"),)), True),
        ({}, Constraints(node_terms=((Requirement(CAPACITY_TYPE, "NotIn", ("spot",)),),)), False),
        ({}, Constraints(node_terms=((Requirement("x", "NotIn", ("y",)),),)), True),
        ({}, Constraints(node_terms=((Requirement("metadata.name", "NotIn", ("y",), field=True),),)), False),
        ({}, Constraints(node_terms=((), (Requirement("x", "Exists"),))), False),
    ],
)
def test_a_node_claim_is_for_pods_whose_requirements_it_took_over(
    world: World, said: Autoscaling, owner: OwnerRef, claim: dict[str, Any], constraints: Constraints, *, may: bool
) -> None:
    world.up(written_pod("p", owner, constraints=constraints), make_node_claim("spot-x", **claim))
    assert bool(said.coming("p", world.now)) is may


def test_a_node_that_has_come_is_waited_for_a_moment_longer(world: World, said: Autoscaling, owner: OwnerRef) -> None:
    world.up(written_pod("p", owner), make_node_claim("spot-x"))
    world.now += 500
    world.up(make_node_claim("spot-x", launched=True, registered=True, ready=True, node="n"))
    assert said.coming("p", world.now + ARRIVED - 2.0)
    assert not said.coming("p", world.now + ARRIVED)


def test_nodes_that_were_there_all_along_are_not_waited_for(world: World, said: Autoscaling, owner: OwnerRef) -> None:
    world.up(written_pod("p", owner), make_node_claim("spot-x", launched=True, registered=True, ready=True))
    assert (said.coming("p", world.now), said.seen) == ("", True)


def test_what_is_said_of_another_pod_or_by_a_namesake_counts_for_nobody(
    world: World, said: Autoscaling, owner: OwnerRef
) -> None:
    pod = written_pod("p", owner)
    world.up(pod, announce(pod, namespace="evil"), announce(pod, coming=True, void=True))
    assert (said.coming("p", world.now), said.refused("p")) == ("", "")
    world.up(announce(make_pod("q", owner, name="p"), coming=True))
    assert said.coming("p", world.now) == ""


# What closes


@pytest.mark.parametrize("event_first", [True, False])
def test_a_refused_node_claim_closes_its_class_for_what_it_was_for(
    world: World, owner: OwnerRef, *, event_first: bool
) -> None:
    pod, small = (
        written_pod("p", owner, requests=Requests(cpu=500)),
        written_pod("s", owner, requests=Requests(cpu=100), created=2000.0),
    )
    zonal = written_pod("z", owner, constraints=in_zone("a"), requests=Requests(cpu=500), created=2000.0)
    world.up(pod, make_node_claim("spot-x", asked=Requests(cpu=500)))
    refuse(world, make_node_claim("spot-x"), event_first=event_first)
    world.up(small, zonal)
    # For whatever asks for as much or more, not for what asks for less, and not another class.
    assert [closed(world, each) for each in (pod, zonal, small)] == [True, True, False]
    assert not closed(world, pod, "on-demand")


@pytest.mark.parametrize(("created", "of_it"), [(1000.0, True), (1001.0, False)])
def test_a_node_claim_is_not_refused_for_pods_that_came_after_it(
    world: World, owner: OwnerRef, created: float, *, of_it: bool
) -> None:
    pod = written_pod("p", owner, created=created)
    world.up(pod, make_node_claim("x"))
    refuse(world, make_node_claim("x"))
    assert closed(world, pod) is of_it


def test_a_refused_zone_says_nothing_of_pods_that_may_be_anywhere(world: World, owner: OwnerRef) -> None:
    zonal, free = written_pod("z", owner, constraints=in_zone("a")), written_pod("f", owner, created=2000.0)
    claim = make_node_claim("spot-x", labels={CAPACITY_TYPE: ("spot",), ZONE: ("a",)})
    world.up(zonal, claim)
    refuse(world, claim)
    world.up(free)
    assert [closed(world, each) for each in (zonal, free)] == [True, False]


def test_pods_that_another_node_claim_has_room_for_are_not_refused(
    world: World, said: Autoscaling, owner: OwnerRef
) -> None:
    pods = [written_pod(f"p{n}", owner, requests=Requests(cpu=100 + n)) for n in range(2)]
    first, second = make_node_claim("a", asked=Requests(cpu=100)), make_node_claim("b", asked=Requests(cpu=101))
    world.up(*pods, first, second)
    refuse(world, second)
    assert said.coming("p0", world.now) == "nodeclaim/a"
    assert said.coming("p1", world.now) in ("", "nodeclaim/a")
    assert said.closures.closed("spot", said.demand(world.state.pods["p1"]), world.now) is not None


@pytest.mark.parametrize(
    "claim",
    [make_node_claim("x", launched=True), make_node_claim("x", "")],
    ids=["it was launched", "of several classes"],
)
def test_what_proves_nothing_closes_nothing(world: World, said: Autoscaling, owner: OwnerRef, claim: NodeClaim) -> None:
    world.up(written_pod("p", owner), claim)
    refuse(world, claim)
    assert not said.closures.all()


def test_an_event_alone_or_a_node_claim_alone_closes_nothing(world: World, said: Autoscaling, owner: OwnerRef) -> None:
    pod, claim = written_pod("p", owner), make_node_claim("x")
    world.up(pod, announce(claim), announce(pod))
    world.up(make_node_claim("y"))
    world.gone(NODE_CLAIMS, "uid-y")
    assert not said.closures.all()


def test_node_claims_that_a_list_lacks_are_gone(world: World, said: Autoscaling, owner: OwnerRef) -> None:
    world.up(written_pod("p", owner), make_node_claim("x"), announce(make_node_claim("x")))
    world.state.apply(Listed(NODE_CLAIMS, frozenset()), world.now)
    assert len(said.closures) == 1
    world.state.apply(Listed("events/Nominated", frozenset()), world.now)
    world.state.apply(Gone("events/Nominated", "x"), world.now)


def test_nothing_grows_without_bound(world: World, said: Autoscaling, owner: OwnerRef) -> None:
    for number in range(MOST_SAID + 10):
        world.up(announce(make_pod(f"p{number}", owner)))
    for number in range(MOST_KEPT + 10):
        world.up(announce(make_node_claim(f"c{number}")))
        world.up(make_node_claim(f"d{number}"), make_node_claim(f"e{number}", registered=True, ready=True))
        world.gone(NODE_CLAIMS, f"uid-d{number}")
    assert len(said._said) == MOST_SAID
    assert len(said._refusals) == len(said._gone) == len(said._came) == MOST_KEPT
    # The newest are kept.
    assert f"uid-e{MOST_KEPT + 9}" in said._came


# What opens


def test_a_node_that_came_for_as_much_opens(world: World, owner: OwnerRef) -> None:
    pod, claim = written_pod("p", owner, requests=Requests(cpu=500)), make_node_claim("x")
    world.up(pod, claim)
    refuse(world, claim)
    offer: dict[str, Any] = {"launched": True, "offered": Requests(cpu=1900, memory=2**31)}
    for name, created, registered in (("old", 999.0, True), ("new", 1001.0, False)):
        world.up(
            make_node_claim(name, created=created),
            make_node_claim(name, created=created, registered=registered, **offer),
        )
        assert closed(world, pod), name
    world.up(make_node_claim("new", created=1001.0, registered=True, **{**offer, "offered": Requests(cpu=100)}))
    assert closed(world, pod)
    world.up(
        make_node_claim("newer", created=1001.0), make_node_claim("newer", created=1001.0, registered=True, **offer)
    )
    assert not closed(world, pod)


def test_a_pod_that_got_a_node_which_came_since_opens(world: World, owner: OwnerRef) -> None:
    pod, claim = written_pod("p", owner), make_node_claim("x")
    world.up(pod, claim, make_node("old", since=900.0), make_node("new", since=1001.0))
    refuse(world, claim)
    world.up(make_pod("q", owner, "old", requests=Requests(cpu=100)))
    assert closed(world, pod)
    world.up(make_pod("r", owner, "new", requests=Requests(cpu=100)))
    assert not closed(world, pod)


OFFER: dict[str, Any] = {"launched": True, "registered": True, "offered": Requests(cpu=1900, memory=2**31)}


@pytest.mark.parametrize(
    ("created", "cpu", "still_closed"),
    [(1000.0, 1900, False), (999.0, 1900, True), (1001.0, 100, True)],
)
def test_a_refusal_that_is_heard_after_a_node_came_is_over(
    world: World, owner: OwnerRef, created: float, cpu: int, still_closed: bool
) -> None:
    pod, claim = written_pod("p", owner, requests=Requests(cpu=500)), make_node_claim("x")
    world.now = 1005.0
    offer = {**OFFER, "offered": Requests(cpu=cpu, memory=cpu * 2**20)}
    world.up(pod, claim, make_node_claim("new", created=created, ready=True, **offer))
    world.up(replace(claim, going=True))
    world.gone(NODE_CLAIMS, claim.uid)
    world.up(announce(claim, at=1000.7))
    assert closed(world, pod) is still_closed


def test_a_node_that_was_asked_for_after_the_refusal_opens_though_that_was_heard_late(
    world: World, owner: OwnerRef
) -> None:
    pod, other = (written_pod(name, owner, requests=Requests(cpu=500)) for name in ("p", "q"))
    claim, new = make_node_claim("x"), make_node_claim("new", created=1001.0)
    world.now = 1005.0
    world.up(pod, other, claim, new)
    refuse(world, claim)
    assert closed(world, pod)
    world.up(replace(new, **OFFER))
    assert not closed(world, pod)
