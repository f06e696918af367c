"""Jobs that interruptions hit again and again: from the N-th lost pod on the others go to on-demand."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ON_DEMAND, SPOT, World, make_node, make_owner, make_pod, make_policy, make_view, shares

from extender.core.model.objects import OwnerRef, Pod
from extender.core.model.policies import PlacementPolicy, PolicyStatus
from extender.core.model.reasons import Reason
from extender.core.placement.decide import Decision
from extender.core.state.outbox import GoesOnDemand
from extender.core.state.waiting import Waiting

POLICY = "uid-batch"


def batch(**fields: Any) -> PlacementPolicy:
    return make_policy("batch", **{**shares(100), "on_demand_after": 2, **fields})


class LossyJob:
    """A Job that wants all its pods on spot, and loses some."""

    def __init__(self, policy: PlacementPolicy | None = None) -> None:
        self.world = World()
        self.nodes = self.world.nodes(spot=1, on_demand=1)
        self.policy = policy or batch()
        self.job = make_owner("Job", "render", 3)
        self.world.up(self.policy, self.job)

    def decide(self, name: str) -> Decision:
        return self.world.decide(make_view(name, self.job.ref), self.nodes)

    def lose(self, name: str, node: str = "spot-0", **fields: Any) -> Pod:
        """A pod that runs, and is taken from its node."""
        pod = make_pod(name, self.job.ref, node)
        lost = replace(pod, **{"disrupted": True, "terminating": True, **fields})
        self.world.up(pod, lost)
        return lost

    def events(self) -> int:
        return sum(isinstance(each, GoesOnDemand) for each in self.world.state.outbox.take_effects())


def test_from_the_nth_on_the_others_go_to_on_demand() -> None:
    batch = LossyJob()
    batch.lose("a")
    assert batch.decide("b").capacity_class == SPOT
    assert batch.events() == 0
    batch.lose("b")
    assert batch.events() == 1
    found = batch.decide("c")
    assert (found.capacity_class, found.reason) == (ON_DEMAND, Reason.INTERRUPTED_BEFORE)
    # It is told once.
    batch.lose("c")
    assert batch.events() == 0


def test_a_pod_counts_once() -> None:
    batch = LossyJob()
    lost = batch.lose("a")
    batch.world.up(lost, replace(lost, ended=True, failed=True))
    assert batch.decide("b").capacity_class == SPOT


@pytest.mark.parametrize(
    "fields",
    [
        {"disrupted": False},
        {"terminating": False},
        {"terminating": False, "ended": True},
        {"node": "on-demand-0"},
        {"disrupted": False, "terminating": False, "ended": True, "failed": True},
    ],
)
def test_other_ends_do_not_count(fields: dict[str, Any]) -> None:
    batch = LossyJob()
    batch.lose("a", **fields)
    batch.lose("b", **fields)
    assert batch.decide("c").capacity_class == SPOT


def test_a_pod_that_fails_on_a_node_that_is_taken_back_counts() -> None:
    batch = LossyJob()
    batch.world.up(make_node("spot-0", SPOT, reclaimed=True))
    for name in "ab":
        batch.lose(name, disrupted=False, terminating=False, ended=True, failed=True)
    batch.world.up(make_node("spot-0", SPOT))
    assert batch.decide("c").capacity_class == ON_DEMAND


def test_pods_of_others_than_jobs_do_not_count() -> None:
    world = World()
    nodes = world.nodes(spot=1, on_demand=1)
    world.up(batch(), make_owner("ReplicaSet", "web", 3))
    owner = OwnerRef("uid-ReplicaSet-web", "apps/v1", "ReplicaSet", "web")
    for name in "ab":
        world.up(make_pod(name, owner, "spot-0", disrupted=True, terminating=True))
    assert world.decide(make_view("c", owner), nodes).capacity_class == SPOT


def test_what_the_status_tells_counts_after_a_restart() -> None:
    first = LossyJob()
    first.lose("a")
    status = PolicyStatus(lost=first.world.state.losses.status(POLICY))
    assert status.lost == ((first.job.uid, ("a",)),)
    second = LossyJob(replace(first.policy, status=status))
    second.lose("a")
    assert second.decide("b").capacity_class == SPOT
    second.lose("b")
    assert second.decide("c").capacity_class == ON_DEMAND
    # More than make a difference are not told.
    second.lose("c")
    assert second.world.state.losses.status(POLICY) == ((second.job.uid, ("a", "b")),)
    second.world.gone("jobs.batch", second.job.uid)
    assert second.world.state.losses.status(POLICY) == ()


def test_what_was_lost_before_the_job_is_known_counts() -> None:
    world = World()
    nodes = world.nodes(spot=1, on_demand=1)
    job = make_owner("Job", "render", 3)
    for name in "ab":
        world.up(make_pod(name, job.ref, "spot-0", disrupted=True, ended=True, failed=True))
    world.up(job, batch())
    assert world.decide(make_view("c", job.ref), nodes).capacity_class == ON_DEMAND


def test_a_pod_that_waits_for_spot_is_tried_again() -> None:
    batch = LossyJob()
    batch.lose("a")
    batch.world.up(make_pod("c", batch.job.ref))
    batch.world.state.apply(Waiting("c", "shop", "c", batch.job.uid, SPOT, Reason.WAIT_CLASS, 0.0), 0.0)
    batch.world.woken()
    batch.lose("b")
    assert batch.world.woken() == {"c"}
