"""Which namespaces are managed: by an allow list, by labels, and who is told of it when that changes."""

from msgspec.structs import replace
from support.doubles import ENABLED, RULES, World, make_namespace, make_owner, make_policy, make_view, shares

from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.core.model.selectors import LabelSelector, Requirement
from extender.core.policy.managed import Managed
from extender.core.policy.provenance import Unmanaged, why_unmanaged
from extender.core.policy.rules import PolicyRules
from extender.core.policystatus.controller import PolicyStatusController
from extender.core.state.events import Continued, Reconfigured

LISTED = replace(RULES, namespaces=frozenset({"shop", "kube-system"}))
LABELLED = replace(RULES, selector=LabelSelector((("spot", "allowed"),), (Requirement("old", "DoesNotExist"),)))


def web(world: World, namespace: str) -> OwnerRef:
    owner = make_owner("ReplicaSet", f"web-{namespace}", 2, namespace=namespace, labels=ENABLED)
    world.up(owner)
    return owner.ref


def managed(world: World, owner: OwnerRef, namespace: str) -> bool:
    while world.state.workloads.is_behind:
        world.state.apply(Continued(), world.now)
    found = isinstance(world.state.workloads.resolve(namespace, owner), Managed)
    # Whoever looks at all workloads sees the same.
    assert found == (owner.uid in world.state.workloads.by_uid)
    return found


def reconfigure(world: World, rules: PolicyRules) -> None:
    world.state.apply(Reconfigured(rules, 900.0, 3600.0, 600.0), world.now)


def test_outside_of_the_named_ones_nothing_is_managed_and_it_is_told_so() -> None:
    world = World(LISTED)
    inside, outside, system = (web(world, each) for each in ("shop", "games", "kube-system"))
    assert managed(world, inside, "shop")
    assert not managed(world, outside, "games")
    # What is protected stays so.
    assert not managed(world, system, "kube-system")
    why = why_unmanaged(world.state.workloads, "games", outside)
    assert why == Unmanaged(Reason.OUTSIDE_NAMESPACES, "namespace games is not in policy.namespaces")
    assert why_unmanaged(world.state.workloads, "kube-system", system).reason is Reason.PROTECTED_NAMESPACE
    world.nodes(on_demand=1)
    decision = world.decide(make_view("p", outside, namespace="games"), ["on-demand-0"])
    assert decision.reason is Reason.UNMANAGED


def test_labels_of_a_namespace_say_the_same_from_when_they_change() -> None:
    world = World(LABELLED)
    owner = web(world, "shop")
    assert not managed(world, owner, "shop"), "it is not known yet"
    for labels, inside in (
        ({"spot": "allowed"}, True),
        ({"spot": "allowed", "old": ""}, False),
        ({"spot": "allowed", "more": "1"}, True),
        ({"spot": "forbidden"}, False),
    ):
        world.up(make_namespace("shop", all_labels=labels))
        assert managed(world, owner, "shop") is inside
    why = why_unmanaged(world.state.workloads, "shop", owner)
    assert why.detail == "the labels of namespace shop are not those of policy.namespaceSelector"
    both = replace(LABELLED, namespaces=frozenset({"games"}))
    world.up(make_namespace("shop", all_labels={"spot": "allowed"}))
    reconfigure(world, both)
    assert not managed(world, owner, "shop")


def test_a_list_that_changes_lets_workloads_go_and_takes_others_in() -> None:
    world = World(LISTED)
    inside, outside = (web(world, each) for each in ("shop", "games"))
    world.state.outbox.take_effects()
    reconfigure(world, replace(RULES, namespaces=frozenset({"games"})))
    assert world.state.workloads.resolve("shop", inside) is None, "at once"
    assert isinstance(world.state.workloads.resolve("games", outside), Managed), "at once"
    assert managed(world, outside, "games")
    assert not managed(world, inside, "shop")
    reconfigure(world, RULES)
    assert managed(world, inside, "shop")
    assert managed(world, outside, "games")


def test_no_status_is_written_outside() -> None:
    world = World(LISTED)
    controller = PolicyStatusController(world.state)
    controller.take_over(0.0)
    for number, namespace in enumerate(("shop", "games", "")):
        world.up(replace(make_policy(f"p-{number}", **shares(100)), namespace=namespace))
    written = [action for second in range(1, 9) for action in controller.due(float(second))]
    assert {action.policy.namespace for action in written} == {"shop", ""}
    reconfigure(world, RULES)
    while world.state.workloads.is_behind:
        world.state.apply(Continued(), world.now)
    controller.observe(9.0)
    written = [action for second in range(9, 20) for action in controller.due(float(second))]
    assert "games" in {action.policy.namespace for action in written}
