"""The parts of a request and of an event, without I/O.

Not among the tests of `make test`; `make bench` runs it, as does `python -m pytest tests/bench/test_micro.py`. Nothing
here asserts a time.
"""

import copy
import itertools
import time
from collections.abc import Callable

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.cluster import Cluster
from extender.core.model.classes import ClassRules
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.core.placement.controller import PlacementController, Preference
from extender.core.placement.decide import Decision, PodView, decide
from extender.core.placement.score import relative_scores, score_nodes
from extender.core.policy.apportionment import ApportionedSeats, ClassShare
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.policy import Policy
from extender.core.policy.rules import PolicyRules
from extender.core.policy.seats import Seats, TwoClassSeats, first_unfilled
from extender.core.policy.workload import Workload
from extender.core.state.events import Listed, Upsert
from extender.core.state.records import Reservation
from extender.core.state.state import ClusterState, Released
from extender.kube.resources import BUILT_IN
from extender.servers.extender import Extender
from extender.wire.extender_v1 import decode_args, encode_scores
from extender.wire.objects_v1 import Decoders

NODES, WORKLOADS, REPLICAS, BOUND = 5000, 200, 20, 2000
LARGE = 2000
NOW = 1_780_000_000.0
PREFIXES = ("spotmix.io",)

MANY_CLASSES: dict[str, Seats] = {
    "two": TwoClassSeats(70, base=2),
    "three": ApportionedSeats((ClassShare("reserved", 20), ClassShare("on-demand", 30, 2), ClassShare("spot", 50))),
    "three, capped in percent": ApportionedSeats(
        (ClassShare("reserved", cap=4), ClassShare("on-demand", 30, 2), ClassShare("spot", 70, cap_percent=80))
    ),
    "five": ApportionedSeats(
        (
            ClassShare("reserved", cap=4),
            ClassShare("on-demand", 20, floor=2),
            ClassShare("arm", 20, cap=300),
            ClassShare("spot-arm", 10),
            ClassShare("spot", 50),
        )
    ),
}

sizes = pytest.mark.parametrize("size", [500, 5000])
limits = pytest.mark.parametrize("limit", [100, 0])


class Loaded:
    """A state of 5,000 nodes and half-filled workloads, and requests for it."""

    def __init__(self, workloads: int = WORKLOADS, replicas: int = REPLICAS, bound: int = BOUND) -> None:
        self.cluster = Cluster(NODES, workloads, replicas, bound)
        self.state = ClusterState(PolicyRules(PREFIXES))
        self.decoders = Decoders(ClassRules(), PREFIXES)
        for resource in BUILT_IN:
            decoder = self.decoders.make(resource.key, resource.api_version, resource.kind)
            items = b",".join(self.cluster.listed(resource.path.rpartition("/")[2], 0, 10**9))
            page = decoder.page(b'{"metadata":{},"items":[%b]}' % items)
            for item in page.objects:
                self.state.apply(Upsert(item), NOW)
            self.state.apply(Listed(resource.key, frozenset(item.uid for item in page.objects)), NOW)
        self.names = [self.cluster.node_name(n * 4999 % NODES) for n in range(NODES)]
        self._pods = itertools.count(1_000_000)

    def body(self, size: int, *, managed: bool = True) -> bytes:
        """A request with a new pod."""
        pod = next(self._pods)
        workload = pod % self.cluster.workloads if managed else self.cluster.workloads
        names = msgspec.json.encode(self.names[:size])
        return b'{"Pod":%b,"Nodes":null,"NodeNames":%b}' % (self.cluster.request_pod(workload, pod), names)

    def owner(self, pod: PodView) -> Managed:
        """The managed workload of a request's pod."""
        found = self.state.workloads.resolve(pod.namespace, pod.owner)
        assert isinstance(found, Managed)
        return found

    def release(self, body: bytes) -> None:
        """Give the pod's reservation back, so that rounds are alike."""
        self.state.apply(Released(decode_args(body).pod.uid), NOW)


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return Loaded()


@pytest.fixture(scope="module")
def large() -> Loaded:
    """One workload of 2,000 replicas, half of them bound."""
    return Loaded(1, LARGE, LARGE // 2)


class Silent:
    """An observer and a gate that do nothing."""

    async def arrival(self, _missing: Missing) -> bool:
        return False

    def decided(self, pod: PodView, decision: Decision) -> None: ...

    def scored(self, pod: PodView, preference: Preference) -> None: ...

    def refused(self, verb: str, pod: PodView, reason: Reason) -> None: ...

    def broke(self, pod: PodView, workload: Workload, error: Exception) -> None: ...

    def failed(self, verb: str, text: str) -> None:
        raise AssertionError(f"{verb}: {text}")


def serve(loaded: Loaded, limit: int) -> Extender:
    silent = Silent()
    return Extender(PlacementController(loaded.state, limit), silent, silent, lambda: None, time.time)


def answer(verb: Callable[[bytes], object], body: bytes) -> bytes:
    """Run one request of the server without an event loop: nothing in it waits."""
    coroutine = verb(body)
    try:
        coroutine.send(None)  # type: ignore[attr-defined]
    except StopIteration as stop:
        result: bytes = stop.value
        return result
    raise AssertionError("the request waits for something")


def rounds(
    benchmark: BenchmarkFixture, loaded: Loaded, run: Callable[[bytes], object], make: Callable[[], bytes]
) -> None:
    """Time `run` on a new request each round, and release its pod after it."""
    last: list[bytes] = []

    def setup() -> tuple[tuple[bytes], dict[str, object]]:
        if last:
            loaded.release(last.pop())
        last.append(make())
        return (last[0],), {}

    benchmark.pedantic(run, setup=setup, rounds=300, warmup_rounds=20)  # type: ignore[no-untyped-call]
    loaded.release(last.pop())


@sizes
@limits
def test_filter(benchmark: BenchmarkFixture, loaded: Loaded, size: int, limit: int) -> None:
    extender = serve(loaded, limit)
    rounds(benchmark, loaded, lambda body: answer(extender.filter, body), lambda: loaded.body(size))


@sizes
def test_filter_unmanaged(benchmark: BenchmarkFixture, loaded: Loaded, size: int) -> None:
    extender = serve(loaded, 100)
    body = loaded.body(size, managed=False)
    benchmark(lambda: answer(extender.filter, body))


@pytest.mark.parametrize("size", [100, 500, 5000])
def test_prioritize(benchmark: BenchmarkFixture, loaded: Loaded, size: int) -> None:
    extender = serve(loaded, 100)
    body = loaded.body(size)
    benchmark(lambda: answer(extender.prioritize, body))


@sizes
def test_decode(benchmark: BenchmarkFixture, loaded: Loaded, size: int) -> None:
    body = loaded.body(size)
    benchmark(lambda: decode_args(body).offered())


@sizes
@limits
def test_decide(benchmark: BenchmarkFixture, loaded: Loaded, size: int, limit: int) -> None:
    args = decode_args(loaded.body(size))
    offered, owner = args.offered(), loaded.owner(args.pod)
    benchmark(lambda: decide(loaded.state, args.pod, owner, offered, NOW, limit))


@sizes
def test_encode_passed(benchmark: BenchmarkFixture, loaded: Loaded, size: int) -> None:
    args = decode_args(loaded.body(size))
    names = args.offered()[: size // 3]
    benchmark(lambda: args.some_pass(names))


@sizes
def test_score(benchmark: BenchmarkFixture, loaded: Loaded, size: int) -> None:
    args = decode_args(loaded.body(size))
    revision = loaded.state.revisions.get(loaded.owner(args.pod).revision.uid)
    names = args.offered()
    benchmark(lambda: encode_scores(relative_scores(score_nodes(loaded.state, revision, "spot", names, NOW))))


def test_filter_large_workload(benchmark: BenchmarkFixture, large: Loaded) -> None:
    """1,000 bound siblings and 500 reserved ones: what a burst of one big workload costs."""
    extender = serve(large, 100)
    owner = OwnerRef(decode_args(large.body(1)).pod.owner.uid, "apps/v1", "ReplicaSet", "x")  # type: ignore[union-attr]
    for number in range(500):
        large.state.apply(Reservation(f"reserved-{number}", "team-00", owner, "spot", NOW), NOW)
    rounds(benchmark, large, lambda body: answer(extender.filter, body), lambda: large.body(500))


def test_first_unfilled(benchmark: BenchmarkFixture) -> None:
    seats = Policy(TwoClassSeats(70, 1)).seats
    benchmark(lambda: first_unfilled(seats, {"spot": 6, "on-demand": 3}))


@pytest.mark.parametrize("classes", MANY_CLASSES)
def test_class_at(benchmark: BenchmarkFixture, classes: str) -> None:
    """One seat after the other up to 1,000, once they were asked about before."""
    seats, numbers = MANY_CLASSES[classes], itertools.cycle(range(1, 1001))
    for seat in range(1, 1001):
        seats.class_at(seat)
    benchmark(lambda: seats.class_at(next(numbers)))


@pytest.mark.parametrize("classes", MANY_CLASSES)
def test_seat_of(benchmark: BenchmarkFixture, classes: str) -> None:
    """The seats of spot among 1,000."""
    seats = MANY_CLASSES[classes]
    ranks = itertools.cycle(range(1, seats.target(1000)["spot"] + 1))
    benchmark(lambda: seats.seat_of("spot", next(ranks)))


@pytest.mark.parametrize("classes", MANY_CLASSES)
def test_seats_asked_about_first(benchmark: BenchmarkFixture, classes: str) -> None:
    """Seat 1,000 of a policy nobody has asked about yet, and its inverse."""

    def fresh() -> tuple[tuple[Seats], dict[str, object]]:
        return (copy.copy(MANY_CLASSES[classes]),), {}

    def ask(seats: Seats) -> None:
        seats.seat_of("spot", seats.target(1000)["spot"])

    benchmark.pedantic(ask, setup=fresh, rounds=300, warmup_rounds=20)  # type: ignore[no-untyped-call]


def test_pod_event(benchmark: BenchmarkFixture, loaded: Loaded) -> None:
    """Decode a watch line that changes a pod's readiness, and apply it."""
    decoder = loaded.decoders.make("pods", "v1", "Pod")
    place = loaded.cluster.place(0, 0)
    lines = itertools.cycle(
        b'{"type":"MODIFIED","object":%b}' % loaded.cluster.pod(0, 0, place, version=2, ready=ready)
        for ready in (False, True)
    )

    def run() -> None:
        change = decoder.change(next(lines))
        assert change.object is not None
        loaded.state.apply(Upsert(change.object), NOW)

    benchmark(run)
