"""The seats of a split: the class of each replica, and how many of each class any size has."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender.core.policy.apportionment import ApportionedSeats, ClassShare
from extender.core.policy.seats import Seats, TwoClassSeats, filled_up, first_unfilled

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
def apportioned(draw: st.DrawFn, *, least: int = 1, boundless: bool = False) -> ApportionedSeats:
    """Up to four classes, and at least so many; where `boundless`, one or more have no cap."""
    names = draw(st.permutations(["spot", "on-demand", "reserved", "metal"]))[: draw(st.integers(least, 4))]
    percent = draw(st.integers(1 if boundless else 0, len(names)))
    return ApportionedSeats(
        tuple(
            ClassShare(
                name,
                draw(st.none() | st.integers(0, 100)),
                draw(st.integers(0, 5)),
                draw(st.integers(0, 8)),
                None if boundless and not index else draw(st.none() | st.integers(0, 25)),
                draw(st.integers(0, 100)) if index == percent else None,
            )
            for index, name in enumerate(names)
        )
    )


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


def one_by_one(seats: ApportionedSeats, replicas: int) -> Iterator[str]:
    """The class of each seat by the rules as a user reads them: who is not at its cap, and who of these is next."""
    held = dict.fromkeys(seats.classes, 0)
    weighted = {share.capacity_class for share in seats.shares if share.weight}
    for seat in range(1, replicas + 1):

        def urgency(share: ClassShare, held: Mapping[str, int] = held) -> tuple[Fraction, ...]:
            name, count = share.capacity_class, held[share.capacity_class]
            if count < share.base:
                return (Fraction(0),)
            if count < share.floor:
                return (Fraction(1),)
            if share.weight is None and (share.cap is not None or share.cap_percent is not None):
                return (Fraction(2),)
            if not share.weight:
                return (Fraction(4),)
            rounding = Fraction(1, 2)
            if len(weighted) == 2 and "spot" in weighted:
                rounding = Fraction(name == "spot")
            own = count - (share.base if share.cap is None else min(share.base, share.cap))
            return Fraction(3), (own + rounding) / share.weight, -rounding

        room = [
            share
            for share in seats.shares
            if (share.cap is None or held[share.capacity_class] < share.cap)
            and (share.cap_percent is None or held[share.capacity_class] < seat * share.cap_percent // 100)
        ]
        chosen = min(room, key=urgency).capacity_class
        held[chosen] += 1
        yield chosen


@given(apportioned(boundless=True), st.integers(0, 120))
def test_many_classes_follow_the_rules_seat_by_seat(seats: ApportionedSeats, replicas: int) -> None:
    assert [seats.class_at(seat) for seat in range(1, replicas + 1)] == list(one_by_one(seats, replicas))


@given(st.integers(0, 100), SMALL, SMALL, st.none() | st.integers(0, 150), st.booleans())
def test_two_classes_are_apportioned_by_the_formula(
    percentage: int, base: int, floor: int, cap: int | None, spot_first: bool
) -> None:
    two = TwoClassSeats(percentage, floor, cap, base)
    shares = (ClassShare("on-demand", 100 - percentage, base, floor), ClassShare("spot", percentage, cap=cap))
    seats = ApportionedSeats(shares[::-1] if spot_first else shares)
    for replicas in range(201):
        assert seats.target(replicas) == two.target(replicas)
        if replicas:
            assert seats.class_at(replicas) == two.class_at(replicas)
    for name in seats.classes:
        assert [seats.seat_of(name, rank) for rank in range(1, 201)] == [two.seat_of(name, n) for n in range(1, 201)]


@given(apportioned(boundless=True), st.integers(0, 1000) | st.integers(0, 10**18))
def test_floors_and_caps_of_many_classes(seats: ApportionedSeats, replicas: int) -> None:
    target = seats.target(replicas)
    assert sum(target.values()) == replicas
    for share in seats.shares:
        most = [cap for cap in (share.cap,) if cap is not None]
        if share.cap_percent is not None:
            most.append(replicas * share.cap_percent // 100)
        held = target[share.capacity_class]
        assert all(held <= cap for cap in most)
        if replicas >= sum(max(each.base, each.floor) for each in seats.shares):
            assert held >= min([max(share.base, share.floor), *most])


@given(apportioned(), st.integers(1, 60), st.data())
def test_a_seat_of_many_classes_that_is_said_not_to_be_never_comes(
    seats: ApportionedSeats, rank: int, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(seats.classes))
    seat = seats.seat_of(name, rank)
    if seat is None:
        assert seats.target(10**18)[name] < rank
    else:
        assert (seats.class_at(seat), seats.target(seat)[name]) == (name, rank)


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


def test_the_base_comes_first_then_the_reserved_then_the_weights() -> None:
    reserved = ClassShare("reserved", cap=4)
    seats = ApportionedSeats((reserved, ClassShare("on-demand", 30, base=2), ClassShare("spot", 70, cap_percent=80)))
    assert [seats.class_at(seat) for seat in range(1, 7)] == ["on-demand"] * 2 + ["reserved"] * 4
    assert seats.target(16) == {"reserved": 4, "on-demand": 5, "spot": 7}
    assert seats.target(106) == {"reserved": 4, "on-demand": 32, "spot": 70}


def test_a_cap_in_percent_holds_back_a_class_that_comes_first() -> None:
    seats = ApportionedSeats((ClassShare("reserved", cap_percent=50), ClassShare("spot", 1)))
    assert [seats.class_at(seat) for seat in range(1, 6)] == ["spot", "reserved", "spot", "reserved", "spot"]


def test_where_all_are_at_their_caps_the_first_takes_the_rest() -> None:
    seats = ApportionedSeats((ClassShare("a", 1, cap=2), ClassShare("b", 1, cap=3)))
    assert seats.target(10) == {"a": 7, "b": 3}
    assert (seats.seat_of("a", 3), seats.seat_of("b", 4)) == (6, None)


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ((), "there is one at least"),
        ((ClassShare("a", 1), ClassShare("a", 2)), "each class has one share"),
        ((ClassShare("a", 1, cap_percent=50), ClassShare("b", 1, cap_percent=60)), "a, b have a cap in percent"),
    ],
)
def test_what_cannot_be_apportioned_is_refused(shares: tuple[ClassShare, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ApportionedSeats(shares)


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
        wanted[first_unfilled(seats, wanted, replicas)[1]] += 1
    assert filled_up(seats, filled, replicas, more) == wanted


@given(two_class(), SMALL, st.dictionaries(st.sampled_from(["spot", "on-demand"]), SMALL))
def test_of_two_classes_one_at_most_lacks_pods_where_the_other_stands_in(
    seats: TwoClassSeats, replicas: int, filled: dict[str, int]
) -> None:
    """Why it makes no difference there on which free seats the stand-ins sit."""
    target = seats.target(replicas)
    lacking = [name for name, count in target.items() if filled.get(name, 0) < count]
    beyond = [name for name, count in filled.items() if count > target[name]]
    assert not beyond or len(lacking) <= 1
    assert first_unfilled(seats, filled, replicas) == first_unfilled(seats, filled)


@given(apportioned(least=3), SMALL, st.data())
def test_stand_ins_sit_on_the_first_free_seats(seats: ApportionedSeats, replicas: int, data: st.DataObject) -> None:
    """The pods of one class have all its seats, and `beyond` of them stand in for others."""
    target = seats.target(replicas)
    name = data.draw(st.sampled_from(seats.classes))
    filled = {each: data.draw(st.integers(0, count)) for each, count in target.items()}
    sequence = [seats.class_at(seat) for seat in range(1, replicas + 1)]
    free = [
        seat
        for seat, each in enumerate(sequence, start=1)
        if each != name and sequence[:seat].count(each) > filled[each]
    ]
    beyond = data.draw(st.integers(0, len(free)))
    seat, _ = first_unfilled(seats, {**filled, name: target[name] + beyond}, replicas)
    assert [seat] == free[beyond : beyond + 1] or (seat > replicas and beyond == len(free))


def test_a_size_of_any_number_is_filled_up_by_its_pods_alone() -> None:
    many = 10**18
    held = {"spot": 3, "on-demand": many // 2 + 2}
    assert filled_up(TwoClassSeats(50), held, many, many - sum(held.values())) == {
        "spot": many // 2 - 2,
        "on-demand": many // 2 + 2,
    }
