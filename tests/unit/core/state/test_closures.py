"""A class is closed for longer each time, for whom it was refused, and opened by proof, or by time for one pod."""

from hypothesis import given
from hypothesis import strategies as st

from extender.core.model.objects import Requests
from extender.core.state.closures import LONGEST, MOST, Closures, Demand, size_of

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


@given(st.integers(1, 10**6), st.integers(0, 2**40))
def test_what_asks_for_more_is_in_no_smaller_bucket(cpu: int, memory: int) -> None:
    bucket = size_of(Requests(cpu=cpu, memory=memory))
    assert bucket <= size_of(Requests(cpu=2 * cpu, memory=2 * memory)) <= bucket + 1
