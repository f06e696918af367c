"""Costs by seat: a ReplicaSet that deletes the cheapest pod first stays at its split."""

import re
from random import Random
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.doubles import World, make_pod

from extender.core.model.objects import OwnerRef, Pod
from extender.core.scalein.costs import BAND, BASE, cost_of, costs_to_write, is_foreign, seat_in
from extender.core.state.records import PodRecord

RANDOM = st.randoms(use_true_random=True)


class Fleet:
    """The pods of a ReplicaSet as the API server has them; `write` is what our patches do."""

    def __init__(self, replicas: int, **policy: Any) -> None:
        self.world = World()
        self.offered = self.world.nodes(spot=2, on_demand=2)
        self.owner: OwnerRef = self.world.deployment("web", replicas, **policy)
        self.seats = self.world.workload(self.owner).policy.seats
        self.pods: dict[str, Pod] = {}
        self.grow(replicas)

    def grow(self, count: int) -> None:
        for _ in range(count):
            pod, _ = self.world.place(self.owner, self.offered)
            self.put(msgspec.structs.replace(pod, created=float(len(self.pods))))

    def put(self, pod: Pod) -> None:
        self.pods[pod.uid] = pod
        self.world.up(pod)

    def costs(self) -> dict[str, int]:
        revision = self.world.state.revisions.get(self.owner.uid)
        written: list[tuple[PodRecord, int]] = list(costs_to_write(revision, self.seats)) if revision else []
        return {record.uid: cost for record, cost in written}

    def write(self) -> int:
        costs = self.costs()
        for uid, cost in costs.items():
            self.put(msgspec.structs.replace(self.pods[uid], cost=str(cost)))
        return len(costs)

    def leave(self, uid: str) -> None:
        del self.pods[uid]
        self.world.gone("pods", uid)

    def scale_in(self) -> None:
        """What a ReplicaSet does when all its pods are ready."""
        self.leave(min(self.pods.values(), key=lambda pod: int(pod.cost or 0)).uid)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100), st.integers(0, 3), st.integers(1, 25))
def test_scale_in_lands_on_the_target_of_every_size(percentage: int, floor: int, replicas: int) -> None:
    fleet = Fleet(replicas, spot_percentage=percentage, min_on_demand=floor)
    fleet.write()
    for left in range(replicas - 1, -1, -1):
        fleet.scale_in()
        wanted = {name: count for name, count in fleet.seats.target(left).items() if count}
        assert fleet.world.split(fleet.owner) == wanted


@settings(max_examples=60, deadline=None)
@given(RANDOM, st.integers(0, 100), st.integers(2, 20))
def test_it_does_after_pods_were_lost_and_replaced_too(random: Random, percentage: int, replicas: int) -> None:
    fleet = Fleet(replicas, spot_percentage=percentage)
    fleet.write()
    for _ in range(4):
        fleet.leave(random.choice(list(fleet.pods)))
        if random.random() < 0.5:
            # Before the replacement comes at most one pod moves up to the free seat.
            assert fleet.write() <= 1
        fleet.grow(1)
        assert fleet.write() <= 1
        assert fleet.costs() == {}
    for left in range(replicas - 1, -1, -1):
        fleet.scale_in()
        wanted = {name: count for name, count in fleet.seats.target(left).items() if count}
        assert fleet.world.split(fleet.owner) == wanted


def test_growth_leaves_seated_pods_alone() -> None:
    fleet = Fleet(10, spot_percentage=70)
    assert fleet.write() == 10
    seated = set(fleet.pods)
    fleet.grow(5)
    assert set(fleet.costs()) == set(fleet.pods) - seated


def test_a_cost_of_somebody_else_stays() -> None:
    fleet = Fleet(3)
    for uid, cost in zip(list(fleet.pods), ("-5", "2147483647", "none"), strict=True):
        fleet.put(msgspec.structs.replace(fleet.pods[uid], cost=cost))
    assert fleet.costs() == {}


@settings(max_examples=60, deadline=None)
@given(RANDOM, st.integers(0, 100), st.integers(0, 3), st.integers(2, 20))
def test_pods_that_somebody_keeps_or_gives_up_cost_no_more_than_their_number(
    random: Random, percentage: int, floor: int, replicas: int
) -> None:
    fleet = Fleet(replicas, spot_percentage=percentage, min_on_demand=floor)
    fleet.write()
    kept = set(random.sample(list(fleet.pods), random.randint(0, replicas // 2)))
    for uid in kept:
        fleet.put(msgspec.structs.replace(fleet.pods[uid], cost=str(random.choice((-7, 17, BASE, 2**31 - 1)))))
    fleet.write()
    assert not kept & set(fleet.costs())
    for left in range(replicas - 1, -1, -1):
        fleet.scale_in()
        split, target = fleet.world.split(fleet.owner), fleet.seats.target(left)
        off = sum(abs(split.get(name, 0) - count) for name, count in target.items()) // 2
        assert off <= len(kept)


def test_a_pod_that_is_kept_for_good_sits_on_the_first_seat_of_its_class() -> None:
    fleet = Fleet(10, spot_percentage=50)
    fleet.write()
    last = min(fleet.pods.values(), key=lambda pod: int(pod.cost or 0))
    fleet.put(msgspec.structs.replace(last, cost="2147483647"))
    assert fleet.write() == 1
    for left in range(9, 1, -1):
        fleet.scale_in()
        assert fleet.world.split(fleet.owner) == {n: c for n, c in fleet.seats.target(left).items() if c}
    assert last.uid in fleet.pods


def test_a_pod_that_is_given_up_leaves_the_rest_right() -> None:
    fleet = Fleet(10, spot_percentage=50)
    fleet.write()
    first = max(fleet.pods.values(), key=lambda pod: int(pod.cost or 0))
    fleet.put(msgspec.structs.replace(first, cost="-1"))
    assert fleet.write() == 1
    for left in range(9, 0, -1):
        fleet.scale_in()
        split, target = fleet.world.split(fleet.owner), fleet.seats.target(left)
        assert abs(split.get("spot", 0) - target["spot"]) <= (left == 9)


def test_a_cost_in_our_band_that_is_not_ours_stays() -> None:
    fleet = Fleet(4, spot_percentage=50)
    uid = next(iter(fleet.pods))
    fleet.put(msgspec.structs.replace(fleet.pods[uid], cost=str(cost_of(70))))
    assert uid in fleet.costs()
    revision = fleet.world.state.revisions[fleet.owner.uid]
    record = fleet.world.state.pods[uid]
    theirs = {uid: str(cost_of(70))}
    written = list(costs_to_write(revision, fleet.seats, theirs))
    assert len(written) == 3
    assert record not in {pod for pod, _ in written}
    assert is_foreign(record, theirs)
    assert not is_foreign(record, {uid: str(cost_of(71))})
    # It has the seat that was free all the same: nobody else takes it.
    assert {cost for _, cost in written} == {cost_of(seat) for seat in (2, 3, 4)}


def test_pods_of_a_class_without_seats_leave_first_and_keep_their_cost() -> None:
    fleet = Fleet(4)
    for number in range(2):
        fleet.put(make_pod(f"surplus-{number}", fleet.owner, "spot-0", created=100.0 + number))
    fleet.write()
    surplus = {uid: int(fleet.pods[uid].cost or 0) for uid in ("surplus-0", "surplus-1")}
    assert max(surplus.values()) < min(int(p.cost or 0) for uid, p in fleet.pods.items() if uid not in surplus)
    fleet.grow(3)
    assert set(surplus) & set(fleet.costs()) == set()


def test_pods_that_hold_no_seat_are_left_alone() -> None:
    fleet = Fleet(2)
    fleet.put(make_pod("pending", fleet.owner))
    fleet.put(make_pod("leaving", fleet.owner, "spot-0", terminating=True))
    assert not {"pending", "leaving"} & set(fleet.costs())


@given(st.integers(1, BAND - 1))
def test_cost_and_seat_are_inverse(seat: int) -> None:
    assert seat_in(str(cost_of(seat))) == seat


NEAR_THE_BAND = st.integers(-2, 2).flatmap(lambda off: st.sampled_from([BASE + off, BASE - BAND + off]))


@given(
    st.none() | st.text(max_size=12) | st.integers().map(str) | NEAR_THE_BAND.map(str) | NEAR_THE_BAND.map("0{}".format)
)
@example(str(BASE))
@example(str(BASE - 1))
@example(str(BASE - BAND + 1))
@example(str(BASE - BAND))
@example("\N{FULLWIDTH DIGIT NINE}" * 6)
@example(" 999999")
def test_no_other_cost_is_taken_for_ours(cost: str | None) -> None:
    ours = cost is not None and re.fullmatch("[0-9]{1,7}", cost) is not None and BASE - BAND < int(cost) < BASE
    assert seat_in(cost) == (BASE - int(cost or 0) if ours else None)
