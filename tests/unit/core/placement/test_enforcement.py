"""How classes are enforced, by what is seen: autoscalers, and schedulers that ask the extender or do not."""

from typing import Any

import pytest
from support.doubles import SPOT, World, make_node, make_pod, make_view

from extender.core.model.objects import NodePool, OwnerRef
from extender.core.model.reasons import Reason
from extender.core.model.taints import Taint
from extender.core.placement.controller import PlacementController
from extender.core.placement.enforcement import Enforced, enforced, enforced_for, enforced_in_all
from extender.core.policy.rules import PolicyRules
from extender.core.state.events import Sighted

STOCK, OURS = "stock", "spotmix"
RULES = PolicyRules(gates=True, asking=frozenset({OURS}))


@pytest.fixture
def world() -> World:
    return World(RULES)


@pytest.fixture
def placement(world: World) -> PlacementController:
    made = PlacementController(world.state, 100)
    made.take_over(world.now)
    return made


def how(world: World, scheduler: str = "default-scheduler", **policy: Any) -> tuple[str, Reason]:
    owner = world.deployment("web", 2, spot_percentage=50, **policy)
    found = enforced(world.state, world.workload(owner).policy, scheduler)
    assert found is not None
    return found.enforcement, found.reason


def bind(world: World, placement: PlacementController, owner: OwnerRef, uid: str, *, asks: bool, **pod: Any) -> None:
    """A scheduler gives a pod a node, and asks before if it does ask."""
    world.up(make_pod(uid, owner, **pod))
    if asks:
        view = placement.checked(make_view(uid, owner))
        assert view is not None
        placement.filter(view, placement.owner(view), ["spot-0", "on-demand-0"], world.now)
    world.up(make_pod(uid, owner, "spot-0", **pod))


class TestSchedulers:
    def test_who_has_not_asked_yet(self, world: World) -> None:
        assert how(world) == ("affinity", Reason.SCHEDULER_UNKNOWN)
        assert how(world, OURS) == ("extender", Reason.SCHEDULER_NAMED)
        assert how(world, "second", scheduler_name="second") == ("extender", Reason.SCHEDULER_NAMED)
        assert how(world, "default-scheduler", scheduler_name="default-scheduler")[0] == "affinity"

    def test_whoever_asked_goes_on_asking_however_long_it_is_idle(
        self, world: World, placement: PlacementController
    ) -> None:
        world.nodes(spot=1, on_demand=1)
        owner = world.deployment("web", 4, spot_percentage=50)
        bind(world, placement, owner, "a", asks=True)
        world.now += 1_000_000
        placement.due(world.now)
        assert how(world) == ("extender", Reason.SCHEDULER_ASKS)

    @pytest.mark.parametrize("written", ["", "spot"])
    def test_whoever_binds_without_asking_does_not_ask(
        self, world: World, placement: PlacementController, written: str
    ) -> None:
        world.nodes(spot=1, on_demand=1)
        owner = world.deployment("web", 4, spot_percentage=50)
        for uid, name in (("a", STOCK), ("b", OURS)):
            bind(world, placement, owner, uid, asks=False, scheduler=name, written=written)
            assert how(world, name) == ("affinity", Reason.SCHEDULER_SILENT)
        # The last word counts: it was attached to us since.
        bind(world, placement, owner, "c", asks=True, scheduler=STOCK, written=written)
        assert how(world, STOCK) == ("extender", Reason.SCHEDULER_ASKS)

    def test_what_tells_nothing(self, world: World, placement: PlacementController) -> None:
        world.nodes(spot=1, on_demand=1)
        owner = world.deployment("web", 4, spot_percentage=50)
        # Bound before it was met; nobody's; in audit mode; asked about before this replica led.
        world.up(make_pod("met late", owner, "spot-0", scheduler=STOCK))
        bind(world, placement, world.deployment("plain", 1, labels={}), "b", asks=False, scheduler=STOCK)
        audited = world.deployment("audited", 1, spot_percentage=50, mode="audit")
        bind(world, placement, audited, "c", asks=False, scheduler=STOCK)
        world.up(make_pod("d", owner, scheduler=STOCK))
        placement.stop()
        bind(world, placement, owner, "e", asks=False, scheduler=STOCK)
        placement.take_over(world.now)
        world.up(make_pod("d", owner, "spot-0", scheduler=STOCK))
        assert how(world, STOCK) == ("affinity", Reason.SCHEDULER_UNKNOWN)

    def test_others_hear_of_it_and_go_on_from_there(self, world: World) -> None:
        schedulers = world.state.schedulers
        schedulers.hear({STOCK: False, "default-scheduler": True})
        assert [each.text for each in enforced_in_all(world.state)] == [
            "extender for pods of default-scheduler: the scheduler asks the extender",
            "extender for pods of spotmix: the scheduler is said to ask the extender, and has had no pod yet",
            "affinity for pods of stock: the scheduler binds pods without asking the extender",
        ]
        schedulers.listen(())
        schedulers.hear({})
        assert schedulers.asks == {STOCK: False, "default-scheduler": True}

    def test_names_have_a_bound(self, world: World) -> None:
        schedulers = world.state.schedulers
        schedulers.listen(())
        for number in range(1000):
            schedulers.bound(f"scheduler-{number}", asked=True)
        assert len(schedulers.asks) == 50
        assert "scheduler-999" in schedulers.asks


LABELS = {
    "karpenter.sh/nodepool": "Karpenter: nodes have the label karpenter.sh/nodepool",
    "cloud.google.com/gke-nodepool": "GKE: nodes have the label cloud.google.com/gke-..",
}


class TestAutoscalers:
    @pytest.fixture(autouse=True)
    def _asks(self, world: World) -> None:
        world.state.schedulers.hear({"default-scheduler": True})

    def test_nodes_tell(self, world: World) -> None:
        for text in LABELS.values():
            world.up(make_node("a", autoscaler=text))
            assert how(world) == ("affinity", Reason.AUTOSCALER_SEEN)
            assert world.state.autoscalers == (text,)
            world.gone("nodes", "uid-a")
            assert how(world) == ("extender", Reason.SCHEDULER_ASKS)

    def test_what_is_served_and_written_tells(self, world: World) -> None:
        for there, mode in ((True, "affinity"), (False, "extender"), (False, "extender")):
            world.state.apply(Sighted("cluster-autoscaler", there), world.now)
            assert how(world)[0] == mode

    def test_the_policy_counts_before_all(self, world: World) -> None:
        world.state.apply(Sighted("cluster-autoscaler", there=True), world.now)
        assert how(world, enforcement="extender") == ("extender", Reason.ENFORCED_BY_POLICY)
        assert how(world, enforcement="auto")[0] == "affinity"
        assert how(world, STOCK, enforcement="affinity") == ("affinity", Reason.ENFORCED_BY_POLICY)

    def test_no_pod_is_nominated(self, world: World, placement: PlacementController) -> None:
        names = world.nodes(on_demand=101)
        world.up(make_node("spot"))
        owner = world.deployment("web", 1, spot_percentage=100)
        for seen in (False, True):
            world.state.apply(Sighted("Karpenter", seen), world.now)
            view = make_view(f"pod-{seen}", owner)
            world.meet(view)
            decision = placement.filter(view, placement.owner(view), names, world.now)
            assert decision.reason is Reason.WAIT_SAMPLE
            (action,) = placement.due(world.now + 2)
            assert type(action).__name__ == ("Annotate" if seen else "Nominate")
            world.gone("pods", view.uid)

    def test_a_class_that_is_not_offered_again_and_again_is_not_waited_for(
        self, world: World, placement: PlacementController
    ) -> None:
        names = world.nodes(on_demand=101)
        world.up(make_node("spot"))
        world.state.apply(Sighted("Karpenter", there=True), world.now)
        owner = world.deployment("web", 1, spot_percentage=100)
        view = make_view("a", owner)
        world.meet(view)
        reasons = [placement.filter(view, placement.owner(view), names, world.now + n).reason for n in range(2)]
        assert reasons == [Reason.WAIT_SAMPLE, Reason.FALLBACK]


def test_where_pods_are_not_gated() -> None:
    world = World(PolicyRules(gates=False))
    assert how(world) == ("extender", Reason.NO_WEBHOOK)
    nobody = World()
    assert enforced_for(nobody.state, nobody.workload(nobody.deployment("web", 1))) is None
    assert list(enforced_in_all(nobody.state)) == []


def test_a_default_of_the_settings_is_told_once() -> None:
    world = World(PolicyRules(gates=True, defaults={"spotmix.io/enforcement": "affinity"}))
    world.state.schedulers.hear({STOCK: True})
    assert list(enforced_in_all(world.state)) == [Enforced("affinity", Reason.ENFORCED_BY_POLICY)]


def test_the_scheduler_of_a_workload_is_that_of_its_pods(world: World) -> None:
    owner = world.deployment("web", 2, spot_percentage=50)
    world.state.schedulers.hear({STOCK: True})
    for pod in (make_pod("a", owner, scheduler=STOCK), make_pod("a", owner, "node", scheduler=STOCK)):
        world.up(pod)
        found = enforced_for(world.state, world.workload(owner))
        assert found is not None
        assert (found.enforcement, found.scheduler) == ("extender", STOCK)


def test_a_pool_of_karpenter_tells_its_taints(world: World) -> None:
    taint = Taint("karpenter.sh/capacity-type", "spot", "NoSchedule")
    version = world.state.census.version
    world.up(NodePool("uid", "spot", (("spot", (("karpenter.sh/capacity-type", "spot"),)),), (taint,)))
    assert (world.state.census.spot_taints((SPOT,)), world.state.census.version > version) == ({taint}, True)
    world.gone("nodepools.karpenter.sh", "uid")
    assert world.state.census.spot_taints((SPOT,)) == set()
