"""Events: what they say, how repeats become series, and how many are sent."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace
from unit.kube.fake_api import VirtualTime
from unit.kube.recording import Recording, until

from extender.core.model.errors import ApiError
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.kube.occurrences import BURST, REFILL, WINDOW, EventAllowances, Occurrences
from extender.kube.recorder import LIMITS as OF_EVENTS
from extender.kube.recorder import SERIES_DELAY, EventRecorder
from extender.kube.regarding import Regarding
from extender.kube.seams import Timing

POD = PodId("shop", "web-1", "uid-1")
REGARDING = Regarding("Pod", "v1", "shop", "web-1", "uid-1")


@pytest.fixture
async def api() -> Recording:
    return Recording()


class Events:
    """A recorder with what it needs."""

    def __init__(self, api: Recording, timing: Timing, **options: Any) -> None:
        self.reports: list[str] = []
        self.outcomes: Counter[str] = Counter()
        berlin = timezone(timedelta(hours=2))
        self.recorder = EventRecorder(
            api,
            lambda _name, text: self.reports.append(text),
            counted=lambda outcome: self.outcomes.update([outcome]),
            timing=timing,
            now=lambda: datetime(2026, 3, 1, 14, 30, 15, 250, tzinfo=berlin),
            **options,
        )
        self.recorder.start()

    def emit(
        self, note: str = "No spot node has room.", regarding: Regarding = REGARDING, *, same: str | None = None
    ) -> bool:
        return self.recorder.emit(regarding, EventReason.MOVE_IN_VAIN, "BackOff", note, same=same)


async def test_an_event_has_all_that_the_api_asks_for(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    events.emit()
    assert await events.recorder.drain(10) == 0
    events.recorder.start()
    events.emit(regarding=Regarding("Node", "v1", "", "Node_1", "uid-n"))
    assert await events.recorder.drain(10) == 0
    method, path, _, body, _ = api.requests[0]
    assert (method, path) == ("POST", "/apis/events.k8s.io/v1/namespaces/shop/events")
    assert json.loads(json.dumps(body))["regarding"] == {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": "shop",
        "name": "web-1",
        "uid": "uid-1",
    }
    assert body["eventTime"] == "2026-03-01T12:30:15.000250Z"
    assert body["reportingController"] == "spotmix.io/extender"
    assert body["reportingInstance"]
    assert (body["reason"], body["action"], body["type"]) == ("MoveInVain", "BackOff", "Warning")
    assert body["metadata"]["name"].startswith("web-1.")
    assert api.requests[1][1] == "/apis/events.k8s.io/v1/namespaces/default/events"
    assert api.bodies[1]["metadata"]["namespace"] == "default"
    assert api.bodies[1]["metadata"]["name"].startswith("node-1.")
    assert api.bodies[1]["regarding"] == {"kind": "Node", "apiVersion": "v1", "name": "Node_1", "uid": "uid-n"}
    assert events.outcomes == {"posted": 2}


async def test_names_sort_as_the_events_came(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    for n in range(20):
        events.emit(str(n))
    assert await events.recorder.drain(10) == 0
    assert [body["note"] for body in sorted(api.bodies, key=lambda body: body["metadata"]["name"])] == [
        str(n) for n in range(20)
    ]


async def test_what_an_event_has_to_do_with_is_named(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    pod, node = Regarding("Pod", "v1", "shop", "web-1", "uid-1"), Regarding("Node", "v1", "", "n1", "uid-n")
    events.recorder.emit(pod, EventReason.MOVE_STARTED, "Evict", "note", related=node)
    assert await events.recorder.drain(10) == 0
    assert api.bodies[0]["related"] == {"kind": "Node", "apiVersion": "v1", "name": "n1", "uid": "uid-n"}


def series(api: Recording) -> list[tuple[str, int, str]]:
    """Path, count and time of each repetition that was written."""
    bodies = [(path, body["series"], kind) for method, path, _, body, kind in api.requests if method == "PATCH"]
    assert {kind for _, _, kind in bodies} <= {"application/merge-patch+json"}
    return [(path, body["count"], body["lastObservedTime"]) for path, body, _ in bodies]


async def test_repeats_within_the_window_become_one_series(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    for _ in range(5):
        assert events.emit()
    events.emit("another note")
    await until(lambda: len(api.requests) == 3)
    first = api.bodies[0]["metadata"]["name"]
    path = f"/apis/events.k8s.io/v1/namespaces/shop/events/{first}"
    # Told at once and counted a little later, when it was told the last time.
    assert time.slept == [SERIES_DELAY]
    assert series(api) == [(path, 5, "2026-03-01T12:29:45.000250Z")]
    events.emit()
    await until(lambda: len(api.requests) == 4)
    assert [count for _, count, _ in series(api)] == [5, 6]
    time.now += WINDOW
    events.emit()
    assert await events.recorder.drain(10) == 0
    assert len(api.requests) == 5
    assert api.requests[-1][0] == "POST"
    assert events.outcomes == {"posted": 3, "repeated": 2}


async def test_what_was_repeated_is_written_before_the_end(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    api.gate.clear()
    for _ in range(2):
        events.emit()
    await until(lambda: bool(api.requests))
    api.gate.set()
    assert await events.recorder.drain(10) == 0
    assert [count for _, count, _ in series(api)] == [2]
    assert time.slept == []


async def test_a_series_whose_event_has_expired_begins_anew(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    api.faults = [None, ApiError("expired", status=404)]
    for _ in range(2):
        events.emit()
    await until(lambda: len(api.requests) == 2)
    await until(lambda: not api.flying)
    events.emit()
    assert await events.recorder.drain(10) == 0
    assert [request[0] for request in api.requests] == ["POST", "PATCH", "POST"]
    assert events.reports == []


async def test_the_same_in_other_words_is_a_repetition(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    for note in ("spot", "on-demand"):
        events.emit(note, same="")
    events.emit("of another object", Regarding("Pod", "v1", "shop", "web-2", "uid-2"), same="")
    events.emit("another matter", same="matter")
    time.now += WINDOW
    events.emit("on-demand", same="")
    assert await events.recorder.drain(10) == 0
    notes = [body["note"] for body in api.bodies if "note" in body]
    assert notes == ["spot", "of another object", "another matter", "on-demand"]


async def test_no_object_is_flooded_and_warnings_have_a_share_of_their_own(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing(), limits=replace(OF_EVENTS, burst=1000))

    def move(number: int) -> bool:
        return events.recorder.emit(REGARDING, EventReason.MOVED, "Evict", str(number))

    assert [move(n) for n in range(BURST + 3)] == [True] * BURST + [False] * 3
    assert events.emit("a warning")
    assert events.emit("another object", Regarding("Pod", "v1", "shop", "web-2", "uid-2"))
    time.now += 2 * REFILL
    assert [move(1000 + n) for n in range(4)] == [True, True, False, False]
    assert await events.recorder.drain(10) == 0
    assert events.outcomes == {"posted": BURST + 4, "dropped": 5}


async def test_news_of_workloads_come_first_and_repetitions_last(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    api.gate.clear()
    events.emit("pod 1")
    await until(lambda: bool(api.requests))
    events.emit("pod 1")
    events.emit("pod 2")
    for name in ("a", "b"):
        events.emit(f"workload {name}", Regarding("Deployment", "apps/v1", "shop", name, name))
    time.now += SERIES_DELAY
    api.gate.set()
    assert await events.recorder.drain(10) == 0
    told = [body.get("note", "repeated") for body in api.bodies]
    assert told == ["pod 1", "workload a", "workload b", "pod 2", "repeated"]


def test_what_is_remembered_is_bounded() -> None:
    now = 0.0
    told = Occurrences(lambda: now, limit=10)
    allowances = EventAllowances(lambda: now, limit=10)
    for number in range(100):
        told.add((str(number), "r", 0), "path")
        assert told.repeated((str(number - number % 2), "r", 0))
        assert allowances.take(str(number), "Normal")
    assert (len(told), len(allowances)) == (10, 10)
    assert not told.repeated(("0", "r", 0)), "what was told longest ago is forgotten"
    now = WINDOW
    told.add(("new", "r", 0), "path")
    allowances.take("new", "Normal")
    assert (len(told), len(allowances)) == (1, 1), "what is no repetition any more is not kept"


async def test_a_long_note_is_cut_between_characters(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    events.emit("x" + "ä" * 1000)
    await events.recorder.drain(10)
    assert len(api.bodies[0]["note"].encode()) == 1023


async def test_a_full_queue_drops_and_counts(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing(), limits=replace(OF_EVENTS, waiting=3))
    for n in range(10):
        events.emit(str(n))
    await events.recorder.drain(10)
    assert events.outcomes == {"posted": 3, "dropped": 7}


async def test_the_rate_of_events_is_limited(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing(), limits=replace(OF_EVENTS, rate=1.0, burst=5))
    start = time.now
    for n in range(15):
        events.emit(str(n))
    await events.recorder.drain(10)
    assert time.now - start == pytest.approx(10.0)


async def test_a_refused_event_is_reported_and_may_come_again(api: Recording, time: VirtualTime) -> None:
    events = Events(api, time.timing())
    api.faults = [ApiError("x", status=503), ApiError("no such namespace", status=404)]
    events.emit()
    await until(lambda: bool(events.reports))
    assert events.reports == ["no such namespace"]
    api.faults = [ApiError("x"), ApiError("it did arrive", status=409)]
    events.emit()
    assert await events.recorder.drain(10) == 0
    assert events.outcomes == {"posted": 1, "dropped": 1}


async def test_a_recorder_that_never_started_drains_at_once(api: Recording) -> None:
    recorder = EventRecorder(api, lambda _name, _text: None, now=lambda: datetime.now(UTC))
    recorder.emit(REGARDING, EventReason.MOVED, "Evict", "note")
    assert await recorder.drain(10) == 1


async def test_who_leads_no_more_posts_no_events(api: Recording, time: VirtualTime) -> None:
    leads = True
    events = Events(api, time.timing(), allowed=lambda: leads)
    events.emit()
    await events.recorder.flush(10)
    assert events.outcomes == {"posted": 1}
    events.emit()  # a repetition of what was posted
    events.emit(note="Something else.")
    leads = False
    assert await events.recorder.drain(10) == 0
    assert [method for method, *_ in api.requests] == ["POST"]
    assert events.outcomes == {"posted": 1, "dropped": 2}
    assert events.reports == []


async def test_a_lease_lost_between_two_attempts_ends_them(api: Recording, time: VirtualTime) -> None:
    answers = iter([True, False])
    api.faults = [ApiError("told to", status=503)]
    events = Events(api, time.timing(), allowed=lambda: next(answers))
    events.emit()
    assert await events.recorder.drain(10) == 0
    assert len(api.requests) == 1
    assert events.outcomes == {"dropped": 1}


@pytest.mark.parametrize("namespace", ["default/configmaps/x?", "..", "a/b", "%2e", "A", "x" * 64])
async def test_a_namespace_that_cannot_be_has_no_events(api: Recording, time: VirtualTime, namespace: str) -> None:
    events = Events(api, time.timing())
    assert not events.emit(regarding=Regarding("Pod", "v1", namespace, "web-1", "uid-1"))
    assert await events.recorder.drain(10) == 0
    assert api.requests == []
    assert events.outcomes == {"dropped": 1}
