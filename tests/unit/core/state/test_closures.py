"""A class is closed for longer each time, for whom it was refused, and opened by proof, or by time for one pod."""

from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import CAPACITY_TYPE, World, make_pod

from extender.core.model.constraints import Constraints
from extender.core.model.objects import Requests
from extender.core.model.selectors import Requirement
from extender.core.state.closures import LONGEST, MOST, Closures, Demand, demand_of, size_of

ZONE = "topology.kubernetes.io/zone"
SMALL, BIG, ZONAL = Demand(size=2), Demand(size=5), Demand(frozenset({"a"}), 2)


def closures(*waiting: str) -> Closures:
    return Closures(waiting.__contains__)


def is_closed(kept: Closures, demand: Demand, now: float, scope: str = "", pod: str = "") -> bool:
    return kept.closed("spot", demand, now, scope, pod) is not None


def test_for_whoever_asks_for_as_much_or_more() -> None:
    kept = closures()
    kept.close("spot", SMALL, 0.0, "none")
    assert [is_closed(kept, each, 1.0) for each in (SMALL, BIG, ZONAL, Demand(size=1))] == [True, True, True, False]
    assert kept.closed("on-demand", SMALL, 1.0) is None


def test_for_one_workload_where_nothing_more_is_known() -> None:
    kept = closures()
    kept.close("spot", SMALL, 0.0, "none", scope="web")
    assert (is_closed(kept, SMALL, 1.0, "web"), is_closed(kept, SMALL, 1.0, "db")) == (True, False)


def test_for_twice_as_long_each_time_and_once_for_what_is_refused_together() -> None:
    kept, now, lengths = closures(), 0.0, []
    for _ in range(8):
        kept.close("spot", SMALL, now, "none")
        kept.close("spot", SMALL, now + 1, "none")
        kept.close("spot", BIG, now + 1, "none")
        (one,) = kept.all()
        lengths.append(one.until - now)
        now = one.until
    assert lengths == [60, 120, 240, 480, 960, 1800, 1800, LONGEST]


def test_when_its_time_is_over_one_pod_tries_and_the_others_wait_how_it_fares() -> None:
    kept = closures("probe")
    kept.close("spot", SMALL, 0.0, "none")
    assert is_closed(kept, SMALL, 59.0, pod="probe")
    assert not is_closed(kept, SMALL, 60.0, pod="probe")
    kept.let_try("spot", SMALL, "", "probe")
    assert not is_closed(kept, SMALL, 61.0, pod="probe")
    assert is_closed(kept, SMALL, 61.0, pod="next")
    kept.close("spot", SMALL, 62.0, "none again")
    assert [(each.level, each.until, each.probe) for each in kept.all()] == [(1, 182.0, "")]
    assert is_closed(kept, SMALL, 63.0, pod="probe")


def test_a_pod_that_tried_and_is_gone_holds_nobody_up() -> None:
    kept = closures()
    kept.close("spot", SMALL, 0.0, "none")
    kept.let_try("spot", SMALL, "", "gone")
    assert not is_closed(kept, SMALL, 61.0, pod="next")


def test_proof_opens_what_it_proves_unless_that_was_refused_later() -> None:
    kept = closures()
    kept.close("spot", SMALL, 10.0, "none")
    kept.close("spot", Demand(frozenset({"b"}), 1), 10.0, "none")
    kept.close("on-demand", SMALL, 10.0, "none")
    kept.prove("spot", BIG.covers, 9.0)
    assert len(kept) == 3
    kept.prove("spot", BIG.covers, 10.0)
    assert {(each.capacity_class, each.demand.size) for each in kept.all()} == {("spot", 1), ("on-demand", 2)}
    kept.prove("on-demand", BIG.covers, 10.0)
    kept.close("on-demand", SMALL, 11.0, "none")
    assert next(each for each in kept.all() if each.capacity_class == "on-demand").level == 0


def test_there_are_not_more_than_a_few() -> None:
    kept = closures()
    for number in range(MOST + 5):
        kept.close("spot", Demand(frozenset({number})), float(number), "none")
    assert len(kept) == MOST
    assert not is_closed(kept, Demand(frozenset({0})), 5.0)


def test_a_pod_that_is_let_try_holds_up_none_of_another_workload_or_class() -> None:
    kept = closures("probe")
    for capacity_class, scope in (("spot", "web"), ("spot", "db"), ("on-demand", "web")):
        kept.close(capacity_class, SMALL, 0.0, "none", scope=scope)
    kept.let_try("spot", SMALL, "web", "probe")
    assert (is_closed(kept, SMALL, 61.0, "web"), is_closed(kept, SMALL, 61.0, "db")) == (True, False)
    assert kept.closed("on-demand", SMALL, 61.0, "web") is None


def test_who_was_let_through_is_known_while_it_waits() -> None:
    waiting = {"a", "b"}
    kept = Closures(waiting.__contains__)
    kept.let_through("a")
    kept.let_through("b")
    assert kept.through == {"a", "b"}
    waiting.remove("a")
    kept.let_through("b")
    assert kept.through == {"b"}


IN_A, IN_B = Requirement(ZONE, "In", ("a",)), Requirement(ZONE, "In", ("b",))
OF_SPOT = Requirement(CAPACITY_TYPE, "In", ("spot",))


@pytest.mark.parametrize(
    ("terms", "narrow"),
    [
        (None, frozenset()),
        (((OF_SPOT,),), frozenset()),
        (((OF_SPOT, IN_A),), frozenset({IN_A})),
        (((OF_SPOT, IN_A), (IN_A,)), frozenset({IN_A})),
        (((IN_A,), (IN_B,)), frozenset({frozenset({(IN_A,), (IN_B,)})})),
        # One of several terms asks for nothing but the class: so does the pod.
        (((IN_A,), (OF_SPOT,)), frozenset()),
    ],
)
def test_what_is_asked_of_a_node_beside_its_class(
    terms: tuple[tuple[Requirement, ...], ...] | None, narrow: frozenset[Hashable]
) -> None:
    world = World()
    world.up(make_pod("p", constraints=Constraints(node_terms=terms)))
    assert demand_of(world.state.pods["p"], frozenset({CAPACITY_TYPE})).narrow == narrow


@pytest.mark.parametrize(
    ("asked", "bucket"),
    [
        (Requests(cpu=125), 1),
        (Requests(cpu=126), 2),
        (Requests(memory=512 * 2**20), 1),
        (Requests(memory=512 * 2**20 + 1), 2),
        (Requests(cpu=125, memory=4 * 2**30), 4),
    ],
)
def test_sizes_are_told_apart_by_twos(asked: Requests, bucket: int) -> None:
    assert size_of(asked) == bucket


@given(st.integers(1, 10**6), st.integers(0, 2**40))
def test_what_asks_for_more_is_in_no_smaller_bucket(cpu: int, memory: int) -> None:
    bucket = size_of(Requests(cpu=cpu, memory=memory))
    assert bucket <= size_of(Requests(cpu=2 * cpu, memory=2 * memory)) <= bucket + 1
