"""A burst of pods fills exactly the target, however late and in whatever order the watch delivers them."""

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.doubles import World, make_node, make_owner, make_pod, make_view
from support.examples import examples

from extender.core.model.objects import OwnerRef, Pod
from extender.core.model.reasons import Reason
from extender.core.policy.policy import Policy

RANDOM = st.randoms(use_true_random=True)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    policy: dict[str, Any] = {"spot_percentage": draw(st.integers(0, 100))}
    policy |= draw(
        st.sampled_from(
            [{}, {"min_on_demand": 3}, {"on_demand_base": 4}, {"max_spot": 5}, {"min_on_demand": 1, "max_spot": 2}]
        )
    )
    return policy


def exact(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


class Burst:
    """Pods of one revision; `late` are the events of the watch that are still under way, in order for each pod."""

    def __init__(self, random: Random, policy: dict[str, Any], replicas: int) -> None:
        self.random = random
        self.world = World()
        self.offered = self.world.nodes(spot=3, on_demand=3)
        self.owner: OwnerRef = self.world.deployment("web", replicas, **policy)
        self.policy: Policy = self.world.workload(self.owner).policy
        self.late: dict[str, list[Pod | None]] = {}
        self.live: list[str] = []

    def create(self) -> str:
        uid = f"pod-{len(self.late)}"
        self.late[uid] = [make_pod(uid, self.owner)]
        return uid

    def schedule(self, uid: str) -> None:
        if self.random.random() < 0.3:
            # Its binding failed, and it is tried again.
            self.world.decide(make_view(uid, self.owner), self.offered)
        pod, decision = self.world.place(self.owner, self.random.sample(self.offered, len(self.offered)), uid=uid)
        assert decision.nodes
        self.late[uid].append(pod)
        self.live.append(uid)

    def deliver(self, *, everything: bool = False) -> None:
        pending = [uid for uid, events in self.late.items() if events]
        while pending and (everything or self.random.random() < 0.5):
            uid = self.random.choice(pending)
            event = self.late[uid].pop(0)
            if event is None:
                self.world.gone("pods", uid)
            else:
                self.world.up(event)
            pending = [uid for uid, events in self.late.items() if events]


@examples(200)
@given(RANDOM, policies(), st.integers(1, 25))
def test_a_burst_fills_the_target_at_every_prefix(random: Random, policy: dict[str, Any], replicas: int) -> None:
    burst = Burst(random, policy, replicas)
    for count in range(1, replicas + 1):
        burst.schedule(burst.create())
        burst.deliver()
        assert burst.world.split(burst.owner) == exact(burst.policy.seats.target(count))
    burst.deliver(everything=True)
    assert burst.world.split(burst.owner) == exact(burst.policy.seats.target(replicas))
    assert burst.world.state.reserved == 0


@examples(100)
@given(RANDOM, policies(), st.integers(2, 15))
def test_replacements_take_the_seats_that_were_left(random: Random, policy: dict[str, Any], replicas: int) -> None:
    burst = Burst(random, policy, replicas)
    for _ in range(replicas):
        burst.schedule(burst.create())
        burst.deliver()
    for _ in range(random.randint(1, 5)):
        leaver = random.choice(burst.live)
        burst.live.remove(leaver)
        burst.late[leaver].append(None)
        # A replacement is made once the end is seen.
        while burst.late[leaver]:
            burst.deliver()
        burst.schedule(burst.create())
    burst.deliver(everything=True)
    assert burst.world.split(burst.owner) == exact(burst.policy.seats.target(replicas))


@examples(100)
@given(RANDOM, st.integers(1, 3), st.integers(1, 14), st.booleans())
def test_no_pool_is_ever_over_its_cap(random: Random, cap: int, replicas: int, percent: bool) -> None:
    world = World()
    offered = [f"spot-{number}" for number in range(9)]
    world.up(*(make_node(name, zone="abc"[number % 3]) for number, name in enumerate(offered)))
    value = f"{cap * 10}%" if percent else cap
    owner = world.deployment("web", replicas, spot_percentage=100, when_unsatisfiable="wait", max_per_pool=value)
    limit = world.workload(owner).policy.max_per_pool
    assert limit is not None
    most = limit.limit(replicas)
    late: list[Pod] = []
    zones: Counter[str] = Counter()
    for _ in range(replicas):
        pod, decision = world.place(owner, random.sample(offered, 9))
        if decision.nodes:
            assert len({int(name[-1]) % 3 for name in decision.nodes}) == 1
            zones["abc"[int(pod.node[-1]) % 3]] += 1
            late.append(pod)
        else:
            assert decision.reason is Reason.POOL_FULL
        while late and random.random() < 0.5:
            world.up(late.pop(random.randrange(len(late))))
    assert sum(zones.values()) == min(replicas, 3 * most)
    assert all(count <= most for count in zones.values())
    assert max(zones.values()) - min(zones["a"], zones["b"], zones["c"]) <= 1


@given(st.integers(0, 100), st.integers(1, 20), RANDOM, st.integers(0, 5))
def test_a_statefulset_pods_seat_is_its_ordinal(percentage: int, replicas: int, random: Random, start: int) -> None:
    world = World()
    offered = world.nodes(spot=2, on_demand=2)
    sets = make_owner(
        "StatefulSet",
        "db",
        replicas,
        labels={"spotmix.io/enabled": "true"},
        annotations={"spotmix.io/spot-percentage": str(percentage)},
        first_ordinal=start,
    )
    world.up(sets)
    owner = sets.ref
    ordinals = list(range(start, start + replicas))
    random.shuffle(ordinals)
    seats = world.workload(owner).policy.seats
    for ordinal in ordinals:
        _, decision = world.place(owner, offered, name=f"db-{ordinal}")
        assert decision.reason is Reason.ORDINAL
        assert decision.capacity_class == seats.class_at(ordinal - start + 1)
    assert world.split(owner) == exact(seats.target(replicas))
