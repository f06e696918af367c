"""What a change would come to: prices, what cannot be, and that it can be made in steps."""

import itertools
from collections.abc import Generator

import pytest
from support.doubles import ENABLED, ON_DEMAND, SPOT, World, make_owner
from support.whatif import WEB, ask, fill, nodes, one

from extender.core.answers.plan import WorkloadName
from extender.core.model.errors import ChangeError, NotFoundError
from extender.core.model.reasons import Reason
from extender.core.whatif.outlook import Change, LostPool, WhatIf
from extender.core.whatif.what_if import what_if, what_if_in_steps


@pytest.fixture
def world() -> World:
    return World()


def test_prices_of_classes_that_are_used_have_to_be_known(world: World) -> None:
    names = nodes(world, SPOT, 20) + nodes(world, ON_DEMAND, 20)
    fill(world, world.deployment("web", 4, spot_percentage=50), 4, names)
    assert one(ask(world, Change(WEB, 6, prices={SPOT: 0.3})))[1].cost is None
    assert ask(world, Change(WEB, 6)).after.cost is None


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (Change(), ChangeError, "nothing is changed"),
        (Change(replicas=3), ChangeError, "name one"),
        (Change(WEB, -1), ChangeError, "replicas is -1; write a whole number from 0"),
        (Change(WEB, 10_001), ChangeError, "10000"),
        (Change(WEB, policy={"spot-percent": "3"}), ChangeError, "did you mean spot-percentage"),
        (Change(WEB, policy={"colour": "red"}), ChangeError, "keys are spot-percentage, min-on-demand"),
        (Change(WEB, 1, prices={SPOT: -1.0}), ChangeError, "price of spot"),
        (Change(lost_pools=(LostPool(),)), ChangeError, "no class, instance type or zone"),
        (Change(lost_pools=(LostPool(SPOT, "m5"),)), NotFoundError, r"spot/m5/\*; there are on-demand/m.large/a, spot"),
        (Change(WorkloadName("shop", "deploy", "none"), 1), NotFoundError, 'no deployment "none" in namespace "shop"'),
        (Change(WorkloadName("lab", "deploy", "web"), 1), NotFoundError, "there is one in shop"),
        (Change(WorkloadName("shop", "cj", "night"), 1), ChangeError, "name one of these"),
        (Change(WorkloadName("shop", "rollout", "r"), 1), ChangeError, "cannot be scaled"),
        (
            Change(WorkloadName("kube-system", "sts", "dns"), 1, {"spot": "1"}),
            ChangeError,
            "so that a cluster can boot",
        ),
    ],
)
def test_what_cannot_be_is_said(world: World, change: Change, error: type[Exception], says: str) -> None:
    names = nodes(world, SPOT, 9) + nodes(world, ON_DEMAND, 9)
    fill(world, world.deployment("web", 2, spot_percentage=50), 2, names)
    world.up(
        make_owner("CronJob", "night", labels=ENABLED),
        make_owner("Rollout", "r", labels=ENABLED),
        make_owner("StatefulSet", "dns", 2, namespace="kube-system"),
    )
    with pytest.raises(error, match=says):
        what_if(world.state, change, world.now)


def test_a_cluster_without_nodes(world: World) -> None:
    world.deployment("web", 2, spot_percentage=50)
    with pytest.raises(NotFoundError, match="the cluster has no nodes"):
        ask(world, Change(lost_pools=(LostPool(SPOT),)))
    before, after = one(ask(world, Change(WEB, 3)))
    assert (before.pending, after.pending) == ({Reason.NO_NODE: 2}, {Reason.NO_NODE: 3})


def test_a_replica_set_of_a_deployment_means_the_deployment(world: World) -> None:
    names = nodes(world, SPOT, 9) + nodes(world, ON_DEMAND, 9)
    fill(world, world.deployment("web", 2, spot_percentage=50), 2, names)
    assert ask(world, Change(WorkloadName("shop", "rs", "web-1"), 4)).workloads[0].kind == "Deployment"


def test_it_can_be_made_in_steps(world: World) -> None:
    names = nodes(world, SPOT, 1000) + nodes(world, ON_DEMAND, 1000)
    fill(world, world.deployment("web", 900, spot_percentage=50), 900, names)
    change = Change(WEB, 1200, lost_pools=(LostPool(SPOT),))
    pauses, found = through(what_if_in_steps(world.state, change, world.now))
    assert found == what_if(world.state, change, world.now)
    assert pauses > 5


def through(steps: Generator[None, None, WhatIf]) -> tuple[int, WhatIf]:
    for pauses in itertools.count():
        try:
            next(steps)
        except StopIteration as end:
            return pauses, end.value
    raise AssertionError
