"""The runs of a policy: each pod of its batch jobs counts once, whatever is told of it, in any order, and how often."""

from collections import Counter
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.doubles import ON_DEMAND, SPOT, World, make_owner, make_pod, make_policy, make_view, shares

from extender.core.model.objects import Object, Owner, Pod
from extender.core.model.policies import PlacementPolicy, PolicyStatus, RunCounts
from extender.core.model.reasons import Reason
from extender.core.policy.seats import TwoClassSeats
from extender.core.state.runs import LISTED, WITHIN
from extender.core.state.state import ClusterState

START = 1_750_000_000
POLICY = "uid-ci"


def ci(spot: int = 70, **fields: Any) -> PlacementPolicy:
    return make_policy("ci", count="Runs", created=float(START), **shares(spot), **fields)


def job(name: str, replicas: int = 1) -> Owner:
    return make_owner("Job", name, replicas)


class StepQueue:
    """A world whose pods are all of batch jobs under a policy that counts runs; time goes on with each pod bound."""

    def __init__(self, policy: PlacementPolicy | None = None) -> None:
        self.world = World()
        self.nodes = self.world.nodes(spot=1, on_demand=1)
        self.policy = policy or ci()
        self.world.up(self.policy)
        self.world.state.runs.synced()
        self.now = START

    @property
    def state(self) -> ClusterState:
        return self.world.state

    def start(self, name: str) -> tuple[Pod, str]:
        """A Job with one pod, which is decided; the pod bound to a node that passed, and its class."""
        owner = job(name)
        self.world.up(owner)
        decision = self.world.decide(make_view(f"pod-{name}", owner.ref), self.nodes)
        assert decision.nodes
        self.now += 1
        return make_pod(f"pod-{name}", owner.ref, decision.nodes[0], bound=float(self.now)), decision.capacity_class

    def run(self, name: str) -> str:
        """A Job from its start to its end."""
        pod, capacity_class = self.start(name)
        self.world.up(pod, replace(pod, ended=True), make_owner("Job", name, 0))
        return capacity_class

    def counts(self) -> dict[str, int]:
        return dict(self.state.runs.counts(POLICY))

    def written(self) -> RunCounts:
        """Have the status written, and seen."""
        runs = self.state.runs.status(POLICY)
        self.policy = replace(self.policy, status=PolicyStatus(runs=runs))
        self.world.up(self.policy)
        return runs


def test_jobs_one_after_another_share_one_sequence() -> None:
    queue = StepQueue()
    classes = [queue.run(f"step-{n}") for n in range(20)]
    assert Counter(classes) == {SPOT: 14, ON_DEMAND: 6}
    assert Counter(classes[:10]) == {SPOT: 7, ON_DEMAND: 3}
    assert queue.counts() == {SPOT: 14, ON_DEMAND: 6}


def test_without_runs_each_job_is_alone() -> None:
    queue = StepQueue(make_policy("ci", **shares(70)))
    assert {queue.run(f"step-{n}") for n in range(10)} == {ON_DEMAND}


def test_jobs_beside_each_other_share_it_too() -> None:
    queue = StepQueue()
    classes = [queue.start(f"step-{n}")[1] for n in range(10)]
    assert Counter(classes) == {SPOT: 7, ON_DEMAND: 3}
    # Nothing has a node yet.
    assert queue.counts() == {}


def test_pods_that_the_watch_does_not_know_yet_take_seats_as_well() -> None:
    queue = StepQueue()
    found = []
    for n in range(10):
        owner = job(f"step-{n}")
        queue.world.up(owner)
        found.append(queue.world.decide(make_view(f"pod-{n}", owner.ref), queue.nodes, met=False))
    assert Counter(each.capacity_class for each in found) == {SPOT: 7, ON_DEMAND: 3}
    assert {each.reason for each in found} == {Reason.RUN}


def test_a_pod_that_never_had_a_node_does_not_count() -> None:
    queue = StepQueue()
    pod, _ = queue.start("a")
    queue.world.gone("pods", pod.uid)
    assert queue.counts() == {}
    assert queue.run("b") == ON_DEMAND
    assert queue.run("c") == SPOT


def test_a_pod_counts_by_the_class_of_its_node() -> None:
    queue = StepQueue()
    pod, decided = queue.start("a")
    assert decided == ON_DEMAND
    queue.world.up(replace(pod, node="spot-0"))
    assert queue.counts() == {SPOT: 1}


def test_a_pod_whose_node_is_not_known_counts_once_it_is() -> None:
    queue = StepQueue()
    pod, _ = queue.start("a")
    queue.world.up(replace(pod, node="spot-1"))
    assert queue.counts() == {}
    queue.world.nodes(spot=2)
    assert queue.counts() == {SPOT: 1}


def test_what_is_kept_is_counted_alone() -> None:
    queue = StepQueue()
    owner = make_owner("ReplicaSet", "web", 10)
    queue.world.up(owner)
    classes = []
    for n in range(10):
        pod, decision = queue.world.place(owner.ref, queue.nodes, uid=f"web-{n}")
        queue.world.up(pod)
        classes.append(decision.capacity_class)
    assert Counter(classes) == {SPOT: 7, ON_DEMAND: 3}
    assert queue.counts() == {}


def test_pods_that_were_there_before_the_policy_do_not_count() -> None:
    queue = StepQueue()
    queue.world.up(job("old"))
    queue.world.up(make_pod("pod-old", job("old").ref, "spot-0", bound=float(START - 1)))
    assert queue.counts() == {}


def test_a_status_that_was_counted_elsewhere_goes_before_what_was_counted_here() -> None:
    queue = StepQueue()
    pod, _ = queue.start("a")
    queue.world.up(pod)
    told = RunCounts(((ON_DEMAND, 30), (SPOT, 70)), until=START, pods=((pod.uid, START + 1),))
    queue.world.up(replace(queue.policy, status=PolicyStatus(runs=told)))
    assert queue.counts() == {SPOT: 70, ON_DEMAND: 30}
    other, _ = queue.start("b")
    queue.world.up(other)
    assert sum(queue.counts().values()) == 101


def test_a_status_names_few_pods() -> None:
    queue = StepQueue()
    for n in range(WITHIN + 5):
        queue.run(f"step-{n}")
    runs = queue.written()
    assert sum(dict(runs.counts).values()) == WITHIN + 5
    assert len(runs.pods) == WITHIN
    # Nothing happened since: nothing is to be written.
    assert queue.state.runs.status(POLICY) is queue.policy.status.runs


def test_there_is_a_bound_to_the_pods_that_a_status_names() -> None:
    queue = StepQueue()
    queue.world.up(job("many", 2 * LISTED))
    for n in range(2 * LISTED):
        queue.world.up(make_pod(f"pod-{n}", job("many").ref, "spot-0", bound=float(START + n // 100)))
    runs = queue.written()
    assert dict(runs.counts) == {SPOT: 2 * LISTED}
    assert len(runs.pods) <= LISTED
    queue.world.up(*(make_pod(f"pod-{n}", job("many").ref, "spot-0", bound=float(START + n // 100)) for n in (0, 1999)))
    assert queue.counts() == {SPOT: 2 * LISTED}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "create",
                "bind",
                "bind",
                "end",
                "delete",
                "delete_job",
                "write",
                "arrive",
                "restart",
                "lead",
                "tell_again",
            ]
        ),
        st.integers(0, 2**16),
    ),
    min_size=30,
    max_size=80,
)


class TwoReplicas:
    """What the API server has, and two replicas of Spotmix that follow it."""

    def __init__(self) -> None:
        self.policy = ci()
        self.pods: dict[str, Pod] = {}
        self.jobs: dict[str, Owner] = {}
        self.bound: dict[str, str] = {}
        self.told: set[str] = set()
        self.exact = True
        self.written: tuple[RunCounts, set[str]] | None = None
        self.now, self.made = START, 0
        self.leader, self.follower = self.replica(0), self.replica(0)

    def replica(self, order: int) -> World:
        """One that starts now: what there is, is listed in any order."""
        world = World()
        things: list[Object] = [self.policy, *self.jobs.values(), *self.pods.values()]
        turn = order % len(things)
        world.up(*things[turn:], *things[:turn])
        world.nodes(spot=1, on_demand=1)
        world.state.runs.synced()
        return world

    def each(self, *things: Any) -> None:
        for world in (self.leader, self.follower):
            world.up(*things)

    def take(self, what: str, number: int) -> None:
        getattr(self, what)(number)

    def create(self, number: int) -> None:
        owner = job(f"{self.made}")
        pod = make_pod(f"pod-{self.made}", owner.ref)
        self.made += 1
        self.jobs[owner.uid], self.pods[pod.uid] = owner, pod
        # Its Job may be heard of later than the pod.
        self.each(*((pod, owner) if number % 2 else (owner, pod)))
        self.decide(pod)

    def bind(self, number: int) -> None:
        pod = _one([pod for pod in self.pods.values() if not pod.node], number)
        if pod is None:
            return
        capacity_class = self.decide(pod)
        self.now += 1 + self.now % 3 * WITHIN // 2
        pod = replace(pod, node=f"{capacity_class}-0", bound=float(self.now))
        self.pods[pod.uid], self.bound[pod.uid] = pod, capacity_class
        self.each(pod)

    def end(self, number: int) -> None:
        pod = _one([pod for pod in self.pods.values() if pod.node], number)
        if pod is not None:
            self.pods[pod.uid] = replace(pod, ended=True)
            self.each(self.pods[pod.uid])

    def delete(self, number: int) -> None:
        pod = _one([*self.pods.values()], number)
        self.gone([pod] if pod is not None else [])

    def delete_job(self, number: int) -> None:
        owner = _one([*self.jobs.values()], number)
        if owner is not None:
            del self.jobs[owner.uid]
            for world in (self.leader, self.follower):
                world.gone("jobs.batch", owner.uid)
            self.gone([pod for pod in self.pods.values() if pod.owner == owner.ref])

    def gone(self, pods: list[Pod]) -> None:
        for pod in pods:
            # A seat that is given back is taken by whoever comes next, in whatever order.
            self.exact &= bool(pod.node)
            del self.pods[pod.uid]
            for world in (self.leader, self.follower):
                world.gone("pods", pod.uid)

    def write(self, _number: int) -> None:
        """A status is made; it arrives later."""
        if self.written is None:
            self.written = self.leader.state.runs.status(POLICY), set(self.bound)

    def arrive(self, _number: int) -> None:
        if self.written is not None:
            runs, self.told = self.written
            self.written = None
            self.policy = replace(self.policy, status=PolicyStatus(runs=runs))
            self.each(self.policy)

    def tell_again(self, number: int) -> None:
        pod = _one([*self.pods.values()], number)
        self.each(*([pod] if pod is not None else []))

    def lead(self, _number: int) -> None:
        self.leader, self.follower = self.follower, self.leader
        self.decide_all()

    def restart(self, number: int) -> None:
        """Both are killed: what no status tells, and is gone, nobody can know."""
        self.written = None
        lost = self.bound.keys() - self.told - self.pods.keys()
        self.exact &= not lost
        self.bound = {uid: name for uid, name in self.bound.items() if uid not in lost}
        self.leader, self.follower = self.replica(number), self.replica(number // 7)
        self.decide_all()

    def decide_all(self) -> None:
        for pod in self.pods.values():
            if not pod.node:
                self.decide(pod)

    def decide(self, pod: Pod) -> str:
        decision = self.leader.decide(make_view(pod.uid, pod.owner), ["spot-0", "on-demand-0"])
        assert decision.nodes
        return decision.capacity_class


T = TypeVar("T")


def _one(things: list[T], number: int) -> T | None:
    return things[number % len(things)] if things else None


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_each_pod_counts_once_whatever_happens(steps: list[tuple[str, int]]) -> None:
    api = TwoReplicas()
    for what, number in steps:
        api.take(what, number)
        expected = dict(Counter(api.bound.values()))
        for world in (api.leader, api.follower):
            assert dict(world.state.runs.counts(POLICY)) == expected
        taken = api.leader.state.runs.taken(POLICY, "")
        if api.exact:
            total = sum(taken.values())
            wanted = TwoClassSeats(70).target(total)
            assert {name: taken.get(name, 0) for name in wanted} == wanted
