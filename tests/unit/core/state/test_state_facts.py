"""What the cluster state knows for the drift loop alone."""

from typing import Any

import pytest
from support.doubles import (
    World,
    make_budget,
    make_claim,
    make_namespace,
    make_node,
    make_owner,
    make_pod,
    make_volume,
    selector,
)

from extender.core.model.constraints import Constraints, PodTerm
from extender.core.model.objects import OwnerRef, Protection
from extender.core.model.selectors import Requirement
from extender.core.state.events import Gone, Listed
from extender.core.state.records import Revision
from extender.core.state.state import BUDGETS, CLAIMS, VOLUMES


@pytest.fixture
def world() -> World:
    return World()


def covering(world: World, pod: str) -> list[str]:
    return [budget.name for budget in world.state.budgets_of(world.state.pods[pod])]


def touched(world: World) -> set[Revision]:
    """The revisions touched since the last call."""
    return world.state.outbox.take_touched()


def test_a_budget_covers_the_pods_that_it_selects(world: World) -> None:
    world.up(make_pod("web", labels={"app": "web", "tier": "front"}), make_pod("bare"))
    world.up(
        make_budget("web", selector(app="web")),
        make_budget("both", selector(app="web", tier="front")),
        make_budget("other", selector(app="db")),
        make_budget("wrong tier", selector(app="web", tier="back")),
        make_budget("any", selector(Requirement("tier", "NotIn", ("back",)))),
        make_budget("all", selector()),
        make_budget("none", None),
        make_budget("elsewhere", selector(app="web"), namespace="bank"),
    )
    assert covering(world, "web") == ["all", "any", "both", "web"]
    assert covering(world, "bare") == ["all", "any"]


def test_budgets_that_share_their_first_label_are_told_apart(world: World) -> None:
    for number in range(50):
        world.up(make_budget(f"b{number}", selector(a_part_of="shop", name=f"web-{number}")))
    world.up(make_pod("p", labels={"a_part_of": "shop", "name": "web-7"}))
    assert covering(world, "p") == ["b7"]


def test_a_budget_changes_and_goes(world: World) -> None:
    world.up(make_pod("p", labels={"app": "web"}), make_budget("b", selector(app="web"), allowed=1))
    world.up(make_budget("b", selector(app="web"), allowed=0))
    assert [b.allowed for b in world.state.budgets_of(world.state.pods["p"])] == [0]
    world.up(make_budget("b", selector(app="db")))
    assert covering(world, "p") == []
    world.up(make_budget("b", selector(app="web")))
    world.state.apply(Gone(BUDGETS, "uid-budget-b"), world.now)
    world.state.apply(Gone(BUDGETS, "uid-budget-b"), world.now)
    assert covering(world, "p") == []


def test_a_list_forgets_the_budgets_claims_and_volumes_that_are_gone(world: World) -> None:
    world.up(make_pod("p", labels={"app": "web"}))
    world.up(make_budget("a", selector(app="web")), make_budget("b", selector(app="web")))
    world.up(make_claim("a", "va"), make_claim("b"), make_volume("va"), make_volume("vb"))
    world.state.apply(Listed(BUDGETS, frozenset({"uid-budget-a"})), world.now)
    world.state.apply(Listed(CLAIMS, frozenset({"uid-claim-a"})), world.now)
    world.state.apply(Listed(VOLUMES, frozenset()), world.now)
    assert covering(world, "p") == ["a"]
    assert {key: claim.volume for key, claim in world.state.claims.items()} == {("shop", "a"): "va"}
    assert not world.state.volumes


def test_a_claim_made_anew_is_not_lost_with_the_old_one(world: World) -> None:
    world.up(make_claim("data", "old"), make_claim("data", "new", uid="uid-2"))
    world.state.apply(Gone(CLAIMS, "uid-claim-data"), world.now)
    assert world.state.claims["shop", "data"].volume == "new"
    world.state.apply(Gone(CLAIMS, "uid-2"), world.now)
    assert not world.state.claims


def test_pods_of_equal_labels_are_one_group(world: World) -> None:
    labels = {"app": "web"}
    world.up(make_pod("p1", labels=labels), make_pod("p2", labels=labels), make_pod("p3", labels={"app": "db"}))
    world.up(make_pod("p4", labels=labels, namespace="bank"))
    groups = {tuple(g.labels.items()): {p.uid for p in g.pods} for g in world.state.pod_labels("shop")}
    assert groups == {(("app", "web"),): {"p1", "p2"}, (("app", "db"),): {"p3"}}
    world.up(make_pod("p1", labels={"app": "db"}))
    world.gone("pods", "p2")
    assert [dict(g.labels) for g in world.state.pod_labels("shop")] == [{"app": "db"}, {"app": "db"}]
    assert not world.state.pod_labels("nowhere")


def test_pods_without_a_node_and_pods_that_keep_others_off(world: World) -> None:
    world.nodes(spot=1)
    apart = Constraints(anti_affinity=(PodTerm("zone"),))
    world.up(make_pod("p1", constraints=apart), make_pod("p2"))
    assert (set(world.state.unbound), list(world.state.repelling)) == ({"p1", "p2"}, [])
    world.up(make_pod("p1", None, "spot-0", constraints=apart), make_pod("p2", terminating=True))
    assert not world.state.unbound
    assert [record.uid for record in world.state.repelling] == ["p1"]
    world.up(make_pod("p1", None, "spot-0", ended=True))
    assert not world.state.repelling


def test_what_is_new_about_a_pod_is_known(world: World) -> None:
    world.nodes(spot=1)
    shield = Protection("a/b", "true")
    world.up(make_pod("p", None, "spot-0", pending=True, protection=shield))
    record = world.state.pods["p"]
    assert (record.pending, record.ready, record.protection, record.due) == (True, True, shield, 0.0)
    world.up(make_pod("p", None, "spot-0", ready=False, terminating=True, due=1030.0))
    assert (record.pending, record.ready, record.protection, record.due) == (False, False, None, 1030.0)


def test_a_node_is_steady_since_it_became_ready_or_its_alarm_was_withdrawn(world: World) -> None:
    def since(now: float, **fields: Any) -> float:
        world.now = now
        world.up(make_node("n", **fields))
        return world.state.nodes["n"].steady_since

    assert since(1000.0, since=400.0) == 400.0
    assert since(1010.0, since=400.0, going_away="taint") == 400.0
    assert since(1020.0, since=400.0) == 1020.0
    assert since(1030.0, since=400.0) == 1020.0
    assert since(1050.0, since=1045.0) == 1045.0
    assert since(1060.0, since=500.0, uid="another") == 500.0


def test_namespaces_have_labels_for_selectors(world: World) -> None:
    assert world.state.namespace_labels("shop") == {}
    world.up(make_namespace("shop", all_labels={"team": "a"}))
    assert world.state.namespace_labels("shop") == {"team": "a"}


def revision_of(world: World, owner: OwnerRef) -> Revision:
    return world.state.revisions[owner.uid]


def test_a_revision_is_touched_by_what_may_take_it_off_its_split(world: World) -> None:
    owner, other = world.deployment("web", 2), world.deployment("other", 2)
    world.nodes(spot=1)
    world.up(make_pod("o", other, "spot-0"))
    touched(world)

    world.up(make_pod("p", owner))
    both = {revision_of(world, owner)}
    assert touched(world) == both, "a pod came"
    world.up(make_pod("p", owner, "spot-0", ready=False))
    assert touched(world) == both, "it is counted"
    world.up(make_pod("p", owner, "spot-0", ready=True))
    assert touched(world) == both, "it is ready"
    world.up(make_pod("p", owner, "spot-0", ready=True))
    assert touched(world) == set(), "nothing changed"
    world.up(make_pod("p", owner, "spot-0", ready=True, cost="7"))
    assert touched(world) == set(), "a deletion cost takes nothing off its split"
    world.annotate("web", 2, spot_percentage=50)
    assert touched(world) == both, "the policy changed"
    top = make_owner("Deployment", "web", 2)
    world.up(make_owner("ReplicaSet", "web-1", 5, owner=top.ref))
    assert touched(world) == both, "the size changed"
    world.up(make_pod("p", owner, "spot-0", terminating=True), make_pod("q", owner, "spot-0"))
    assert touched(world) == both, "a pod leaves"
    world.gone("pods", "p")
    assert touched(world) == both, "a pod is gone"
    world.nodes(spot=1, going_away="x")
    assert touched(world) == both | {revision_of(world, other)}, "its node goes away"
    world.nodes(spot=1, going_away="x", interrupted=True)
    assert touched(world) == both | {revision_of(world, other)}, "its node will be taken"
    world.gone("pods", "q")
    assert touched(world) == set(), "a revision that is no more needs no look"


def test_a_rollout_touches_the_revisions_of_the_workload(world: World) -> None:
    owner = world.deployment("web", 1, spot_percentage=50)
    world.nodes(spot=1)
    world.up(make_pod("p", owner, "spot-0"))
    touched(world)
    world.up(make_owner("Deployment", "web", 1, labels={"spotmix.io/enabled": "true"}, rolling=True))
    assert revision_of(world, owner) in touched(world)


def test_interrupted_nodes_are_those_that_are_so_now(world: World) -> None:
    def interrupted() -> set[str]:
        return {node.name for node in world.state.interrupted_nodes}

    world.nodes(spot=3)
    assert interrupted() == set()
    notice: dict[str, Any] = {"going_away": "x", "interrupted": True}
    world.up(*(make_node(name, **notice) for name in ("spot-0", "spot-1", "spot-2")))
    assert interrupted() == {"spot-0", "spot-1", "spot-2"}
    world.up(make_node("spot-0"), make_node("spot-1", going_away="x"))
    assert interrupted() == {"spot-2"}
    world.up(make_node("spot-2", uid="another", **notice))
    world.gone("nodes", "uid-spot-2")
    assert interrupted() == {"spot-2"}
    world.gone("nodes", "another")
    assert interrupted() == set()
    world.up(make_node("spot-2", uid="a third"))
    assert interrupted() == set()
