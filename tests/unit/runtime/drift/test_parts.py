"""The smaller parts of the drift loop: freshness, memory, what was said, metrics."""

from typing import Any, get_args

import pytest
from support.doubles import ON_DEMAND, SPOT
from support.doubles_drift import STORE, DriftRoom
from support.doubles_kube import KubeClient, StoredObjects, refusal
from support.doubles_servers import run_virtually

from extender.core.drift.eviction import Answer, Outcome, Result
from extender.core.drift.history import DirectionBackoff, InFlight, WorkloadHistory
from extender.core.drift.last_plans import LastPlans
from extender.core.drift.moves import DriftPlan, Move, OffTarget, Stay, WorkloadRef
from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.core.model.reasons import OF_PAUSES, OF_STAYS, Reason
from extender.core.state.interruptions import Interruption, Interruptions
from extender.kube import driftstore
from extender.kube.driftstore import DriftStore, store_namespace
from extender.kube.reflector import Health
from extender.runtime.drift import drift_readings
from extender.runtime.drift.freshness import STALE_AFTER, faults, holds_up_all
from extender.runtime.drift.memory import MOST_INTERRUPTIONS, Memory
from extender.settings.sections.drift import DriftSettings
from extender.telemetry.drift import EVICTIONS
from extender.telemetry.metrics import Metrics
from extender.wire.drift_v1 import decode_interruptions

SUBJECT = WorkloadRef("w", "Deployment", "shop", "web", "r")
MOVE = Move(PodId("shop", "web-1", "p1"), "n1", SUBJECT, ON_DEMAND, SPOT, "n2", Reason.SURPLUS)


def test_every_answer_has_a_result_and_a_series() -> None:
    results = {answer: Outcome(answer).result() for answer in Answer}
    assert set(results.values()) == set(get_args(Result)) - {"would-move"}
    # What this replica did not ask for has no answer of the API server to count.
    assert {answer for answer, result in results.items() if result != "dropped"} == set(EVICTIONS)


@pytest.mark.parametrize(
    ("health", "fault"),
    [
        (Health(synced=True, last_contact=0.0), ""),
        (Health(), "not listed yet"),
        (Health(last_error="403"), "not listed yet: 403"),
        (Health(synced=True, last_contact=0.0, last_error="410"), "410"),
        (Health(synced=True, last_contact=-0.1), f"not heard of for more than {STALE_AFTER:.0f} s"),
        (Health(synced=True), f"not heard of for more than {STALE_AFTER:.0f} s"),
    ],
)
def test_what_makes_a_resource_stale(health: Health, fault: str) -> None:
    found = faults({"pods": health, "databases.example.org": health}, STALE_AFTER)
    assert found == ({"pods": fault, "databases.example.org": fault} if fault else {})
    assert holds_up_all(found) == bool(fault)
    assert not holds_up_all({"databases.example.org"})


def test_the_store_is_where_the_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    assert store_namespace(DriftSettings()) == "default"
    monkeypatch.setenv("POD_NAMESPACE", "system")
    assert store_namespace(DriftSettings()) == "system"
    assert store_namespace(DriftSettings(namespace="other")) == "other"


class KeptMemory:
    """A memory, and what it reports."""

    def __init__(self, objects: StoredObjects) -> None:
        self.reports: list[str] = []
        self.client = KubeClient(objects)
        store = DriftStore(self.client, "system", "spotmix-drift")
        self.now = 1000.0
        self.interruptions = Interruptions(3600.0)
        self.memory = Memory(
            store,
            self.interruptions,
            lambda: self.now,
            lambda: f"term {id(self)}",
            lambda _name, text: self.reports.append(text),
        )

    def remember(self, workload: str, **fields: Any) -> None:
        self.memory.history.workloads[workload] = WorkloadHistory(**fields)
        self.memory.history.changed.add(workload)


async def test_what_changed_is_stored_and_what_is_empty_is_removed() -> None:
    objects = StoredObjects()
    kept = KeptMemory(objects)
    await kept.memory.open()
    kept.remember("a", moved=[1.0])
    kept.remember("b", moved=[2.0])
    await kept.memory.save()
    writes = len(kept.client.seen)
    await kept.memory.save()
    assert len(kept.client.seen) == writes
    kept.remember("b")
    await kept.memory.save()
    assert list(objects.stored[STORE]["data"]) == ["a"]
    again = KeptMemory(objects)
    await again.memory.open()
    assert again.memory.history.workloads == {"a": WorkloadHistory(moved=[1.0])}
    assert again.reports == []


async def test_what_could_not_be_stored_is_stored_the_next_time() -> None:
    objects = StoredObjects()
    kept = KeptMemory(objects)
    await kept.memory.open()
    kept.remember("a", moved=[1.0])
    kept.client.down = True
    with pytest.raises(ApiError):
        await kept.memory.save()
    kept.client.down = False
    kept.remember("b", moved=[2.0])
    await kept.memory.save()
    assert set(objects.stored[STORE]["data"]) == {"a", "b"}


async def test_a_store_that_was_deleted_is_written_anew_as_a_whole() -> None:
    objects = StoredObjects()
    kept = KeptMemory(objects)
    await kept.memory.open()
    kept.remember("a", moved=[1.0])
    await kept.memory.save()
    objects.delete(STORE)
    kept.remember("b", moved=[2.0])
    await kept.memory.save()
    assert set(objects.stored[STORE]["data"]) == {"a", "b"}
    assert "it is made anew" in kept.reports[0]


async def test_what_is_oldest_is_forgotten_when_not_all_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extender.runtime.drift.memory.MAX_BYTES", 900)
    monkeypatch.setattr(driftstore, "MAX_BYTES", 900)
    objects = StoredObjects()
    kept = KeptMemory(objects)
    await kept.memory.open()
    kept.remember("flying", in_flight=[InFlight(MOVE, 0.0, 0.0)])
    await kept.memory.save()
    for number in range(1, 9):
        kept.remember(f"idle-{number}", back_off={"a>b": DirectionBackoff(1, float(number))}, vain=[0.5])
        await kept.memory.save()
    stored = objects.stored[STORE]["data"]
    assert "flying" in stored
    # The latest are kept, in memory as in the store.
    kept_ones = [key for key in stored if key != "flying"]
    assert kept_ones == [f"idle-{n}" for n in range(9 - len(kept_ones), 9)]
    assert 1 <= len(kept_ones) < 8
    assert set(kept.memory.history.workloads) == set(stored)
    assert "is full: the back-off of 1 workloads is forgotten" in kept.reports[0]


async def test_entries_that_do_not_decode_are_neither_lost_nor_written_over() -> None:
    objects = StoredObjects()
    objects.put(STORE, {"data": {"a": "?", "b": '{"version": 1, "moved": [1]}'}})
    kept = KeptMemory(objects)
    await kept.memory.open()
    assert list(kept.memory.unreadable) == ["a"]
    kept.remember("b", moved=[2.0])
    await kept.memory.save()
    assert objects.stored[STORE]["data"]["a"] == "?"
    await kept.memory.review()
    assert list(kept.memory.unreadable) == ["a"]
    objects.put(STORE, {**objects.stored[STORE], "data": {"a": '{"version": 1, "moved": [3]}'}})
    await kept.memory.review()
    assert kept.memory.unreadable == {}
    assert kept.memory.history.workloads["a"].moved == [3.0]


async def test_a_person_may_make_it_forget_a_workload() -> None:
    objects = StoredObjects()
    kept = KeptMemory(objects)
    await kept.memory.open()
    for name in ("a", "b", "c"):
        kept.remember(name, moved=[1.0])
    await kept.memory.save()
    stored = objects.stored[STORE]
    objects.put(STORE, {**stored, "data": {"c": stored["data"]["c"]}})
    # What has changed since is not forgotten.
    kept.remember("b", moved=[2.0])
    await kept.memory.review()
    assert set(kept.memory.history.workloads) == {"b", "c"}
    await kept.memory.save()
    assert set(objects.stored[STORE]["data"]) == {"b", "c"}


async def test_a_store_that_was_deleted_is_made_anew_without_a_move() -> None:
    objects = StoredObjects()
    kept = KeptMemory(objects)
    await kept.memory.open()
    kept.remember("a", moved=[1.0])
    await kept.memory.save()
    objects.delete(STORE)
    await kept.memory.review()
    assert set(objects.stored[STORE]["data"]) == {"a"}


POOL = ("m.large", "a")


async def test_interruptions_outlive_the_process_and_count_once_for_a_node() -> None:
    objects = StoredObjects()
    kept = KeptMemory(objects)
    await kept.memory.open()
    writes = len(kept.client.seen)
    await kept.memory.save()
    assert len(kept.client.seen) == writes
    for node in ("n1", "n2"):
        kept.interruptions.record(node, Interruption(POOL, kept.now), kept.now)
    await kept.memory.save()
    kept.remember("a", moved=[1.0])
    await kept.memory.save()
    again = KeptMemory(objects)
    again.now += 3600.0
    # Still marked, so that it is told of once more, beside one that is new.
    for node in ("n2", "n3"):
        again.interruptions.record(node, Interruption(POOL, again.now, marker=True), again.now)
    await again.memory.open()
    assert again.interruptions.of(POOL, again.now) == 2.5
    assert again.interruptions.counts == {POOL: 2}
    assert not again.reports
    await again.memory.save()
    third = KeptMemory(objects)
    third.now = again.now
    await third.memory.open()
    assert third.interruptions.of(POOL, third.now) == 2.5
    assert third.memory.history.workloads == {"a": WorkloadHistory(moved=[1.0])}


async def test_what_could_not_be_stored_of_interruptions_is_stored_the_next_time() -> None:
    objects = StoredObjects()
    kept = KeptMemory(objects)
    await kept.memory.open()
    kept.interruptions.record("n1", Interruption(POOL, kept.now), kept.now)
    kept.client.down = True
    with pytest.raises(ApiError):
        await kept.memory.save()
    kept.client.down = False
    await kept.memory.save()
    assert set(objects.stored[STORE]["data"]) == {"interruptions"}
    objects.delete(STORE)
    await kept.memory.review()
    assert set(objects.stored[STORE]["data"]) == {"interruptions"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("?", "do not decode"),
        ('{"version": 2}', "of version 2; this is version 1"),
        ('{"version": 1, "interruptions": [{"node": "n", "type": "t", "zone": "z", "at": -1}]}', "interruptions"),
    ],
)
async def test_interruptions_that_do_not_decode_are_counted_anew(text: str, said: str) -> None:
    objects = StoredObjects()
    objects.put(STORE, {"data": {"interruptions": text, "a": '{"version": 1, "moved": [1]}'}})
    kept = KeptMemory(objects)
    await kept.memory.open()
    assert kept.memory.opened
    assert kept.memory.history.workloads == {"a": WorkloadHistory(moved=[1.0])}
    assert said in kept.reports[0]
    assert not kept.memory.unreadable
    kept.interruptions.record("n1", Interruption(POOL, kept.now), kept.now)
    await kept.memory.save()
    assert kept.interruptions.of(POOL, kept.now) == 1.0
    assert '"n1"' in objects.stored[STORE]["data"]["interruptions"]


async def test_only_the_newest_interruptions_are_stored() -> None:
    objects = StoredObjects()
    kept = KeptMemory(objects)
    await kept.memory.open()
    for number in range(MOST_INTERRUPTIONS + 10):
        kept.now += 1.0
        kept.interruptions.record(f"{number:036}", Interruption(POOL, kept.now), kept.now)
    await kept.memory.save()
    text = objects.stored[STORE]["data"]["interruptions"]
    assert len(text) < 130 * MOST_INTERRUPTIONS
    stored = [node for node, _ in decode_interruptions(text)]
    assert (len(stored), stored[0]) == (MOST_INTERRUPTIONS, f"{10:036}")
    # What is long past is not worth a byte.
    kept.now += 11 * 3600.0
    kept.interruptions.record("late", Interruption(POOL, kept.now), kept.now)
    await kept.memory.save()
    assert [node for node, _ in decode_interruptions(objects.stored[STORE]["data"]["interruptions"])] == ["late"]


async def test_a_memory_that_another_has_taken_over_is_closed() -> None:
    objects = StoredObjects()
    kept, another = KeptMemory(objects), KeptMemory(objects)
    await kept.memory.open()
    await another.memory.open()
    kept.remember("a", moved=[1.0])
    with pytest.raises(ApiError, match="taken over"):
        await kept.memory.save()
    assert not kept.memory.opened


async def test_a_refused_read_leaves_it_closed() -> None:
    kept = KeptMemory(StoredObjects())

    def before(_method: str, _path: str) -> None:
        raise refusal(403)

    kept.client.before = before
    with pytest.raises(ApiError):
        await kept.memory.open()
    assert not kept.memory.opened


def a_plan(workload: str, surplus: int, *reasons: Reason) -> DriftPlan:
    subject = WorkloadRef(workload, "Deployment", "shop", workload, "r")
    pod = PodId("shop", "p", "p")
    return DriftPlan(
        stays=tuple(Stay(pod, "n", subject, ON_DEMAND, SPOT, reason) for reason in reasons),
        off_target=(OffTarget(subject, 3, {}, {}, surplus),),
    )


def test_a_view_adds_up_the_latest_word_on_each_workload() -> None:
    view = LastPlans()
    view.put(["a"], a_plan("a", 2, Reason.NO_ROOM, Reason.YOUNG))
    view.put(["b"], a_plan("b", 1, Reason.NO_ROOM))
    view.put(["c"], a_plan("c", 0))
    assert (view.stays, view.off_target) == ({Reason.NO_ROOM: 2, Reason.YOUNG: 1}, {"a", "b", "c"})
    view.put(["a", "c"], a_plan("a", 1, Reason.YOUNG))
    assert (view.stays, view.off_target) == ({Reason.NO_ROOM: 1, Reason.YOUNG: 1}, {"a", "b"})
    view.put(["a"], DriftPlan())
    assert (view.stays, view.off_target) == ({Reason.NO_ROOM: 1}, {"b"})


def drift_samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith("spotmix_drift_")
    }


def test_every_series_of_the_loop_is_there_from_the_start() -> None:
    metrics = Metrics()
    before = drift_samples(metrics)
    assert set(before.values()) == {0.0}
    for dry in (False, True):
        metrics.drift.evicted(Answer.EVICTED, dry=dry)
        metrics.drift.moved("blocked", Reason.INTERRUPTED, dry=dry)
    metrics.drift.moved("landed-wrong", Reason.SURPLUS, dry=False)
    metrics.drift.gave_up()
    after = drift_samples(metrics)
    assert set(after) == set(before)
    assert sum(after.values()) == 6.0


def test_gauges_of_a_loop_that_does_not_run_are_zero_and_complete() -> None:
    async def main() -> None:
        room = DriftRoom()
        room.world.nodes(spot=1, on_demand=1)
        readings = {r.family.name: r.values for r in drift_readings(room.drift, room.world.state, room.now())}
        assert {value for values in readings.values() for value in values.values()} == {0.0}
        assert set(readings["spotmix_drift_staying_replicas"]) == {(str(reason),) for reason in OF_STAYS}
        assert set(readings["spotmix_drift_paused"]) == {(str(reason),) for reason in OF_PAUSES}

    run_virtually(main)


def test_gauges_tell_of_moves_in_flight_and_of_what_is_in_the_way() -> None:
    async def main() -> None:
        room = DriftRoom()
        room.world.nodes(spot=2, on_demand=2)
        room.drifted(on_demand=8, spot=2)
        given_up = room.world.workload(room.drifted("given-up"))
        room.cluster.start = 60.0
        async with room.running():
            await room.after(1)
            memory = room.drift.memory
            history = memory.history.workloads.setdefault(given_up.uid, WorkloadHistory())
            for _ in range(3):
                history.was_in_vain(MOVE, given_up.policy, room.drift.rules, room.now())
            await room.after(10)
            memory.unreadable["x"] = "?"
            readings = drift_readings(room.drift, room.world.state, room.now())
            values = {reading.family.name: reading.values for reading in readings}
        assert values["spotmix_drift_in_flight"] == {(): 2.0}
        assert values["spotmix_drift_circuits_open"] == {(): 1.0}
        assert values["spotmix_drift_unreadable_histories"] == {(): 1.0}
        assert values["spotmix_drift_staying_replicas"][(str(Reason.IN_FLIGHT),)] == 2.0

    run_virtually(main)
