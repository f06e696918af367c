"""What we write: patches on pods, the queue that sends them, and Events."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace
from unit.kube.fake_api import VirtualTime

from extender.core.model.errors import ApiError
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.core.model.taints import Toleration
from extender.core.placement.gates import Release
from extender.core.placement.written import Requires
from extender.kube.limits import Limits, TokenBucket
from extender.kube.occurrences import BURST, REFILL, WINDOW, Allowances, Occurrences
from extender.kube.patches import PodPatches, is_gone
from extender.kube.queue import ATTEMPTS, PatchQueue
from extender.kube.queue import LIMITS as OF_PATCHES
from extender.kube.recorder import LIMITS as OF_EVENTS
from extender.kube.recorder import SERIES_DELAY, EventRecorder
from extender.kube.regarding import Regarding
from extender.kube.seams import Timing
from extender.wire.kube_v1 import DELETION_COST

POD = PodId("shop", "web-1", "uid-1")
REGARDING = Regarding("Pod", "v1", "shop", "web-1", "uid-1")


class Recording:
    """Stands for the API: keeps requests, fails as told, and lets a test hold answers back."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Mapping[str, str] | None, Any, str]] = []
        self.faults: list[ApiError | None] = []
        self.answer = b"{}"
        self.gate = asyncio.Event()
        self.gate.set()
        self.flying = 0
        self.most = 0

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        self.requests.append((method, path, params, body, content_type))
        self.flying += 1
        self.most = max(self.most, self.flying)
        await self.gate.wait()
        await asyncio.sleep(0)
        self.flying -= 1
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        return self.answer

    @property
    def bodies(self) -> list[Any]:
        return [request[3] for request in self.requests]


async def until(done: Callable[[], bool]) -> None:
    """Let others run until something is true."""
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0)


@pytest.fixture
async def api() -> Recording:
    return Recording()


async def test_patches_carry_the_uid_and_the_manager(api: Recording) -> None:
    patches = PodPatches(api)
    assert await patches.annotate(POD, {"spotmix.io/seat": "3", "old": None})
    assert await patches.nominate(POD, "node-1")
    assert await patches.set_deletion_cost(POD, -5)
    assert await patches.set_deletion_cost(POD, None)
    path = "/api/v1/namespaces/shop/pods/web-1"
    ours = {"fieldManager": "spotmix-seat", "force": "false"}
    assert [(r[0], r[1], r[2]) for r in api.requests] == [
        ("PATCH", path, {"fieldManager": "spotmix"}),
        ("PATCH", path + "/status", {"fieldManager": "spotmix"}),
        ("PATCH", path, ours),
        ("PATCH", path, ours),
    ]
    pod = {"apiVersion": "v1", "kind": "Pod"}
    identity = {"name": "web-1", "namespace": "shop", "uid": "uid-1"}
    assert api.bodies == [
        {"metadata": {"annotations": {"spotmix.io/seat": "3", "old": None}, "uid": "uid-1"}},
        {"status": {"nominatedNodeName": "node-1"}, "metadata": {"uid": "uid-1"}},
        {**pod, "metadata": {**identity, "annotations": {DELETION_COST: "-5"}}},
        {**pod, "metadata": identity},
    ]
    assert [r[4] for r in api.requests] == ["application/merge-patch+json"] * 2 + ["application/apply-patch+yaml"] * 2


CONFLICT = ApiError(
    'Apply failed with 2 conflicts: conflicts with "kubectl" using v1:\n- .x\nconflicts with "batch":\n- .x '
    '(conflict with "kubectl" using v1; conflict with "batch")',
    status=409,
    causes=("FieldManagerConflict", "FieldManagerConflict"),
)


@pytest.mark.parametrize(
    ("fault", "answer", "cost", "told"),
    [
        (None, b"{}", 5, ("written", "")),
        (None, b'{"metadata":{"annotations":{"other":"1"}}}', None, ("removed", "")),
        (None, b'{"metadata":{"annotations":{"%s":"1"}}}' % DELETION_COST.encode(), None, ("foreign", "")),
        (CONFLICT, b"", 5, ("foreign", '"kubectl", "batch"')),
        (ApiError("x", status=409), b"", 5, ("gone", "")),
        (ApiError("Pod is invalid: metadata.uid: field is immutable", status=422), b"", 5, ("gone", "")),
    ],
)
async def test_what_became_of_a_cost_is_told(
    api: Recording, fault: ApiError | None, answer: bytes, cost: int | None, told: tuple[str, str]
) -> None:
    outcomes: list[tuple[PodId, str, str]] = []
    api.faults, api.answer = [fault], answer
    patches = PodPatches(api, lambda *what: outcomes.append(what))
    assert await patches.set_deletion_cost(POD, cost) == (told[0] in {"written", "removed"})
    assert outcomes == [(POD, *told)]


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (ApiError("x", status=404), True),
        (ApiError("x", status=409), True),
        (ApiError("Pod is invalid: metadata.uid: field is immutable", status=422), True),
        (ApiError("Pod is invalid: metadata.annotations", status=422), False),
        (ApiError("x", status=403), False),
        (ApiError("x", status=0), False),
    ],
)
async def test_gone_is_an_answer_and_not_an_error(api: Recording, error: ApiError, *, gone: bool) -> None:
    api.faults = [error]
    assert is_gone(error) == gone
    if gone:
        assert not await PodPatches(api).nominate(POD, "n")
    else:
        with pytest.raises(ApiError):
            await PodPatches(api).nominate(POD, "n")


Start = Callable[..., PatchQueue]


@pytest.fixture
async def queue_of(api: Recording, time: VirtualTime) -> AsyncIterator[tuple[Start, list[str]]]:
    reports: list[str] = []
    made: list[PatchQueue] = []

    def make(**options: Any) -> PatchQueue:
        queue = PatchQueue(PodPatches(api), lambda _name, text: reports.append(text), timing=time.timing(), **options)
        queue.start()
        made.append(queue)
        return queue

    yield make, reports
    for queue in made:
        await queue.drain(0)


async def test_many_values_become_one_patch(api: Recording, queue_of: tuple[Start, list[str]]) -> None:
    queue = queue_of[0]()
    for cost in range(10):
        assert queue.set_deletion_cost(POD, cost)
    queue.annotate(POD, {"a": "1", "b": "1"})
    queue.annotate(POD, {"b": "2", "c": None})
    queue.nominate(POD, "n1")
    queue.nominate(POD, "n2")
    assert queue.pending == 3
    assert await queue.drain(10) == 0
    assert [body.get("status") or body["metadata"]["annotations"] for body in api.bodies] == [
        {DELETION_COST: "9"},
        {"a": "1", "b": "2", "c": None},
        {"nominatedNodeName": "n2"},
    ]
    assert queue.sent == 3
    assert not queue.nominate(POD, "n3"), "a drained queue takes nothing"


async def test_concurrency_and_size_are_bounded(api: Recording, queue_of: tuple[Start, list[str]]) -> None:
    queue = queue_of[0](concurrency=4, limits=replace(OF_PATCHES, waiting=30))
    api.gate.clear()
    taken = [queue.set_deletion_cost(PodId("shop", f"p{n}", f"u{n}"), n) for n in range(50)]
    assert sum(taken) == 30
    assert queue.set_deletion_cost(PodId("shop", "p0", "u0"), 7), "a newer value of a waiting one fits"
    api.gate.set()
    assert await queue.drain(10) == 0
    assert api.most == 4
    assert len(api.requests) == 30


async def test_a_value_that_comes_in_flight_is_sent_after_and_never_beside(
    api: Recording, queue_of: tuple[Start, list[str]]
) -> None:
    queue = queue_of[0]()
    api.gate.clear()
    queue.set_deletion_cost(POD, 1)
    await until(lambda: bool(api.requests))
    queue.set_deletion_cost(POD, 2)
    queue.set_deletion_cost(POD, 3)
    api.gate.set()
    assert await queue.drain(10) == 0
    assert [body["metadata"]["annotations"][DELETION_COST] for body in api.bodies] == ["1", "3"]
    assert api.most == 1


async def test_transient_errors_are_retried_with_the_newest_value(
    api: Recording, time: VirtualTime, queue_of: tuple[Start, list[str]]
) -> None:
    queue = queue_of[0]()
    api.faults = [ApiError("x", status=500), ApiError("x", status=429, retry_after=5), ApiError("x")]
    queue.annotate(POD, {"a": "1"})
    await until(lambda: bool(api.requests))
    queue.annotate(POD, {"b": "2"})
    assert await queue.drain(10) == 0
    assert api.bodies[0]["metadata"]["annotations"] == {"a": "1"}
    assert api.bodies[-1]["metadata"]["annotations"] == {"a": "1", "b": "2"}
    assert len(api.requests) == 4
    assert time.slept == pytest.approx([0.1, 5.2, 0.4])
    assert (queue.sent, queue.given_up) == (1, 0)


async def test_what_cannot_succeed_is_given_up(api: Recording, queue_of: tuple[Start, list[str]]) -> None:
    make, reports = queue_of
    queue = make()
    api.faults = [ApiError("no rights", status=403)]
    queue.nominate(POD, "n")
    await until(lambda: not queue.pending)
    api.faults = [ApiError("away")] * ATTEMPTS
    queue.nominate(POD, "n")
    await until(lambda: not queue.pending)
    api.faults = [ApiError("gone", status=404)]
    queue.nominate(POD, "n")
    assert await queue.drain(10) == 0
    assert reports == ["no rights", "away"]
    assert (queue.sent, queue.given_up) == (0, 2)


async def test_a_cost_that_is_refused_is_not_sent_again(api: Recording, queue_of: tuple[Start, list[str]]) -> None:
    make, reports = queue_of
    queue = make()
    api.faults = [CONFLICT]
    queue.set_deletion_cost(POD, 5)
    assert await queue.drain(10) == 0
    assert (len(api.requests), queue.sent, queue.given_up, reports) == (1, 0, 0, [])


async def test_a_bug_costs_one_patch(api: Recording, queue_of: tuple[Start, list[str]]) -> None:
    make, reports = queue_of
    queue = make(concurrency=1)
    api.faults = [ZeroDivisionError("bug")]  # type: ignore[list-item]  # what the API never raises
    queue.nominate(POD, "n")
    queue.annotate(POD, {"a": "1"})
    assert await queue.drain(10) == 0
    assert "bug" in reports[0]
    assert len(api.requests) == 2


async def test_drain_gives_up_in_time_and_says_what_is_left(api: Recording, queue_of: tuple[Start, list[str]]) -> None:
    queue = queue_of[0](concurrency=2)
    api.gate.clear()
    for n in range(5):
        queue.nominate(PodId("shop", f"p{n}", f"u{n}"), "n")
    assert await queue.drain(0.01) == 5


async def test_the_rate_is_limited(time: VirtualTime, queue_of: tuple[Start, list[str]]) -> None:
    queue = queue_of[0](limits=Limits(10.0, 5, 100), concurrency=1)
    start = time.now
    for n in range(25):
        queue.nominate(PodId("shop", f"p{n}", f"u{n}"), "n")
    assert await queue.drain(10) == 0
    assert time.now - start == pytest.approx(2.0)


async def test_a_bucket_fills_up_to_its_burst(time: VirtualTime) -> None:
    bucket = TokenBucket(1.0, 2, time.timing())
    time.now += 100
    for _ in range(3):
        await bucket.take()
    assert time.slept == [1.0]


async def test_a_bucket_goes_by_another_rate_from_then_on(time: VirtualTime) -> None:
    bucket = TokenBucket(1.0, 2, time.timing())
    time.now += 1
    bucket.allow(4.0, 1)
    for _ in range(3):
        await bucket.take()
    assert time.slept == [0.25, 0.25]


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
    allowances = Allowances(lambda: now, limit=10)
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


async def test_who_may_not_write_sends_nothing(api: Recording, queue_of: tuple[Start, list[str]]) -> None:
    allowed = False
    queue = queue_of[0](allowed=lambda: allowed)
    queue.set_deletion_cost(POD, 1)
    while queue.pending:  # noqa: ASYNC110 - nobody tells of what was dropped
        await asyncio.sleep(0)
    allowed = True
    queue.nominate(POD, "n1")
    assert await queue.drain(10) == 0
    assert [body.get("status") for body in api.bodies] == [{"nominatedNodeName": "n1"}]
    assert queue_of[1] == []


async def test_tolerations_are_added_to_those_that_the_pod_has_word_for_word(api: Recording) -> None:
    first = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9}
    second = {"key": "cheap", "effect": "NoSchedule"}
    api.answer = json.dumps({"spec": {"tolerations": [first, second]}}).encode()
    added = (Toleration("a", "Equal", "b", "NoSchedule"), Toleration("c", "Exists", "", "NoExecute"))
    assert await PodPatches(api).release(Release(POD, "spotmix.io/placement", {}, "spot", Requires(tolerations=added)))
    path = "/api/v1/namespaces/shop/pods/web-1"
    assert [(request[0], request[1]) for request in api.requests] == [("GET", path), ("PATCH", path)]
    patch = api.bodies[1]
    assert patch["metadata"]["uid"] == "uid-1"
    assert patch["spec"]["tolerations"] == [
        first,
        second,
        {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"},
        {"key": "c", "operator": "Exists", "effect": "NoExecute"},
    ]


async def test_a_pod_without_tolerations_gets_some_and_one_that_is_gone_none(api: Recording) -> None:
    refused: list[PodId] = []
    patches = PodPatches(api, refused=refused.append)
    release = Release(POD, "spotmix.io/placement", {}, "spot", Requires(tolerations=(Toleration("a", "Exists"),)))
    assert await patches.release(release)
    assert len(api.bodies[1]["spec"]["tolerations"]) == 1
    api.faults = [ApiError("x", status=404)]
    assert not await patches.release(release)
    assert len(api.requests) == 3
    # It goes on without them where we may not read it.
    api.faults = [ApiError("x", status=403)]
    assert await patches.release(release)
    assert "tolerations" not in api.bodies[-1]["spec"]
    assert refused == []
