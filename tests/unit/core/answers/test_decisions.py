"""The log of decisions: what it keeps of each, for how long, and whom it tells."""

import gc
import tracemalloc
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import World, make_view

from extender.core.answers.decisions import ASIDE, BYTES, OF_ONE_POD, SIZE, DecisionLog, Entry
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.core.placement.decide import Decision, PodView


@pytest.fixture
def world() -> World:
    return World()


def add(log: DecisionLog, world: World, owner: OwnerRef, pod: str, at: float = 1.0, *, known: bool = True) -> None:
    decision = Decision(Reason.SEAT, ("spot-0",), world.workload(owner), "spot", "spot", offered=3)
    number = log.add(at, "filter", make_view(pod, owner), decision, known=known)
    found = log.numbered(number)
    assert found is None or (found.number, found.pod) == (number, pod)


def numbers(entries: Sequence[Entry]) -> list[int]:
    return [entry.number for entry in entries]


def test_a_decision_is_kept_as_it_was(world: World) -> None:
    offered = world.nodes(spot=2, on_demand=3)
    owner = world.deployment("web", 1, spot_percentage=100)
    log = DecisionLog()
    _, decision = world.place(owner, offered, uid="uid-1", name="web-1-abc")
    log.add(1234.5, "filter", make_view("uid-1", owner, name="web-1-abc"), decision)
    (entry,) = log.latest(10)
    assert msgspec.to_builtins(entry) == {
        "number": 1,
        "at": 1234.5,
        "verb": "filter",
        "namespace": "shop",
        "pod": "web-1-abc",
        "podUid": "uid-1",
        "kind": "Deployment",
        "workload": "web",
        "workloadUid": "uid-Deployment-web",
        "wanted": "spot",
        "given": "spot",
        "reason": "seat",
        "offered": 5,
        "passed": 2,
    }


def test_what_passes_untouched_and_what_has_no_owner_yet(world: World) -> None:
    owner = world.deployment("web", 1, mode="audit")
    log = DecisionLog()
    audited = world.decide(make_view("p", owner), [f"node-{number}" for number in range(7)])
    log.add(1.0, "filter", make_view("p", owner), audited)
    log.add(2.0, "filter", make_view("q", None), Decision(Reason.OWNER_UNKNOWN, (), wanted="on-demand", offered=7))
    unknown, audit = log.latest(2)
    assert (audit.passed, unknown.passed) == (7, 0)
    assert (unknown.kind, unknown.workload, unknown.workload_uid) == ("", "", "")
    assert len(log) == 2


def test_lookups_are_newest_first_and_end_where_the_ring_does(world: World) -> None:
    web, api = world.deployment("web", 1), world.deployment("api", 1)
    log = DecisionLog(4)
    for owner, pod in ((web, "a"), (api, "b"), (web, "a"), (web, "c"), (api, "b"), (web, "a")):
        add(log, world, owner, pod)
    assert numbers(log.latest(10)) == [6, 5, 4, 3]
    assert numbers(log.latest(2)) == [6, 5]
    assert [number for number in range(-2, 12) if log.numbered(number)] == [3, 4, 5, 6]
    assert numbers(log.of_pod("a", 10)) == [6, 3]
    assert numbers(log.of_pod("b", 10)) == [5]
    assert numbers(log.of_workload("uid-Deployment-web", 10)) == [6, 4, 3]
    assert numbers(log.of_workload("uid-Deployment-web", 1)) == [6]
    assert numbers(log.of_workloads({"uid-Deployment-web", "uid-Deployment-api"}, 3)) == [6, 5, 4]
    assert log.of_workloads((), 3) == log.of_pod("nobody", 10) == []
    for _ in range(4):
        add(log, world, api, "d")
    assert log.of_pod("a", 10) == []
    assert log.of_workload("uid-Deployment-web", 10) == []


@given(st.integers(1, 6), st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("wxyz")), max_size=30))
def test_lookups_find_what_a_search_would(size: int, made: list[tuple[str, str]]) -> None:
    world, log = World(), DecisionLog(size)
    owners = {name: world.deployment(name, 1) for name in "ab"}
    for name, pod in made:
        add(log, world, owners[name], pod)
    kept = [*enumerate(made, start=1)][-size:][::-1]
    assert numbers(log.latest(100)) == [number for number, _ in kept]
    for pod in "wxyz":
        assert numbers(log.of_pod(pod, 100)) == [number for number, (_, each) in kept if each == pod]
    for name in "ab":
        found = log.of_workload(f"uid-Deployment-{name}", 100)
        assert numbers(found) == [number for number, (each, _) in kept if each == name]


def test_decisions_on_pods_that_there_are_not_push_no_others_out(world: World) -> None:
    web = world.deployment("web", 1)
    log = DecisionLog(100)
    reader = log.subscribe(lambda entry: entry.pod == "real", lambda: None)
    crowded = log.subscribe(lambda _: True, lambda: None, 5)
    add(log, world, web, "real")
    for number in range(1000):
        add(log, world, web, f"forged-{number}", known=False)
    add(log, world, web, "real")
    assert numbers(log.of_pod("real", 10)) == [1002, 1]
    assert len(log) == 2 + 100 // ASIDE
    assert numbers(log.latest(3)) == [1002, 1001, 1000]
    assert numbers(reader.take().entries) == [1, 1002]
    assert numbers(crowded.take().entries) == [2, 3, 4, 5, 1002]


def test_decisions_on_one_pod_push_no_others_out(world: World) -> None:
    web = world.deployment("web", 1)
    log = DecisionLog(100)
    add(log, world, web, "quiet")
    for _ in range(1000):
        add(log, world, web, "busy")
    assert numbers(log.of_pod("quiet", 10)) == [1]
    busy = numbers(log.of_pod("busy", 1000))
    assert (len(busy), busy[0], busy[-1]) == (OF_ONE_POD + 100 // ASIDE, 1001, 2)
    # What has left the ring does not count any more.
    for number in range(100):
        add(log, world, web, f"p{number}")
    add(log, world, web, "busy")
    assert len(log) == 100 + 100 // ASIDE


def test_a_log_of_none_still_tells_subscribers(world: World) -> None:
    log = DecisionLog(0)
    assert log.numbered(0) is None
    seen = log.subscribe(lambda _: True, lambda: None)
    add(log, world, world.deployment("web", 1), "a")
    assert (log.latest(5), log.of_pod("a", 5), len(log)) == ([], [], 0)
    assert numbers(seen.take().entries) == [1]


def test_slow_readers_lose_the_oldest_and_are_told_how_many(world: World) -> None:
    web, api = world.deployment("web", 1), world.deployment("api", 1)
    log = DecisionLog()
    calls: list[str] = []
    slow = log.subscribe(lambda entry: entry.workload == "web", lambda: calls.append("slow"), size=2)
    quick = log.subscribe(lambda _: True, lambda: calls.append("quick"))
    for pod in "abc":
        add(log, world, web, pod)
        add(log, world, api, pod)
        assert len(quick.take().entries) == 2
    # Told once that there is something, until it has taken it.
    assert (calls.count("slow"), calls.count("quick")) == (1, 3)
    batch = slow.take()
    assert (numbers(batch.entries), batch.lost) == ([3, 5], 1)
    assert (slow.take().entries, slow.take().lost) == ((), 0)
    add(log, world, web, "d")
    assert calls.count("slow") == 2
    log.unsubscribe(slow)
    slow.take()
    add(log, world, web, "e")
    assert slow.take().entries == ()
    assert numbers(quick.take().entries) == [7, 8]


def test_it_takes_no_more_memory_than_it_says(world: World) -> None:
    """Each pod has its own texts, as a request's decoder makes them, and is decided on once: the worst case."""
    owners = [world.deployment(f"a-workload-with-a-name-{number}", 1) for number in range(100)]
    workloads = [world.workload(owner) for owner in owners]

    def view(number: int, owner: OwnerRef) -> PodView:
        uid = f"6f0d8a4e-1c55-4b56-9d5a-{number:012d}"
        return make_view(uid, owner, name=f"{owner.name}-7d4b9c6f5d-{number:05d}", namespace=f"team-{number % 10:>08d}")

    gc.collect()
    tracemalloc.start()
    try:
        log = DecisionLog()
        for number in range(2 * SIZE):
            owner, workload = owners[number % 100], workloads[number % 100]
            nodes = ("spot-0",) * (number % 400)
            decision = Decision(Reason.SEAT, nodes, workload, "spot", "spot", offered=1000 + number)
            log.add(1e9 + number, "filter", view(number, owner), decision)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(log) == SIZE
    assert 0.5 * BYTES < used / SIZE <= BYTES
