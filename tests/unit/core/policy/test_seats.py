"""The seats of a split: the class of each replica, and how many of each class any size has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender.core.policy.seats import ApportionedSeats, ClassShare, Seats, TwoClassSeats, filled_up, first_unfilled

REPLICAS = st.integers(0, 300)
SMALL = st.integers(0, 40)


@st.composite
def two_class(draw: st.DrawFn) -> TwoClassSeats:
    floor, base = draw(st.sampled_from([(True, False), (False, True), (False, False)]))
    return TwoClassSeats(
        draw(st.integers(0, 100)),
        draw(SMALL) if floor else 0,
        draw(st.none() | SMALL),
        draw(SMALL) if base else 0,
    )


@st.composite
def apportioned(draw: st.DrawFn) -> ApportionedSeats:
    count = draw(st.integers(1, 4))
    shares = []
    for index in range(count):
        floor = draw(st.integers(0, 5))
        cap = draw(st.none() | st.integers(floor, 20))
        shares.append(ClassShare(f"class-{index}", draw(st.integers(0, 10)), floor, cap))
    return ApportionedSeats(tuple(shares))


def formula(seats: TwoClassSeats, replicas: int) -> int:
    """The formula of the design, written a second time."""
    terms = [max(0, replicas - seats.base) * seats.percentage // 100, replicas - seats.floor]
    if seats.cap is not None:
        terms.append(seats.cap)
    return max(0, min(terms))


@given(two_class(), REPLICAS)
def test_two_classes_follow_the_formula(seats: TwoClassSeats, replicas: int) -> None:
    target = seats.target(replicas)
    assert target["spot"] == formula(seats, replicas)
    assert sum(target.values()) == replicas
    assert target["on-demand"] >= min(replicas, max(seats.floor, seats.base))
    if seats.cap is not None:
        assert target["spot"] <= seats.cap
    if replicas <= seats.floor:
        assert target["spot"] == 0


@given(two_class() | apportioned(), st.integers(0, 80))
def test_one_more_replica_is_one_more_seat(seats: Seats, replicas: int) -> None:
    before, after = seats.target(replicas), seats.target(replicas + 1)
    added = {name: after[name] - before[name] for name in seats.classes if after[name] != before[name]}
    assert added == {seats.class_at(replicas + 1): 1}


@given(two_class() | apportioned(), st.integers(1, 80))
def test_seat_of_is_the_inverse_of_class_at(seats: Seats, seat: int) -> None:
    name = seats.class_at(seat)
    assert seats.seat_of(name, seats.target(seat)[name]) == seat


@given(two_class(), st.integers(1, 60), st.sampled_from(["spot", "on-demand"]))
def test_a_seat_that_is_said_not_to_be_never_comes(seats: TwoClassSeats, rank: int, name: str) -> None:
    seat = seats.seat_of(name, rank)
    if seat is None:
        assert seats.target(1_000_000)[name] < rank
    else:
        assert seats.class_at(seat) == name
        assert seats.target(seat)[name] == rank


@given(apportioned(), st.integers(0, 80))
def test_floors_and_caps_of_many_classes(seats: ApportionedSeats, replicas: int) -> None:
    target = seats.target(replicas)
    floors = sum(share.floor for share in seats.shares)
    room = any(share.cap is None for share in seats.shares) or replicas <= sum(share.cap or 0 for share in seats.shares)
    for share in seats.shares:
        if replicas >= floors:
            assert target[share.capacity_class] >= share.floor
        if share.cap is not None and room:
            assert target[share.capacity_class] <= share.cap


@given(st.lists(st.integers(1, 10), min_size=2, max_size=4), st.integers(1, 120))
def test_webster_is_never_a_whole_seat_below_its_quota(weights: list[int], replicas: int) -> None:
    """With equal weights exactly fair, and in general within one seat of the quota for up to four classes' rounds."""
    seats = ApportionedSeats(tuple(ClassShare(str(i), w) for i, w in enumerate(weights)))
    target = seats.target(replicas)
    total = sum(weights)
    # Sainte-Lague minimises the greatest of seats/weight pairs: no transfer of one seat brings it closer.
    for i, a in enumerate(weights):
        for j, b in enumerate(weights):
            assert (2 * target[str(i)] - 1) * b <= (2 * target[str(j)] + 1) * a or i == j
    if replicas % total == 0:
        assert [target[str(i)] for i in range(len(weights))] == [w * replicas // total for w in weights]


@given(two_class(), st.dictionaries(st.sampled_from(["spot", "on-demand"]), st.integers(0, 50)))
def test_the_first_unfilled_seat_has_no_free_one_below(seats: TwoClassSeats, filled: dict[str, int]) -> None:
    seat, name = first_unfilled(seats, filled)
    assert seats.class_at(seat) == name
    below = seats.target(seat - 1)
    assert all(below[c] <= filled.get(c, 0) for c in seats.classes)
    assert below[name] == filled.get(name, 0)


@given(two_class(), st.integers(0, 120))
def test_filling_seats_one_by_one_gives_the_target(seats: TwoClassSeats, replicas: int) -> None:
    filled = {"spot": 0, "on-demand": 0}
    for _ in range(replicas):
        filled[first_unfilled(seats, filled)[1]] += 1
    assert filled == seats.target(replicas)


@pytest.mark.parametrize(
    ("seats", "replicas", "spot"),
    [
        (TwoClassSeats(70, floor=1), 10, 7),
        (TwoClassSeats(70), 0, 0),
        (TwoClassSeats(100), 5, 5),
        (TwoClassSeats(0), 5, 0),
        (TwoClassSeats(100, floor=3), 2, 0),
        (TwoClassSeats(60), 5, 3),
        (TwoClassSeats(90, cap=2), 10, 2),
        (TwoClassSeats(50, base=4), 10, 3),
    ],
)
def test_examples(seats: TwoClassSeats, replicas: int, spot: int) -> None:
    assert seats.target(replicas) == {"spot": spot, "on-demand": replicas - spot}


def test_a_class_nobody_has_has_no_seats() -> None:
    assert TwoClassSeats(50).seat_of("reserved", 1) is None
    assert ApportionedSeats((ClassShare("a", 1),)).seat_of("b", 1) is None


def test_when_all_weighted_classes_are_full_an_open_one_takes_the_rest() -> None:
    seats = ApportionedSeats((ClassShare("spot", 1, cap=2), ClassShare("on-demand", 0)))
    assert seats.target(5) == {"spot": 2, "on-demand": 3}
    assert seats.seat_of("on-demand", 1) == 3


@given(st.one_of(two_class(), apportioned()), SMALL, st.data())
def test_filling_up_fills_the_first_free_seats_one_by_one(seats: Seats, replicas: int, data: st.DataObject) -> None:
    filled = {name: data.draw(SMALL) for name in seats.classes}
    more = data.draw(st.integers(-3, max(0, replicas - sum(filled.values()))))
    wanted = dict(filled)
    for _ in range(more):
        wanted[first_unfilled(seats, wanted)[1]] += 1
    assert filled_up(seats, filled, replicas, more) == wanted


def test_a_size_of_any_number_is_filled_up_by_its_pods_alone() -> None:
    many = 10**18
    held = {"spot": 3, "on-demand": many // 2 + 2}
    assert filled_up(TwoClassSeats(50), held, many, many - sum(held.values())) == {
        "spot": many // 2 - 2,
        "on-demand": many // 2 + 2,
    }
