"""Beyond 100 nodes the scheduler offers a sample: what it leaves out is nominated instead of fallen back from."""

from typing import Any

import pytest
from support.doubles import NO_SCHEDULE, World, make_node, make_pod, make_view

from extender.core.model.objects import OwnerRef, Requests
from extender.core.model.reasons import Reason
from extender.core.placement.decide import MIN_SAMPLE, REFUSALS, REFUSED_FOR, Decision, PodView
from extender.core.state.waiting import Waiting


@pytest.fixture
def world() -> World:
    return World()


def waiting(world: World, pod: str = "p") -> Waiting:
    found = world.state.waiting.get(pod)
    assert found is not None
    return found


def retry(world: World, owner: OwnerRef, offered: list[str], nominated: str = "") -> Decision:
    return world.place(owner, offered, uid="p", nominated=nominated)[1]


def test_not_offered_is_not_no_room(world: World) -> None:
    sample = world.nodes(on_demand=MIN_SAMPLE)
    world.nodes(spot=2)
    world.up(make_pod("other", None, "spot-0"))
    owner = world.deployment("web", 1, spot_percentage=100)
    decision = retry(world, owner, sample)
    assert (decision.reason, decision.nodes) == (Reason.WAIT_SAMPLE, ())
    assert waiting(world).node == "spot-1"
    # The scheduler tries a nominated node alone and first.
    decision = retry(world, owner, ["spot-1"], "spot-1")
    assert (decision.reason, decision.nodes) == (Reason.SEAT, ["spot-1"])


def test_below_the_least_sample_all_feasible_nodes_are_offered(world: World) -> None:
    sample = world.nodes(on_demand=MIN_SAMPLE - 1)
    world.nodes(spot=1)
    owner = world.deployment("web", 1, spot_percentage=100)
    assert retry(world, owner, sample).reason is Reason.FALLBACK


@pytest.mark.parametrize(
    "fields",
    [
        {"taints": (NO_SCHEDULE,)},
        {"allocatable": Requests(cpu=50)},
        {"unschedulable": True},
        {"going_away": "x"},
        {"max_pods": 0},
    ],
)
def test_a_node_that_would_not_fit_is_no_room(world: World, fields: dict[str, Any]) -> None:
    sample = world.nodes(on_demand=MIN_SAMPLE)
    world.nodes(spot=1, **fields)
    owner = world.deployment("web", 1, spot_percentage=100)
    assert retry(world, owner, sample).reason is Reason.FALLBACK


def test_a_nominee_is_kept_until_it_was_tried(world: World) -> None:
    sample = world.nodes(on_demand=MIN_SAMPLE)
    world.nodes(spot=3)
    owner = world.deployment("web", 1, spot_percentage=100)
    retry(world, owner, sample)
    first = waiting(world).node
    world.up(make_pod("other", None, first))
    assert retry(world, owner, sample).reason is Reason.WAIT_SAMPLE
    assert waiting(world).node == first
    world.up(make_node(first, going_away="taint"))
    retry(world, owner, sample)
    assert waiting(world).node not in ("", first)


def test_refused_nominees_are_left_alone_for_a_while(world: World) -> None:
    sample = world.nodes(on_demand=MIN_SAMPLE)
    world.nodes(spot=5)
    owner = world.deployment("web", 1, spot_percentage=100)
    retry(world, owner, sample)
    tried = []
    for _ in range(REFUSALS):
        tried.append(waiting(world).node)
        # The full list comes although a node is nominated: the scheduler's own filters refused it.
        decision = retry(world, owner, sample, tried[-1])
    assert len(set(tried)) == REFUSALS
    assert decision.reason is Reason.FALLBACK


def test_who_waits_for_its_class_is_woken_when_refused_nodes_may_be_tried_again(world: World) -> None:
    sample = world.nodes(on_demand=MIN_SAMPLE)
    world.nodes(spot=1)
    owner = world.deployment("web", 1, spot_percentage=100, when_unsatisfiable="wait")
    retry(world, owner, sample)
    decision = retry(world, owner, sample, "spot-0")
    assert decision.reason is Reason.WAIT_CLASS
    assert waiting(world).refused == {"spot-0"}
    assert waiting(world).wake_at == world.now + REFUSED_FOR
    world.now += REFUSED_FOR - 1
    assert retry(world, owner, sample).reason is Reason.WAIT_CLASS
    world.now += 1
    assert retry(world, owner, sample).reason is Reason.WAIT_SAMPLE
    assert waiting(world).node == "spot-0"


def test_a_nominated_node_of_another_class_is_rejected_alone(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 1, spot_percentage=100)
    decision = retry(world, owner, ["on-demand-0"], "on-demand-0")
    assert (decision.reason, decision.nodes) == (Reason.WAIT_NOMINATED, ())
    # The others follow in the same cycle.
    assert retry(world, owner, ["on-demand-0", "spot-0"], "on-demand-0").nodes == ["spot-0"]


def test_a_single_offered_node_that_is_not_nominated_is_all_there_is(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 1, spot_percentage=100)
    assert retry(world, owner, offered).reason is Reason.FALLBACK


def test_fallback_after_counts_from_the_first_time_it_lacked_its_class(world: World) -> None:
    sample = world.nodes(on_demand=MIN_SAMPLE)
    world.nodes(spot=1)
    owner = world.deployment("web", 1, spot_percentage=100, fallback_after="30s")
    retry(world, owner, sample)
    world.now += 10
    decision = retry(world, owner, sample, "spot-0")
    assert decision.reason is Reason.WAIT_FALLBACK
    assert waiting(world).wake_at == 1030.0


def test_the_stand_in_may_be_outside_the_sample_too(world: World) -> None:
    sample = [f"on-demand-{n}" for n in range(MIN_SAMPLE)]
    world.up(*(make_node(name, "reserved") for name in sample))
    world.up(make_node("last", "on-demand"))
    owner = world.deployment("web", 1, spot_percentage=100)
    assert retry(world, owner, sample).reason is Reason.WAIT_SAMPLE
    assert waiting(world).node == "last"


def make_view_of(owner: OwnerRef) -> PodView:
    return make_view("p", owner)


class TestPoolCaps:
    @pytest.fixture
    def sample(self, world: World) -> list[str]:
        """A sample with one spot node of pool a, which is full; b is not in it."""
        offered = world.nodes(on_demand=MIN_SAMPLE)
        world.up(make_node("spot-a", zone="a"), make_node("spot-b", zone="b"))
        return [*offered, "spot-a"]

    def owner(self, world: World) -> OwnerRef:
        owner = world.deployment("web", 3, spot_percentage=100, max_per_pool=1)
        world.up(make_pod("seen", owner, "spot-a"))
        return owner

    def test_a_free_pool_outside_the_sample_is_nominated(self, world: World, sample: list[str]) -> None:
        owner = self.owner(world)
        assert retry(world, owner, sample).reason is Reason.WAIT_SAMPLE
        assert waiting(world).node == "spot-b"

    def test_a_full_pool_outside_the_sample_is_not(self, world: World, sample: list[str]) -> None:
        owner = self.owner(world)
        assert retry(world, owner, sample[:-1]).reason is Reason.WAIT_SAMPLE
        assert waiting(world).node == "spot-b"

    def test_a_nominated_seat_counts_for_its_pool(self, world: World, sample: list[str]) -> None:
        owner = self.owner(world)
        retry(world, owner, sample)
        assert world.place(owner, sample, uid="q")[1].reason is Reason.FALLBACK
        assert retry(world, owner, ["spot-b"], "spot-b").nodes == ["spot-b"]


class TestLimit:
    @pytest.fixture
    def offered(self, world: World) -> list[str]:
        made = [make_node(f"spot-{n:03}", zone="abc"[n % 3]) for n in range(300)]
        world.up(*made)
        return [node.name for node in made]

    def test_few_nodes_pass_spread_over_pools(self, world: World, offered: list[str]) -> None:
        owner = world.deployment("web", 9, spot_percentage=100)
        decision = world.decide(make_view_of(owner), offered, 30)
        assert decision.nodes is not None
        zones = [int(name[-3:]) % 3 for name in decision.nodes]
        assert [zones.count(zone) for zone in range(3)] == [10, 10, 10]
        assert decision.nodes == world.decide(make_view_of(owner), offered, 30).nodes

    def test_emptier_pools_come_first(self, world: World, offered: list[str]) -> None:
        owner = world.deployment("web", 9, spot_percentage=100)
        world.up(make_pod("s1", owner, "spot-000"), make_pod("s2", owner, "spot-001"))
        decision = world.decide(make_view_of(owner), offered, 1)
        assert decision.nodes is not None
        assert [int(name[-3:]) % 3 for name in decision.nodes] == [2]

    def test_a_limit_above_what_is_there_changes_nothing(self, world: World, offered: list[str]) -> None:
        owner = world.deployment("web", 9, spot_percentage=100)
        assert world.decide(make_view_of(owner), offered, 300).nodes == offered
        assert set(world.decide(make_view_of(owner), offered, 299).nodes or ()) < set(offered)
