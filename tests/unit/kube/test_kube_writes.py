"""What we write: patches on pods, and the queue that sends them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec.structs import replace
from unit.kube.fake_api import VirtualTime
from unit.kube.recording import Recording, until

from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.core.model.taints import Toleration
from extender.core.placement.gates import Release
from extender.core.placement.written import Requires
from extender.kube.limits import Limits, TokenBucket
from extender.kube.patches import PodPatches, is_gone
from extender.kube.queue import ATTEMPTS, PatchQueue
from extender.kube.queue import LIMITS as OF_PATCHES
from extender.wire.kube_v1 import DELETION_COST

POD = PodId("shop", "web-1", "uid-1")


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
